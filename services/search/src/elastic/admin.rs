//! Indexes and aliases of the cluster: which there are, what they hold, making them and pointing to them.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use weft_kit::{Call, ToolError};

use super::{Body, Cluster, Place, mapping, odd};
use crate::{
    fault,
    model::{Listed, Schema, Status},
};

/// Alias and index, both without the namespace's part of the name.
async fn aliases(cluster: &Cluster, call: &Call) -> Result<Vec<(String, String)>, ToolError> {
    let own = cluster.own(call);
    let all = Place { name: "*".to_owned(), physical: own.clone(), read_only: true };
    let path = format!("_cat/aliases/{own}*?format=json&h=alias,index");
    let rows = cluster.ask(call, &all, (Method::GET, &path), Body::Nothing).await?;
    let plain = |row: &Value, key: &str| row[key].as_str()?.strip_prefix(&own).map(str::to_owned);
    let pairs = rows.as_array().into_iter().flatten();
    Ok(pairs.filter_map(|row| Some((plain(row, "alias")?, plain(row, "index")?))).collect())
}

pub(super) async fn list(cluster: &Cluster, call: &Call) -> Result<Vec<Listed>, ToolError> {
    let own = cluster.own(call);
    let all = Place { name: "*".to_owned(), physical: own.clone(), read_only: true };
    let path = format!("_cat/indices/{own}*?format=json&h=index,docs.count");
    let rows = cluster.ask(call, &all, (Method::GET, &path), Body::Nothing).await?;
    let count = |row: &Value| row["docs.count"].as_str().and_then(|count| count.parse().ok()).unwrap_or_default();
    let mut listed: Vec<Listed> = rows
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|row| {
            let name = row["index"].as_str()?.strip_prefix(&own)?.to_owned();
            Some(Listed { name, alias_of: None, documents: count(row), read_only: false })
        })
        .collect();
    for (name, index) in aliases(cluster, call).await? {
        let documents = listed.iter().find(|listed| listed.name == index).map_or(0, |listed| listed.documents);
        listed.push(Listed { name, alias_of: Some(index), documents, read_only: false });
    }
    for shared in &cluster.shared {
        let Ok(place) = cluster.place(call, &shared.name) else { continue };
        if place.read_only {
            let counted = cluster.post(call, &place, "_count", json!({})).await?;
            let documents = counted["count"].as_u64().unwrap_or_default();
            listed.push(Listed { name: place.name, alias_of: None, documents, read_only: true });
        }
    }
    listed.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(listed)
}

pub(super) async fn schema(cluster: &Cluster, call: &Call, name: &str) -> Result<Arc<Schema>, ToolError> {
    let place = cluster.place(call, name)?;
    let answer = cluster.ask(call, &place, (Method::GET, &place.path("_mapping")), Body::Nothing).await?;
    mapping::schema(&answer).map(Arc::new).ok_or_else(|| odd("mapping"))
}

pub(super) async fn create(cluster: &Cluster, call: &Call, name: &str, schema: &Schema) -> Result<bool, ToolError> {
    let place = cluster.place(call, name)?.writable()?;
    if aliases(cluster, call).await?.iter().any(|(alias, _)| alias == name) {
        return Err(ToolError::conflict(format!("{name:?} is an alias already")).hint("choose another name"));
    }
    let dialect = cluster.known(call).await?;
    let body = Body::Json(mapping::body(schema, dialect));
    let answered = cluster.http.ask(call, (Method::PUT, &place.physical), body).await?;
    if answered.body["error"]["type"] == "resource_already_exists_exception" {
        return if *self::schema(cluster, call, name).await? == *schema {
            Ok(false)
        } else {
            Err(ToolError::conflict(format!("an index {name:?} with other fields is there already"))
                .hint("describe_index shows them; make one under another name and reindex, or delete_index first"))
        };
    }
    answered.ok(name, &place.physical).map(|_| true)
}

pub(super) async fn alias(cluster: &Cluster, call: &Call, alias: &str, index: Option<&str>) -> Result<(), ToolError> {
    let place = cluster.place(call, alias)?.writable()?;
    let there = aliases(cluster, call).await?;
    let own = cluster.own(call);
    let mut actions: Vec<Value> = there
        .iter()
        .filter(|(name, _)| name == alias)
        .map(|(_, index)| json!({"remove": {"index": format!("{own}{index}"), "alias": place.physical}}))
        .collect();
    match index {
        Some(index) => {
            let target = cluster.place(call, index)?.writable()?;
            // An alias of an alias would be one of what that points to today.
            if there.iter().any(|(name, _)| name == index) {
                return Err(ToolError::invalid(format!("{index:?} is an alias")).hint("name the index behind it"));
            }
            actions.push(json!({"add": {"index": target.physical, "alias": place.physical}}));
        }
        None if actions.is_empty() => return Err(fault::unknown(alias)),
        None => {}
    }
    let target = Place { name: index.unwrap_or(alias).to_owned(), ..place };
    cluster.ask(call, &target, (Method::POST, "_aliases"), Body::Json(json!({"actions": actions}))).await.map(drop)
}

pub(super) async fn status(cluster: &Cluster, call: &Call, name: &str) -> Result<Status, ToolError> {
    let place = cluster.place(call, name)?;
    let path = place.path("_stats/docs,store,segments");
    let stats = cluster.ask(call, &place, (Method::GET, &path), Body::Nothing).await?;
    let path = format!("_cluster/health/{}?timeout=1s", place.physical);
    let health = cluster.ask(call, &place, (Method::GET, &path), Body::Nothing).await?;
    let primaries = &stats["_all"]["primaries"];
    let number = |part: &str, key: &str| primaries[part][key].as_u64().unwrap_or_default();
    Ok(Status {
        index: place.name,
        documents: number("docs", "count"),
        deleted: number("docs", "deleted"),
        bytes: number("store", "size_in_bytes"),
        segments: number("segments", "count"),
        visibility: "a write is acknowledged when searches see it, within the cluster's refresh interval".to_owned(),
        health: health["status"].as_str().unwrap_or("unknown").to_owned(),
        advice: None,
    })
}
