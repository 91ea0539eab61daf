//! Tools about whole collections: list, describe, make, delete.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::future::join_all;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use weft_kit::{Approval, Call, Plan, Reply, ToolError};

use crate::{
    check,
    desk::{self, Desk},
    model::{Collection, FieldType, IndexSettings, Metric, Quantisation, Spec},
    store::Store,
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct List {
    /// Default: the first store.
    store: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Named {
    collection: String,
    /// Default: the first store.
    store: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Create {
    /// 1 to 63 of A-Z, a-z, 0-9, _ and -.
    name: String,
    /// The embedding model; default: the first configured.
    model: Option<String>,
    /// Length of the vectors, where callers bring their own.
    dimensions: Option<usize>,
    /// cosine (default), dot or euclidean.
    #[serde(default)]
    #[schemars(with = "String")]
    metric: Metric,
    /// none (default), scalar (8 bits a number in the index) or binary (1 bit).
    #[serde(default)]
    #[schemars(with = "String")]
    quantisation: Quantisation,
    /// Of the graph: m, ef_construction, ef_search.
    #[schemars(with = "Option<BTreeMap<String, u16>>")]
    index: Option<IndexSettings>,
    /// Fields of the metadata to index: keyword, integer, float, bool or datetime.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    fields: BTreeMap<String, FieldType>,
    description: Option<String>,
    /// Default: the first store.
    store: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Listed {
    collections: Vec<Brief>,
    /// Alias → collection.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    aliases: BTreeMap<String, String>,
    /// Stores that there are, the default first.
    stores: Vec<ShownStore>,
}

/// A collection in a list.
#[derive(Serialize, JsonSchema)]
struct Brief {
    name: String,
    points: u64,
    dimensions: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct ShownStore {
    name: String,
    kind: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    read_only: bool,
    /// Why it cannot be used now.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
}

/// A collection as callers see it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Shown {
    name: String,
    store: String,
    points: u64,
    dimensions: usize,
    #[schemars(with = "String")]
    metric: Metric,
    /// Absent where callers bring their own vectors.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[schemars(with = "String")]
    quantisation: Quantisation,
    #[schemars(with = "BTreeMap<String, u16>")]
    index: IndexSettings,
    #[schemars(with = "BTreeMap<String, String>")]
    fields: BTreeMap<String, FieldType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// What the store says of itself.
    facts: Map<String, Value>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Created {
    name: String,
    /// False if it was there already, the same.
    created: bool,
    dimensions: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Gone {
    collection: String,
    /// Points that it holds, or held.
    points: u64,
}

pub(crate) async fn list(desk: Arc<Desk>, call: Call, args: List) -> Result<Reply<Listed>, ToolError> {
    let named = desk.store(args.store.as_deref())?;
    let found = call.run(named.store.collections(call.namespace())).await??;
    let brief = |Collection { spec: Spec { name, dimensions, model, description, .. }, points, .. }| Brief {
        name,
        points,
        dimensions,
        model,
        description,
    };
    let collections: Vec<_> = found.into_iter().map(brief).collect();
    let line = |one: &Brief| {
        let model = one.model.as_deref().unwrap_or("own vectors");
        format!("{}: {} points, {} dimensions, {model}\n", one.name, one.points, one.dimensions)
    };
    let text: String = collections.iter().map(line).collect();
    let healths = join_all(desk.stores().iter().map(|store| store.store.healthy()));
    let healths = call.run(healths).await?;
    let show = |(store, health): (&desk::Named, Result<(), ToolError>)| ShownStore {
        name: store.name.clone(),
        kind: store.store.kind(),
        read_only: store.read_only,
        fault: health.err().map(|error| error.message().to_owned()),
    };
    let stores = desk.stores().iter().zip(healths).map(show).collect();
    let text = if text.is_empty() { "no collections".to_owned() } else { text };
    let aliases = call.run(named.store.aliases(call.namespace())).await??;
    Ok(Reply::new(Listed { collections, aliases, stores }).text(text))
}

pub(crate) async fn describe(desk: Arc<Desk>, call: Call, args: Named) -> Result<Reply<Shown>, ToolError> {
    let place = desk.place(&call, args.store.as_deref(), &args.collection).await?;
    Ok(Reply::new(shown(place.collection(&call).await?, &place.store_name)))
}

pub(crate) async fn create(desk: Arc<Desk>, call: Call, args: Create) -> Result<Reply<Created>, ToolError> {
    let named = desk.writable(args.store.as_deref())?;
    let (model, dimensions) = model(&desk, args.model.as_deref(), args.dimensions)?;
    check::fields(&args.fields)?;
    let index = args.index.unwrap_or_default();
    check::index(index)?;
    if call.run(named.store.aliases(call.namespace())).await??.contains_key(&args.name) {
        return Err(
            ToolError::conflict(format!("`{}` is an alias", args.name)).hint("take another name, or remove the alias")
        );
    }
    let spec = Spec {
        name: check::name(&args.name)?.to_owned(),
        dimensions,
        metric: args.metric,
        model,
        index,
        quantisation: args.quantisation,
        fields: args.fields,
        description: args.description,
    };
    let created = call.run(named.store.create(call.namespace(), &spec)).await??;
    let did = if created { "made" } else { "there already" };
    let text =
        format!("{} is {did}: {dimensions} dimensions, {}", spec.name, spec.model.as_deref().unwrap_or("own vectors"));
    Ok(Reply::new(Created { name: spec.name, created, dimensions, model: spec.model }).text(text))
}

/// The model and the length of vectors that a caller means.
fn model(desk: &Desk, model: Option<&str>, dimensions: Option<usize>) -> Result<(Option<String>, usize), ToolError> {
    let embedder = match (model, dimensions) {
        (None, Some(own)) if (1..=check::DIMENSIONS).contains(&own) => return Ok((None, own)),
        (None, Some(_)) => {
            return Err(ToolError::invalid(format!("`dimensions` must be 1 to {}", check::DIMENSIONS)));
        }
        (None, None) => desk.embedders.first(),
        (Some(model), _) => desk.embedders.named(model)?,
    };
    let length = embedder.dimensions();
    if dimensions.is_some_and(|asked| asked != length) {
        let message = format!("`{}` gives {length} dimensions, not what was asked", embedder.model());
        return Err(ToolError::new("model_mismatch", message).hint("leave `dimensions` out"));
    }
    Ok((Some(embedder.model().to_owned()), length))
}

pub(crate) async fn plan_delete(desk: Arc<Desk>, call: Call, args: Named) -> Result<Plan<Gone>, ToolError> {
    let place = desk.writable_place(&call, args.store.as_deref(), &args.collection).await?;
    let points = place.collection(&call).await?.points;
    let summary = format!("Delete the collection `{}` with {points} points, for good.", place.name);
    Ok(Plan::new(summary, Gone { collection: place.name, points }).observed("points", points.to_string()))
}

pub(crate) async fn delete(
    desk: Arc<Desk>,
    call: Call,
    args: Named,
    _approval: Approval,
) -> Result<Reply<Gone>, ToolError> {
    let place = desk.writable_place(&call, args.store.as_deref(), &args.collection).await?;
    let points = place.collection(&call).await?.points;
    call.run(Store::drop(&*place.store, &place.tenant, &place.name)).await??;
    let text = format!("deleted {} with {points} points", place.name);
    Ok(Reply::new(Gone { collection: place.name, points }).text(text))
}

fn shown(collection: Collection, store: &str) -> Shown {
    let Collection { spec, points, facts } = collection;
    Shown {
        name: spec.name,
        store: store.to_owned(),
        points,
        dimensions: spec.dimensions,
        metric: spec.metric,
        model: spec.model,
        quantisation: spec.quantisation,
        index: spec.index,
        fields: spec.fields,
        description: spec.description,
        facts,
    }
}
