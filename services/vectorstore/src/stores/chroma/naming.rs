//! What collections are called: aliases, and drafts that take the name of their collection.
//!
//! An alias is a record of the collection `weft.aliases`, whose name none of ours can be: its id is the alias, its metadata the
//! collection. One record is written as a whole, so an alias is exchanged at once.
//!
//! Chroma cannot give a collection the name of another one in one step. A draft that is whole is therefore marked so first; then the
//! old one goes and the draft is renamed. Whoever finds neither in between, or after a crash, renames the draft himself ([`finish`]).

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};
use weft_kit::ToolError;

use super::http::{Api, is_plain};
use super::{Place, catalogue};
use crate::model::Spec;
use crate::stores::draft;

/// The collection of aliases.
const ALIASES: &str = "weft.aliases";
/// In the metadata of a draft that is whole.
const WHOLE: &str = "weft_whole";
/// Records read at once; more than there can be.
const MOST: usize = 1_000;

/// The path of the collection of aliases, if there is one.
async fn book(api: &Api, tenant: &str) -> Result<Option<String>, ToolError> {
    let database = catalogue::database(tenant);
    match api.call(Method::GET, &format!("/{database}/collections/{ALIASES}"), None).await {
        Err(refusal) if refusal.code() == "not_found" => Ok(None),
        found => {
            let found = found?;
            let id = found.get("id").and_then(Value::as_str).filter(|id| is_plain(id));
            Ok(id.map(|id| format!("/{database}/collections/{id}")))
        }
    }
}

/// The aliases among these ids, or all.
async fn read(api: &Api, tenant: &str, ids: Option<&[&str]>) -> Result<BTreeMap<String, String>, ToolError> {
    let Some(path) = book(api, tenant).await? else { return Ok(BTreeMap::new()) };
    let body = json!({"ids": ids, "include": ["metadatas"], "limit": MOST});
    let found = api.call(Method::POST, &format!("{path}/get"), Some(&body)).await?;
    let column = |name: &str| found.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let pair = |(id, metadata): (Value, Value)| {
        Some((id.as_str()?.to_owned(), metadata.get("collection")?.as_str()?.to_owned()))
    };
    Ok(column("ids").into_iter().zip(column("metadatas")).filter_map(pair).collect())
}

pub(super) async fn aliases(api: &Api, tenant: &str) -> Result<BTreeMap<String, String>, ToolError> {
    read(api, tenant, None).await
}

pub(super) async fn set(api: &Api, tenant: &str, alias: &str, target: Option<&str>) -> Result<(), ToolError> {
    let path = match (book(api, tenant).await?, target) {
        (Some(path), _) => path,
        (None, None) => return Ok(()),
        (None, Some(_)) => {
            let body = json!({"name": ALIASES, "get_or_create": true});
            api.call(Method::POST, &format!("/{}/collections", catalogue::database(tenant)), Some(&body)).await?;
            let lost = || ToolError::unavailable("the Chroma server does not show what it was just given");
            book(api, tenant).await?.ok_or_else(lost)?
        }
    };
    let (act, body) = match target {
        Some(target) => {
            let metadata = json!({"collection": target});
            ("upsert", json!({"ids": [alias], "embeddings": [[1.0]], "metadatas": [metadata]}))
        }
        None => ("delete", json!({"ids": [alias]})),
    };
    api.call(Method::POST, &format!("{path}/{act}"), Some(&body)).await.map(drop)
}

/// A collection of this name goes first: then nothing else is asked.
pub(super) async fn resolve(api: &Api, tenant: &str, name: &str) -> Result<String, ToolError> {
    let Some(theirs) = catalogue::collection(name) else { return Ok(name.to_owned()) };
    let path = format!("/{}/collections/{theirs}", catalogue::database(tenant));
    match api.call(Method::GET, &path, None).await {
        Err(refusal) if refusal.code() == "not_found" => {}
        found => return found.map(|_| name.to_owned()),
    }
    Ok(read(api, tenant, Some(&[name])).await?.remove(name).unwrap_or_else(|| name.to_owned()))
}

/// Forgets the aliases of a collection, and what was to take its place.
pub(super) async fn forget(api: &Api, tenant: &str, name: &str) -> Result<(), ToolError> {
    if draft::is(name) {
        return Ok(());
    }
    for alias in aliases(api, tenant).await?.into_iter().filter(|(_, target)| target == name).map(|(alias, _)| alias) {
        set(api, tenant, &alias, None).await?;
    }
    for found in catalogue::listed(api, tenant).await? {
        if let Some(own) = drafted(&found).filter(|own| draft::target(own) == name && is_whole(&found)) {
            catalogue::remove(api, tenant, own).await?;
        }
    }
    Ok(())
}

/// The name of a draft, as ours.
pub(super) fn drafted(found: &Value) -> Option<&str> {
    let name = found.get("name")?.as_str()?.strip_prefix("c.")?.strip_suffix(".c")?;
    Some(name).filter(|name| draft::is(name))
}

fn is_whole(found: &Value) -> bool {
    found.get("metadata").and_then(|metadata| metadata.get(WHOLE)).is_some()
}

/// Makes a draft; those of the tenant that were left behind go, or are finished.
pub(super) async fn draft(api: &Api, tenant: &str, spec: &Spec) -> Result<String, ToolError> {
    let listed = catalogue::listed(api, tenant).await?;
    for (found, own) in listed.iter().filter_map(|found| Some((found, drafted(found)?))) {
        // What is whole may be all that there is.
        let is_needed = is_whole(found) && catalogue::find(api, tenant, draft::target(own)).await.is_err();
        if draft::is_left(own) && !is_needed {
            match catalogue::remove(api, tenant, own).await {
                Err(refusal) if refusal.code() != "not_found" => return Err(refusal),
                _ => {}
            }
        }
    }
    let name = draft::of(&spec.name);
    catalogue::make(api, tenant, &name, spec).await?;
    Ok(name)
}

pub(super) async fn publish(api: &Api, tenant: &str, draft: &str) -> Result<(), ToolError> {
    let place = catalogue::find(api, tenant, draft).await?;
    mark(&place).await?;
    let name = draft::target(draft);
    match catalogue::remove(api, tenant, name).await {
        Err(refusal) if refusal.code() != "not_found" => return Err(refusal),
        _ => {}
    }
    rename(&place, name).await
}

/// Says of a draft that it is whole.
pub(super) async fn mark(place: &Place<'_>) -> Result<(), ToolError> {
    let mut metadata = catalogue::metadata(&place.spec)?;
    metadata[WHOLE] = json!(true);
    catalogue::put(place, &json!({"new_metadata": metadata})).await
}

/// A reader may have done it already.
async fn rename(place: &Place<'_>, name: &str) -> Result<(), ToolError> {
    let theirs = catalogue::collection(name).ok_or_else(|| ToolError::internal(&"a draft without a name"))?;
    let body = json!({"new_name": theirs, "new_metadata": catalogue::metadata(&place.spec)?});
    match catalogue::put(place, &body).await {
        Err(refusal) if refusal.code() == "conflict" => Ok(()),
        done => done,
    }
}

/// Gives a draft that is whole the name of its collection, which nothing has; what is found of it then.
pub(super) async fn finish(api: &Api, tenant: &str, name: &str) -> Result<Option<Value>, ToolError> {
    let listed = if draft::is(name) { Vec::new() } else { catalogue::listed(api, tenant).await? };
    let is_ready = |found: &&Value| is_whole(found) && drafted(found).is_some_and(|own| draft::target(own) == name);
    let database = catalogue::database(tenant);
    let Some(place) = listed.iter().find(is_ready).and_then(|found| catalogue::place(api, &database, found)) else {
        return Ok(None);
    };
    rename(&place, name).await?;
    let Some(theirs) = catalogue::collection(name) else { return Ok(None) };
    api.call(Method::GET, &format!("/{database}/collections/{theirs}"), None).await.map(Some)
}
