//! Counts of documents by value, step or range ⇄ tantivy's aggregations, which speak Elasticsearch's JSON.

use serde_json::Value;
use tantivy::{
    Searcher,
    aggregation::{
        AggContextParams, AggregationCollector, AggregationLimitsGuard, agg_req::Aggregations,
        agg_result::AggregationResults,
    },
};
use weft_kit::ToolError;

use crate::{
    aggregation,
    model::{Counts, Group},
};

/// Bytes that counting may need.
const MEMORY: u64 = 64 << 20;
/// Buckets of all groups together, on the way.
const BUCKETS: u32 = 20_000;

/// What counts while the hits are collected; nothing without groups.
pub(crate) fn collector(searcher: &Searcher, groups: &[Group]) -> Result<Option<AggregationCollector>, ToolError> {
    if groups.is_empty() {
        return Ok(None);
    }
    let request: Aggregations =
        serde_json::from_value(aggregation::request(groups)).map_err(|error| ToolError::internal(&error))?;
    let limits = AggregationLimitsGuard::new(Some(MEMORY), Some(BUCKETS));
    let context = AggContextParams::new(limits, searcher.index().tokenizers().clone());
    Ok(Some(AggregationCollector::from_aggs(request, context)))
}

/// The counts.
pub(crate) fn counts(groups: &[Group], results: Option<AggregationResults>) -> Result<Vec<Counts>, ToolError> {
    let Some(results) = results else { return Ok(Vec::new()) };
    let told: Value = serde_json::to_value(results).map_err(|error| ToolError::internal(&error))?;
    Ok(aggregation::counts(groups, &told))
}
