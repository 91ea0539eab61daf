//! The tool that copies whole collections, and the way through all points of one.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::{Call, Reply, ToolError};

use crate::{
    desk::{Desk, Place},
    distance,
    model::{Conflict, Metric, Point, Spec, With},
};

/// Points carried at once.
pub(super) const BATCH: usize = 256;
/// Ids of points that differ which are told.
const TOLD: usize = 10;
const WHOLE: With = With { text: true, metadata: true, vector: true };

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Copy {
    collection: String,
    store: Option<String>,
    /// Default: the same store.
    to_store: Option<String>,
    /// Default: the same name.
    to_collection: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Copied {
    collection: String,
    store: String,
    points: u64,
    /// Every point was read back and is the same.
    verified: bool,
    /// Some of the ids that differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    differing: Vec<String>,
}

pub(crate) async fn copy(desk: Arc<Desk>, call: Call, args: Copy) -> Result<Reply<Copied>, ToolError> {
    let from = desk.place(&call, args.store.as_deref(), &args.collection).await?;
    let to_store = args.to_store.as_deref().unwrap_or(&from.store_name);
    let to = desk.writable_place(&call, Some(to_store), args.to_collection.as_deref().unwrap_or(&from.name)).await?;
    if to.store_name == from.store_name && to.name == from.name {
        return Err(ToolError::invalid("a collection cannot be copied onto itself"));
    }
    let collection = from.collection(&call).await?;
    let spec = Spec { name: to.name.clone(), ..collection.spec };
    call.run(to.store.create(&to.tenant, &spec)).await??;
    let mut pages = Pages::of(&from);
    let mut done = 0;
    while let Some(points) = pages.next(&call).await? {
        done += points.len();
        call.run(to.store.upsert(&to.tenant, &to.name, points, Conflict::Replace)).await??;
        progress(&call, done, collection.points);
    }
    let differing = differences(&call, &from, &to, spec.metric).await?;
    let verified = differing.is_empty();
    let text =
        format!("{done} points copied to {}, {}", to.name, if verified { "verified" } else { "but some differ" });
    let copied = Copied { collection: to.name, store: to.store_name, points: done as u64, verified, differing };
    Ok(Reply::new(copied).text(text))
}

/// Ids of points that are not the same here and there, or not in both.
async fn differences(call: &Call, from: &Place, to: &Place, metric: Metric) -> Result<Vec<String>, ToolError> {
    let (mut ours, mut theirs) = (Pages::of(from), Pages::of(to));
    let mut differing = Vec::new();
    let (mut mine, mut other) = (ours.one(call).await?, theirs.one(call).await?);
    while differing.len() < TOLD {
        match (mine.take(), other.take()) {
            (None, None) => break,
            (Some(a), Some(b)) if a.id == b.id => {
                if !same(&a, &b, metric) {
                    differing.push(a.id);
                }
                (mine, other) = (ours.one(call).await?, theirs.one(call).await?);
            }
            (Some(a), b) if b.as_ref().is_none_or(|b| a.id < b.id) => {
                differing.push(a.id);
                (mine, other) = (ours.one(call).await?, b);
            }
            (a, b) => {
                differing.extend(b.map(|b| b.id));
                (mine, other) = (a, theirs.one(call).await?);
            }
        }
    }
    Ok(differing)
}

/// Stores may normalise vectors where only the direction matters, and round.
fn same(a: &Point, b: &Point, metric: Metric) -> bool {
    let (x, y) = (distance::norm(&a.vector), distance::norm(&b.vector));
    let is_near = match metric {
        Metric::Cosine if x > 0.0 && y > 0.0 => distance::score(Metric::Cosine, &a.vector, &b.vector) > 0.9999,
        _ => distance::score(Metric::Euclidean, &a.vector, &b.vector) <= 1e-4 * x.max(1.0),
    };
    is_near && a.vector.len() == b.vector.len() && a.text == b.text && a.metadata == b.metadata
}

/// All points of a collection, page by page.
pub(super) struct Pages<'p> {
    place: &'p Place,
    after: Option<String>,
    page: std::vec::IntoIter<Point>,
}

impl<'p> Pages<'p> {
    pub(super) fn of(place: &'p Place) -> Self {
        Self { place, after: None, page: Vec::new().into_iter() }
    }

    pub(super) async fn next(&mut self, call: &Call) -> Result<Option<Vec<Point>>, ToolError> {
        let Place { store, tenant, name, .. } = self.place;
        let page = call.run(store.scroll(tenant, name, None, self.after.as_deref(), BATCH, WHOLE)).await??;
        match page.last() {
            None => Ok(None),
            Some(last) => {
                self.after = Some(last.id.clone());
                Ok(Some(page))
            }
        }
    }

    async fn one(&mut self, call: &Call) -> Result<Option<Point>, ToolError> {
        if self.page.as_slice().is_empty() {
            self.page = self.next(call).await?.unwrap_or_default().into_iter();
        }
        Ok(self.page.next())
    }
}

#[expect(clippy::cast_precision_loss, reason = "progress is for people")]
pub(super) fn progress(call: &Call, done: usize, all: u64) {
    call.progress(done as f64, Some(all as f64), "points".to_owned());
}
