//! An expression → the bytes that its value can have. Too much rather than too little: what is not known counts as all of what goes in.

use sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, UnaryOperator, Value,
};

use crate::sql::names::folded;

/// Bytes of a value whose size depends on nothing: numbers, dates, truths.
const SMALL: u128 = 32;
/// Bytes of a parameter: the statement is judged without them.
const PARAMETER: u128 = 4 << 10;
/// Bytes of what is gathered from rows.
const GATHERED: u128 = 4 << 10;
/// Literals up to here are the small change of building JSON, and no matter of how much a statement makes.
const CHANGE: u128 = 64;

/// Functions that give a number or the like, whatever goes in.
const MEASURING: [&str; 14] = [
    "length",
    "char_length",
    "character_length",
    "octet_length",
    "bit_length",
    "count",
    "strpos",
    "instr",
    "ascii",
    "unicode",
    "md5",
    "hashtext",
    "array_length",
    "cardinality",
];
/// Functions that gather many rows into one value.
const GATHERING: [&str; 16] = [
    "string_agg",
    "array_agg",
    "json_agg",
    "json_agg_strict",
    "jsonb_agg",
    "jsonb_agg_strict",
    "json_object_agg",
    "jsonb_object_agg",
    "json_arrayagg",
    "json_objectagg",
    "xmlagg",
    "group_concat",
    "json_group_array",
    "jsonb_group_array",
    "json_group_object",
    "jsonb_group_object",
];

/// The bytes of a column by the parts of its name, where they are known.
pub(super) type Named<'s> = &'s dyn Fn(&[Ident]) -> Option<u128>;

/// What is known beside the expression.
#[derive(Clone, Copy)]
pub(super) struct Sizes<'s> {
    /// Bytes of a column, or of what a query inside gives.
    pub(super) column: u128,
    /// Count what the statement itself makes: no parameters and no small change.
    pub(super) made: bool,
    /// Columns of which more is known.
    pub(super) named: Option<Named<'s>>,
}

impl Sizes<'_> {
    /// Bytes that the value of the expression can have.
    pub(super) fn of(&self, expr: &Expr) -> u128 {
        match expr {
            Expr::Value(value) => self.literal(&value.value),
            Expr::Nested(inner)
            | Expr::Cast { expr: inner, .. }
            | Expr::Collate { expr: inner, .. }
            | Expr::UnaryOp { expr: inner, .. }
            | Expr::Substring { expr: inner, .. }
            | Expr::Trim { expr: inner, .. }
            | Expr::JsonAccess { value: inner, .. }
            | Expr::CompoundFieldAccess { root: inner, .. } => self.of(inner),
            Expr::BinaryOp { .. } => self.chain(expr),
            Expr::Overlay { expr, overlay_what, .. } => self.sum([expr.as_ref(), overlay_what]),
            Expr::Function(call) => self.of_call(call),
            Expr::Case { conditions, else_result, .. } => {
                let results = conditions.iter().map(|when| &when.result).chain(else_result.as_deref());
                results.map(|result| self.of(result)).max().unwrap_or(0)
            }
            Expr::Array(array) => self.sum(&array.elem),
            Expr::Tuple(items) => self.sum(items),
            Expr::Identifier(name) => self.of_column(std::slice::from_ref(name)),
            Expr::CompoundIdentifier(names) => self.of_column(names),
            _ => self.column,
        }
    }

    /// Operators one after the other, `a || b || c`: there may be thousands, each the left side of the next.
    fn chain(&self, expr: &Expr) -> u128 {
        let (mut first, mut rest) = (expr, Vec::new());
        while let Expr::BinaryOp { left, op, right } = first {
            rest.push((op, right));
            first = left;
        }
        rest.into_iter().rev().fold(self.of(first), |size, (op, right)| match op {
            BinaryOperator::StringConcat => size.saturating_add(self.of(right)),
            _ => size.max(self.of(right)),
        })
    }

    fn of_column(&self, names: &[Ident]) -> u128 {
        self.named.and_then(|named| named(names)).unwrap_or(self.column)
    }

    fn literal(&self, value: &Value) -> u128 {
        let length = match value {
            Value::Placeholder(_) if self.made => 0,
            Value::Placeholder(_) => PARAMETER,
            Value::Number(..) | Value::Boolean(_) | Value::Null => SMALL,
            other => other.clone().into_string().map_or(SMALL, |text| text.len() as u128),
        };
        if self.made && length <= CHANGE { 0 } else { length }
    }

    fn sum<'e>(&self, parts: impl IntoIterator<Item = &'e Expr>) -> u128 {
        parts.into_iter().map(|part| self.of(part)).fold(0, u128::saturating_add)
    }

    /// Bytes that the result of a call can have.
    pub(super) fn of_call(&self, call: &Function) -> u128 {
        let (Some(name), given) = (name(call), arguments(call)) else { return self.column };
        let all = self.sum(given.iter().copied());
        let times = |place: usize| given.get(place).map_or(1, |expr| self.of(expr).max(1));
        let first = given.first().map_or(0, |expr| self.of(expr));
        match (name.as_str(), given.as_slice()) {
            ("repeat", [text, count]) => product(self.of(text).max(1), number(count)),
            ("lpad" | "rpad", [_, length, ..]) => product(4, number(length)),
            ("zeroblob" | "randomblob", [length]) => product(1, number(length)),
            ("array_fill", [value, dimensions, ..]) => product(self.of(value).max(8), cells(dimensions)),
            ("format" | "printf", [text, ..]) => widths(text).map_or(u128::MAX, |width| all.saturating_add(width)),
            // Each letter, and each match, may become the whole of the third argument.
            ("replace" | "regexp_replace", [_, _, _, ..]) => first.saturating_mul(times(2)),
            ("array_to_string", [_, _, ..]) => first.saturating_mul(times(1)),
            ("translate" | "encode" | "quote_literal" | "quote_nullable" | "quote_ident" | "hex" | "quote", _) => {
                first.saturating_mul(4)
            }
            ("to_json" | "to_jsonb" | "json_quote", _) => first.saturating_mul(6),
            ("left" | "right" | "substr" | "substring" | "split_part", _) => first,
            ("chr" | "char" | "random" | "now", _) => SMALL,
            (name, _) if MEASURING.contains(&name) => SMALL,
            (name, _) if GATHERING.contains(&name) => all.max(if self.made { 0 } else { GATHERED }),
            _ if given.is_empty() => self.column,
            _ => all,
        }
    }
}

fn product(each: u128, count: Option<u128>) -> u128 {
    count.map_or(u128::MAX, |count| each.saturating_mul(count))
}

/// What is called, in small letters.
pub(super) fn name(call: &Function) -> Option<String> {
    call.name.0.last().and_then(|part| part.as_ident()).map(|ident| folded(ident).to_lowercase())
}

/// Whether the call makes one value of many rows.
pub(super) fn gathers(call: &Function) -> bool {
    name(call).is_some_and(|name| GATHERING.contains(&name.as_str()))
}

/// What is given to a call, where these are expressions.
pub(super) fn arguments(call: &Function) -> Vec<&Expr> {
    let FunctionArguments::List(list) = &call.args else { return Vec::new() };
    let expression = |arg| match arg {
        &FunctionArg::Unnamed(FunctionArgExpr::Expr(ref expr))
        | &FunctionArg::Named { arg: FunctionArgExpr::Expr(ref expr), .. }
        | &FunctionArg::ExprNamed { arg: FunctionArgExpr::Expr(ref expr), .. } => Some(expr),
        _ => None,
    };
    list.args.iter().filter_map(expression).collect()
}

/// The cells of an array of these dimensions.
fn cells(dimensions: &Expr) -> Option<u128> {
    let Expr::Array(array) = dimensions else { return None };
    array.elem.iter().try_fold(1u128, |cells, length| Some(cells.saturating_mul(number(length)?)))
}

/// A size that is a constant, computed; `None` if it is none.
fn number(expr: &Expr) -> Option<u128> {
    constant(expr).and_then(whole)
}

fn constant(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(text, _) => text.parse().ok(),
            _ => None,
        },
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => constant(inner),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => Some(-constant(expr)?),
        Expr::BinaryOp { left, op, right } => {
            let (left, right) = (constant(left)?, constant(right)?);
            match op {
                BinaryOperator::Plus => Some(left + right),
                BinaryOperator::Minus => Some(left - right),
                BinaryOperator::Multiply => Some(left * right),
                BinaryOperator::Divide => Some(left / right),
                _ => None,
            }
        }
        _ => None,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be a size that is far below the limits"
)]
fn whole(number: f64) -> Option<u128> {
    // A negative number of times is none.
    (number <= 1e18).then_some(number.max(0.0).ceil() as u128)
}

/// The widths in a format (`%1000000000s`); `None` where one is an argument (`%*s`) or the format is no constant.
fn widths(format: &Expr) -> Option<u128> {
    let Expr::Value(value) = format else { return None };
    let text = value.value.clone().into_string()?;
    let mut size = 0u128;
    for part in text.split('%').skip(1) {
        let directive: String =
            part.chars().take_while(|letter| !letter.is_ascii_alphabetic() && *letter != '%').collect();
        if directive.contains('*') {
            return None;
        }
        for digits in directive.split(|letter: char| !letter.is_ascii_digit()).filter(|digits| !digits.is_empty()) {
            size = size.saturating_add(digits.parse().unwrap_or(u128::MAX));
        }
    }
    Some(size)
}
