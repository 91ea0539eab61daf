//! Lists: all pages of all services, in one order, unchanged but for the name, without asking anybody.

use serde_json::{Value, json};

use crate::{
    fake::Foreign,
    harness::{Weft, eventually},
};

fn names(result: &Value, list: &str, key: &str) -> Vec<String> {
    result[list].as_array().unwrap().iter().map(|entry| entry[key].as_str().unwrap().to_owned()).collect()
}

#[test]
fn all_pages_are_merged_in_order_and_fields_we_do_not_know_survive() {
    let foreign = Foreign::start();
    let weft = Weft::up(&["--with-echo", "--add", &foreign.named("z-9")]);
    let result = weft.stateless("/mcp", "tools/list", &json!({})).message()["result"].clone();
    let tools = names(&result, "tools", "name");
    assert!(tools.is_sorted(), "{tools:?}");
    for expected in ["echo_echo", "filesystem_read_text_file", "z-9_cut", "z-9_ping", "z-9_slow"] {
        assert!(tools.contains(&expected.to_owned()), "{expected}: {tools:?}");
    }
    let ping = result["tools"].as_array().unwrap().iter().find(|tool| tool["name"] == "z-9_ping").unwrap();
    assert_eq!(ping["vendor"], json!({ "kept": 1.50 }));
    assert!(result["ttlMs"].is_u64() && ["public", "private"].contains(&result["cacheScope"].as_str().unwrap()));
    let asked = || {
        let requests = foreign.seen.requests.lock().unwrap();
        requests.iter().filter(|(_, message)| message["method"] == "tools/list").count()
    };
    let before = asked();
    let token = weft.initialize("/mcp", "2025-11-25");
    let session = weft.within("/mcp", &token, (1, "tools/list"), &json!({})).message()["result"].clone();
    assert_eq!(names(&session, "tools", "name"), tools);
    assert!(session.get("ttlMs").is_none());
    assert_eq!(asked(), before, "no list asked a server");
    let cursor = weft.stateless("/mcp", "tools/list", &json!({ "cursor": "x" })).message();
    assert_eq!(cursor["error"]["code"], -32602);
}

#[test]
fn resources_of_a_scheme_that_nobody_owns_are_told_apart_by_service() {
    let foreign = Foreign::start();
    let weft = Weft::up(&["--with-echo", "--add", &foreign.named("foreign")]);
    let result = weft.stateless("/mcp", "resources/list", &json!({})).message()["result"].clone();
    let uris = names(&result, "resources", "uri");
    assert!(uris.contains(&"foreign+memo://a".to_owned()) && uris.contains(&"echo://greeting".to_owned()), "{uris:?}");
    let read = weft.stateless("/mcp", "resources/read", &json!({ "uri": "foreign+memo://a" })).message();
    assert_eq!(
        (read["result"]["contents"][0]["uri"].as_str(), read["result"]["contents"][0]["text"].as_str()),
        (Some("foreign+memo://a"), Some("memo"))
    );
    let called = weft.call("foreign_ping", &json!({}));
    assert_eq!(called["content"][1]["uri"], "foreign+memo://a");
    let own = weft.stateless("/mcp", "resources/read", &json!({ "uri": "echo://greeting" })).message();
    assert_eq!(own["result"]["contents"][0]["text"], "Hello.");
    let verbatim = weft.stateless("/mcp/foreign", "resources/read", &json!({ "uri": "memo://a" })).message();
    assert_eq!(verbatim["result"]["contents"][0]["uri"], "memo://a");
}

#[test]
fn a_service_of_its_own_endpoint_has_its_own_names() {
    let weft = Weft::up(&["--with-echo"]);
    let result = weft.stateless("/mcp/echo", "tools/list", &json!({})).message()["result"].clone();
    assert!(names(&result, "tools", "name").contains(&"echo".to_owned()));
    let called =
        weft.stateless("/mcp/echo", "tools/call", &json!({ "name": "echo", "arguments": { "text": "x" } })).message();
    assert_eq!(called["result"]["content"][0]["text"], "x");
    let token = weft.initialize("/mcp/echo", "2025-11-25");
    let session =
        weft.within("/mcp/echo", &token, (1, "tools/call"), &json!({ "name": "echo", "arguments": { "text": "y" } }));
    assert_eq!(session.message()["result"]["content"][0]["text"], "y", "{}", session.text());
}

#[test]
fn prompts_and_completions_find_their_service() {
    let weft = Weft::up(&["--with-echo"]);
    let prompts = weft.stateless("/mcp", "prompts/list", &json!({})).message()["result"].clone();
    let name = names(&prompts, "prompts", "name").into_iter().find(|name| name.starts_with("echo_")).unwrap();
    let got = weft.stateless("/mcp", "prompts/get", &json!({ "name": name, "arguments": { "text": "hi" } })).message();
    assert!(got["result"]["messages"][0]["content"]["text"].as_str().unwrap().contains("hi"), "{got}");
    let root = weft.folder.path("root").canonicalize().unwrap();
    let asked = json!({ "ref": { "type": "ref/resource", "uri": "file://{+path}" }, "argument": { "name": "path", "value": format!("{}/hel", root.display()) } });
    let values = weft.stateless("/mcp", "completion/complete", &asked).message();
    assert_eq!(values["result"]["completion"]["values"], json!([format!("{}/hello.txt", root.display())]), "{values}");
}

#[test]
fn what_operators_see_is_there() {
    let weft = Weft::up(&["--with-echo"]);
    for path in ["/live", "/ready", "/health"] {
        assert_eq!(weft.admin(path).status, 200, "{path}");
    }
    weft.call("echo_echo", &json!({ "text": "x" }));
    let metrics = weft.admin("/metrics").text();
    for name in [
        "weft_gateway_calls_total",
        "mcp_server_operation_duration_seconds_bucket",
        "weft_gateway_instances{service=\"echo\",state=\"healthy\"} 1",
        "weft_gateway_attempts_total",
    ] {
        assert!(metrics.contains(name), "{name}");
    }
    let page = weft.admin("/").text();
    assert!(page.contains("spiffe://weft.local/svc/filesystem") && page.contains("read_text_file"));
    eventually("no call is left in flight", || weft.status()["calls_in_flight"] == 0);
}
