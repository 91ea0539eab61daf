//! Tools that look at a collection without a query: scroll, count, facet.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use weft_kit::{Call, Page, Reply, ToolError};

use super::{
    explore::bounded,
    points::{Include, Shown, with},
};
use crate::{check, desk::Desk, filter};

/// Points of one page.
const PAGE: usize = 500;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scroll {
    collection: String,
    /// As in search.
    filter: Option<Value>,
    cursor: Option<String>,
    /// Default 100, at most 500.
    limit: Option<usize>,
    /// Of text, metadata, vector; default: the first two.
    #[schemars(with = "Option<Vec<String>>")]
    include: Option<Vec<Include>>,
    store: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Count {
    collection: String,
    /// As in search.
    filter: Option<Value>,
    store: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Counted {
    count: u64,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Facet {
    collection: String,
    field: String,
    /// As in search.
    filter: Option<Value>,
    /// Default 10, at most 1000.
    limit: Option<usize>,
    store: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Frequent {
    value: Value,
    count: u64,
}

pub(crate) async fn scroll(desk: Arc<Desk>, call: Call, args: Scroll) -> Result<Reply<Vec<Shown>>, ToolError> {
    let place = desk.place(&call, args.store.as_deref(), &args.collection).await?;
    let limit = bounded(args.limit, 100, PAGE)?;
    let filter = filter::parse(args.filter.as_ref())?;
    let after = call.resume::<String>(args.cursor.as_deref())?.map(weft_kit::At::position);
    let with = with(args.include.as_deref());
    let page = place.store.scroll(&place.tenant, &place.name, filter.as_ref(), after.as_deref(), limit + 1, with);
    let found = call.run(page).await??;
    let more = found.len() > limit;
    let mut budget = call.budget();
    let points = budget.fill(found.into_iter().take(limit).map(Shown::from));
    let last = points.last().filter(|_| more || budget.is_full());
    let cursor = last.map(|point| call.cursor("", &point.id)).transpose()?;
    let page = Page::new(points.len(), cursor);
    Ok(Reply::new(points).truncated(budget.truncated()).page(page))
}

pub(crate) async fn count(desk: Arc<Desk>, call: Call, args: Count) -> Result<Reply<Counted>, ToolError> {
    let place = desk.place(&call, args.store.as_deref(), &args.collection).await?;
    let filter = filter::parse(args.filter.as_ref())?;
    let count = call.run(place.store.count(&place.tenant, &place.name, filter.as_ref())).await??;
    Ok(Reply::new(Counted { count }))
}

pub(crate) async fn facet(desk: Arc<Desk>, call: Call, args: Facet) -> Result<Reply<Vec<Frequent>>, ToolError> {
    let place = desk.place(&call, args.store.as_deref(), &args.collection).await?;
    let limit = bounded(args.limit, 10, 1_000)?;
    let field = check::field(&args.field)?;
    let filter = filter::parse(args.filter.as_ref())?;
    let facet = place.store.facet(&place.tenant, &place.name, field, filter.as_ref(), limit);
    let found = call.run(facet).await??;
    Ok(Reply::new(found.into_iter().map(|(value, count)| Frequent { value, count }).collect()))
}
