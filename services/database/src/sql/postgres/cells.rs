//! Values as JSON without loss: what each column is read as, and what becomes of its text.
//!
//! The server writes every value out itself, so that types nobody foresaw arrive as what `psql` would show. JSON numbers are only
//! for what every client reads exactly: whole numbers within ±2^53 and floats. Longer ones, and `numeric`, are strings, inside of JSON
//! as well.

use serde_json::Value;
use sqlx::{
    TypeInfo as _,
    postgres::{PgTypeInfo, PgTypeKind},
};

use super::exact;
use crate::sql::Column;

/// The largest whole number that all JSON readers keep exact (RFC 8259, section 6).
pub(crate) const EXACT: i64 = 1 << 53;

/// How the text of a column is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Bool,
    Whole,
    Float,
    Json,
    /// JSON whose numbers all are floats.
    Floats,
    Text,
}

/// A column of an answer and how it is read.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    pub(super) column: Column,
    form: Form,
    /// How the column called `{}` is written out.
    expression: &'static str,
}

impl Cell {
    pub(super) fn of(name: &str, info: &PgTypeInfo) -> Self {
        let kind = info.name().to_lowercase();
        let (form, expression) = match info.kind() {
            PgTypeKind::Domain(base) => {
                let base = Self::of(name, base);
                (base.form, base.expression)
            }
            PgTypeKind::Array(element) => array(&element.name().to_lowercase()),
            PgTypeKind::Composite(_) => (Form::Json, "to_jsonb({})::text"),
            _ => simple(&kind),
        };
        Self { column: Column { name: name.to_owned(), kind }, form, expression }
    }

    /// A number that is counted beside the rows.
    pub(super) fn count() -> Self {
        let column = Column { name: "count".to_owned(), kind: "int8".to_owned() };
        Self { column, form: Form::Whole, expression: "{}::text" }
    }

    /// The expression for the column that the inner query calls `inner`, cut after `most` characters.
    pub(super) fn sql(&self, inner: &str, most: usize) -> String {
        let text = self.expression.replace("{}", inner);
        format!("left({text}, {})", most + 1)
    }

    /// The value; whether it was cut.
    pub(super) fn value(&self, text: Option<&str>, most: usize) -> (Value, bool) {
        let Some(text) = text else { return (Value::Null, false) };
        if let Some((cut, _)) = text.char_indices().nth(most) {
            return (Value::String(format!("{}…", &text[..cut])), true);
        }
        let value = match self.form {
            Form::Bool => Value::Bool(text == "true"),
            Form::Whole => whole(text),
            Form::Float => {
                text.parse().ok().and_then(serde_json::Number::from_f64).map_or_else(|| text.into(), Value::Number)
            }
            Form::Json => exact::parse(text).unwrap_or_else(|| text.into()),
            Form::Floats => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
            Form::Text => text.into(),
        };
        (value, false)
    }
}

/// A whole number, or its text where not all readers would keep it.
pub(super) fn whole(text: &str) -> Value {
    match text.parse::<i64>() {
        Ok(number) if number.abs() <= EXACT => number.into(),
        _ => text.into(),
    }
}

fn simple(kind: &str) -> (Form, &'static str) {
    match kind {
        "bool" => (Form::Bool, "{}::text"),
        "int2" | "int4" | "int8" | "oid" => (Form::Whole, "{}::text"),
        "float4" | "float8" => (Form::Float, "{}::text"),
        "json" | "jsonb" => (Form::Json, "{}::text"),
        "record" => (Form::Json, "to_jsonb({})::text"),
        "bytea" => (Form::Text, "encode({}, 'base64')"),
        _ => (Form::Text, "{}::text"),
    }
}

/// Elements that JSON keeps exact stay what they are, all others become text first.
fn array(element: &str) -> (Form, &'static str) {
    match element {
        "float4" | "float8" => (Form::Floats, "to_jsonb({})::text"),
        "bool" | "int2" | "int4" | "json" | "jsonb" | "text" | "varchar" | "bpchar" | "name" => {
            (Form::Json, "to_jsonb({})::text")
        }
        _ => (Form::Json, "to_jsonb({}::text[])::text"),
    }
}
