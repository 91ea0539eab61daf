//! What is refused at the door, and how.

use serde_json::json;

use crate::{
    harness::{Weft, stateless_body},
    http::request,
};

#[test]
fn foreign_hosts_and_origins_are_refused_and_local_ones_are_not() {
    let weft = Weft::up(&[]);
    let body = stateless_body("server/discover", &json!({}));
    let with = |more: &[(&str, &str)]| {
        let mut headers = vec![
            ("content-type", "application/json"),
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", "server/discover"),
        ];
        headers.extend(more);
        request(weft.port, "POST", "/mcp", &headers, body.as_bytes()).status
    };
    assert_eq!(with(&[("host", "localhost:1")]), 200);
    assert_eq!(with(&[("host", "evil.example")]), 403);
    assert_eq!(with(&[("origin", "http://evil.example")]), 403);
    assert_eq!(with(&[("origin", "http://localhost:3000")]), 200);
    assert_eq!(request(weft.admin, "GET", "/metrics", &[("host", "evil.example")], b"").status, 403);
}

#[test]
fn paths_that_are_not_served_are_404_with_an_answer_that_says_so() {
    let weft = Weft::up(&[]);
    for path in [
        "/",
        "/sser",
        "/mcp/absent",
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
    ] {
        let answer = request(weft.port, "GET", path, &[], b"");
        assert!(answer.status == 404 || path == "/mcp/absent", "{path}: {}", answer.status);
        assert_eq!(weft.stateless(path, "ping", &json!({})).status, 404, "{path}");
    }
    assert_eq!(request(weft.port, "PUT", "/mcp", &[], b"").status, 405);
    assert_eq!(request(weft.port, "GET", "/mcp", &[], b"").status, 405, "a stream needs a session");
}

#[test]
fn bodies_that_are_too_large_too_deep_or_no_message_are_refused_cleanly() {
    let weft = Weft::up(&[]);
    let big = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{}"}}"#, "x".repeat(5 << 20));
    assert_eq!(weft.post("/mcp", &[], &big).status, 413);
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{{"a":{}1{}}}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let answer = weft.post("/mcp", &[], &deep);
    assert_eq!((answer.status, answer.json()["error"]["code"].as_i64()), (400, Some(-32600)));
    for (body, code) in [
        ("{", -32700),
        ("", -32700),
        ("[]", -32600),
        ("7", -32600),
        (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, -32600),
    ] {
        let answer = weft.post("/mcp", &[], body);
        assert_eq!((answer.status, answer.json()["error"]["code"].as_i64()), (400, Some(code)), "{body}");
    }
    let plain = request(weft.port, "POST", "/mcp", &[("content-type", "text/plain")], b"{}");
    assert_eq!(plain.status, 415);
}

#[test]
fn two_values_for_one_key_are_refused_wherever_they_stand() {
    let weft = Weft::up(&["--with-echo"]);
    let headers = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "echo_echo")];
    let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
    for params in [
        format!(r#"{{"name":"echo_echo","name":"echo_fail","arguments":{{"text":"x"}},{meta}}}"#),
        format!(r#"{{"name":"echo_echo","na\u006de":"echo_fail","arguments":{{"text":"x"}},{meta}}}"#),
        format!(r#"{{"name":"echo_echo","arguments":{{"text":"x"}},{meta},{meta}}}"#),
    ] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
        let answer = weft.post("/mcp", &headers, &body);
        assert_eq!(answer.status, 400, "{body}");
        assert!(answer.text().contains("stands twice"), "{}", answer.text());
    }
    let whole = |envelope: &str| format!(r#"{{"jsonrpc":"2.0",{envelope},"params":{{{meta}}}}}"#);
    for envelope in [r#""id":1,"id":2,"method":"tools/list""#, r#""id":1,"method":"tools/list","method":"tools/call""#]
    {
        let headers = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/list")];
        let answer = weft.post("/mcp", &headers, &whole(envelope));
        assert_eq!(answer.status, 400, "{envelope}");
        assert!(answer.text().contains("stands twice"), "{}", answer.text());
    }
}

#[test]
fn headers_that_do_not_say_what_the_body_says_are_refused() {
    let weft = Weft::up(&["--with-echo"]);
    let body = stateless_body("tools/call", &json!({ "name": "echo_echo", "arguments": { "text": "x" } }));
    let good = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "echo_echo")];
    assert_eq!(weft.post("/mcp", &good, &body).status, 200);
    for (index, value) in [(0, "2025-11-25"), (1, "tools/list"), (2, "echo_fail")] {
        let mut headers = good;
        headers[index].1 = value;
        let answer = weft.post("/mcp", &headers, &body);
        assert_eq!((answer.status, answer.json()["error"]["code"].as_i64()), (400, Some(-32020)), "{value}");
        assert_eq!(answer.json()["id"], 1);
    }
    let twice = [&good[..], &[("mcp-name", "echo_fail")]].concat();
    assert_eq!(weft.post("/mcp", &twice, &body).json()["error"]["code"], -32020);
    let missing = weft.post("/mcp", &good[..2], &body);
    assert_eq!(missing.json()["error"]["code"], -32020);
}
