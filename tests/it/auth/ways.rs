//! Every way in, with and without credentials: none of them is open, and none shows a reader more than it lets it call.

use serde_json::{Value, json};

use super::{PLAIN, ask, bearer, begin, call, key, list, names, within};
use crate::{
    fake::Foreign,
    harness::{Weft, eventually, stateless_body},
    http::{read_until, request, send},
    r#virtual::up,
};

const WRITE: &str = "filesystem_write_file";
const READ: &str = "filesystem_read_text_file";

/// Method, path, headers, body.
type Attempt<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a str);

#[test]
fn no_way_in_is_open_without_a_key() {
    let weft = Weft::up(&PLAIN);
    let writer = key(&weft, "writer", "writer");
    let token = begin(&weft, &writer, "/mcp");
    let body = stateless_body("tools/list", &json!({}));
    let begins =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": { "protocolVersion": "2025-11-25",
        "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } } })
        .to_string();
    let json = ("content-type", "application/json");
    let modern = [json, ("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/list")];
    let held = [json, ("mcp-session-id", token.as_str())];
    let batch = format!("[{begins}]");
    let attempts: [Attempt<'_>; 19] = [
        ("POST", "/mcp", &modern, &body),
        ("POST", "/mcp", &[json], &begins),
        ("POST", "/mcp", &held, r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#),
        ("POST", "/mcp", &[json], r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#),
        ("POST", "/mcp", &[json], &batch),
        ("POST", "/mcp", &held, r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#),
        ("GET", "/mcp", &held, ""),
        ("DELETE", "/mcp", &held, ""),
        ("POST", "/mcp/echo", &modern, &body),
        ("POST", "/mcp/echo", &[json], &begins),
        ("POST", "/mcp/nothing", &modern, &body),
        ("POST", "/mcp/v/lean", &modern, &body),
        ("GET", "/sse", &[], ""),
        ("GET", "/sse/echo", &[], ""),
        ("POST", "/messages?session=0", &[json], &body),
        ("GET", "/mcp/v1/tools/list", &[], ""),
        ("POST", "/mcp/v1/tools/echo_echo", &[json], r#"{"text":"x"}"#),
        ("POST", "/mcp/v1/initialize", &[json], "{}"),
        ("GET", "/mcp/v1/openapi.json", &[], ""),
    ];
    for (method, path, headers, body) in attempts {
        let answer = request(weft.port, method, path, headers, body.as_bytes());
        assert_eq!(answer.status, 401, "{method} {path} {headers:?}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"weft\""), "{method} {path}");
        assert!(answer.text().contains("Authorization: Bearer KEY"), "{}", answer.text());
        let made_up =
            [headers, &[("weft-handover", "AAAA"), ("weft-caller", "local"), ("weft-roles", "admin")]].concat();
        assert_eq!(request(weft.port, method, path, &made_up, body.as_bytes()).status, 401, "{method} {path}");
    }
    let preflight = [("origin", "http://localhost:3000"), ("access-control-request-method", "POST")];
    assert_eq!(request(weft.port, "OPTIONS", "/mcp", &preflight, b"").status, 204, "a browser asks without its key");
    assert_eq!(list(&weft, &writer, "/mcp").status, 200);
}

/// A message on the old transport; gives what the stream says of it.
fn over_sse(weft: &Weft, key: &str, messages: &[Value]) -> String {
    let bearer = bearer(key);
    let own = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let mut stream = send(weft.port, "GET", "/sse", &own, b"");
    let mut raw = Vec::new();
    let first = read_until(&mut stream, &mut raw, |text| text.contains("/messages?session="));
    let at = first.find("/messages?session=").unwrap();
    let path = first[at..].split_whitespace().next().unwrap().to_owned();
    for message in messages {
        assert_eq!(request(weft.port, "POST", &path, &own, message.to_string().as_bytes()).status, 202);
        if !message["id"].is_null() {
            read_until(&mut stream, &mut raw, |text| text.contains(&format!("\"id\":{}", message["id"])));
        }
    }
    String::from_utf8_lossy(&raw).into_owned()
}

fn rest(weft: &Weft, key: &str, method: &str, path: &str, body: &Value) -> String {
    let bearer = bearer(key);
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    request(weft.port, method, &format!("/mcp/v1/{path}"), &headers, body.to_string().as_bytes()).text()
}

fn lean(weft: &Weft, key: &str, tool: &str, arguments: &Value) -> String {
    call(weft, key, "/mcp/v/lean", tool, arguments).text()
}

#[test]
fn a_reader_sees_what_reads_on_every_way() {
    let weft = Weft::up(&PLAIN);
    let (reader, writer) = (key(&weft, "reader", "reader"), key(&weft, "writer", "writer"));
    let token = begin(&weft, &reader, "/mcp");
    let all = names(&list(&weft, &writer, "/mcp"));
    assert!(all.contains(&WRITE.to_owned()));
    let in_session = within(&weft, &reader, &token, "tools/list", &json!({}));
    for shown in [names(&list(&weft, &reader, "/mcp")), names(&in_session)] {
        assert!(shown.contains(&READ.to_owned()) && !shown.contains(&WRITE.to_owned()), "{shown:?}");
        assert!(all.len() > shown.len());
    }
    let own = |key: &str| names(&list(&weft, key, "/mcp/filesystem"));
    assert!(own(&reader).contains(&"read_text_file".to_owned()) && !own(&reader).contains(&"write_file".to_owned()));
    assert!(own(&writer).contains(&"write_file".to_owned()));
    for path in ["tools/list", "openapi.json"] {
        let shown = |key: &str| rest(&weft, key, "GET", path, &json!({}));
        assert!(shown(&reader).contains(READ) && !shown(&reader).contains(WRITE), "{path}");
        assert!(shown(&writer).contains(WRITE), "{path}");
    }
    let find = json!({ "query": "write a file", "limit": 50 });
    assert!(lean(&weft, &writer, "find_tools", &find).contains(WRITE));
    assert!(!lean(&weft, &reader, "find_tools", &find).contains(WRITE));
    assert!(lean(&weft, &reader, "describe_tool", &json!({ "name": WRITE })).contains("unknown tool"));
}

/// A tool called by every way; what each says.
fn attempts(weft: &Weft, key: &str, name: &str, arguments: &Value) -> Vec<(&'static str, String)> {
    let (own, params) = (name.strip_prefix("filesystem_").unwrap(), json!({ "name": name, "arguments": arguments }));
    let token = begin(weft, key, "/mcp");
    let asked = |id: u32| json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params });
    let initialize = json!({ "jsonrpc": "2.0", "id": 8, "method": "initialize", "params": {
        "protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": { "name": "old", "version": "1" } } });
    let bearer = bearer(key);
    let headers = [("authorization", bearer.as_str()), ("mcp-protocol-version", "2025-03-26")];
    vec![
        ("aggregate", call(weft, key, "/mcp", name, arguments).text()),
        ("service", call(weft, key, "/mcp/filesystem", own, arguments).text()),
        ("lean", lean(weft, key, "call_tool", &params)),
        ("session", within(weft, key, &token, "tools/call", &params).text()),
        ("old", over_sse(weft, key, &[initialize, asked(9)])),
        ("batch", weft.post("/mcp", &headers, &json!([asked(1)]).to_string()).text()),
        ("rest", rest(weft, key, "POST", &format!("tools/{name}"), arguments)),
        ("rest by name", rest(weft, key, "POST", "tools/call", &params)),
    ]
}

#[test]
fn a_reader_calls_what_reads_by_every_way_and_nothing_else() {
    let weft = Weft::up(&PLAIN);
    let (reader, writer) = (key(&weft, "reader", "reader"), key(&weft, "writer", "writer"));
    for (way, answer) in attempts(&weft, &reader, READ, &json!({ "path": "hello.txt" })) {
        assert!(answer.contains("Hello from a file."), "{way}: {answer}");
    }
    let write = json!({ "path": "new.txt", "content": "x" });
    for (way, answer) in attempts(&weft, &reader, WRITE, &write) {
        assert!(answer.contains("unknown tool"), "{way}: {answer}");
        assert!(!weft.folder.path("root/new.txt").exists(), "{way} wrote");
    }
    // A forbidden name is answered like one that nobody has.
    let of = |name: &str| call(&weft, &reader, "/mcp", name, &write).text().replace(name, "X");
    assert_eq!(of(WRITE), of("filesystem_no_such_tool"));
    // Methods that nobody knows to be harmless do not pass to a service either.
    let odd = ask(&weft, &reader, "/mcp/filesystem", "tasks/cancel", &json!({ "taskId": "x" }));
    assert_eq!(odd.json()["error"]["code"], -32601, "{}", odd.text());
    for (way, answer) in attempts(&weft, &writer, WRITE, &write) {
        assert!(!answer.contains("unknown tool"), "{way}: {answer}");
    }
    assert!(weft.folder.path("root/new.txt").exists(), "a writer writes");
}

#[test]
fn what_a_foreign_server_says_of_itself_counts_only_where_the_settings_say_so() {
    let (unknown, known) = (Foreign::start(), Foreign::start());
    let service = |name: &str, port: u16, more: &str| {
        format!("[[service]]\nname = \"{name}\"\nurl = \"http://127.0.0.1:{port}/mcp\"\n{more}\n")
    };
    let doubted = "[[service]]\nname = \"echo\"\ntrusted = false\n".to_owned();
    let settings =
        [service("unknown", unknown.port, ""), service("known", known.port, "trusted = true"), doubted].concat();
    let (weft, _file) = up(&settings, &PLAIN);
    let (reader, writer) = (key(&weft, "reader", "reader"), key(&weft, "writer", "writer"));
    eventually("all are listed", || {
        let all = names(&list(&weft, &writer, "/mcp"));
        ["unknown_ping", "known_ping", "known_slow", "echo_echo"].iter().all(|name| all.iter().any(|it| it == name))
    });
    let shown = names(&list(&weft, &reader, "/mcp"));
    assert!(shown.iter().any(|name| name == "known_ping"), "{shown:?}");
    for hidden in ["unknown_", "echo_", "known_slow", "known_cut"] {
        assert!(!shown.iter().any(|name| name.starts_with(hidden)), "{hidden}: {shown:?}");
    }
    assert!(call(&weft, &reader, "/mcp", "known_ping", &json!({})).text().contains("pong"));
    for path in ["/mcp/unknown", "/mcp/echo"] {
        assert_eq!(list(&weft, &reader, path).status, 404, "{path}");
        assert_eq!(list(&weft, &writer, path).status, 200, "{path}");
    }
    let uris = |key: &str| ask(&weft, key, "/mcp", "resources/list", &json!({})).text();
    assert!(uris(&writer).contains("unknown") && !uris(&reader).contains("unknown") && uris(&reader).contains("memo"));
    let wrapped = |key: &str, service: &str| {
        let listed = ask(&weft, key, "/mcp", "resources/list", &json!({})).message();
        let uris = listed["result"]["resources"].as_array().unwrap().clone();
        let own = format!("{service}+");
        uris.iter().find_map(|it| it["uri"].as_str().filter(|uri| uri.starts_with(&own)).map(str::to_owned))
    };
    let (hidden, open) = (wrapped(&writer, "unknown").unwrap(), wrapped(&reader, "known").unwrap());
    let read = |uri: &str| ask(&weft, &reader, "/mcp", "resources/read", &json!({ "uri": uri })).message();
    assert_eq!(read(&open)["result"]["contents"][0]["text"], "memo");
    assert!(read(&hidden)["error"]["message"].as_str().unwrap().starts_with("unknown resource"));
    assert!(call(&weft, &reader, "/mcp", "unknown_ping", &json!({})).text().contains("unknown tool"));
    assert_eq!(unknown.seen.calls.load(std::sync::atomic::Ordering::Relaxed), 0);
}
