//! The cluster's own query language, for experts, where the operator offers it.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use weft_kit::{Call, Reply, ToolError};

use crate::{Library, names};

/// A query.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Native {
    index: String,
    /// The body of _search.
    body: Map<String, Value>,
}

/// The answer.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Answer {
    /// hits and aggregations, as the cluster gives them.
    answer: Value,
}

pub(crate) async fn query(library: Arc<Library>, call: Call, args: Native) -> Result<Reply<Answer>, ToolError> {
    names::index(&args.index)?;
    let body = Value::Object(args.body);
    let told = body.to_string();
    let work = library.store.native(&call, &args.index, &body);
    let answer = library.observe(&call, (&args.index, &told), work).await?;
    Ok(Reply::new(Answer { answer }).source(format!("search:{}", args.index)))
}
