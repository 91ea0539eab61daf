//! What a collection, a point, a filter and a query are, for every store alike.
//!
//! These types are the contract between the tools and the stores: a tool builds them from checked arguments, a store translates
//! them into its own terms and back. Nothing here does I/O.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How near two vectors are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Metric {
    /// Cosine similarity, from -1 to 1; larger is nearer.
    #[default]
    Cosine,
    /// Inner product; larger is nearer.
    Dot,
    /// Euclidean distance; smaller is nearer.
    Euclidean,
}

/// How vectors are kept for the search; the exact ones are kept besides where a store needs them for the last ranking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Quantisation {
    /// As 32-bit floats.
    #[default]
    None,
    /// One byte per dimension, in the index.
    Scalar,
    /// One bit per dimension.
    Binary,
}

/// The type of a field of the metadata that is indexed for filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FieldType {
    /// A string that is compared as a whole, or a list of such.
    Keyword,
    /// A whole number of 64 bits.
    Integer,
    /// A number.
    Float,
    /// True or false.
    Bool,
    /// RFC 3339.
    Datetime,
}

/// Settings of the graph (HNSW, Malkov and Yashunin 2016). A store that has no such knob ignores it and says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct IndexSettings {
    /// Links per node.
    pub(crate) m: u16,
    /// Candidates looked at while building.
    pub(crate) ef_construction: u16,
    /// Candidates looked at while searching, unless the query says.
    pub(crate) ef_search: u16,
}

impl Default for IndexSettings {
    fn default() -> Self {
        Self { m: 16, ef_construction: 128, ef_search: 100 }
    }
}

/// Everything about a collection that was decided when it was made. It is stored with the collection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spec {
    /// `[A-Za-z0-9][A-Za-z0-9_-]{0,62}`; unique in its namespace.
    pub(crate) name: String,
    /// Length of every vector, 1 to 4096.
    pub(crate) dimensions: usize,
    pub(crate) metric: Metric,
    /// The embedder and its model, e.g. `lexical/1`; `None` when callers bring their own vectors.
    pub(crate) model: Option<String>,
    #[serde(default)]
    pub(crate) index: IndexSettings,
    #[serde(default)]
    pub(crate) quantisation: Quantisation,
    /// Indexed fields of the metadata.
    #[serde(default)]
    pub(crate) fields: BTreeMap<String, FieldType>,
    /// For people.
    #[serde(default)]
    pub(crate) description: Option<String>,
}

/// A collection as it is now.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Collection {
    pub(crate) spec: Spec,
    /// Points in it; exact unless the store can only estimate.
    pub(crate) points: u64,
    /// What the store says of itself (segments, index state, bytes), for people.
    pub(crate) facts: Map<String, Value>,
}

/// One point. `text` is what lexical search looks at and what a hit shows.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Point {
    /// Chosen by the caller or made from the content; at most 256 bytes, unique in its collection.
    pub(crate) id: String,
    /// Empty when it was not asked for.
    pub(crate) vector: Vec<f32>,
    pub(crate) text: Option<String>,
    pub(crate) metadata: Map<String, Value>,
}

/// What happens to a point whose id is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Conflict {
    /// The new one stands.
    #[default]
    Replace,
    /// The old one stays.
    Skip,
    /// The whole batch is refused, nothing is written.
    Error,
}

/// What became of one point of a batch, in the order of the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Created,
    Replaced,
    Skipped,
}

/// A condition on a point. Missing fields fulfil nothing but `IsNull` and what is under a `Not`. A list in the metadata fulfils a
/// condition if one of its elements does.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Filter {
    All(Vec<Filter>),
    Any(Vec<Filter>),
    Not(Box<Filter>),
    /// Equal to one of these (strings, numbers, booleans).
    In {
        field: String,
        values: Vec<Value>,
    },
    /// Within these bounds: numbers, or RFC 3339 for fields of type `Datetime`.
    Range {
        field: String,
        gt: Option<Value>,
        gte: Option<Value>,
        lt: Option<Value>,
        lte: Option<Value>,
    },
    /// The text of the field contains these words (lower-cased, split at what is no letter or digit), in any order.
    Words {
        field: String,
        words: String,
    },
    /// Missing or null.
    IsNull {
        field: String,
    },
    /// One of these ids.
    Ids(Vec<String>),
}

/// What a reader wants to see of each point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct With {
    pub(crate) text: bool,
    pub(crate) metadata: bool,
    pub(crate) vector: bool,
}

/// What to look for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Near {
    /// The nearest vectors.
    Vector(Vec<f32>),
    /// The texts that fit these words best (BM25 or the nearest to it that the store has).
    Words(String),
}

/// A search in one collection.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Query {
    pub(crate) near: Near,
    pub(crate) filter: Option<Filter>,
    /// At most this many, best first; ties by id.
    pub(crate) limit: usize,
    /// Candidates to look at in an approximate index; the collection's own when `None`.
    pub(crate) ef: Option<u16>,
    /// Look at every vector instead of the index.
    pub(crate) exact: bool,
    pub(crate) with: With,
}

/// What was found: the score in the metric's own terms (cosine and dot: larger is nearer; Euclidean: the distance; words: BM25).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Hit {
    pub(crate) point: Point,
    pub(crate) score: f32,
}

/// Which points an act is about.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Which {
    Ids(Vec<String>),
    Filter(Filter),
}
