//! Points into records; changes of metadata; deletions.
//!
//! Chroma has no transactions and no condition on a write. A batch is one request where it is small enough (then it is written as a
//! whole); which ids were there is asked before, so two writers of one id at the same moment may both be told that it was new.

use std::collections::HashSet;

use reqwest::Method;
use serde_json::{Map, Value, json};
use weft_kit::ToolError;

use super::Place;
use super::read::{self, Fields, Selection};
use super::record::{self, Record};
use crate::model::{Conflict, Outcome, Point, Which};
use crate::stores::batch::Batch;

/// Records in one request; the server's own bound is above 5,000.
const MOST: usize = 2000;

pub(super) async fn upsert(
    place: &Place<'_>,
    points: Vec<Point>,
    conflict: Conflict,
) -> Result<Vec<Outcome>, ToolError> {
    let batch = Batch::new(points, conflict)?;
    let ids: Vec<String> = batch.points.iter().map(|point| point.id.clone()).collect();
    let existed: HashSet<String> = read::by_ids(place, &ids, Fields::default()).await?.into_keys().collect();
    let outcomes = batch.outcomes(&existed)?;
    for points in batch.missing(&existed).chunks(MOST) {
        let metadata = |point: &Point| record::metadata(&place.spec, &point.id, &point.metadata, point.text.is_some());
        let body = json!({
            "ids": points.iter().map(|point| point.id.as_str()).collect::<Vec<_>>(),
            "embeddings": points.iter().map(|point| &point.vector).collect::<Vec<_>>(),
            "documents": points.iter().map(|point| point.text.as_deref().unwrap_or_default()).collect::<Vec<_>>(),
            "metadatas": points.iter().map(metadata).collect::<Vec<_>>(),
        });
        place.call(Method::POST, "upsert", Some(&body)).await?;
    }
    Ok(outcomes)
}

/// The records that are meant, with their metadata.
async fn chosen(place: &Place<'_>, which: &Which) -> Result<Vec<Record>, ToolError> {
    match which {
        Which::Ids(ids) => Ok(read::by_ids(place, ids, Fields::default()).await?.into_values().collect()),
        Which::Filter(filter) => {
            let mut records = Vec::new();
            let selection = Selection { filter: Some(filter), document: None };
            read::each(place, selection, Fields::default(), |record| {
                records.push(record);
                Ok(())
            })
            .await?;
            Ok(records)
        }
    }
}

pub(super) async fn update(
    place: &Place<'_>,
    which: &Which,
    set: &Map<String, Value>,
    unset: &[String],
) -> Result<u64, ToolError> {
    let mut records = chosen(place, which).await?;
    for record in &mut records {
        let metadata = &mut record.point.metadata;
        metadata.retain(|field, _| !unset.contains(field));
        metadata.extend(set.clone());
    }
    rewrite(place, &records).await?;
    Ok(records.len() as u64)
}

/// Writes the metadata of records anew.
async fn rewrite(place: &Place<'_>, records: &[Record]) -> Result<(), ToolError> {
    for records in records.chunks(MOST) {
        let body = json!({
            "ids": records.iter().map(|record| record.point.id.as_str()).collect::<Vec<_>>(),
            "metadatas": records.iter().map(|record| record.metadata(&place.spec)).collect::<Vec<_>>(),
        });
        place.call(Method::POST, "update", Some(&body)).await?;
    }
    Ok(())
}

/// Adds what new fields need to the records that are there.
pub(super) async fn reindex(place: &Place<'_>) -> Result<(), ToolError> {
    let everything = Which::Filter(crate::model::Filter::All(Vec::new()));
    rewrite(place, &chosen(place, &everything).await?).await
}

pub(super) async fn delete(place: &Place<'_>, which: &Which) -> Result<u64, ToolError> {
    let ids: Vec<String> = chosen(place, which).await?.into_iter().map(|record| record.point.id).collect();
    for ids in ids.chunks(MOST) {
        place.call(Method::POST, "delete", Some(&json!({"ids": ids}))).await?;
    }
    Ok(ids.len() as u64)
}
