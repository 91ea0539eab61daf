//! The tool that changes metadata of points, by ids or by a filter: a plan first, as for all that changes what nobody listed.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use weft_kit::{Approval, Call, Plan, Reply, ToolError};

use super::points::{affected, which};
use crate::{
    check,
    desk::{Desk, Place},
    model::Which,
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Update {
    collection: String,
    /// Up to 1000; or `filter`.
    ids: Option<Vec<String>>,
    /// As in search.
    filter: Option<Value>,
    /// Fields to set.
    #[serde(default)]
    set: Map<String, Value>,
    /// Fields to remove.
    #[serde(default)]
    unset: Vec<String>,
    store: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Updated {
    points: u64,
}

/// What is set and removed, if the collection takes it.
async fn fitting(call: &Call, place: &Place, args: &Update) -> Result<Which, ToolError> {
    let which = which(args.ids.clone(), args.filter.as_ref())?;
    let spec = place.spec(call).await?;
    check::metadata(&args.set, &spec.fields)?;
    args.unset.iter().try_for_each(|name| check::field(name).map(drop))?;
    Ok(which)
}

pub(crate) async fn plan_update(desk: Arc<Desk>, call: Call, args: Update) -> Result<Plan<Updated>, ToolError> {
    let place = desk.writable_place(&call, args.store.as_deref(), &args.collection).await?;
    let which = fitting(&call, &place, &args).await?;
    let points = affected(&call, &place, &which).await?;
    let fields: Vec<String> = args.set.keys().chain(&args.unset).map(|field| format!("`{field}`")).collect();
    let summary = format!("Change {} of {points} points of `{}`.", fields.join(", "), place.name);
    let plan = Plan::new(summary, Updated { points }).observed("points", points.to_string());
    // Who names the points could as well write them anew.
    Ok(if matches!(which, Which::Ids(_)) { plan.low_risk() } else { plan })
}

pub(crate) async fn update(
    desk: Arc<Desk>,
    call: Call,
    args: Update,
    _approval: Approval,
) -> Result<Reply<Updated>, ToolError> {
    let place = desk.writable_place(&call, args.store.as_deref(), &args.collection).await?;
    let which = fitting(&call, &place, &args).await?;
    let update = place.store.update(&place.tenant, &place.name, &which, &args.set, &args.unset);
    let points = call.run(update).await??;
    Ok(Reply::new(Updated { points }).text(format!("{points} points changed")))
}
