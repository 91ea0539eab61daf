//! What the operator does not offer is neither listed nor done.

use serde_json::json;
use weft_kit::{Direct, Host, Rules, serve};

use crate::harness::{Client, call, host, request};
use crate::rack::Rack;

async fn listed(host: Host, rack: &Rack) -> (Vec<String>, Client) {
    let running = serve(rack.service(), host).await.unwrap();
    let mut client = Client::open(running.address()).await;
    let (_, answer) = client.modern(&request("tools/list", json!({}))).await;
    let tools = answer["result"]["tools"].as_array().unwrap();
    let names = tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect();
    std::mem::forget(running);
    (names, client)
}

#[tokio::test]
async fn a_read_only_service_lists_no_tool_that_writes_and_refuses_it_when_called() {
    let rack = Rack::new();
    let mut host = host();
    host.rules.read_only = true;
    let (names, mut client) = listed(host, &rack).await;
    assert!(names.contains(&"list".to_owned()));
    assert!(!names.contains(&"write".to_owned()) && !names.contains(&"delete".to_owned()));
    let result = client.tool("write", json!({"name": "x", "text": "y"})).await;
    assert_eq!(result["structuredContent"]["error"]["code"], "refused");
    assert!(result["structuredContent"]["error"].get("hint").is_none(), "no advice on how to get around it");
    assert_eq!(rack.names().len(), 5);
}

#[tokio::test]
async fn denied_and_not_allowed_tools_are_withheld() {
    let rack = Rack::new();
    let rules = Rules {
        allow_tools: vec!["list".into(), "write".into()],
        deny_tools: vec!["write".into()],
        ..Rules::default()
    };
    let direct = Direct::new(rack.service(), rules).unwrap();
    assert!(!direct.call("list", json!({})).await.is_error);
    for withheld in ["write", "count"] {
        assert_eq!(direct.call(withheld, json!({"name": "x", "text": "y"})).await.code(), "refused");
    }
}

#[tokio::test]
async fn a_connection_that_is_not_the_gateways_cannot_choose_caller_or_namespace() {
    let rack = Rack::new();
    let (_, mut client) = listed(host(), &rack).await;
    let spoofed = [("weft-caller", "admin"), ("weft-namespace", "secret"), ("weft-roles", "root")];
    let (_, answer) = client.modern_with(&call("whoami", json!({})), &spoofed).await;
    let who = &answer["result"]["structuredContent"]["data"];
    assert_eq!(*who, json!({"caller": "local", "namespace": "local", "roles": []}));
    let result = client.tool("whoami", json!({"namespace": "secret"})).await;
    assert_eq!(result["structuredContent"]["error"]["code"], "invalid_arguments");
}

#[tokio::test]
async fn an_open_port_without_identity_is_refused() {
    let mut host = host();
    host.listen = "0.0.0.0:0".parse().unwrap();
    let error = serve(Rack::new().service(), host).await.err().unwrap();
    assert!(error.to_string().contains("give the service an identity"), "{error}");
}
