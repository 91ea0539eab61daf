//! A point into a Chroma record and back.
//!
//! | record | point |
//! |---|---|
//! | `document` | the text, empty if there is none |
//! | `weft` | JSON of the metadata and whether there is a text: the truth |
//! | `id` | the id, as something to compare with |
//! | `has.f` | the indexed field `f` is there and not null |
//! | `one.f` | its only value in canonical form, if it has one only and that is short; otherwise `many.f` |
//! | `least.f`, `most.f` | bounds of its numbers, or of its dates for a date field |
//!
//! All values but `weft` are there for [`super::prefilter`] only. A write sets every one of them, with null where there is nothing:
//! Chroma merges the metadata of a record into what it had. Lists, which Chroma has since 1.5, are not used: 1.5.9 gives the list
//! values of deleted collections to new records that get the same row number, whoever's they were.

use serde_json::{Map, Value, json};

use crate::model::{FieldType, Point, Spec, With};
use crate::stores::{matching, terms};

/// The key of the metadata as JSON.
const TRUTH: &str = "weft";
/// Longer values are not compared by the server.
const LONGEST: usize = 256;

/// A record as it was read.
pub(super) struct Record {
    pub(super) point: Point,
    /// The record says so itself; what was not asked for is `None` in the point.
    has_text: bool,
}

impl Record {
    /// `metadata` as Chroma gave it.
    pub(super) fn read(id: String, metadata: &Value, document: Option<&str>, vector: Vec<f32>) -> Self {
        let truth: Option<Value> =
            metadata.get(TRUTH).and_then(Value::as_str).and_then(|text| serde_json::from_str(text).ok());
        let mut truth = truth.unwrap_or_default();
        let has_text = truth.get("text").and_then(Value::as_bool).unwrap_or(false);
        let metadata = match truth.get_mut("metadata").map(Value::take) {
            Some(Value::Object(metadata)) => metadata,
            _ => Map::new(),
        };
        let text = document.filter(|_| has_text).map(str::to_owned);
        Self { point: Point { id, vector, text, metadata }, has_text }
    }

    /// What is written for changed metadata.
    pub(super) fn metadata(&self, spec: &Spec) -> Value {
        metadata(spec, &self.point.id, &self.point.metadata, self.has_text)
    }

    /// Only what was asked for.
    pub(super) fn shown(self, with: With) -> Point {
        let Point { id, vector, text, metadata } = self.point;
        Point {
            id,
            vector: if with.vector { vector } else { Vec::new() },
            text: text.filter(|_| with.text),
            metadata: if with.metadata { metadata } else { Map::new() },
        }
    }
}

/// The metadata of a record.
pub(super) fn metadata(spec: &Spec, id: &str, metadata: &Map<String, Value>, has_text: bool) -> Value {
    let truth = json!({"metadata": metadata, "text": has_text});
    let mut out = Map::new();
    out.insert(TRUTH.to_owned(), Value::String(truth.to_string()));
    out.insert("id".to_owned(), json!(id));
    for (field, kind) in &spec.fields {
        let value = metadata.get(field).filter(|value| !value.is_null());
        let elements = value.map(terms::elements).unwrap_or_default();
        let one = match elements {
            [one] => Some(matching::canonical(one)).filter(|text| text.len() <= LONGEST),
            _ => None,
        };
        let many = !elements.is_empty() && one.is_none();
        let numbers = || elements.iter().filter_map(|element| number(element, *kind));
        out.insert(format!("has.{field}"), json!(value.map(|_| true)));
        out.insert(format!("one.{field}"), json!(one));
        out.insert(format!("many.{field}"), json!(many.then_some(true)));
        out.insert(format!("least.{field}"), json!(numbers().reduce(f64::min)));
        out.insert(format!("most.{field}"), json!(numbers().reduce(f64::max)));
    }
    Value::Object(out)
}

/// A number, or a date as one. Rounded, but never out of order.
#[expect(clippy::cast_precision_loss, reason = "it only preselects, with bounds rounded in the same way")]
pub(super) fn number(value: &Value, kind: FieldType) -> Option<f64> {
    match kind {
        FieldType::Datetime => value.as_str().and_then(terms::instant).map(|micros| micros as f64),
        _ => value.as_f64(),
    }
}
