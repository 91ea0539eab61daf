//! Documents into the cluster and out of it again.

use reqwest::Method;
use serde_json::{Map, Value, json};
use weft_kit::{Call, ToolError};

use super::{Body, Cluster, Place, admin, odd};
use crate::{
    filter,
    model::{Document, Failure, Schema, Written},
};

/// Documents of one step of a copy.
const STEP: usize = 500;
/// How long the cluster keeps the place of a copy.
const KEPT: &str = "2m";

pub(super) async fn write(
    cluster: &Cluster,
    call: &Call,
    name: &str,
    documents: Vec<Document>,
) -> Result<Written, ToolError> {
    let place = cluster.place(call, name)?.writable()?;
    // The cluster would make an index that is not there, with fields of its own guess.
    let schema = admin::schema(cluster, call, name).await?;
    let mut written = Written::default();
    let (mut lines, mut sent) = (String::new(), Vec::new());
    for (number, document) in documents.into_iter().enumerate() {
        let source = Value::Object(document.source).to_string();
        let fits = match source.len() > cluster.limits.document_bytes {
            true => Err(format!("the document has {} bytes: split it", source.len())),
            false => Ok(()),
        };
        match fits.and_then(|()| check(&schema, &source)) {
            Ok(()) => {
                lines.push_str(&json!({"index": {"_id": document.id}}).to_string());
                lines.push('\n');
                lines.push_str(&source);
                lines.push('\n');
                sent.push((number, document.id));
            }
            Err(why) => written.failed.push(Failure { place: number, id: document.id, why }),
        }
    }
    if sent.is_empty() {
        return Ok(written);
    }
    let path = place.path("_bulk?refresh=wait_for");
    let answer = cluster.ask(call, &place, (Method::POST, &path), Body::Lines(lines)).await?;
    let items = answer["items"].as_array().ok_or_else(|| odd("items"))?;
    for ((number, id), item) in sent.into_iter().zip(items) {
        let error = &item["index"]["error"];
        if error.is_null() {
            written.indexed += 1;
        } else {
            let why = error["reason"].as_str().unwrap_or("the cluster did not say why");
            written.failed.push(Failure { place: number, id, why: why.replace(&place.physical, name) });
        }
    }
    Ok(written)
}

/// The same rules as everywhere: the cluster would take "5" for a number.
fn check(schema: &Schema, source: &str) -> Result<(), String> {
    let source: Map<String, Value> = serde_json::from_str(source).map_err(|error| error.to_string())?;
    for (name, value) in &source {
        let Some(field) = schema.fields.iter().find(|field| field.name == *name) else {
            return Err(format!("the index has no field {name:?}"));
        };
        let values = filter::values(field, value).map_err(|why| format!("{name}: {why}"))?;
        for value in values.iter().filter(|value| !value.is_null()) {
            filter::exact(field, value).map_err(|why| format!("{name}: {why}"))?;
        }
    }
    Ok(())
}

pub(super) async fn get(
    cluster: &Cluster,
    call: &Call,
    name: &str,
    ids: &[String],
) -> Result<Vec<Document>, ToolError> {
    let place = cluster.place(call, name)?;
    let answer = cluster.post(call, &place, "_mget", json!({"ids": ids})).await?;
    let documents = answer["docs"].as_array().ok_or_else(|| odd("documents"))?;
    Ok(documents.iter().filter(|document| document["found"] == true).filter_map(document).collect())
}

/// A document of an answer.
pub(super) fn document(hit: &Value) -> Option<Document> {
    let source = hit["_source"].as_object().cloned().unwrap_or_default();
    Some(Document { id: hit["_id"].as_str()?.to_owned(), source })
}

pub(super) async fn scroll(
    cluster: &Cluster,
    call: &Call,
    name: &str,
    after: Option<&Value>,
) -> Result<(Vec<Document>, Option<Value>), ToolError> {
    let place = cluster.place(call, name)?;
    let answer = match after {
        None => {
            let body = json!({"size": STEP, "sort": ["_doc"]});
            cluster.post(call, &place, &format!("_search?scroll={KEPT}"), body).await?
        }
        Some(id) => {
            let body = Body::Json(json!({"scroll": KEPT, "scroll_id": id}));
            cluster.ask(call, &place, (Method::POST, "_search/scroll"), body).await?
        }
    };
    let hits = answer["hits"]["hits"].as_array().ok_or_else(|| odd("hits"))?;
    let documents: Vec<_> = hits.iter().filter_map(document).collect();
    let next = answer["_scroll_id"].as_str().map(|id| json!(id));
    if documents.len() < STEP {
        done(cluster, call, &place, next).await;
        return Ok((documents, None));
    }
    Ok((documents, next))
}

/// Frees what the cluster keeps for a copy that is done; it would end by itself as well.
async fn done(cluster: &Cluster, call: &Call, place: &Place, id: Option<Value>) {
    if let Some(id) = id {
        let body = Body::Json(json!({"scroll_id": id}));
        if let Err(error) = cluster.ask(call, place, (Method::DELETE, "_search/scroll"), body).await {
            tracing::debug!(why = %error, "a scroll was not freed");
        }
    }
}
