//! JSON to the values of a statement's parameters. A number that the database cannot hold exactly is refused, not rounded.

use serde_json::Value as Json;
use weft_bolt::{Map, Value};
use weft_kit::ToolError;

/// Parameters of a statement.
pub(crate) fn parameters(given: serde_json::Map<String, Json>) -> Result<Map, ToolError> {
    given.into_iter().map(|(name, value)| Ok((name.clone(), one(&name, value)?))).collect()
}

/// The value of the parameter called `name`.
pub(crate) fn one(name: &str, given: Json) -> Result<Value, ToolError> {
    Ok(match given {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Bool(truth),
        Json::String(text) => Value::String(text),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Value::Int(whole),
            (None, Some(real)) if !number.is_u64() => Value::Float(real),
            _ => return Err(ToolError::invalid(format!("params.{name}: {number} does not fit 64 bits"))),
        },
        Json::Array(items) => {
            Value::List(items.into_iter().map(|item| one(name, item)).collect::<Result<_, ToolError>>()?)
        }
        Json::Object(entries) => {
            let entry = |(key, value)| Ok((key, one(name, value)?));
            Value::Map(entries.into_iter().map(entry).collect::<Result<_, ToolError>>()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_is_taken_over_exactly_or_refused() {
        let value = one("x", json!([1, -2.5, "a", null, true, {"k": [i64::MIN]}])).unwrap();
        let map = Map::from([("k".to_owned(), vec![i64::MIN].into())]);
        let expected = vec![1.into(), (-2.5).into(), "a".into(), Value::Null, true.into(), Value::Map(map)];
        assert_eq!(value, Value::List(expected));
        let error = one("x", json!(u64::MAX)).unwrap_err();
        assert!(error.message().contains("params.x"), "{error}");
    }
}
