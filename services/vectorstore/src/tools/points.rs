//! Tools about points: write, read by id, delete.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use weft_kit::{Approval, Call, Plan, Reply, ToolError};

use crate::{
    check,
    desk::{Desk, Place},
    embed::Embedders,
    filter,
    model::{Conflict, Outcome, Point, Spec, Which, With},
};

/// Points of one call.
const ITEMS: usize = 256;
/// Bytes of texts of one call.
const BYTES: usize = 4 * 1024 * 1024;
/// Ids read by one call.
const READ: usize = 200;
/// Ids deleted by one call.
const DELETED: usize = 1_000;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Upsert {
    collection: String,
    /// Up to 256.
    items: Vec<Item>,
    /// Where an id is taken: replace (default), skip or error.
    #[serde(default)]
    #[schemars(with = "String")]
    on_conflict: Conflict,
    /// The model that made the vectors, to be sure that it is the collection's.
    model: Option<String>,
    store: Option<String>,
}

/// A point to write.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Item {
    /// Default: made from the content.
    id: Option<String>,
    text: Option<String>,
    /// Instead of embedding the text.
    vector: Option<Vec<f32>>,
    #[serde(default)]
    metadata: Map<String, Value>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Written {
    /// In the order of the items.
    points: Vec<Status>,
}

#[derive(Serialize, JsonSchema)]
struct Status {
    id: String,
    /// created, replaced or skipped.
    #[schemars(with = "String")]
    outcome: Outcome,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Get {
    collection: String,
    /// Up to 200.
    ids: Vec<String>,
    /// Of text, metadata, vector; default: the first two.
    #[schemars(with = "Option<Vec<String>>")]
    include: Option<Vec<Include>>,
    store: Option<String>,
}

/// A part of a point.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Include {
    Text,
    Metadata,
    Vector,
}

/// A point as callers see it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Shown {
    pub(crate) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(crate) metadata: Map<String, Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) vector: Vec<f32>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Delete {
    collection: String,
    /// Up to 1000; or `filter`.
    ids: Option<Vec<String>>,
    /// As in search.
    filter: Option<Value>,
    store: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Deleted {
    points: u64,
}

impl From<Point> for Shown {
    fn from(Point { id, vector, text, metadata }: Point) -> Self {
        Self { id, text, metadata, vector }
    }
}

/// What a caller wants to see.
pub(crate) fn with(include: Option<&[Include]>) -> With {
    let has = |part| include.is_some_and(|list| list.contains(&part));
    let unsaid = include.is_none();
    With {
        text: unsaid || has(Include::Text),
        metadata: unsaid || has(Include::Metadata),
        vector: has(Include::Vector),
    }
}

pub(crate) async fn upsert(desk: Arc<Desk>, call: Call, args: Upsert) -> Result<Reply<Written>, ToolError> {
    let place = desk.writable_place(&call, args.store.as_deref(), &args.collection).await?;
    let spec = place.spec(&call).await?;
    Embedders::same(&spec, args.model.as_deref())?;
    if args.items.is_empty() || args.items.len() > ITEMS {
        return Err(ToolError::too_large(format!("{} items in one call", args.items.len()))
            .hint(format!("1 to {ITEMS} at once")));
    }
    let bytes: usize = args.items.iter().filter_map(|item| item.text.as_ref()).map(String::len).sum();
    if bytes > BYTES {
        return Err(ToolError::too_large(format!("{bytes} bytes of text in one call")).hint("at most 4 MiB at once"));
    }
    let points = embedded(&desk, &call, &spec, args.items).await?;
    points.iter().try_for_each(|point| check::point(point, &spec))?;
    let ids: Vec<_> = points.iter().map(|point| point.id.clone()).collect();
    let outcomes = call.run(place.store.upsert(&place.tenant, &place.name, points, args.on_conflict)).await??;
    let count = |outcome| outcomes.iter().filter(|one| **one == outcome).count();
    let text = format!(
        "{} created, {} replaced, {} skipped",
        count(Outcome::Created),
        count(Outcome::Replaced),
        count(Outcome::Skipped)
    );
    let points = ids.into_iter().zip(outcomes).map(|(id, outcome)| Status { id, outcome }).collect();
    Ok(Reply::new(Written { points }).text(text))
}

/// Items with their vectors; texts that have none are embedded, in batches that report how far they are.
async fn embedded(desk: &Desk, call: &Call, spec: &Spec, items: Vec<Item>) -> Result<Vec<Point>, ToolError> {
    const BATCH: usize = 64;
    let missing = |item: &Item| item.vector.is_none();
    if items.iter().any(|item| missing(item) && item.text.as_ref().is_none_or(String::is_empty)) {
        return Err(ToolError::invalid("an item has neither a text nor a vector"));
    }
    let texts: Vec<String> = items.iter().filter(|item| missing(item)).filter_map(|item| item.text.clone()).collect();
    let mut vectors = Vec::with_capacity(texts.len());
    for batch in texts.chunks(BATCH) {
        vectors.extend(call.run(desk.embedders.embed(spec, batch)).await??);
        #[expect(clippy::cast_precision_loss, reason = "at most 256")]
        call.progress(vectors.len() as f64, Some(texts.len() as f64), "embedding".to_owned());
    }
    let mut vectors = vectors.into_iter();
    let point = |item: Item| -> Result<Point, ToolError> {
        let Item { id, text, vector, metadata } = item;
        let vector = vector.or_else(|| vectors.next()).ok_or_else(|| ToolError::invalid("an item has no vector"))?;
        let id = id.unwrap_or_else(|| made_from(text.as_deref(), &vector));
        Ok(Point { id, vector, text, metadata })
    };
    items.into_iter().map(point).collect()
}

/// An id from the content: the same text is the same point, however often it is written.
pub(crate) fn made_from(text: Option<&str>, vector: &[f32]) -> String {
    let mut digest = Sha256::new();
    match text {
        Some(text) => digest.update(text),
        None => vector.iter().for_each(|element| digest.update(element.to_le_bytes())),
    }
    digest.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) async fn get(desk: Arc<Desk>, call: Call, args: Get) -> Result<Reply<Vec<Shown>>, ToolError> {
    let place = desk.place(&call, args.store.as_deref(), &args.collection).await?;
    check::ids(&args.ids, READ)?;
    let with = with(args.include.as_deref());
    let found = call.run(place.store.get(&place.tenant, &place.name, &args.ids, with)).await??;
    let missing = args.ids.len() - found.len();
    let mut budget = call.budget();
    let points = budget.fill(found.into_iter().map(Shown::from));
    let mut reply = Reply::new(points).truncated(budget.truncated());
    if missing > 0 {
        reply = reply.warn(format!("{missing} of the ids are not there"));
    }
    Ok(reply)
}

/// Which points a caller means.
pub(crate) fn which(ids: Option<Vec<String>>, json: Option<&Value>) -> Result<Which, ToolError> {
    match (ids, filter::parse(json)?) {
        (Some(ids), None) => check::ids(&ids, DELETED).map(|()| Which::Ids(ids)),
        (None, Some(filter)) => Ok(Which::Filter(filter)),
        _ => Err(ToolError::invalid("give either `ids` or `filter`").hint(r#"every point is {"all": []}"#)),
    }
}

/// How many points are meant.
pub(super) async fn affected(call: &Call, place: &Place, which: &Which) -> Result<u64, ToolError> {
    let filter = match which {
        Which::Ids(ids) => crate::model::Filter::Ids(ids.clone()),
        Which::Filter(filter) => filter.clone(),
    };
    call.run(place.store.count(&place.tenant, &place.name, Some(&filter))).await?
}

pub(crate) async fn plan_delete(desk: Arc<Desk>, call: Call, args: Delete) -> Result<Plan<Deleted>, ToolError> {
    let place = desk.writable_place(&call, args.store.as_deref(), &args.collection).await?;
    let which = which(args.ids, args.filter.as_ref())?;
    let points = affected(&call, &place, &which).await?;
    let summary = format!("Delete {points} points of `{}`, for good.", place.name);
    Ok(Plan::new(summary, Deleted { points }).observed("points", points.to_string()))
}

pub(crate) async fn delete(
    desk: Arc<Desk>,
    call: Call,
    args: Delete,
    _approval: Approval,
) -> Result<Reply<Deleted>, ToolError> {
    let place = desk.writable_place(&call, args.store.as_deref(), &args.collection).await?;
    let which = which(args.ids, args.filter.as_ref())?;
    let points = call.run(place.store.delete(&place.tenant, &place.name, &which)).await??;
    Ok(Reply::new(Deleted { points }).text(format!("{points} points deleted")))
}
