//! A hundred instances behind two gateways.

use std::sync::atomic::Ordering;

use serde_json::json;

use super::{Load, Mesh, write};
use crate::{fake::Foreign, harness::eventually};

#[test]
fn a_hundred_instances_share_the_calls_of_two_gateways() {
    let mesh = Mesh::start();
    let servers: Vec<Foreign> = (0..100).map(|_| Foreign::start()).collect();
    for (number, server) in servers.iter().enumerate() {
        let body = json!({ "ID": format!("many-{number}"), "Name": "many", "Tags": ["mcp"],
            "Address": "127.0.0.1", "Port": server.port, "Meta": { "sessions": "false", "policy": "round_robin" } });
        mesh.consul.put("/v1/agent/service/register", &body);
    }
    let _echo = mesh.echo();
    // They are seen one after the other; the later ones have their share at once.
    let config = mesh.path("gateway.toml");
    write(&config, "[balance]\nslow_start_seconds = 0\n");
    let config = ["--config", config.to_str().unwrap()];
    let gateways = [mesh.gateway_with(&config), mesh.gateway_with(&config)];
    for gateway in &gateways {
        gateway.await_healthy(1);
        eventually("all hundred are known", || {
            let status = gateway.status();
            let services = status["services"].as_array().unwrap().clone();
            let many = services.iter().find(|service| service["service"] == "many");
            many.is_some_and(|many| many["instances"].as_array().unwrap().len() == 100)
        });
    }
    // Load on one service beside it must not be held up by the many.
    let load = Load::start(&[gateways[0].port, gateways[1].port]);
    let tool = "many_ping";
    for gateway in &gateways {
        eventually("the tools of the many are known", || gateway.status().to_string().contains("\"ping\""));
    }
    let before: usize = servers.iter().map(|server| server.seen.calls.load(Ordering::Relaxed)).sum();
    for number in 0..600 {
        let gateway = &gateways[number % 2];
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": tool, "arguments": {},
            "_meta": { "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {} } } });
        let headers = [
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", "tools/call"),
            ("mcp-name", tool),
        ];
        let answer = crate::http::request(gateway.port, "POST", "/mcp", &headers, body.to_string().as_bytes());
        assert!(answer.status == 200 && !answer.text().contains("isError\":true"), "{}", answer.text());
    }
    let calls: Vec<usize> = servers.iter().map(|server| server.seen.calls.load(Ordering::Relaxed)).collect();
    let total: usize = calls.iter().sum();
    assert!(total >= before + 600, "{total} calls arrived");
    let idle = calls.iter().filter(|count| **count == 0).count();
    assert!(idle <= 5, "{idle} of a hundred instances were never called: {calls:?}");
    load.all_right("beside a hundred instances");
}
