//! What a store answers: hits, counts, reasons, lists and states.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One value, step or range and how many documents have it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Bucket {
    pub(crate) key: Value,
    pub(crate) count: u64,
}

/// The counts of one group.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Counts {
    pub(crate) field: String,
    /// Most frequent first, or in the order of the field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) buckets: Vec<Bucket>,
    /// Documents in none of the buckets shown.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) others: u64,
    /// Count, min, max, sum and avg.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) summary: BTreeMap<String, f64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A document that was found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Hit {
    pub(crate) id: String,
    pub(crate) score: Option<f32>,
    /// The value that it was sorted by.
    pub(crate) sorted: Option<Value>,
    /// Its place in the order, where a store begins pages behind one.
    pub(crate) behind: Option<Value>,
    pub(crate) source: Map<String, Value>,
    /// Pieces of prose with the words found between `**`.
    pub(crate) highlights: BTreeMap<String, Vec<String>>,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Found {
    pub(crate) total: u64,
    /// There are at least `total`.
    pub(crate) at_least: bool,
    pub(crate) hits: Vec<Hit>,
    pub(crate) counts: Vec<Counts>,
    /// Moves with every change that is visible; `""` where the store does not know.
    pub(crate) snapshot: String,
    /// The state that was searched, if it is kept.
    pub(crate) view: Option<String>,
    /// A state was asked for that is not kept any more.
    pub(crate) lost: bool,
}

/// How a score came about.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Explained {
    pub(crate) value: f64,
    pub(crate) description: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) details: Vec<Explained>,
}

/// An index in a list.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Listed {
    pub(crate) name: String,
    /// The index behind this alias.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) alias_of: Option<String>,
    pub(crate) documents: u64,
    /// Cannot be changed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) read_only: bool,
}

/// How an index is doing.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Status {
    pub(crate) index: String,
    pub(crate) documents: u64,
    /// Removed and not yet cleared away.
    pub(crate) deleted: u64,
    pub(crate) bytes: u64,
    /// Parts that are searched one after the other; they are merged in the background.
    pub(crate) segments: u64,
    /// When writes are seen by searches.
    pub(crate) visibility: String,
    /// `green`, `yellow` or `red`.
    pub(crate) health: String,
    /// What would make it better.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) advice: Option<String>,
}
