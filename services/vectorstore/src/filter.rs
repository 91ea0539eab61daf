//! The portable filter language: JSON from a caller → [`Filter`].
//!
//! One object is one condition: `{"all": [..]}`, `{"any": [..]}`, `{"not": {..}}`, `{"ids": [..]}`, or a field with what is asked of
//! it: `{"field": "year", "gte": 2020, "lt": 2024}`, `{"field": "lang", "eq": "de"}`, `{"field": "tags", "in": ["a", "b"]}`,
//! `{"field": "title", "words": "red fox"}`, `{"field": "author", "is_null": true}`. It is parsed here and nowhere else, with limits, so
//! that no store ever sees what a caller wrote. A field is a name at the top of the metadata; there is none for tenants, because
//! tenants are not kept apart by filters.

use serde_json::{Map, Value};
use weft_embed::words;
use weft_kit::ToolError;

use crate::{check, fulfil, model::Filter};

/// Conditions inside conditions.
const DEPTH: usize = 8;
/// Conditions in all.
const CLAUSES: usize = 64;
/// Values of one `in`, or ids.
const VALUES: usize = 1_000;

/// The filter that `json` says; `null` is none.
pub(crate) fn parse(json: Option<&Value>) -> Result<Option<Filter>, ToolError> {
    match json {
        None | Some(Value::Null) => Ok(None),
        Some(json) => Parser { clauses: 0 }.filter(json, 1).map(Some),
    }
}

struct Parser {
    clauses: usize,
}

impl Parser {
    fn filter(&mut self, json: &Value, depth: usize) -> Result<Filter, ToolError> {
        self.clauses += 1;
        if depth > DEPTH || self.clauses > CLAUSES {
            return Err(ToolError::too_large("the filter is too large").hint(format!(
                "use at most {CLAUSES} conditions, nested at most {DEPTH} deep; `in` takes many values"
            )));
        }
        let object = json.as_object().ok_or_else(|| wrong("a condition must be an object"))?;
        if object.contains_key("field") {
            return of_field(object);
        }
        let mut entries = object.iter();
        match (entries.next(), entries.next()) {
            (Some((key, value)), None) => self.combined(key, value, depth),
            _ => Err(wrong("a condition has exactly one of `all`, `any`, `not`, `ids` and `field`")),
        }
    }

    fn combined(&mut self, key: &str, value: &Value, depth: usize) -> Result<Filter, ToolError> {
        let mut list = || -> Result<Vec<Filter>, ToolError> {
            let list = value.as_array().ok_or_else(|| wrong("`all` and `any` take a list of conditions"))?;
            list.iter().map(|json| self.filter(json, depth + 1)).collect()
        };
        match key {
            "all" => Ok(Filter::All(list()?)),
            "any" => Ok(Filter::Any(list()?)),
            "not" => Ok(Filter::Not(Box::new(self.filter(value, depth + 1)?))),
            "ids" => {
                let ids = values(value)?.iter().map(|id| id.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>();
                let ids = ids.ok_or_else(|| wrong("`ids` takes a list of strings"))?;
                check::ids(&ids, VALUES)?;
                Ok(Filter::Ids(ids))
            }
            _ => Err(wrong("a condition has one of `all`, `any`, `not`, `ids` and `field`, and nothing unknown")),
        }
    }
}

/// A field and everything that is asked of it, all of which must hold.
fn of_field(object: &Map<String, Value>) -> Result<Filter, ToolError> {
    let name = object.get("field").and_then(Value::as_str).ok_or_else(|| wrong("`field` is the name of a field"))?;
    let field = check::field(name)?.to_owned();
    let mut asked = Vec::new();
    let mut range = [None, None, None, None];
    for (key, value) in object {
        match key.as_str() {
            "field" => {}
            "eq" => asked.push(equal(&field, std::slice::from_ref(value))?),
            "ne" => asked.push(Filter::Not(Box::new(equal(&field, std::slice::from_ref(value))?))),
            "in" => asked.push(equal(&field, values(value)?)?),
            "gt" => range[0] = Some(bound(value)?),
            "gte" => range[1] = Some(bound(value)?),
            "lt" => range[2] = Some(bound(value)?),
            "lte" => range[3] = Some(bound(value)?),
            "words" => asked.push(contains(&field, value)?),
            "is_null" => asked.push(null(&field, value)?),
            unknown => return Err(wrong(&format!("`{}` is no condition on a field", check::shorten(unknown)))),
        }
    }
    if range.iter().any(Option::is_some) {
        if range.iter().flatten().any(Value::is_string) && range.iter().flatten().any(Value::is_number) {
            return Err(wrong("the bounds of a range are all numbers or all times"));
        }
        let [gt, gte, lt, lte] = range;
        asked.push(Filter::Range { field, gt, gte, lt, lte });
    }
    match asked.len() {
        0 => Err(wrong("a field needs one of eq, ne, in, gt, gte, lt, lte, words, is_null")),
        1 => Ok(asked.remove(0)),
        _ => Ok(Filter::All(asked)),
    }
}

fn equal(field: &str, values: &[Value]) -> Result<Filter, ToolError> {
    if values.iter().any(|value| value.is_null() || value.is_array() || value.is_object()) {
        return Err(wrong("a field is compared with strings, numbers and booleans; for null use is_null"));
    }
    Ok(Filter::In { field: field.to_owned(), values: values.to_vec() })
}

fn bound(value: &Value) -> Result<Value, ToolError> {
    let fits = value.is_number() || value.as_str().is_some_and(|text| fulfil::instant(text).is_some());
    if fits { Ok(value.clone()) } else { Err(wrong("a bound is a number or a time in RFC 3339")) }
}

fn contains(field: &str, value: &Value) -> Result<Filter, ToolError> {
    match value.as_str() {
        Some(text) if words(text).next().is_some() => {
            Ok(Filter::Words { field: field.to_owned(), words: text.to_owned() })
        }
        _ => Err(wrong("`words` takes a string with at least one word")),
    }
}

fn null(field: &str, value: &Value) -> Result<Filter, ToolError> {
    let is_null = Filter::IsNull { field: field.to_owned() };
    match value.as_bool() {
        Some(true) => Ok(is_null),
        Some(false) => Ok(Filter::Not(Box::new(is_null))),
        None => Err(wrong("`is_null` is true or false")),
    }
}

fn values(value: &Value) -> Result<&Vec<Value>, ToolError> {
    let list = value.as_array().ok_or_else(|| wrong("`in` and `ids` take a list"))?;
    if list.len() > VALUES {
        let many = ToolError::too_large(format!("a list of {} values in a filter is too long", list.len()));
        return Err(many.hint(format!("at most {VALUES} at once")));
    }
    Ok(list)
}

fn wrong(why: &str) -> ToolError {
    ToolError::invalid(format!("the filter is wrong: {why}"))
        .hint(r#"for example {"all": [{"field": "lang", "eq": "de"}, {"field": "year", "gte": 2020}]}"#)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parsed(json: Value) -> Filter {
        parse(Some(&json)).unwrap().unwrap()
    }

    fn code(json: Value) -> String {
        parse(Some(&json)).unwrap_err().code().to_owned()
    }

    #[test]
    fn one_object_may_ask_several_things_of_a_field() {
        let filter = parsed(json!({"field": "n", "gte": 1, "lt": 9, "ne": 5}));
        let Filter::All(parts) = filter else { panic!("{filter:?}") };
        assert_eq!(parts.len(), 2, "the bounds are one range: {parts:?}");
    }

    #[test]
    fn what_is_unknown_or_ambiguous_is_refused() {
        for json in [
            json!([]),
            json!({}),
            json!({"field": "a"}),
            json!({"field": "a", "like": "x"}),
            json!({"all": [], "any": []}),
            json!({"should": [{"must_not": [{"key": "tenant", "match": {"value": "x"}}]}]}),
            json!({"field": "a", "eq": null}),
            json!({"field": "a", "eq": {"$ne": 1}}),
            json!({"field": "a", "gt": "soon"}),
            json!({"field": "a", "gt": 1, "lt": "2020-01-01T00:00:00Z"}),
            json!({"field": "", "eq": 1}),
            json!({"field": "a", "words": " - "}),
            json!({"field": "a", "is_null": 1}),
            json!({"ids": [1]}),
            json!({"ids": [""]}),
            json!({"not": {"ids": ["a", "x".repeat(4_096)]}}),
        ] {
            assert_eq!(code(json.clone()), "invalid_arguments", "{json}");
        }
    }

    #[test]
    fn depth_breadth_and_lists_have_limits() {
        let mut deep = json!({"field": "a", "eq": 1});
        for _ in 0..1_000 {
            deep = json!({"not": deep});
        }
        assert_eq!(code(deep), "too_large");
        assert_eq!(code(json!({"any": vec![json!({"field": "a", "eq": 1}); 65]})), "too_large");
        assert_eq!(code(json!({"ids": vec!["a"; 1_001]})), "too_large");
        assert_eq!(parse(Some(&Value::Null)).unwrap(), None);
    }
}
