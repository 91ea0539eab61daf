//! What a store is asked: which documents, in which order, which page of them, and what is counted beside.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use weft_kit::ToolError;

use super::Schema;
use crate::{filter::Filter, geo::Point, query::Node};

/// Up or down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    #[default]
    Asc,
    Desc,
}

/// One key of the order of the hits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sort {
    /// A field that is not prose.
    pub(crate) field: String,
    #[serde(default)]
    pub(crate) order: Order,
    /// Of a point field: nearest to this point first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) near: Option<Point>,
}

impl Sort {
    /// Whether it fits the schema.
    pub(crate) fn check(&self, schema: &Schema) -> Result<(), ToolError> {
        let Some(near) = self.near else { return schema.exact(&self.field).map(drop) };
        schema.point(&self.field)?;
        near.check().map_err(|why| ToolError::invalid(format!("near: {why}")))?;
        // Documents without a point would come first in one store and last in the other.
        if self.order == Order::Desc {
            return Err(ToolError::invalid("near sorts the nearest first: leave order out"));
        }
        Ok(())
    }
}

/// Which documents are meant.
#[derive(Debug, Clone, Default)]
pub(crate) struct Question {
    /// Of the index that is asked.
    pub(crate) schema: Arc<Schema>,
    /// All if there is none. Synonyms are in it already.
    pub(crate) query: Option<Node>,
    pub(crate) filters: Vec<Filter>,
}

/// What is to be told of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    pub(crate) skip: usize,
    /// The place of the last hit that was told, where the store gave one; it tells more than `skip`.
    pub(crate) behind: Option<Value>,
    pub(crate) take: usize,
    /// By score if there is none.
    pub(crate) sort: Option<Sort>,
    pub(crate) highlight: bool,
    /// The total is counted to the end, however many there are.
    pub(crate) exact_total: bool,
    /// These fields of the documents; all if not said.
    pub(crate) only: Option<Vec<String>>,
    /// Counts beside the hits.
    pub(crate) groups: Vec<Group>,
    /// Of the index as it is, or as it was at the first page.
    pub(crate) view: View,
}

/// Which state of an index is searched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum View {
    /// That of now.
    #[default]
    Now,
    /// That of now, which is to be kept for more pages.
    Hold,
    /// One that was kept, by its name.
    Held(String),
}

/// One way of counting documents.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Group {
    pub(crate) field: String,
    pub(crate) by: By,
}

/// What documents are counted by.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum By {
    /// The most frequent values.
    Values(usize),
    /// Numbers in steps of equal width.
    Steps(f64),
    /// Dates in steps: `1h`, `1d`, `30d`.
    Times(String),
    /// Numbers or dates (as milliseconds) between given borders.
    Ranges(Vec<(Option<f64>, Option<f64>)>),
    /// Count, least, most, sum and mean.
    Summary,
}
