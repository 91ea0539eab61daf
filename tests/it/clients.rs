//! Clients that others wrote: each lists the tools and reads a real file through the gateway.

use std::{path::Path, process::Command};

use rmcp::{
    model::{CallToolRequestParams, ClientCapabilities, ClientConfig, Implementation},
    service::{ClientLifecycleMode, ClientServiceExt as _, RunningService},
    transport::StreamableHttpClientTransport,
};
use serde_json::json;

use crate::harness::{Weft, command, variable};

const EXPECTED: &str = "Hello from a file.";

fn script(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(name)
}

#[track_caller]
fn run(mut command: Command, weft: &Weft) {
    let output = command.arg(format!("http://127.0.0.1:{}/mcp", weft.port)).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    assert!(out.contains(EXPECTED) && out.contains("filesystem_read_text_file"), "{out}\n{err}");
}

fn node(name: &str) -> Command {
    let mut node = command(&variable("WEFT_NODE"));
    node.arg(script(name)).arg(variable("WEFT_NODE_MODULES"));
    node
}

#[test]
fn the_python_sdk_reads_a_file() {
    let weft = Weft::up(&[]);
    let mut python = command(&variable("WEFT_PYTHON"));
    python.arg(script("python_client.py"));
    run(python, &weft);
}

#[test]
fn the_typescript_sdk_of_the_session_era_reads_a_file() {
    run(node("typescript_v1.mjs"), &Weft::up(&[]));
}

#[test]
fn the_typescript_sdk_of_both_eras_reads_a_file() {
    run(node("typescript_v2.mjs"), &Weft::up(&[]));
}

#[tokio::test(flavor = "multi_thread")]
async fn rmcp_reads_a_file_in_each_of_its_ways_to_begin() {
    let weft = Weft::up(&[]);
    let versions = vec![rmcp::model::ProtocolVersion::V_2026_07_28];
    let modes = [
        ClientLifecycleMode::Initialize,
        ClientLifecycleMode::Discover { preferred_versions: versions.clone() },
        ClientLifecycleMode::Auto { preferred_versions: versions, legacy_version: None },
    ];
    for mode in modes {
        let transport = StreamableHttpClientTransport::from_uri(format!("http://127.0.0.1:{}/mcp", weft.port));
        let info = ClientConfig::new(ClientCapabilities::default(), Implementation::new("test", "1"));
        let client: RunningService<_, _> = info.serve_with_lifecycle(transport, mode).await.unwrap();
        let tools = client.list_all_tools().await.unwrap();
        assert!(tools.iter().any(|tool| tool.name == "filesystem_read_text_file"));
        let arguments = json!({ "path": "hello.txt" }).as_object().unwrap().clone();
        let result = client
            .call_tool(CallToolRequestParams::new("filesystem_read_text_file").with_arguments(arguments))
            .await
            .unwrap();
        assert!(format!("{:?}", result.content).contains(EXPECTED));
        client.cancel().await.unwrap();
    }
}
