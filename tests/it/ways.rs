//! The other ways in: REST with its document, the HTTP+SSE transport, and stdio for hosts that only start programs.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
};

use serde_json::{Value, json};

use crate::{
    conformance::Server,
    harness::{Weft, command, eventually, finish, stateless_body, variable},
    http::{Answer, events, read_until, request, send},
};

fn rest(weft: &Weft, method: &str, path: &str, body: &Value) -> Answer {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    request(weft.port, method, &format!("/mcp/v1/{path}"), &[("content-type", "application/json")], body.as_bytes())
}

#[test]
fn rest_has_every_call_with_the_status_that_says_what_happened() {
    let server = Server::with(&["--only", "session"]);
    let weft = Weft::up(&["--with-echo", "--add", &format!("elder=http://127.0.0.1:{}/mcp", server.port)]);
    let about = rest(&weft, "POST", "initialize", &json!({}));
    assert_eq!((about.status, about.json()["supportedVersions"].is_array()), (200, true), "{}", about.text());
    for method in ["GET", "POST"] {
        let tools = rest(&weft, method, "tools/list", &Value::Null).json();
        assert!(tools["tools"].as_array().unwrap().iter().any(|tool| tool["name"] == "echo_echo"), "{tools}");
        assert!(tools.get("resultType").is_none() && tools.get("_meta").is_none(), "{tools}");
    }
    let called = rest(&weft, "POST", "tools/call", &json!({ "name": "echo_echo", "arguments": { "text": "plain" } }));
    assert_eq!((called.status, &called.json()["content"][0]["text"]), (200, &json!("plain")));
    let streamed = rest(&weft, "POST", "tools/echo_sleep", &json!({ "ms": 300 }));
    assert_eq!((streamed.status, streamed.json()["isError"].as_bool()), (200, Some(false)), "{}", streamed.text());
    let resources = rest(&weft, "GET", "resources/list", &Value::Null).json();
    let uri = resources["resources"][0]["uri"].as_str().unwrap_or_else(|| panic!("{resources}")).to_owned();
    assert_eq!(rest(&weft, "POST", "resources/read", &json!({ "uri": uri })).status, 200);
    assert!(rest(&weft, "GET", "prompts/list", &Value::Null).text().contains("elder_test_simple_prompt"));
    let prompt = rest(&weft, "POST", "prompts/get", &json!({ "name": "elder_test_simple_prompt" }));
    assert!(prompt.json()["messages"].is_array(), "{}", prompt.text());
    // What goes wrong.
    let status = |path: &str, body: Value| rest(&weft, "POST", path, &body).status;
    assert_eq!(status("tools/call", json!({ "name": "no_such" })), 404);
    assert_eq!(status("tools/no_such", json!({})), 404);
    assert_eq!(status("resources/read", json!({ "uri": "no:such" })), 404);
    assert_eq!(status("tools/call", json!({})), 400);
    assert_eq!(status("tools/call", json!(["no object"])), 400);
    assert_eq!(rest(&weft, "GET", "tools/call", &Value::Null).status, 405);
    assert_eq!(rest(&weft, "GET", "nothing", &Value::Null).status, 404);
    let wrong = rest(&weft, "POST", "tools/call", &json!({ "name": "no_such" })).json();
    assert!(wrong["error"]["message"].as_str().unwrap().contains("no_such"), "{wrong}");
    // A question of a server, and its answer.
    let mut ask = json!({ "name": "elder_test_input_required_result_elicitation", "arguments": {}, "capabilities": { "elicitation": {} } });
    let asked = rest(&weft, "POST", "tools/call", &ask);
    assert_eq!(asked.status, 409, "{}", asked.text());
    ask["requestState"] = asked.json()["requestState"].clone();
    ask["inputResponses"] = json!({ "question-1": { "action": "accept", "content": { "name": "Ada" } } });
    let done = rest(&weft, "POST", "tools/call", &ask);
    assert_eq!((done.status, &done.json()["content"][0]["text"]), (200, &json!("Hello, Ada!")), "{}", done.text());
    let page = [("origin", "http://localhost:3000"), ("access-control-request-method", "POST")];
    let allowed = request(weft.port, "OPTIONS", "/mcp/v1/tools/call", &page, b"");
    assert_eq!((allowed.status, allowed.header("access-control-allow-origin")), (204, Some("http://localhost:3000")));
    let foreign = [("content-type", "application/json"), ("host", "evil.example")];
    assert_eq!(request(weft.port, "GET", "/mcp/v1/tools/list", &foreign, b"").status, 403);
}

#[test]
fn the_document_of_the_facade_is_valid_and_names_every_tool() {
    let weft = Weft::up(&["--with-echo"]);
    let document = rest(&weft, "GET", "openapi.json", &Value::Null);
    let mut check = Command::new(variable("WEFT_PYTHON_SERVERS"));
    check.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/openapi.py"));
    let mut check = check.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    check.stdin.take().unwrap().write_all(&document.body).unwrap();
    let output = check.wait_with_output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.starts_with("3.1.0"), "{said}");
    let paths = &document.json()["paths"];
    assert!(paths["/mcp/v1/tools/filesystem_read_text_file"]["post"]["requestBody"].is_object());
    assert!(paths["/mcp/v1/tools/call"]["post"]["responses"]["409"].is_object());
}

#[test]
fn the_old_transport_is_one_stream_and_everything_ends_with_it() {
    let weft = Weft::up(&["--with-echo"]);
    let mut stream = send(weft.port, "GET", "/sse", &[("accept", "text/event-stream")], b"");
    let mut raw = Vec::new();
    let text = read_until(&mut stream, &mut raw, |text| text.contains("/messages?session="));
    assert!(text.starts_with("event: endpoint"), "{text}");
    let address = events(&text)[0].1.clone();
    let say = |body: &Value| {
        request(weft.port, "POST", &address, &[("content-type", "application/json")], body.to_string().as_bytes())
            .status
    };
    let initialize = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": { "protocolVersion": "2024-11-05",
        "capabilities": {}, "clientInfo": { "name": "old", "version": "1" } } });
    assert_eq!(say(&initialize), 202);
    let text = read_until(&mut stream, &mut raw, |text| text.contains("serverInfo"));
    assert!(text.contains(r#""protocolVersion":"2024-11-05""#), "{text}");
    assert_eq!(say(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })), 202);
    let sleep = |id: u32, ms: u32| {
        json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {
            "name": "echo_sleep", "arguments": { "ms": ms }, "_meta": { "progressToken": "p" } } })
    };
    // One that lasts holds up neither a ping nor another.
    assert_eq!(say(&sleep(2, 300_000)), 202);
    assert_eq!(say(&json!({ "jsonrpc": "2.0", "id": 3, "method": "ping" })), 202);
    assert_eq!(say(&sleep(5, 300)), 202);
    let text = read_until(&mut stream, &mut raw, |text| text.contains(r#""id":3"#) && text.contains(r#""id":5"#));
    assert!(text.contains("notifications/progress") && !text.contains(r#""id":2"#), "{text}");
    assert_eq!(request(weft.port, "POST", "/messages?session=made-up", &[], b"{}").status, 404);
    assert_eq!(weft.status()["sessions"], 1);
    drop(stream);
    eventually("its session ends with it", || weft.status()["sessions"] == 0);
    assert_eq!(say(&json!({ "jsonrpc": "2.0", "id": 4, "method": "ping" })), 404);
    let mut own = send(weft.port, "GET", "/sse/echo", &[("accept", "text/event-stream")], b"");
    read_until(&mut own, &mut Vec::new(), |text| text.contains("/messages?session="));
}

fn python(arguments: &[&str]) -> String {
    let mut python = command(&variable("WEFT_PYTHON"));
    python.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/ways.py")).args(arguments);
    let output = finish(&mut python);
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    said
}

#[test]
fn the_python_sdk_reads_a_file_by_the_old_transport_and_by_the_bridge() {
    let weft = Weft::up(&[]);
    let by_sse = python(&["sse", &format!("http://127.0.0.1:{}/sse", weft.port)]);
    let bin = variable("WEFT_BIN").display().to_string();
    let by_stdio = python(&["stdio", &bin, "stdio", "--url", &format!("http://127.0.0.1:{}/mcp", weft.port)]);
    for said in [by_sse, by_stdio] {
        assert!(said.contains("Hello from a file.") && said.contains("filesystem_read_text_file"), "{said}");
    }
}

/// `weft stdio`, spoken to line by line.
struct Bridge {
    child: Child,
    input: Option<ChildStdin>,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Bridge {
    fn start(port: u16) -> Self {
        let mut child = command(&variable("WEFT_BIN"))
            .args(["stdio", "--url", &format!("http://127.0.0.1:{port}/mcp")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { input: child.stdin.take(), child, lines }
    }

    fn say(&mut self, message: &str) {
        writeln!(self.input.as_mut().unwrap(), "{message}").unwrap();
    }

    fn hear(&mut self) -> Value {
        serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap()
    }
}

#[test]
fn the_bridge_carries_both_eras_and_lives_through_a_restart_of_the_gateway() {
    let weft = Weft::up(&["--with-echo"]);
    let mut bridge = Bridge::start(weft.port);
    bridge.say(&stateless_body("tools/call", &json!({ "name": "echo_echo", "arguments": { "text": "without" } })));
    assert_eq!(bridge.hear()["result"]["content"][0]["text"], "without");
    bridge.say("not json");
    assert_eq!(bridge.hear()["error"]["code"], -32700);
    let initialize = json!({ "jsonrpc": "2.0", "id": "i", "method": "initialize", "params": { "protocolVersion": "2025-11-25",
        "capabilities": {}, "clientInfo": { "name": "host", "version": "1" } } });
    bridge.say(&initialize.to_string());
    assert_eq!(bridge.hear()["result"]["protocolVersion"], "2025-11-25");
    let call = |id: u32| {
        json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": "echo_echo", "arguments": { "text": "within" } } }).to_string()
    };
    bridge.say(&call(1));
    assert_eq!(bridge.hear()["result"]["content"][0]["text"], "within");
    let weft = weft.kill_and_restart();
    bridge.say(&call(2));
    let mut answer = bridge.hear();
    while answer.get("id").is_none() {
        // What changed while the gateway was away is not known, so the client is told that everything may have.
        answer = bridge.hear();
    }
    assert_eq!((&answer["id"], &answer["result"]["content"][0]["text"]), (&json!(2), &json!("within")), "{answer}");
    bridge.input.take();
    assert!(bridge.child.wait().unwrap().success(), "it ends with its input");
    eventually("its session is ended", || weft.status()["sessions"] == 0);
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
