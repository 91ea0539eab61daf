//! Deleting in the cluster: which documents a question means and how they are, and their end.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use weft_kit::{Call, ToolError};

use super::{Body, Cluster, Place, admin, compile, odd};
use crate::{fault, model::Question, store::Version};

/// The documents that a question means, with the number that the cluster gives to each write; `None` if they are more than `most`.
pub(super) async fn versions(
    cluster: &Cluster,
    call: &Call,
    name: &str,
    (question, most): (&Question, usize),
) -> Result<Option<Vec<Version>>, ToolError> {
    let place = cluster.place(call, name)?;
    let body = json!({
        "query": compile::query(question)?, "size": most, "sort": ["_doc"], "_source": false,
        "seq_no_primary_term": true, "track_total_hits": most + 1, "timeout": "20s",
    });
    let answer = cluster.post(call, &place, "_search", body).await?;
    if answer["timed_out"] == true || answer["_shards"]["failed"].as_u64().unwrap_or_default() > 0 {
        return Err(fault::away(&"not all parts of the index answered"));
    }
    let hits = answer["hits"]["hits"].as_array().ok_or_else(|| odd("hits"))?;
    let total = answer["hits"]["total"]["value"].as_u64().ok_or_else(|| odd("total"))?;
    if total != hits.len() as u64 {
        return Ok(None);
    }
    let version = |hit: &Value| {
        let (number, term) = (hit["_seq_no"].as_u64()?, hit["_primary_term"].as_u64()?);
        Some(Version { id: hit["_id"].as_str()?.to_owned(), version: format!("{term}.{number}") })
    };
    hits.iter().map(version).collect::<Option<Vec<_>>>().map(Some).ok_or_else(|| odd("versions"))
}

/// The identity of the index, and of each of its primary shards the number of the last write.
pub(super) async fn state(cluster: &Cluster, call: &Call, name: &str) -> Result<String, ToolError> {
    let place = cluster.place(call, name)?;
    let path = place.path("_stats/docs?level=shards");
    let answer = cluster.ask(call, &place, (Method::GET, &path), Body::Nothing).await?;
    let indexes = answer["indices"].as_object().ok_or_else(|| odd("indices"))?;
    let mut parts = Vec::new();
    for index in indexes.values() {
        parts.push(index["uuid"].as_str().ok_or_else(|| odd("uuid"))?.to_owned());
        for (shard, copies) in index["shards"].as_object().ok_or_else(|| odd("shards"))? {
            let primary = copies.as_array().into_iter().flatten().find(|copy| copy["routing"]["primary"] == true);
            let last = primary.and_then(|copy| copy["seq_no"]["max_seq_no"].as_i64()).ok_or_else(|| odd("seq_no"))?;
            parts.push(format!("{shard}:{last}"));
        }
    }
    parts.sort();
    Ok(parts.join(","))
}

pub(super) async fn by_ids(cluster: &Cluster, call: &Call, name: &str, ids: &[String]) -> Result<u64, ToolError> {
    let place = cluster.place(call, name)?.writable()?;
    admin::schema(cluster, call, name).await?;
    let lines: String = ids.iter().map(|id| format!("{}\n", json!({"delete": {"_id": id}}))).collect();
    let path = place.path("_bulk?refresh=wait_for");
    let answer = cluster.ask(call, &place, (Method::POST, &path), Body::Lines(lines)).await?;
    let items = answer["items"].as_array().ok_or_else(|| odd("items"))?;
    Ok(items.iter().filter(|item| item["delete"]["result"] == "deleted").count() as u64)
}

/// Removes what a question means, of these documents alone if they are said.
pub(super) async fn by_question(
    cluster: &Cluster,
    call: &Call,
    name: &str,
    (question, only): (&Question, Option<&[String]>),
) -> Result<u64, ToolError> {
    let place = cluster.place(call, name)?.writable()?;
    let mut query = compile::query(question)?;
    if let Some(ids) = only {
        query = json!({"bool": {"must": [query], "filter": [{"ids": {"values": ids}}]}});
    }
    let path = "_delete_by_query?refresh=true&conflicts=proceed&wait_for_completion=false";
    let started = cluster.post(call, &place, path, json!({"query": query})).await?;
    let task = started["task"].as_str().filter(|task| is_task(task)).ok_or_else(|| odd("task"))?;
    let done = match wait(cluster, call, &place, task).await {
        Ok(done) => done,
        Err(error) => {
            cancel(cluster, &place, task).await;
            return Err(error);
        }
    };
    let response = &done["response"];
    let conflicts = response["version_conflicts"].as_u64().unwrap_or_default();
    if conflicts > 0 {
        return Err(ToolError::conflict(format!("{conflicts} documents changed meanwhile and were not deleted"))
            .hint("call again without plan_id to see what is left"));
    }
    if response["failures"].as_array().is_some_and(|failures| !failures.is_empty()) {
        return Err(ToolError::unavailable("the cluster could not delete all of the documents").hint("call again"));
    }
    response["deleted"].as_u64().ok_or_else(|| odd("number of deleted documents"))
}

/// `node:number`, so that it can stand in a path.
fn is_task(task: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b':');
    !task.is_empty() && task.bytes().all(fits)
}

/// Waits for work of the cluster, however long it takes, and tells how far it is.
async fn wait(cluster: &Cluster, call: &Call, place: &Place, task: &str) -> Result<Value, ToolError> {
    let mut pause = Duration::from_millis(20);
    loop {
        let path = format!("_tasks/{task}");
        let told = cluster.ask(call, place, (Method::GET, &path), Body::Nothing).await?;
        if told["completed"] == true {
            return Ok(told);
        }
        let status = &told["task"]["status"];
        call.progress(status["deleted"].as_f64().unwrap_or_default(), status["total"].as_f64(), None);
        call.run(tokio::time::sleep(pause)).await?;
        pause = (pause * 2).min(Duration::from_secs(1));
    }
}

/// Ends work that nobody waits for any more. The call is over, so it is asked for beside it.
async fn cancel(cluster: &Cluster, place: &Place, task: &str) {
    let path = format!("_tasks/{task}/_cancel");
    let asked = cluster.http.tell((Method::POST, &path)).await;
    if let Err(error) = asked.and_then(|answered| answered.ok(&place.name, &place.physical)) {
        tracing::warn!(why = %error, "work of the cluster could not be ended");
    }
}
