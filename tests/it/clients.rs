//! Clients that others wrote: each lists the tools and reads a real file through the gateway, in the era it was told to
//! use. The gateway's own record says which version the call came in, so that a client that quietly falls back is found out.

use std::{path::Path, process::Command};

use rmcp::{
    model::{CallToolRequestParams, ClientCapabilities, ClientConfig, Implementation, ProtocolVersion},
    service::{ClientLifecycleMode, ClientServiceExt as _, RunningService},
    transport::StreamableHttpClientTransport,
};
use serde_json::json;

use crate::harness::{SESSION, STATELESS, Weft, command, finish, variable};

const EXPECTED: &str = "Hello from a file.";

fn script(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(name)
}

/// Runs a client in one mode (or its only one) against a gateway of its own.
#[track_caller]
fn reads(mut client: Command, mode: Option<&str>, version: &str) {
    let weft = Weft::up(&[]);
    client.args(mode).arg(format!("http://127.0.0.1:{}/mcp", weft.port));
    let output = finish(&mut client);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    assert!(out.contains(EXPECTED) && out.contains("filesystem_read_text_file"), "{out}\n{err}");
    assert_eq!(weft.versions_of("read_text_file"), [version]);
}

fn python() -> Command {
    let mut python = command(&variable("WEFT_PYTHON"));
    python.arg(script("python_client.py"));
    python
}

fn node(name: &str) -> Command {
    let mut node = command(&variable("WEFT_NODE"));
    node.arg(script(name)).arg(variable("WEFT_NODE_MODULES"));
    node
}

#[test]
fn the_python_sdk_finds_the_stateless_era_and_reads_a_file() {
    reads(python(), Some("auto"), STATELESS);
}

#[test]
fn the_python_sdk_reads_a_file_within_a_session() {
    reads(python(), Some("legacy"), SESSION);
}

#[test]
fn the_first_typescript_sdk_reads_a_file_within_a_session() {
    reads(node("typescript_v1.mjs"), None, SESSION);
}

#[test]
fn the_second_typescript_sdk_finds_the_stateless_era_and_reads_a_file() {
    reads(node("typescript_v2.mjs"), Some("auto"), STATELESS);
}

#[test]
fn the_second_typescript_sdk_reads_a_file_within_a_session() {
    reads(node("typescript_v2.mjs"), Some("legacy"), SESSION);
}

async fn rmcp_reads(mode: ClientLifecycleMode, version: &str) {
    let weft = Weft::up(&[]);
    let transport = StreamableHttpClientTransport::from_uri(format!("http://127.0.0.1:{}/mcp", weft.port));
    let info = ClientConfig::new(ClientCapabilities::default(), Implementation::new("test", "1"));
    let client: RunningService<_, _> = info.serve_with_lifecycle(transport, mode).await.unwrap();
    let tools = client.list_all_tools().await.unwrap();
    assert!(tools.iter().any(|tool| tool.name == "filesystem_read_text_file"));
    let arguments = json!({ "path": "hello.txt" }).as_object().unwrap().clone();
    let asked = CallToolRequestParams::new("filesystem_read_text_file").with_arguments(arguments);
    let result = client.call_tool(asked).await.unwrap();
    assert!(format!("{:?}", result.content).contains(EXPECTED));
    client.cancel().await.unwrap();
    assert_eq!(weft.versions_of("read_text_file"), [version]);
}

fn preferred() -> Vec<ProtocolVersion> {
    vec![ProtocolVersion::V_2026_07_28]
}

#[tokio::test(flavor = "multi_thread")]
async fn rmcp_that_initializes_reads_a_file_within_a_session() {
    rmcp_reads(ClientLifecycleMode::Initialize, SESSION).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rmcp_that_discovers_reads_a_file_in_the_stateless_era() {
    rmcp_reads(ClientLifecycleMode::Discover { preferred_versions: preferred() }, STATELESS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rmcp_that_tries_both_finds_the_stateless_era_and_reads_a_file() {
    rmcp_reads(ClientLifecycleMode::Auto { preferred_versions: preferred(), legacy_version: None }, STATELESS).await;
}
