//! A program on stdio as a member of the mesh: found, proved, called, and gone when it is told to go.

use serde_json::{Value, json};

use super::Mesh;
use crate::{
    foreign::life::{alive, script},
    harness::{STATELESS, eventually, stateless_body},
    http::request,
};

fn call(port: u16, tool: &str) -> Value {
    let headers = [
        ("content-type", "application/json"),
        ("mcp-protocol-version", STATELESS),
        ("mcp-method", "tools/call"),
        ("mcp-name", tool),
    ];
    let body = stateless_body("tools/call", &json!({ "name": tool, "arguments": {} }));
    request(port, "POST", "/mcp", &headers, body.as_bytes()).message()["result"].clone()
}

#[test]
fn a_program_on_stdio_is_a_member_like_any_other() {
    let mesh = Mesh::start();
    let folder = tempfile::tempdir().unwrap();
    let mut member = mesh.adapted("shell", &script(folder.path()));
    let gateway = mesh.gateway();
    eventually("its tools are known", || gateway.status().to_string().contains("\"crash\""));
    let status = gateway.status();
    let services = status["services"].as_array().unwrap();
    let shell = services.iter().find(|it| it["service"] == "shell").unwrap();
    let instance = &shell["instances"][0];
    assert!(instance["identity"].as_str().unwrap().ends_with("/svc/shell"), "{instance}");
    assert_eq!(instance["eras"], "session");
    let pid = call(gateway.port, "shell_pid")["content"][0]["text"].as_str().unwrap().to_owned();
    assert_eq!(call(gateway.port, "shell_pid")["content"][0]["text"], pid, "a caller keeps its program");
    assert!(alive(&pid) >= 1);
    member.signal("TERM");
    member.wait();
    eventually("its programs are gone with it", || alive(&pid) == 0);
    eventually("it has left the registry", || mesh.consul.get("/v1/health/service/mcp-shell") == json!([]));
}
