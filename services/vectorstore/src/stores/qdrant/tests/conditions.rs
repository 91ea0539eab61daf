//! Qdrant's filters as its documentation describes them, over payloads in memory.

use qdrant_client::qdrant::condition::ConditionOneOf;
use qdrant_client::qdrant::r#match::MatchValue;
use qdrant_client::qdrant::point_id::PointIdOptions;
use qdrant_client::qdrant::{Condition, FieldCondition, Filter, PointId};
use serde_json::{Map, Value};

/// The text of a UUID.
pub(super) fn uuid(id: &PointId) -> String {
    match id.point_id_options.as_ref().unwrap() {
        PointIdOptions::Uuid(uuid) => uuid.clone(),
        PointIdOptions::Num(number) => panic!("{number}: only UUIDs are sent"),
    }
}

/// The values at a path; a list is as if its elements stood there.
pub(super) fn values<'a>(payload: &'a Map<String, Value>, path: &str) -> Vec<&'a Value> {
    assert!(path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte)), "`{path}` needs quotes");
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    match (payload.get(first), rest) {
        (Some(Value::Object(inner)), Some(rest)) => values(inner, rest),
        (Some(Value::Array(list)), None) => list.iter().collect(),
        (Some(value), None) => vec![value],
        _ => Vec::new(),
    }
}

pub(super) fn holds(filter: &Filter, id: &str, payload: &Map<String, Value>) -> bool {
    assert!(filter.min_should.is_none());
    let one = |part: &Condition| condition(part, id, payload);
    filter.must.iter().all(one)
        && !filter.must_not.iter().any(one)
        && (filter.should.is_empty() || filter.should.iter().any(one))
}

fn condition(condition: &Condition, id: &str, payload: &Map<String, Value>) -> bool {
    match condition.condition_one_of.as_ref().unwrap() {
        ConditionOneOf::Filter(filter) => holds(filter, id, payload),
        ConditionOneOf::HasId(ids) => ids.has_id.iter().any(|one| uuid(one) == id),
        ConditionOneOf::Field(field) => self::field(field, payload),
        // One and the same element has to fulfil all of it.
        ConditionOneOf::Nested(nested) => values(payload, &nested.key).into_iter().any(|element| {
            element.as_object().is_some_and(|element| holds(nested.filter.as_ref().unwrap(), id, element))
        }),
        other => panic!("{other:?} is not sent"),
    }
}

fn field(field: &FieldCondition, payload: &Map<String, Value>) -> bool {
    let values = values(payload, &field.key);
    if let Some(range) = &field.range {
        let inside = |number: f64| {
            range.gt.is_none_or(|bound| number > bound)
                && range.gte.is_none_or(|bound| number >= bound)
                && range.lt.is_none_or(|bound| number < bound)
                && range.lte.is_none_or(|bound| number <= bound)
        };
        return values.iter().filter_map(|value| value.as_f64()).any(inside);
    }
    let matches = |value: &&Value| match field.r#match.as_ref().unwrap().match_value.as_ref().unwrap() {
        MatchValue::Keyword(word) => value.as_str() == Some(word),
        MatchValue::Keywords(words) => value.as_str().is_some_and(|text| words.strings.iter().any(|word| word == text)),
        MatchValue::Integer(number) => value.as_i64() == Some(*number),
        other => panic!("{other:?} is not sent"),
    };
    values.iter().any(matches)
}
