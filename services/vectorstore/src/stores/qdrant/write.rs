//! Points into Qdrant; changes of metadata; deletions.
//!
//! Qdrant has no transactions. A batch of tools' size is one request, which is written as a whole; which ids were there is asked
//! before, so two writers of one id at the same moment may both be told that it was new.

use std::collections::HashSet;

use qdrant_client::qdrant::points_selector::PointsSelectorOneOf;
use qdrant_client::qdrant::points_update_operation::{Operation, OverwritePayload};
use qdrant_client::qdrant::{
    DeletePoints, Filter as Theirs, PointId, PointsIdsList, PointsSelector, PointsUpdateOperation, UpdateBatchPoints,
    UpdateMode, UpsertPoints,
};
use serde_json::{Map, Value};
use weft_kit::ToolError;

use super::calls::{ask, failed};
use super::payload::{self, point, point_id};
use super::{Place, filter, read};
use crate::model::{Conflict, Outcome, Point, Which, With};
use crate::stores::batch::Batch;

/// Points in one request.
const MOST: usize = 500;
const IDS: With = With { text: false, metadata: false, vector: false };

pub(super) async fn upsert(
    place: &Place<'_>,
    points: Vec<Point>,
    conflict: Conflict,
) -> Result<Vec<Outcome>, ToolError> {
    let batch = Batch::new(points, conflict)?;
    let ids: Vec<String> = batch.points.iter().map(|point| point.id.clone()).collect();
    let there = read::by_ids(place, &ids, IDS).await?;
    let existed: HashSet<String> = there.into_iter().map(|found| point(found.payload, None).0.id).collect();
    let outcomes = batch.outcomes(&existed)?;
    // Servers before 1.17 do not know the mode; for them the question above has to do.
    let mode = if conflict == Conflict::Replace { UpdateMode::Upsert } else { UpdateMode::InsertOnly };
    for points in batch.missing(&existed).chunks(MOST) {
        let request = UpsertPoints {
            collection_name: place.name.clone(),
            wait: Some(true),
            points: points.iter().map(|point| payload::written(place.spec.metric, point)).collect(),
            update_mode: Some(mode as i32),
            timeout: place.seconds(),
            ..UpsertPoints::default()
        };
        ask(place.client, "Upsert", place.client.upsert_points(request)).await.map_err(failed)?;
    }
    Ok(outcomes)
}

/// Payloads are written anew: what is derived of the metadata must not fall behind it.
pub(super) async fn update(
    place: &Place<'_>,
    which: &Which,
    set: &Map<String, Value>,
    unset: &[String],
) -> Result<u64, ToolError> {
    let payload_alone = With { text: true, metadata: true, vector: false };
    let mut operations = Vec::new();
    let mut change = |found: qdrant_client::qdrant::RetrievedPoint| {
        let id = found.id;
        let (mut point, norm) = point(found.payload, None);
        point.metadata.retain(|field, _| !unset.contains(field));
        point.metadata.extend(set.clone());
        let points_selector = Some(these(id.into_iter().collect()));
        let new = OverwritePayload {
            payload: payload::payload(&point, norm),
            points_selector,
            ..OverwritePayload::default()
        };
        operations.push(PointsUpdateOperation { operation: Some(Operation::OverwritePayload(new)) });
    };
    let chosen = chosen(which);
    read::each(place, Some(chosen), payload_alone, &mut change).await?;
    let count = operations.len() as u64;
    let mut operations = operations.into_iter().peekable();
    while operations.peek().is_some() {
        let request = UpdateBatchPoints {
            collection_name: place.name.clone(),
            wait: Some(true),
            operations: operations.by_ref().take(MOST).collect(),
            timeout: place.seconds(),
            ..UpdateBatchPoints::default()
        };
        ask(place.client, "UpdateBatch", place.client.update_points_batch(request)).await.map_err(failed)?;
    }
    Ok(count)
}

fn chosen(which: &Which) -> Theirs {
    match which {
        Which::Ids(ids) => filter::whole(&crate::model::Filter::Ids(ids.clone())),
        Which::Filter(filter) => filter::whole(filter),
    }
}

fn these(ids: Vec<PointId>) -> PointsSelector {
    PointsSelector { points_selector_one_of: Some(PointsSelectorOneOf::Points(PointsIdsList { ids })) }
}

/// By their ids, so that what is counted is what is deleted.
pub(super) async fn delete(place: &Place<'_>, which: &Which) -> Result<u64, ToolError> {
    let mut ids: Vec<String> = Vec::new();
    read::each(place, Some(chosen(which)), IDS, |found| ids.push(point(found.payload, None).0.id)).await?;
    for ids in ids.chunks(MOST) {
        let request = DeletePoints {
            collection_name: place.name.clone(),
            wait: Some(true),
            points: Some(these(ids.iter().map(|id| point_id(id)).collect())),
            timeout: place.seconds(),
            ..DeletePoints::default()
        };
        ask(place.client, "Delete", place.client.delete_points(request)).await.map_err(failed)?;
    }
    Ok(ids.len() as u64)
}
