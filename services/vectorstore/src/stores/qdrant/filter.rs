//! A filter into Qdrant's, exactly: over the derived keys of [`super::payload`], which make every condition one that Qdrant knows.

use qdrant_client::qdrant::{Condition, Filter as Theirs, PointId, Range};
use serde_json::Value;

use super::payload::{escaped, key, point_id};
use crate::model::Filter;
use crate::stores::{matching, terms};

/// The whole filter.
pub(super) fn whole(filter: &Filter) -> Theirs {
    Theirs::must([condition(filter)])
}

fn nothing() -> Condition {
    Condition::has_id(Vec::<PointId>::new())
}

fn condition(filter: &Filter) -> Condition {
    match filter {
        Filter::All(parts) => Theirs::must(parts.iter().map(condition)).into(),
        // To Qdrant, one of no conditions is no condition.
        Filter::Any(parts) if parts.is_empty() => nothing(),
        Filter::Any(parts) => Theirs::should(parts.iter().map(condition)).into(),
        Filter::Not(part) => Theirs::must_not([condition(part)]).into(),
        Filter::Ids(ids) => Condition::has_id(ids.iter().map(|id| point_id(id))),
        Filter::In { values, .. } if values.is_empty() => nothing(),
        Filter::In { field, values } => {
            Condition::matches(key("eq", field), values.iter().map(matching::canonical).collect::<Vec<String>>())
        }
        Filter::IsNull { field } => Theirs::must_not([Condition::matches("has", escaped(field))]).into(),
        Filter::Words { field, words } => {
            let words = terms::distinct_words(words);
            let every = words.into_iter().map(|word| Condition::matches("w", word));
            Condition::nested(key("words", field), Theirs::must(every))
        }
        Filter::Range { field, gt, gte, lt, lte } => {
            let dates = [gt, gte, lt, lte].into_iter().flatten().any(Value::is_string);
            let [gt, gte, lt, lte] = [gt, gte, lt, lte].map(|bound| bound.as_ref().map(number));
            Condition::range(key(if dates { "at" } else { "num" }, field), Range { lt, gt, gte, lte })
        }
    }
}

/// A number, or a date as one: microseconds fit in 53 bits until the year 2255. What is neither is fulfilled by nothing.
#[expect(clippy::cast_precision_loss, reason = "Qdrant compares in double precision")]
fn number(bound: &Value) -> f64 {
    match bound.as_str() {
        Some(text) => terms::instant(text).map_or(f64::NAN, |micros| micros as f64),
        None => bound.as_f64().unwrap_or(f64::NAN),
    }
}
