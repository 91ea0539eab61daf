//! Tools about snapshots: take, list, restore, delete.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::{Approval, Call, Plan, Reply, ToolError};

use super::transfer::{BATCH, Pages, progress};
use crate::{
    check,
    desk::{Desk, Place},
    model::{Conflict, Spec},
    snapshot::Proven,
    store::Store,
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Take {
    collection: String,
    /// Default: the collection's name. An earlier one of this name is replaced.
    name: Option<String>,
    store: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Taken {
    snapshot: String,
    points: u64,
    sha256: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListAll {}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Kept {
    snapshot: String,
    bytes: u64,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Restore {
    snapshot: String,
    /// Default: as it was called.
    collection: Option<String>,
    store: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Restored {
    collection: String,
    points: u64,
    /// Points of the collection that is replaced, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    replaces: Option<u64>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Forget {
    snapshot: String,
}

pub(crate) async fn snapshot(desk: Arc<Desk>, call: Call, args: Take) -> Result<Reply<Taken>, ToolError> {
    let place = desk.place(&call, args.store.as_deref(), &args.collection).await?;
    let collection = place.collection(&call).await?;
    let name = args.name.unwrap_or_else(|| place.name.clone());
    check::name(&name)?;
    let (own, tenant, title) = (Arc::clone(&desk), place.tenant.clone(), name.clone());
    let mut draft = call.blocking(move |_| own.snapshots.draft(&tenant, &title, &collection.spec)).await?;
    let mut pages = Pages::of(&place);
    let mut done = 0;
    while let Some(points) = pages.next(&call).await? {
        done += points.len();
        draft = call.blocking(move |_| draft.append(points).map(|()| draft)).await?;
        progress(&call, done, collection.points);
    }
    let (points, sha256) = call.blocking(move |_| draft.finish()).await?;
    let text = format!("{points} points of {} are in the snapshot {name}", place.name);
    Ok(Reply::new(Taken { snapshot: name, points, sha256 }).text(text))
}

pub(crate) async fn snapshots(desk: Arc<Desk>, call: Call, _: ListAll) -> Result<Reply<Vec<Kept>>, ToolError> {
    let tenant = call.namespace().to_owned();
    let found = call.blocking(move |_| desk.snapshots.list(&tenant)).await?;
    Ok(Reply::new(found.into_iter().map(|(snapshot, bytes)| Kept { snapshot, bytes }).collect()))
}

pub(crate) async fn plan_forget(desk: Arc<Desk>, call: Call, args: Forget) -> Result<Plan<Kept>, ToolError> {
    let (tenant, name) = (call.namespace().to_owned(), args.snapshot);
    let found = call.blocking(move |_| desk.snapshots.list(&tenant)).await?;
    let found = found.into_iter().find(|(own, _)| *own == name);
    let (snapshot, bytes) = found.ok_or_else(|| ToolError::not_found("there is no such snapshot"))?;
    let summary = format!("Delete the snapshot `{snapshot}`, for good.");
    Ok(Plan::new(summary, Kept { snapshot, bytes }).observed("bytes", bytes.to_string()))
}

pub(crate) async fn forget(
    desk: Arc<Desk>,
    call: Call,
    args: Forget,
    _approval: Approval,
) -> Result<Reply<String>, ToolError> {
    let tenant = call.namespace().to_owned();
    let gone = call.blocking(move |_| desk.snapshots.delete(&tenant, &args.snapshot).map(|()| args.snapshot)).await?;
    Ok(Reply::new(gone))
}

/// The snapshot, proven, and where it goes.
async fn opened(desk: &Arc<Desk>, call: &Call, args: &Restore) -> Result<(Proven, Place, Option<u64>), ToolError> {
    let (own, tenant, name) = (Arc::clone(desk), call.namespace().to_owned(), args.snapshot.clone());
    let proven = call.blocking(move |_| own.snapshots.open(&tenant, &name)).await?;
    let target = args.collection.as_deref().unwrap_or(&proven.spec.name);
    let place = desk.writable_place(call, args.store.as_deref(), target).await?;
    let there = match place.collection(call).await {
        Ok(there) => Some(there.points),
        Err(error) if error.code() == "not_found" => None,
        Err(error) => return Err(error),
    };
    Ok((proven, place, there))
}

pub(crate) async fn plan_restore(desk: Arc<Desk>, call: Call, args: Restore) -> Result<Plan<Restored>, ToolError> {
    let (proven, place, replaces) = opened(&desk, &call, &args).await?;
    let (collection, points) = (place.name, proven.points);
    let summary = match replaces {
        None => format!("Restore {points} points into a new collection `{collection}`."),
        Some(old) => format!("Replace the collection `{collection}` and its {old} points by {points} of the snapshot."),
    };
    let was = replaces.map_or_else(|| "absent".to_owned(), |points| points.to_string());
    let plan = Plan::new(summary, Restored { collection, points, replaces })
        .observed("points", was)
        .observed("snapshot", proven.sha256);
    Ok(if replaces.is_none() { plan.low_risk() } else { plan })
}

/// Fills a draft, counts it, and lets it take the collection's name: what was there stays until then, whatever happens.
pub(crate) async fn restore(
    desk: Arc<Desk>,
    call: Call,
    args: Restore,
    _approval: Approval,
) -> Result<Reply<Restored>, ToolError> {
    let (proven, place, replaces) = opened(&desk, &call, &args).await?;
    let points = proven.points;
    let spec = Spec { name: place.name.clone(), ..proven.spec.clone() };
    let draft = Place { name: call.run(place.store.draft(&place.tenant, &spec)).await??, ..place.clone() };
    if let Err(error) = filled(&call, &draft, proven).await {
        // What cannot be removed now goes with the next draft.
        let _ = Store::drop(&*draft.store, &draft.tenant, &draft.name).await;
        return Err(error);
    }
    // From here on the draft may be all that there is: it is not removed whatever happens.
    call.run(place.store.publish(&place.tenant, &draft.name)).await??;
    let text = format!("{points} points are in {}", place.name);
    Ok(Reply::new(Restored { collection: place.name, points, replaces }).text(text))
}

/// Writes a snapshot into a draft, and counts what is there then.
async fn filled(call: &Call, draft: &Place, mut proven: Proven) -> Result<(), ToolError> {
    let (mut done, points) = (0, proven.points);
    loop {
        let batch;
        (proven, batch) = call
            .blocking(move |_| {
                let batch = proven.next(BATCH)?;
                Ok((proven, batch))
            })
            .await?;
        if batch.is_empty() {
            break;
        }
        done += batch.len();
        call.run(draft.store.upsert(&draft.tenant, &draft.name, batch, Conflict::Replace)).await??;
        progress(call, done, points);
    }
    let there = call.run(draft.store.count(&draft.tenant, &draft.name, None)).await??;
    if there == points {
        return Ok(());
    }
    Err(ToolError::conflict(format!("{there} of {points} points arrived; what was there before stays"))
        .hint("restore it again"))
}
