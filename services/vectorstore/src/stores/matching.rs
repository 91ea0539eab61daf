//! Whether a point fulfils a filter, decided here: for stores whose own conditions cannot say all that ours can.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::terms;
use crate::model::Filter;

/// The exact meaning of a filter.
pub(crate) fn fulfils(filter: &Filter, id: &str, metadata: &Map<String, Value>) -> bool {
    let of = |field: &str| metadata.get(field).map(terms::elements).unwrap_or_default();
    match filter {
        Filter::All(parts) => parts.iter().all(|part| fulfils(part, id, metadata)),
        Filter::Any(parts) => parts.iter().any(|part| fulfils(part, id, metadata)),
        Filter::Not(part) => !fulfils(part, id, metadata),
        Filter::In { field, values } => of(field).iter().any(|have| values.iter().any(|value| same(have, value))),
        Filter::Range { field, gt, gte, lt, lte } => of(field).iter().any(|have| {
            let holds = |bound: &Option<Value>, accept: fn(Ordering) -> bool| {
                bound.as_ref().is_none_or(|bound| order(have, bound).is_some_and(accept))
            };
            holds(gt, Ordering::is_gt)
                && holds(gte, Ordering::is_ge)
                && holds(lt, Ordering::is_lt)
                && holds(lte, Ordering::is_le)
        }),
        Filter::Words { field, words } => {
            let wanted = terms::distinct_words(words);
            of(field).iter().filter_map(Value::as_str).any(|text| {
                let found = terms::distinct_words(text);
                wanted.iter().all(|word| found.binary_search(word).is_ok())
            })
        }
        Filter::IsNull { field } => metadata.get(field).is_none_or(Value::is_null),
        Filter::Ids(ids) => ids.iter().any(|one| one == id),
    }
}

/// Numbers are equal by value, `1` and `1.0` too.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    a == b || matches!((a.as_f64(), b.as_f64()), (Some(a), Some(b)) if a.total_cmp(&b).is_eq())
}

fn order(have: &Value, bound: &Value) -> Option<Ordering> {
    match (have, bound) {
        (Value::String(have), Value::String(bound)) => Some(terms::instant(have)?.cmp(&terms::instant(bound)?)),
        (Value::Number(have), Value::Number(bound)) => have.as_f64()?.partial_cmp(&bound.as_f64()?),
        _ => None,
    }
}

/// Counts the values of a field, for [`Facets::top`].
#[derive(Debug, Default)]
pub(crate) struct Facets {
    /// By a text that is the same for equal values.
    counts: std::collections::HashMap<String, (Value, u64)>,
}

impl Facets {
    /// A point counts once for each of its distinct values; null is none.
    pub(crate) fn add(&mut self, value: Option<&Value>) {
        let mut keys = std::collections::HashSet::new();
        for element in value.map(terms::elements).unwrap_or_default().iter().filter(|element| !element.is_null()) {
            let key = canonical(element);
            if keys.insert(key.clone()) {
                self.counts.entry(key).or_insert_with(|| (element.clone(), 0)).1 += 1;
            }
        }
    }

    /// What a server has counted; its values are distinct.
    pub(crate) fn of(counts: Vec<(Value, u64)>) -> Self {
        Self { counts: counts.into_iter().map(|counted| (canonical(&counted.0), counted)).collect() }
    }

    /// The most frequent ones; ties: numbers by size, then the rest by text.
    pub(crate) fn top(self, limit: usize) -> Vec<(Value, u64)> {
        let mut counts: Vec<(Value, u64)> = self.counts.into_values().collect();
        counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| by_value(&a.0, &b.0)));
        counts.truncate(limit);
        counts
    }
}

/// The order of values that are as frequent as each other.
pub(crate) fn by_value(a: &Value, b: &Value) -> Ordering {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        (a_number, b_number) => b_number.is_some().cmp(&a_number.is_some()).then_with(|| plain(a).cmp(&plain(b))),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The same text for equal values, and for no others: `s` string, `n` number, `j` anything else.
pub(crate) fn canonical(value: &Value) -> String {
    match (value, value.as_f64()) {
        (Value::String(text), _) => format!("s{text}"),
        // Adding zero makes one of the two zeroes.
        (_, Some(number)) => format!("n{}", number + 0.0),
        (other, None) => format!("j{other}"),
    }
}
