//! LiteLLM's proxy as a client of the gateway.

use super::{Server, Weft, command, free_port, json, variable};
use crate::{harness::eventually, http::request};

/// The names of all tools that the proxy lists.
fn listed(port: u16, headers: &[(&str, &str)]) -> String {
    request(port, "GET", "/v1/mcp/tools", headers, b"").text()
}

#[test]
fn litellm_lists_every_tool_and_calls_one() {
    let weft = Weft::up(&["--with-echo"]);
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.yaml");
    let servers = format!(
        "model_list: []\ngeneral_settings:\n  master_key: sk-test\nmcp_servers:\n  mesh:\n    url: http://127.0.0.1:{0}/mcp\n    transport: http\n    allow_all_keys: true\n  old:\n    url: http://127.0.0.1:{0}/sse\n    transport: sse\n    allow_all_keys: true\n",
        weft.port
    );
    std::fs::write(&config, servers).unwrap();
    let port = free_port();
    let python = variable("WEFT_PYTHON_LITELLM");
    let mut proxy = command(&python.with_file_name("litellm"));
    proxy.arg("--config").arg(&config).args(["--host", "127.0.0.1", "--port", &port.to_string()]);
    proxy.env("LITELLM_LOCAL_MODEL_COST_MAP", "True").env("HOME", folder.path()).current_dir(folder.path());
    let _proxy = Server::start(&mut proxy, port);
    let headers = [
        ("authorization", "Bearer sk-test"),
        ("accept", "application/json, text/event-stream"),
        ("content-type", "application/json"),
    ];
    eventually("the proxy has asked the gateway", || listed(port, &headers).contains("echo_echo"));
    let tools = listed(port, &headers);
    let own = weft.stateless("/mcp", "tools/list", &json!({})).message();
    for tool in own["result"]["tools"].as_array().unwrap() {
        let name = tool["name"].as_str().unwrap();
        assert!(tools.contains(name), "{name} is missing: {tools}");
    }
    let call =
        json!({ "server_id": "mesh", "name": "echo_echo", "arguments": { "text": "through LiteLLM" } }).to_string();
    let answer = request(port, "POST", "/mcp-rest/tools/call", &headers, call.as_bytes());
    assert!(answer.text().contains("through LiteLLM"), "{} {}", answer.status, answer.text());
}
