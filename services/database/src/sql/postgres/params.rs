//! Parameters: JSON values → what the statement wants, by the types that the server inferred.
//!
//! Each `$n` becomes `CAST($n::text AS type)`, so that every value travels as text and the server's own input functions read it.

use std::ops::ControlFlow;

use serde_json::Value;
use sqlparser::ast::{
    CastKind, DataType, Expr, Ident, ObjectName, ObjectNamePart, Statement, Value as Literal, VisitMut as _, VisitorMut,
};
use weft_kit::ToolError;

/// The statement with casts around its parameters; `types` are written as SQL writes them.
pub(super) fn cast(statement: &Statement, types: &[String]) -> String {
    let mut statement = statement.clone();
    let _ = statement.visit(&mut Casts(types));
    statement.to_string()
}

struct Casts<'a>(&'a [String]);

impl VisitorMut for Casts<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let Expr::Value(value) = expr else { return ControlFlow::Continue(()) };
        let Literal::Placeholder(name) = &value.value else { return ControlFlow::Continue(()) };
        let place = name.trim_start_matches('$').parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let Some(kind) = place.and_then(|place| self.0.get(place)) else { return ControlFlow::Continue(()) };
        // An identifier without quotes is written as it is: the type comes from the server's format_type.
        let custom = ObjectName(vec![ObjectNamePart::Identifier(Ident::new(kind.clone()))]);
        let text = wrap(expr.clone(), DataType::Text);
        *expr = wrap(text, DataType::Custom(custom, Vec::new()));
        ControlFlow::Continue(())
    }
}

fn wrap(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(expr), data_type, format: None }
}

/// The text of each parameter; `None` is NULL.
pub(super) fn texts(params: &[Value], types: &[String]) -> Result<Vec<Option<String>>, ToolError> {
    if params.len() != types.len() {
        return Err(ToolError::invalid(format!(
            "the statement has {} parameters ($1…), but params has {} values",
            types.len(),
            params.len()
        )));
    }
    Ok(params.iter().zip(types).map(|(value, kind)| text(value, kind)).collect())
}

fn text(value: &Value, kind: &str) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) if kind == "json" || kind == "jsonb" => {
            // A string that is JSON already stays so; any other becomes a JSON string.
            let is_json = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
            Some(if is_json { text.clone() } else { value.to_string() })
        }
        Value::String(text) => Some(text.clone()),
        Value::Array(items) if kind.ends_with("[]") => Some(array(items)),
        other => Some(other.to_string()),
    }
}

/// An array literal (PostgreSQL documentation, 8.15.2).
fn array(items: &[Value]) -> String {
    let items: Vec<String> = items
        .iter()
        .map(|item| match item {
            Value::Null => "NULL".to_owned(),
            Value::Array(inner) => array(inner),
            Value::String(text) => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
            Value::Object(_) => format!("\"{}\"", item.to_string().replace('\\', "\\\\").replace('"', "\\\"")),
            other => other.to_string(),
        })
        .collect();
    format!("{{{}}}", items.join(","))
}
