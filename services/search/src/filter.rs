//! Conditions on exact fields, checked against the schema: what a caller wrote → values of the field's own type.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::{Date, OffsetDateTime, format_description::well_known::Rfc3339};
use weft_kit::ToolError;

use crate::{
    geo::{Area, Circle, Point},
    model::{Field, Kind, Schema},
    vectors,
};

/// Filters of one question.
const FILTERS: usize = 20;
/// Values of one filter.
const VALUES: usize = 500;

/// How a field is compared. in takes a list; prefix is for keywords; exists with false means that there is no value; within
/// takes {lat, lon, metres} and box {north, west, south, east}, for points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Op {
    Eq,
    Ne,
    In,
    Gt,
    Gte,
    Lt,
    Lte,
    Prefix,
    Exists,
    Within,
    Box,
}

/// One condition, as it is written.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Condition {
    field: String,
    op: Op,
    /// Of the field's type.
    #[serde(default)]
    value: Value,
}

/// One condition, checked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Filter {
    pub(crate) field: String,
    pub(crate) test: Test,
}

/// What must be true of a field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Test {
    /// It is one of these.
    Any(Vec<Exact>),
    /// It is none of these.
    None(Vec<Exact>),
    /// It lies on this side of a value.
    Side(Side, Exact),
    Prefix(String),
    Exists(bool),
    /// It lies in this circle.
    Within(Circle),
    /// It lies in this area.
    Box(Area),
}

/// A side of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Above,
    From,
    Below,
    UpTo,
}

/// A value of an exact field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Exact {
    Text(String),
    Integer(i64),
    Number(f64),
    Boolean(bool),
    /// Nanoseconds since 1970.
    Date(i64),
    Point(Point),
    Vector(Vec<f32>),
}

/// The conditions, if they fit the schema.
pub(crate) fn check(schema: &Schema, conditions: Vec<Condition>) -> Result<Vec<Filter>, ToolError> {
    if conditions.len() > FILTERS {
        return Err(ToolError::invalid(format!("at most {FILTERS} filters")).hint("use op in for several values"));
    }
    conditions.into_iter().map(|condition| one(schema, condition)).collect()
}

fn one(schema: &Schema, condition: Condition) -> Result<Filter, ToolError> {
    let Condition { field: name, op, value } = condition;
    let field = schema.field(&name)?;
    match op {
        Op::Exists => {}
        Op::Within | Op::Box => drop(schema.point(&name)?),
        _ => drop(schema.exact(&name)?),
    }
    let wrong = |why: String| ToolError::invalid(format!("the filter on {name:?}: {why}"));
    let read = |value: &Value| exact(field, value).map_err(wrong);
    let side = |side| Ok::<_, ToolError>(Test::Side(side, read(&value)?));
    let test = match op {
        Op::Eq => Test::Any(vec![read(&value)?]),
        Op::Ne => Test::None(vec![read(&value)?]),
        Op::In => {
            let list = value.as_array().filter(|list| (1..=VALUES).contains(&list.len())).ok_or_else(|| {
                ToolError::invalid(format!("the filter on {name:?}: in takes a list of 1 to {VALUES} values"))
            })?;
            Test::Any(list.iter().map(read).collect::<Result<_, _>>()?)
        }
        Op::Gt => side(Side::Above)?,
        Op::Gte => side(Side::From)?,
        Op::Lt => side(Side::Below)?,
        Op::Lte => side(Side::UpTo)?,
        Op::Prefix => match (&value, field.kind) {
            (Value::String(text), Kind::Keyword) if !text.is_empty() => Test::Prefix(text.clone()),
            _ => {
                return Err(ToolError::invalid(format!(
                    "the filter on {name:?}: prefix takes a string, and a keyword field"
                )));
            }
        },
        Op::Exists => Test::Exists(value != Value::Bool(false)),
        Op::Within => Test::Within(Circle::read(&value).map_err(wrong)?),
        Op::Box => Test::Box(Area::read(&value).map_err(wrong)?),
    };
    Ok(Filter { field: name, test })
}

/// A value as one of `field`.
pub(crate) fn exact(field: &Field, value: &Value) -> Result<Exact, String> {
    let wrong = |what: &str| {
        let shown: String = value.to_string().chars().take(60).collect();
        format!("{shown} is not {what}")
    };
    match field.kind {
        Kind::Keyword | Kind::Text | Kind::Code => {
            value.as_str().map(|text| Exact::Text(text.to_owned())).ok_or_else(|| wrong("a string"))
        }
        Kind::Integer => value.as_i64().map(Exact::Integer).ok_or_else(|| wrong("a whole number of 64 bits")),
        Kind::Number => {
            value.as_f64().filter(|number| number.is_finite()).map(Exact::Number).ok_or_else(|| wrong("a number"))
        }
        Kind::Boolean => value.as_bool().map(Exact::Boolean).ok_or_else(|| wrong("true or false")),
        Kind::Date => value
            .as_str()
            .and_then(date)
            .map(Exact::Date)
            .ok_or_else(|| wrong("a date as in 2026-01-31 or 2026-01-31T12:00:00Z, between 1678 and 2262")),
        Kind::Point => Point::read(value).map(Exact::Point),
        Kind::Vector => vectors::read(field, value).map(Exact::Vector),
    }
}

/// The values of a field in a document: one or several, of a point only one.
pub(crate) fn values<'v>(field: &Field, value: &'v Value) -> Result<&'v [Value], String> {
    match value.as_array() {
        Some(_) if field.kind == Kind::Point => Err("a document has one point in a field".to_owned()),
        Some(values) if field.kind != Kind::Vector => Ok(values),
        _ => Ok(std::slice::from_ref(value)),
    }
}

/// Nanoseconds since 1970.
fn date(text: &str) -> Option<i64> {
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok().or_else(|| {
        let mut parts = text.split('-');
        let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
        let month = time::Month::try_from(month.parse::<u8>().ok()?).ok()?;
        let date = Date::from_calendar_date(year.parse().ok()?, month, day.parse().ok()?).ok()?;
        parts.next().is_none().then(|| date.midnight().assume_utc())
    })?;
    i64::try_from(moment.unix_timestamp_nanos()).ok()
}

/// The date of nanoseconds since 1970, as it is written.
pub(crate) fn written(nanos: i64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(nanos))
        .ok()
        .and_then(|moment| moment.format(&Rfc3339).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Schema {
        let fields = json!([{"name": "tag", "kind": "keyword"}, {"name": "year", "kind": "integer"}, {"name": "price", "kind": "number"},
            {"name": "day", "kind": "date"}, {"name": "body", "kind": "text"}, {"name": "done", "kind": "boolean"}]);
        Schema { fields: serde_json::from_value(fields).unwrap(), ..Schema::default() }
    }

    fn checked(value: Value) -> Result<Vec<Filter>, ToolError> {
        check(&schema(), vec![serde_json::from_value(value).unwrap()])
    }

    #[test]
    fn values_must_be_of_the_fields_type() {
        for good in [
            json!({"field": "tag", "op": "eq", "value": "a"}),
            json!({"field": "year", "op": "gte", "value": 2000}),
            json!({"field": "price", "op": "lt", "value": 2}),
            json!({"field": "day", "op": "gt", "value": "2026-01-31"}),
            json!({"field": "day", "op": "eq", "value": "2026-01-31T10:00:00.5+02:00"}),
            json!({"field": "tag", "op": "in", "value": ["a", "b"]}),
            json!({"field": "body", "op": "exists"}),
        ] {
            assert!(checked(good.clone()).is_ok(), "{good}");
        }
        for bad in [
            json!({"field": "tag", "op": "eq", "value": 1}),
            json!({"field": "year", "op": "eq", "value": 1.5}),
            json!({"field": "year", "op": "eq", "value": true}),
            json!({"field": "day", "op": "gt", "value": "2026-13-31"}),
            json!({"field": "day", "op": "gt", "value": "now-1d"}),
            json!({"field": "tag", "op": "in", "value": []}),
            json!({"field": "tag", "op": "in", "value": vec!["a"; 501]}),
            json!({"field": "year", "op": "prefix", "value": "20"}),
            json!({"field": "body", "op": "eq", "value": "a"}),
            json!({"field": "none", "op": "eq", "value": "a"}),
            json!({"field": "_id", "op": "eq", "value": "a"}),
        ] {
            assert_eq!(checked(bad.clone()).unwrap_err().code(), "invalid_arguments", "{bad}");
        }
    }

    #[test]
    fn a_date_is_written_as_it_was_read() {
        assert_eq!(written(date("2026-01-31T10:00:00Z").unwrap()), "2026-01-31T10:00:00Z");
    }
}
