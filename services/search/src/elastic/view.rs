//! A state of an index that the cluster keeps for who pages through it: a point in time, which both dialects have and write differently.

use reqwest::Method;
use serde_json::{Value, json};
use weft_kit::{Call, ToolError};

use super::{Body, Cluster, Place, compile, dialect::Dialect};
use crate::model::{Question, View, Wanted};

/// How long the cluster keeps it after each page.
const KEPT: &str = "2m";
/// Hits that a cluster counts through to the beginning of a page.
const DEEPEST: usize = 10_000;

/// What is searched: the index as it is, or one state of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Searched {
    Now,
    Kept(String),
}

/// Opens what a search asks for. A cluster that cannot, or may not, is asked as it is.
pub(super) async fn open(cluster: &Cluster, call: &Call, place: &Place, view: &View) -> Result<Searched, ToolError> {
    match view {
        View::Now => Ok(Searched::Now),
        View::Held(name) => Ok(Searched::Kept(name.clone())),
        View::Hold => {
            let (path, key) = match cluster.known(call).await? {
                Dialect::Elasticsearch { .. } => ("_pit", "id"),
                Dialect::OpenSearch { .. } => ("_search/point_in_time", "pit_id"),
            };
            let path = place.path(&format!("{path}?keep_alive={KEPT}"));
            match cluster.ask(call, place, (Method::POST, &path), Body::Nothing).await {
                Ok(answer) => Ok(answer[key].as_str().map_or(Searched::Now, |name| Searched::Kept(name.to_owned()))),
                Err(error) if matches!(error.code(), "not_found" | "unavailable") => Err(error),
                Err(error) => {
                    tracing::debug!(why = %error, "the cluster keeps no state of an index");
                    Ok(Searched::Now)
                }
            }
        }
    }
}

/// Searches it; the second is the state that is kept, the third whether one was asked for that is gone.
pub(super) async fn search(
    cluster: &Cluster,
    call: &Call,
    place: &Place,
    (searched, (question, wanted)): (Searched, (&Question, &Wanted)),
) -> Result<(Value, Option<String>, bool), ToolError> {
    let plain = compile::search(question, wanted)?;
    let Searched::Kept(name) = searched else {
        return Ok((cluster.post(call, place, "_search", plain).await?, None, false));
    };
    let mut body = compile::behind(cluster.known(call).await?, plain.clone(), wanted);
    body["pit"] = json!({"id": name, "keep_alive": KEPT});
    // The index is named by the state: it cannot be named beside it.
    match cluster.ask(call, place, (Method::POST, "_search"), Body::Json(body)).await {
        Ok(answer) => {
            let next = answer["pit_id"].as_str().map_or(name, str::to_owned);
            Ok((answer, Some(next), false))
        }
        Err(error) if matches!(error.code(), "not_found" | "invalid_arguments") => {
            if wanted.skip + wanted.take > DEEPEST {
                return Err(ToolError::new(
                    "stale_cursor",
                    "the snapshot is not kept any more, and these pages are too deep without",
                )
                .hint("search again from the first page"));
            }
            Ok((cluster.post(call, place, "_search", plain).await?, None, true))
        }
        Err(error) => Err(error),
    }
}

/// Lets the cluster let go of it; it would do so by itself as well.
pub(super) async fn close(cluster: &Cluster, call: &Call, place: &Place, name: String) {
    let (path, body) = match cluster.known(call).await {
        Ok(Dialect::Elasticsearch { .. }) => ("_pit", json!({"id": name})),
        Ok(Dialect::OpenSearch { .. }) => ("_search/point_in_time", json!({"pit_id": [name]})),
        Err(_) => return,
    };
    if let Err(error) = cluster.ask(call, place, (Method::DELETE, path), Body::Json(body)).await {
        tracing::debug!(why = %error, "a point in time was not freed");
    }
}
