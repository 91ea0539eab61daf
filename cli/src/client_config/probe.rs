//! An entry → how many tools its endpoint shows to who has its key, asked before anything is written.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use weft_gateway::settings::Reference;

use super::entry::{Entry, Key};

const PATIENCE: Duration = Duration::from_secs(10);

/// Asks the endpoint for its tools (MCP 2026-07-28, tools/list).
pub(super) fn tools(entry: &Entry) -> Result<usize> {
    let key = match &entry.key {
        Key::None => None,
        Key::Env(name) => Some(Reference::Env(name.clone()).value()?),
        Key::File(path) => Some(Reference::File(path.clone()).value()?),
        Key::Input => bail!("--check cannot know a key that the client asks for; use --key-env for the check"),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(ask(&entry.url, key))
}

async fn ask(url: &str, key: Option<String>) -> Result<usize> {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": { "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "weft", "version": env!("CARGO_PKG_VERSION") },
        "io.modelcontextprotocol/clientCapabilities": {},
    } } });
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
    let mut asking = client
        .post(url)
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "tools/list")
        .body(body.to_string());
    if let Some(key) = key {
        asking = asking.bearer_auth(key);
    }
    let answer = asking.send().await.with_context(|| format!("nothing answers at {url}"))?;
    let (status, text) = (answer.status(), answer.text().await?);
    let message: Value = serde_json::from_str(&text).unwrap_or_default();
    match message["result"]["tools"].as_array() {
        Some(tools) => Ok(tools.len()),
        None if status == reqwest::StatusCode::UNAUTHORIZED => {
            bail!("{url} wants to know who asks: say --key-env or --key-file with a key that it knows")
        }
        None => {
            let why = message["error"]["message"].as_str().unwrap_or("this is no MCP endpoint of the stateless era");
            bail!("{url} answered {status}: {why}")
        }
    }
}
