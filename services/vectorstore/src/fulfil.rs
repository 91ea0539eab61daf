//! Whether a point fulfils a filter, decided from the point alone.
//!
//! This is what the filter language means; an index is only a faster way to the same answer, and a store that filters by itself is
//! tested against this.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::{Map, Number, Value};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use weft_embed::words;

use crate::model::{FieldType, Filter};

/// What is known of a point.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) id: &'a str,
    pub(crate) metadata: &'a Map<String, Value>,
    /// Types of the collection's indexed fields.
    pub(crate) fields: &'a BTreeMap<String, FieldType>,
}

/// Whether the point fulfils `filter`.
pub(crate) fn fulfils(filter: &Filter, point: Facts<'_>) -> bool {
    match filter {
        Filter::All(list) => list.iter().all(|filter| fulfils(filter, point)),
        Filter::Any(list) => list.iter().any(|filter| fulfils(filter, point)),
        Filter::Not(filter) => !fulfils(filter, point),
        Filter::In { field, values } => {
            let is_time = point.fields.get(field) == Some(&FieldType::Datetime);
            elements(point.metadata, field).any(|mine| values.iter().any(|value| equal(mine, value, is_time)))
        }
        Filter::Range { field, gt, gte, lt, lte } => elements(point.metadata, field).any(|mine| {
            holds(mine, gt.as_ref(), |order| order == Ordering::Greater)
                && holds(mine, gte.as_ref(), |order| order != Ordering::Less)
                && holds(mine, lt.as_ref(), |order| order == Ordering::Less)
                && holds(mine, lte.as_ref(), |order| order != Ordering::Greater)
        }),
        Filter::Words { field, words: asked } => elements(point.metadata, field)
            .filter_map(Value::as_str)
            .any(|text| words(asked).all(|word| words(text).any(|mine| mine == word))),
        Filter::IsNull { field } => point.metadata.get(field).is_none_or(Value::is_null),
        Filter::Ids(ids) => ids.iter().any(|id| id == point.id),
    }
}

/// The values of a field: the elements of a list, or the one value; null is none.
pub(crate) fn elements<'a>(metadata: &'a Map<String, Value>, field: &str) -> impl Iterator<Item = &'a Value> {
    let list = match metadata.get(field) {
        None | Some(Value::Null) => &[],
        Some(Value::Array(list)) => list.as_slice(),
        Some(one) => std::slice::from_ref(one),
    };
    list.iter()
}

/// Nanoseconds since 1970 of a time in RFC 3339.
pub(crate) fn instant(text: &str) -> Option<i128> {
    OffsetDateTime::parse(text, &Rfc3339).ok().map(OffsetDateTime::unix_timestamp_nanos)
}

fn equal(mine: &Value, value: &Value, is_time: bool) -> bool {
    match (mine, value) {
        (Value::Number(mine), Value::Number(value)) => order(mine, value) == Some(Ordering::Equal),
        (Value::String(mine), Value::String(value)) if is_time => {
            instant(mine).is_some_and(|mine| instant(value) == Some(mine))
        }
        _ => mine == value,
    }
}

fn holds(mine: &Value, bound: Option<&Value>, fits: impl Fn(Ordering) -> bool) -> bool {
    let Some(bound) = bound else { return true };
    let order = match (mine, bound) {
        (Value::Number(mine), Value::Number(bound)) => order(mine, bound),
        (Value::String(mine), Value::String(bound)) => {
            instant(mine).zip(instant(bound)).map(|(mine, bound)| mine.cmp(&bound))
        }
        _ => None,
    };
    order.is_some_and(fits)
}

/// The order of two numbers, without the loss of turning whole numbers into floats.
fn order(a: &Number, b: &Number) -> Option<Ordering> {
    match (a.as_i128(), b.as_i128()) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        (Some(a), None) => whole_to_float(a, b.as_f64()?),
        (None, Some(b)) => whole_to_float(b, a.as_f64()?).map(Ordering::reverse),
        (None, None) => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

fn whole_to_float(whole: i128, float: f64) -> Option<Ordering> {
    // Beyond this every whole number that JSON gives is smaller in size.
    const FAR: f64 = 1e20;
    if float.abs() > FAR || float.is_nan() {
        return 0.0_f64.partial_cmp(&float);
    }
    #[expect(clippy::cast_possible_truncation, reason = "it is below 1e20, which 128 bits hold")]
    let floor = float.floor() as i128;
    Some(whole.cmp(&floor).then(if float.floor() < float { Ordering::Less } else { Ordering::Equal }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::filter;

    fn holds(filter: Value, metadata: Value) -> bool {
        let filter = filter::parse(Some(&filter)).unwrap().unwrap();
        let fields = BTreeMap::from([("at".to_owned(), FieldType::Datetime)]);
        fulfils(&filter, Facts { id: "p", metadata: metadata.as_object().unwrap(), fields: &fields })
    }

    #[test]
    fn a_missing_field_fulfils_only_its_absence() {
        for filter in [
            json!({"field": "x", "eq": 1}),
            json!({"field": "x", "lt": 1}),
            json!({"field": "x", "words": "a"}),
            json!({"field": "x", "is_null": false}),
            json!({"any": []}),
        ] {
            assert!(!holds(filter.clone(), json!({"x": null})), "{filter}");
            assert!(holds(json!({"not": filter}), json!({})));
        }
        assert!(holds(json!({"field": "x", "is_null": true}), json!({})));
        assert!(holds(json!({"all": []}), json!({})));
    }

    #[test]
    fn one_element_of_a_list_is_enough_but_it_must_meet_the_whole_range() {
        assert!(holds(json!({"field": "x", "eq": "b"}), json!({"x": ["a", "b"]})));
        assert!(!holds(json!({"field": "x", "gt": 2, "lt": 4}), json!({"x": [1, 5]})));
        assert!(holds(json!({"field": "x", "words": "FOX red"}), json!({"x": "the red, quick fox"})));
    }

    #[test]
    fn numbers_compare_by_value_and_times_by_instant() {
        assert!(holds(json!({"field": "x", "eq": 2.0}), json!({"x": 2})));
        assert!(!holds(
            json!({"field": "x", "eq": 9_007_199_254_740_993_i64}),
            json!({"x": 9_007_199_254_740_992_i64})
        ));
        assert!(holds(json!({"field": "x", "gt": 2}), json!({"x": 2.5})));
        assert!(holds(json!({"field": "x", "lt": -2}), json!({"x": -2.5})));
        assert!(!holds(json!({"field": "x", "eq": "2"}), json!({"x": 2})));
        assert!(holds(
            json!({"field": "at", "eq": "2020-01-01T01:00:00+01:00"}),
            json!({"at": "2020-01-01T00:00:00Z"})
        ));
        assert!(holds(json!({"field": "at", "gte": "2020-01-01T00:00:00Z"}), json!({"at": "2020-01-01T00:00:00.5Z"})));
    }
}
