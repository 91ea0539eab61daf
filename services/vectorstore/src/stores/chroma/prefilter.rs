//! A filter into a `where` of Chroma that no fulfilling record fails. What it lets through besides is told apart afterwards.
//!
//! Chroma has no negation, no ranges over lists and no words, so a condition is translated together with its sign: `Not` turns the
//! sign over and goes on inside. `None` is a `where` that lets everything through.

use serde_json::{Value, json};

use super::record::number;
use crate::model::{Filter, Spec};
use crate::stores::matching::canonical;

/// A necessary condition for `filter`.
pub(super) fn necessary(spec: &Spec, filter: &Filter) -> Option<Value> {
    translate(spec, filter, true)
}

fn nothing() -> Value {
    json!({"$or": []})
}

fn translate(spec: &Spec, filter: &Filter, holds: bool) -> Option<Value> {
    match filter {
        Filter::Not(part) => translate(spec, part, !holds),
        Filter::All(parts) | Filter::Any(parts) => {
            let parts = parts.iter().map(|part| translate(spec, part, holds));
            if matches!(filter, Filter::All(_)) == holds { all(parts) } else { any(parts) }
        }
        Filter::Ids(ids) if ids.is_empty() => holds.then(nothing),
        Filter::Ids(ids) => Some(json!({"id": {(if holds { "$in" } else { "$nin" }): ids}})),
        Filter::In { values, .. } if values.is_empty() => holds.then(nothing),
        Filter::In { field, values } => {
            spec.fields.get(field)?;
            let values: Vec<String> = values.iter().map(canonical).collect();
            Some(match holds {
                true => json!({"$or": [{format!("one.{field}"): {"$in": values}}, {format!("many.{field}"): true}]}),
                false => json!({format!("one.{field}"): {"$nin": values}}),
            })
        }
        Filter::IsNull { field } => {
            spec.fields.get(field)?;
            Some(json!({format!("has.{field}"): {(if holds { "$ne" } else { "$eq" }): true}}))
        }
        Filter::Words { field, .. } => {
            (holds && spec.fields.contains_key(field)).then(|| json!({format!("has.{field}"): true}))
        }
        Filter::Range { field, gt, gte, lt, lte } => {
            let kind = *spec.fields.get(field)?;
            let bound = |value: &Option<Value>, key: &str, order: &str| {
                let number = number(value.as_ref()?, kind)?;
                Some(json!({format!("{key}.{field}"): {order: number}}))
            };
            let bounds = [
                bound(gt, "most", "$gte"),
                bound(gte, "most", "$gte"),
                bound(lt, "least", "$lte"),
                bound(lte, "least", "$lte"),
            ];
            holds.then(|| all(bounds.into_iter()))?
        }
    }
}

/// What lets everything through does not matter.
fn all(parts: impl Iterator<Item = Option<Value>>) -> Option<Value> {
    let mut parts: Vec<Value> = parts.flatten().collect();
    match parts.len() {
        0 => None,
        1 => parts.pop(),
        _ => Some(json!({"$and": parts})),
    }
}

/// What lets everything through lets the whole do so.
fn any(parts: impl Iterator<Item = Option<Value>>) -> Option<Value> {
    Some(json!({"$or": parts.collect::<Option<Vec<Value>>>()?}))
}
