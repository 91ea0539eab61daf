//! Statements that are short to write and huge to run: values of a gigabyte that the database would make, often while it plans, before
//! any limit of time or rows can stop it.
//!
//! Calls that multiply are measured (`size.rs`). What a query inside gives is a column to the query around it, so the calls of a query
//! are judged when it ends, the innermost first, and each outer one takes columns to be as large as anything an inner one made.

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgumentList, FunctionArguments, ObjectName, Query, SelectItem, SetExpr,
    TableFactor,
};
use weft_kit::ToolError;

mod growth;
mod size;
#[cfg(test)]
mod tests;

use size::Sizes;

/// Bytes that one call may make.
const MOST: u128 = 1 << 20;
/// Bytes that all calls of a statement may make together.
const TOGETHER: u128 = 8 << 20;
/// Bytes of a column of a table: a text of usual size.
const COLUMN: u128 = 256;
/// Bytes that a statement may make for each row of many that are gathered into one value.
const EACH: u128 = 1 << 10;

/// Calls that are judged: those that multiply, those that join many values, and those that gather.
const JUDGED: [&str; 20] = [
    "repeat",
    "lpad",
    "rpad",
    "zeroblob",
    "randomblob",
    "array_fill",
    "format",
    "printf",
    "replace",
    "regexp_replace",
    "translate",
    "array_to_string",
    "concat",
    "concat_ws",
    "encode",
    "hex",
    "quote_literal",
    "quote_nullable",
    "to_json",
    "to_jsonb",
];

/// What a statement makes, as far as it was seen.
pub(super) struct Bombs {
    /// The queries that are open, the statement itself first.
    levels: Vec<Level>,
    /// Bytes of the largest value that a query gave so far.
    column: u128,
    /// Of these, what the statement made itself.
    made: u128,
    together: u128,
}

#[derive(Default)]
struct Level {
    /// Calls, and whether they stand where a table could: their results are columns of the same query.
    calls: Vec<(bool, Function)>,
    /// How deep in such a call this is.
    tables: usize,
}

impl Bombs {
    pub(super) fn new() -> Self {
        Self { levels: vec![Level::default()], column: COLUMN, made: 0, together: 0 }
    }

    pub(super) fn call(&mut self, call: &Function) {
        let Some(level) = self.levels.last_mut() else { return };
        let in_table = level.tables > 0;
        let judged = size::name(call).is_some_and(|name| JUDGED.contains(&name.as_str()));
        if in_table || judged || gathers(call) {
            level.calls.push((in_table, call.clone()));
        }
    }

    /// Something to read from begins. A call there is named like a table, and no expression.
    pub(super) fn enter_table(&mut self, table: &TableFactor) {
        let Some(level) = self.levels.last_mut().filter(|_| calls(table)) else { return };
        level.tables += 1;
        match table {
            TableFactor::Table { name, args: Some(given), .. } => level.calls.push((true, called(name, &given.args))),
            TableFactor::Function { name, args, .. } => level.calls.push((true, called(name, args))),
            _ => {}
        }
    }

    pub(super) fn leave_table(&mut self, table: &TableFactor) {
        if let Some(level) = self.levels.last_mut().filter(|_| calls(table)) {
            level.tables = level.tables.saturating_sub(1);
        }
    }

    /// A query begins; fails if it is recursive and its values grow without end.
    pub(super) fn enter(&mut self, query: &Query) -> Result<(), ToolError> {
        self.levels.push(Level::default());
        let recursive = query.with.iter().filter(|with| with.recursive).flat_map(|with| &with.cte_tables);
        for table in recursive {
            if growth::explodes(table, COLUMN, MOST) {
                return Err(ToolError::refused(format!(
                    "the values of the recursive query {} grow with each step to more than {MOST} bytes",
                    table.alias.name
                ))
                .hint("let each step add to a value once, and not multiply it"));
            }
        }
        Ok(())
    }

    /// A query ends; fails if one of its calls makes too much.
    pub(super) fn leave(&mut self, query: &Query) -> Result<(), ToolError> {
        self.judge()?;
        let mut given = Vec::new();
        results(&query.body, &mut given);
        let (sizes, made) = (self.sizes(), self.own());
        let largest = given.iter().map(|expr| (sizes.of(expr), made.of(expr)));
        let (column, made) = largest.fold((self.column, self.made), |most, one| (most.0.max(one.0), most.1.max(one.1)));
        (self.column, self.made) = (column, made);
        Ok(())
    }

    /// Judges the calls of the innermost query, or of the statement outside of all queries.
    pub(super) fn judge(&mut self) -> Result<(), ToolError> {
        let mut calls = self.levels.pop().unwrap_or_default().calls;
        // What stands where a table could comes first: the others see its columns.
        calls.sort_by_key(|(in_table, _)| !in_table);
        for (in_table, call) in &calls {
            let (size, made) = (self.sizes().of_call(call), self.own().of_call(call));
            self.fits(call, size, made)?;
            if *in_table {
                (self.column, self.made) = (self.column.max(size), self.made.max(made));
            }
        }
        Ok(())
    }

    fn fits(&mut self, call: &Function, size: u128, made: u128) -> Result<(), ToolError> {
        let name = size::name(call).unwrap_or_default();
        // `ARRAY(SELECT …)` has no arguments: its rows are what a query made.
        let each = if matches!(call.args, FunctionArguments::Subquery(_)) { self.made } else { made };
        if gathers(call) && each > EACH {
            return Err(ToolError::refused(format!(
                "{name}() here would gather values of {each} bytes from many rows"
            ))
            .hint("gather columns, or shorter texts"));
        }
        self.together = self.together.saturating_add(made);
        let (bytes, most) = if size > MOST { (size, MOST) } else { (self.together, TOGETHER) };
        if bytes <= most {
            return Ok(());
        }
        Err(ToolError::refused(format!("{name}() here would make more than {most} bytes, or cannot be foreseen"))
            .hint("give it a small constant"))
    }

    fn sizes(&self) -> Sizes<'static> {
        Sizes { column: self.column, made: false, named: None }
    }

    fn own(&self) -> Sizes<'static> {
        Sizes { column: self.made, made: true, named: None }
    }
}

fn calls(table: &TableFactor) -> bool {
    matches!(
        table,
        TableFactor::Table { args: Some(_), .. }
            | TableFactor::Function { .. }
            | TableFactor::TableFunction { .. }
            | TableFactor::UNNEST { .. }
    )
}

fn called(name: &ObjectName, args: &[FunctionArg]) -> Function {
    let args = FunctionArgumentList { duplicate_treatment: None, args: args.to_vec(), clauses: Vec::new() };
    Function {
        name: name.clone(),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(args),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    }
}

fn gathers(call: &Function) -> bool {
    size::gathers(call) || matches!(call.args, FunctionArguments::Subquery(_))
}

/// The expressions that a query gives; queries inside of it were asked before.
fn results<'q>(body: &'q SetExpr, given: &mut Vec<&'q Expr>) {
    match body {
        SetExpr::Select(select) => given.extend(select.projection.iter().filter_map(|item| match item {
            SelectItem::UnnamedExpr(expr)
            | SelectItem::ExprWithAlias { expr, .. }
            | SelectItem::ExprWithAliases { expr, .. } => Some(expr),
            _ => None,
        })),
        SetExpr::Values(values) => given.extend(values.rows.iter().flat_map(|row| row.content.iter())),
        SetExpr::SetOperation { left, right, .. } => {
            results(left, given);
            results(right, given);
        }
        _ => {}
    }
}
