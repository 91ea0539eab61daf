//! Tenants and collections into Chroma's databases and collections, and back.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use weft_kit::ToolError;

use super::http::{Api, is_plain};
use super::{Place, naming, read, write};
use crate::model::{Collection, Metric, Spec};
use crate::store::Alter;

/// The key of the specification in a collection's metadata.
const SPEC: &str = "weft";
/// Before a failed change of a collection is tried again.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(20), Duration::from_millis(80), Duration::from_millis(200), Duration::from_millis(500)];
/// Collections in one page of a listing.
const PAGE: usize = 500;

/// A tenant's database: never the same for two tenants.
pub(super) fn database(tenant: &str) -> String {
    if is_plain(tenant) && tenant.len() <= 64 {
        return format!("weft-t-{tenant}");
    }
    let digest = Sha256::digest(tenant.as_bytes());
    format!("weft-h-{}", digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// Chroma's names begin and end with a letter or digit and have three characters; ours need not. None: no collection can have it.
pub(super) fn collection(name: &str) -> Option<String> {
    let is_name = |name: &str| is_plain(name) && name.len() <= 63;
    let fits = match name.split_once('.') {
        Some((target, rest)) => is_name(target) && is_name(rest),
        None => is_name(name),
    };
    fits.then(|| format!("c.{name}.c"))
}

fn not_found(name: &str) -> ToolError {
    ToolError::not_found(format!("there is no collection `{name}`")).hint("list the collections, or create it")
}

pub(super) async fn find<'a>(api: &'a Api, tenant: &str, name: &str) -> Result<Place<'a>, ToolError> {
    let database = database(tenant);
    let theirs = collection(name).ok_or_else(|| not_found(name))?;
    let found = api.call(Method::GET, &format!("/{database}/collections/{theirs}"), None).await;
    let found = match found {
        Err(refusal) if refusal.code() == "not_found" => naming::finish(api, tenant, name).await?,
        found => Some(found?),
    };
    found.and_then(|found| place(api, &database, &found)).ok_or_else(|| not_found(name))
}

/// None if it is not one of ours.
pub(super) fn place<'a>(api: &'a Api, database: &str, found: &Value) -> Option<Place<'a>> {
    let spec = found.get("metadata")?.get(SPEC)?.as_str()?;
    let id = found.get("id")?.as_str().filter(|id| is_plain(id))?;
    Some(Place { api, path: format!("/{database}/collections/{id}"), spec: serde_json::from_str(spec).ok()? })
}

pub(super) async fn describe(place: Place<'_>) -> Result<Collection, ToolError> {
    let points = read::count(&place, None).await?;
    let facts = json!({
        "index": "hnsw",
        "fixed": "m and ef_construction cannot change, ef is the collection's own, quantisation is not done",
    });
    let facts: Map<_, _> = facts.as_object().cloned().unwrap_or_default();
    Ok(Collection { spec: place.spec, points, facts })
}

pub(super) async fn all(api: &Api, tenant: &str) -> Result<Vec<Collection>, ToolError> {
    let mut collections = Vec::new();
    for found in listed(api, tenant).await?.iter().filter(|found| naming::drafted(found).is_none()) {
        if let Some(place) = place(api, &database(tenant), found) {
            collections.push(describe(place).await?);
        }
    }
    collections.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
    Ok(collections)
}

/// All collections of a tenant's database, as Chroma tells of them.
pub(super) async fn listed(api: &Api, tenant: &str) -> Result<Vec<Value>, ToolError> {
    let mut all = Vec::new();
    for offset in (0..).step_by(PAGE) {
        let path = format!("/{}/collections?limit={PAGE}&offset={offset}", database(tenant));
        let page = match api.call(Method::GET, &path, None).await {
            Err(refusal) if refusal.code() == "not_found" => break,
            page => page?,
        };
        let Value::Array(page) = page else { break };
        let is_last = page.len() < PAGE;
        all.extend(page);
        if is_last {
            break;
        }
    }
    Ok(all)
}

pub(super) fn metadata(spec: &Spec) -> Result<Value, ToolError> {
    let spec = serde_json::to_string(spec).map_err(|error| ToolError::internal(&error))?;
    Ok(json!({SPEC: spec}))
}

/// Makes the tenant's database too, if it is not there.
pub(super) async fn create(api: &Api, tenant: &str, spec: &Spec) -> Result<bool, ToolError> {
    match make(api, tenant, &spec.name, spec).await {
        Ok(()) => Ok(true),
        Err(refusal) if refusal.code() == "conflict" => {
            let there = find(api, tenant, &spec.name).await?;
            let differs = || ToolError::conflict(format!("the collection `{}` exists with other settings", spec.name));
            if there.spec == *spec { Ok(false) } else { Err(differs().hint("choose another name, or delete it first")) }
        }
        Err(refusal) => Err(refusal),
    }
}

/// Makes a collection under a name that may not be its specification's; `conflict` if the name is taken.
pub(super) async fn make(api: &Api, tenant: &str, name: &str, spec: &Spec) -> Result<(), ToolError> {
    let database = database(tenant);
    let name =
        collection(name).ok_or_else(|| ToolError::invalid("the collection's name has characters it cannot have"))?;
    if let Err(refusal) = api.call(Method::POST, "", Some(&json!({"name": database}))).await
        && refusal.code() != "conflict"
    {
        return Err(refusal);
    }
    let space = match spec.metric {
        Metric::Cosine => "cosine",
        Metric::Dot => "ip",
        Metric::Euclidean => "l2",
    };
    let body = json!({
        "name": name,
        "metadata": metadata(spec)?,
        "configuration": {"hnsw": {
            "space": space,
            "max_neighbors": spec.index.m,
            "ef_construction": spec.index.ef_construction,
            "ef_search": spec.index.ef_search,
        }},
    });
    api.call(Method::POST, &format!("/{database}/collections"), Some(&body)).await.map(drop)
}

/// The breadth of searches, the description, and fields; the graph stays as it was built.
pub(super) async fn alter(mut place: Place<'_>, change: &Alter) -> Result<(), ToolError> {
    if let Some(index) = change.index {
        place.spec.index.ef_search = index.ef_search;
    }
    let before = place.spec.fields.len();
    place.spec.fields.extend(change.add_fields.iter().cloned());
    if place.spec.fields.len() > before {
        // First the records, then the specification: a filter must not rely on what is not there yet.
        write::reindex(&place).await?;
    }
    place.spec.description = change.description.clone().or(place.spec.description);
    let configuration = json!({"hnsw": {"ef_search": place.spec.index.ef_search}});
    let body = json!({"new_metadata": metadata(&place.spec)?, "new_configuration": configuration});
    put(&place, &body).await
}

/// Changes what the collection is. Chroma 1.5.9 fails this one with 500 when other writes are under way. It sets, so it may be said
/// again.
pub(super) async fn put(place: &Place<'_>, body: &Value) -> Result<(), ToolError> {
    for pause in PAUSES {
        match place.api.call(Method::PUT, &place.path, Some(body)).await {
            Err(refusal) if refusal.is_retryable() => tokio::time::sleep(pause).await,
            done => return done.map(drop),
        }
    }
    place.api.call(Method::PUT, &place.path, Some(body)).await.map(drop)
}

/// Deletes a collection with its aliases and its drafts.
pub(super) async fn delete(api: &Api, tenant: &str, name: &str) -> Result<(), ToolError> {
    find(api, tenant, name).await?;
    naming::forget(api, tenant, name).await?;
    remove(api, tenant, name).await
}

/// Deletes a collection alone.
pub(super) async fn remove(api: &Api, tenant: &str, name: &str) -> Result<(), ToolError> {
    let theirs = collection(name).ok_or_else(|| not_found(name))?;
    api.call(Method::DELETE, &format!("/{}/collections/{theirs}", database(tenant)), None).await.map(drop)
}
