//! Virtual servers: a part of the mesh on an endpoint of its own, whole or lean, in both eras.

use std::io::Write as _;

use serde_json::{Value, json};

use crate::{
    conformance::Server,
    fake::Foreign,
    harness::{Weft, eventually, stateless_body},
    http::{events, read_until, request, send},
};

/// A gateway with these settings; the file lives as long as it.
pub(crate) fn up(settings: &str, arguments: &[&str]) -> (Weft, tempfile::NamedTempFile) {
    let mut file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    file.write_all(settings.as_bytes()).unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    let arguments: Vec<&str> = ["--config", path.as_str()].iter().chain(arguments).copied().collect();
    (Weft::up(&arguments), file)
}

const DESK: &str = r#"
[virtual.desk]
title = "Support desk"
instructions = "Only what the desk needs."
tools = ["filesystem_read_*", "echo_echo"]
resources = ["echo:*"]
"#;

/// A call of the stateless era; gives the message.
fn ask(weft: &Weft, path: &str, method: &str, params: &Value) -> Value {
    weft.stateless(path, method, params).message()
}

/// A tool call in either era: without a token, or in its session.
fn call(weft: &Weft, path: &str, token: Option<&str>, tool: &str, arguments: &Value) -> Value {
    let params = json!({ "name": tool, "arguments": arguments });
    match token {
        None => ask(weft, path, "tools/call", &params),
        Some(token) => weft.within(path, token, (7, "tools/call"), &params).message(),
    }
}

fn text(message: &Value) -> &str {
    message["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{message}"))
}

fn names(message: &Value) -> Vec<&str> {
    message["result"]["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect()
}

#[test]
fn a_virtual_server_shows_its_part_in_both_eras_and_nothing_else_exists_there() {
    let (weft, _file) = up(DESK, &["--with-echo"]);
    let discovered = ask(&weft, "/mcp/v/desk", "server/discover", &json!({}));
    let info = &discovered["result"]["_meta"]["io.modelcontextprotocol/serverInfo"];
    assert_eq!((info["name"].as_str(), info["title"].as_str()), (Some("weft-desk"), Some("Support desk")));
    assert!(discovered["result"]["instructions"].as_str().unwrap().starts_with("Only what the desk needs."));
    let token = weft.initialize("/mcp/v/desk", "2025-11-25");
    let expected =
        ["echo_echo", "filesystem_read_media_file", "filesystem_read_multiple_files", "filesystem_read_text_file"];
    assert_eq!(names(&ask(&weft, "/mcp/v/desk", "tools/list", &json!({}))), expected);
    let listed = weft.within("/mcp/v/desk", &token, (1, "tools/list"), &json!({})).message();
    assert_eq!(names(&listed), expected);
    for token in [None, Some(token.as_str())] {
        let inside = call(&weft, "/mcp/v/desk", token, "echo_echo", &json!({ "text": "hi" }));
        assert_eq!(text(&inside), "hi");
        for outside in ["filesystem_write_file", "echo_add", "no_such"] {
            let refused = call(&weft, "/mcp/v/desk", token, outside, &json!({}));
            assert_eq!(refused["error"]["code"], -32602, "{refused}");
            assert_eq!(refused["error"]["message"], format!("unknown tool: {outside}"));
        }
    }
    let prompts = ask(&weft, "/mcp/v/desk", "prompts/list", &json!({}));
    assert_eq!(prompts["result"]["prompts"], json!([]));
    let prompt = ask(&weft, "/mcp/v/desk", "prompts/get", &json!({ "name": "echo_say", "arguments": { "text": "x" } }));
    assert_eq!(prompt["error"]["code"], -32602, "{prompt}");
    let read = ask(&weft, "/mcp/v/desk", "resources/read", &json!({ "uri": "echo://greeting" }));
    assert_eq!(read["result"]["contents"][0]["text"], "Hello.");
    let file = format!("file://{}/hello.txt", weft.folder.path("root").canonicalize().unwrap().display());
    let hidden = ask(&weft, "/mcp/v/desk", "resources/read", &json!({ "uri": file }));
    assert_eq!(hidden["error"]["code"], -32602, "{hidden}");
    assert!(ask(&weft, "/mcp", "resources/read", &json!({ "uri": file }))["result"].is_object());
    assert_eq!(weft.stateless("/mcp/v/nobody", "tools/list", &json!({})).status, 404);
}

#[test]
fn a_session_belongs_to_its_endpoint_and_ends_there() {
    let (weft, _file) = up(DESK, &["--with-echo"]);
    let token = weft.initialize("/mcp/v/desk", "2025-11-25");
    for elsewhere in ["/mcp", "/mcp/v/lean", "/mcp/echo"] {
        let answer = weft.within(elsewhere, &token, (1, "tools/list"), &json!({}));
        assert_eq!(answer.status, 404, "{elsewhere}: {}", answer.text());
    }
    let weft = weft.kill_and_restart();
    assert_eq!(weft.within("/mcp/v/desk", &token, (2, "ping"), &json!({})).message()["result"], json!({}));
    let headers = [("mcp-session-id", token.as_str())];
    assert_eq!(request(weft.port, "DELETE", "/mcp/v/desk", &headers, b"").status, 204);
    assert_eq!(weft.within("/mcp/v/desk", &token, (3, "ping"), &json!({})).status, 404);
}

/// How often a stream said that the list of tools has changed.
fn told(text: &str) -> usize {
    text.matches("notifications/tools/list_changed").count()
}

#[test]
fn only_a_change_of_its_own_list_is_told() {
    let foreign = Foreign::start();
    let settings = "[catalogue]\nrefresh_seconds = 1\n[virtual.all]\n[virtual.desk]\ntools = [\"foreign_zoom\"]\n";
    let (weft, _file) = up(settings, &["--add", &foreign.named("foreign")]);
    let token = weft.initialize("/mcp/v/desk", "2025-11-25");
    let wish = stateless_body("subscriptions/listen", &json!({ "notifications": { "toolsListChanged": true } }));
    let modern = [
        ("content-type", "application/json"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "subscriptions/listen"),
    ];
    let opened = |mut stream: std::net::TcpStream, sign: &str| {
        let mut raw = Vec::new();
        read_until(&mut stream, &mut raw, |text| text.contains(sign));
        (stream, raw)
    };
    let listen = |path: &str| opened(send(weft.port, "POST", path, &modern, wish.as_bytes()), "acknowledged");
    let (mut all, mut all_heard) = listen("/mcp/v/all");
    let (mut desk, mut desk_heard) = listen("/mcp/v/desk");
    let session = [("mcp-session-id", token.as_str()), ("accept", "text/event-stream")];
    let (mut own, mut own_heard) = opened(send(weft.port, "GET", "/mcp/v/desk", &session, b""), "id:");
    foreign.seen.further.store(1, std::sync::atomic::Ordering::Relaxed);
    read_until(&mut all, &mut all_heard, |text| told(text) > 0);
    // What was told may have been the beginning of the service.
    eventually("the first change is shown", || {
        names(&ask(&weft, "/mcp/v/all", "tools/list", &json!({}))).contains(&"foreign_tune")
    });
    foreign.seen.further.store(2, std::sync::atomic::Ordering::Relaxed);
    // Had the first change been told here, it would stand before this one.
    let heard = read_until(&mut desk, &mut desk_heard, |text| told(text) > 0);
    assert_eq!(told(&heard), 1, "{heard}");
    let heard = read_until(&mut own, &mut own_heard, |text| told(text) > 0);
    assert_eq!(told(&heard), 1, "{heard}");
    read_until(&mut all, &mut all_heard, |text| told(text) > 1);
    assert_eq!(names(&ask(&weft, "/mcp/v/desk", "tools/list", &json!({}))), ["foreign_zoom"]);
}

#[test]
fn a_lean_endpoint_finds_describes_and_calls() {
    let (weft, _file) = up("", &["--with-echo"]);
    let token = weft.initialize("/mcp/v/lean", "2025-11-25");
    for token in [None, Some(token.as_str())] {
        let listed = match token {
            None => ask(&weft, "/mcp/v/lean", "tools/list", &json!({})),
            Some(token) => weft.within("/mcp/v/lean", token, (1, "tools/list"), &json!({})).message(),
        };
        assert_eq!(names(&listed), ["find_tools", "describe_tool", "call_tool"]);
        let lean = |tool: &str, arguments: Value| call(&weft, "/mcp/v/lean", token, tool, &arguments);
        let found = lean("find_tools", json!({ "query": "read a text file" }));
        assert_eq!(found["result"].get("resultType").is_some(), token.is_none());
        assert!(text(&found).starts_with("filesystem_read_text_file ("), "{found}");
        let described = lean("describe_tool", json!({ "name": "echo_add" }));
        let described: Value = serde_json::from_str(text(&described)).unwrap();
        assert_eq!(described["inputSchema"]["required"], json!(["a", "b"]));
        assert_eq!(described["annotations"]["readOnlyHint"], true);
        let direct = call(&weft, "/mcp", None, "echo_add", &json!({ "a": 2, "b": 40 }));
        let through = lean("call_tool", json!({ "name": "echo_add", "arguments": { "a": 2, "b": 40 } }));
        assert_eq!(through["result"]["content"], direct["result"]["content"]);
        assert_eq!(through["result"]["structuredContent"]["data"], json!({ "sum": 42 }));
        let misspelt = lean("call_tool", json!({ "name": "echo_ad", "arguments": {} }));
        assert_eq!(misspelt["result"]["isError"], true);
        assert!(text(&misspelt).contains("did you mean echo_add"), "{misspelt}");
        let unformed = lean("call_tool", json!({ "tool": "echo_add" }));
        assert!(unformed["result"]["isError"] == true && text(&unformed).contains("call_tool takes"), "{unformed}");
        let failed = lean("call_tool", json!({ "name": "echo_fail", "arguments": { "text": "no" } }));
        assert_eq!(failed["result"]["isError"], true);
    }
    for tool in ["gen_ai_tool_name=\"add\"", "gen_ai_tool_name=\"find_tools\""] {
        eventually(tool, || weft.admin("/metrics").text().contains(tool));
    }
    let mismatch = weft.post(
        "/mcp/v/lean",
        &[("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "echo_add")],
        &stateless_body("tools/call", &json!({ "name": "call_tool", "arguments": { "name": "echo_add" } })),
    );
    assert_eq!(mismatch.message()["error"]["code"], -32020);
}

#[test]
fn progress_and_cancellation_reach_through_a_lean_call() {
    let (weft, _file) = up("", &["--with-echo"]);
    let token = weft.initialize("/mcp/v/lean", "2025-11-25");
    let params = |ms: u32| json!({ "name": "call_tool", "arguments": { "name": "echo_sleep", "arguments": { "ms": ms } }, "_meta": { "progressToken": "p" } });
    let stateless = weft.stateless("/mcp/v/lean", "tools/call", &params(300)).messages();
    let session = weft.within("/mcp/v/lean", &token, (1, "tools/call"), &params(300)).messages();
    for messages in [stateless, session] {
        let progress = messages.iter().filter(|message| message["method"] == "notifications/progress").count();
        assert!(progress >= 2 && messages.last().unwrap()["result"].is_object(), "{messages:?}");
    }
    let body = json!({ "jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": params(60_000) }).to_string();
    let headers = [("content-type", "application/json"), ("mcp-session-id", token.as_str())];
    let mut stream = send(weft.port, "POST", "/mcp/v/lean", &headers, body.as_bytes());
    let mut raw = Vec::new();
    read_until(&mut stream, &mut raw, |text| text.contains("notifications/progress"));
    let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 9 } });
    assert_eq!(weft.post("/mcp/v/lean", &[("mcp-session-id", &token)], &cancel.to_string()).status, 202);
    eventually("the call has ended", || weft.status()["calls_in_flight"] == 0);
}

#[test]
fn a_tool_that_asks_back_can_be_called_from_a_lean_endpoint() {
    let server = Server::start();
    let (weft, _file) = up("", &["--add", &format!("conf=http://127.0.0.1:{}/mcp", server.port)]);
    let inner = json!({ "name": "conf_test_input_required_result_elicitation", "arguments": {} });
    let asked = call(&weft, "/mcp/v/lean", None, "call_tool", &inner);
    assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
    let requests = asked["result"]["inputRequests"].as_object().unwrap();
    let answers: serde_json::Map<String, Value> =
        requests.keys().map(|key| (key.clone(), json!({ "action": "accept", "content": { "name": "Ada" } }))).collect();
    let again = json!({ "name": "call_tool", "arguments": inner, "inputResponses": answers, "requestState": asked["result"]["requestState"] });
    let done = ask(&weft, "/mcp/v/lean", "tools/call", &again);
    assert!(done["result"]["isError"] != true && done.to_string().contains("Ada"), "{done}");
}

#[test]
fn a_session_is_asked_on_the_stream_of_its_lean_call() {
    let server = Server::start();
    let (weft, _file) = up("", &["--add", &format!("conf=http://127.0.0.1:{}/mcp", server.port)]);
    let body = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": { "protocolVersion": "2025-11-25",
        "capabilities": { "elicitation": {} }, "clientInfo": { "name": "test", "version": "1" } } });
    let opened = weft.post("/mcp/v/lean", &[], &body.to_string());
    let token = opened.header("mcp-session-id").unwrap().to_owned();
    let headers = [("content-type", "application/json"), ("mcp-session-id", token.as_str())];
    let call = json!({ "jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": { "name": "call_tool",
        "arguments": { "name": "conf_test_elicitation", "arguments": { "message": "Who?" } } } });
    let mut stream = send(weft.port, "POST", "/mcp/v/lean", &headers, call.to_string().as_bytes());
    let mut raw = Vec::new();
    let text = read_until(&mut stream, &mut raw, |text| text.contains("elicitation/create"));
    let question: Value = serde_json::from_str(&events(&text).last().unwrap().1).unwrap();
    assert_eq!(question["params"]["message"], "Who?", "{question}");
    let content = json!({ "username": "ada", "email": "a@b.example" });
    let answer =
        json!({ "jsonrpc": "2.0", "id": question["id"], "result": { "action": "accept", "content": content } });
    assert_eq!(weft.post("/mcp/v/lean", &[("mcp-session-id", &token)], &answer.to_string()).status, 202);
    let text = read_until(&mut stream, &mut raw, |text| text.contains("User response"));
    assert!(text.contains("ada"), "{text}");
}
