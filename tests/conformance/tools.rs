//! Tools: each module defines some and runs them; this file puts their lists together and finds the one that is called.

pub(crate) mod ask;
pub(crate) mod content;
pub(crate) mod in_session;
mod jobs;
pub(crate) mod rounds;
mod signals;

use std::sync::Arc;

use rmcp::{
    ErrorData, RoleServer,
    model::{CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities},
    service::RequestContext,
};
use serde_json::{Value, json};

use crate::server::{Shared, typed};

/// A call of a tool with all that it may need.
pub(crate) struct Call {
    pub(crate) shared: Arc<Shared>,
    pub(crate) request: CallToolRequestParams,
    pub(crate) context: RequestContext<RoleServer>,
    /// The log level that the session asked for.
    pub(crate) level: Option<Value>,
}

/// What a tool gives; `None` when it belongs to another module.
type Outcome = Option<Result<CallToolResponse, ErrorData>>;

impl Call {
    fn name(&self) -> &str {
        &self.request.name
    }

    /// A string argument, empty when it is not there.
    fn argument(&self, name: &str) -> &str {
        self.value(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn value(&self, name: &str) -> Option<&Value> {
        self.request.arguments.as_ref().and_then(|all| all.get(name))
    }

    /// What the client of this request can do.
    fn client(&self) -> ClientCapabilities {
        self.context.client_capabilities().unwrap_or_default()
    }

    /// Whether the request belongs to the session era.
    fn has_session(&self) -> bool {
        self.context.meta.protocol_version().is_none()
    }
}

/// Definitions of all tools, sorted by name.
pub(crate) fn list() -> Vec<Value> {
    let modules = [content::tools(), signals::tools(), ask::tools(), rounds::tools(), jobs::tools()];
    let mut all: Vec<Value> = modules.into_iter().flatten().collect();
    all.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
    all
}

pub(crate) async fn call(call: Call) -> Result<CallToolResponse, ErrorData> {
    if let Some(result) = content::call(&call) {
        return result;
    }
    if call.has_session() {
        if let Some(result) = in_session::call(&call).await {
            return result;
        }
    } else if let Some(result) = rounds::call(&call) {
        return result;
    }
    if let Some(result) = signals::call(&call).await {
        return result;
    }
    if let Some(result) = ask::call(&call).await {
        return result;
    }
    let name = call.name().to_owned();
    jobs::call(call).await.unwrap_or_else(|| Err(ErrorData::invalid_params(format!("no tool is called {name}"), None)))
}

/// A definition of a tool without arguments.
fn plain(name: &str, description: &str) -> Value {
    with_arguments(name, description, &json!({ "type": "object", "properties": {}, "additionalProperties": false }))
}

/// A definition of a tool whose arguments follow `schema`.
fn with_arguments(name: &str, description: &str, schema: &Value) -> Value {
    json!({ "name": name, "description": description, "inputSchema": schema })
}

/// A result of these contents.
fn contents(contents: &Value) -> Result<CallToolResponse, ErrorData> {
    let result: CallToolResult = typed(json!({ "resultType": "complete", "content": contents }))?;
    Ok(result.into())
}

/// A result of one text.
fn text(text: impl Into<String>) -> Result<CallToolResponse, ErrorData> {
    contents(&json!([{ "type": "text", "text": text.into() }]))
}

/// A failure that the model is told of.
fn failure(text: impl Into<String>) -> CallToolResult {
    CallToolResult::error(vec![rmcp::model::ContentBlock::text(text.into())])
}
