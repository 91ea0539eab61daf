//! Sessions: tokens that outlive the gateway, ends that are ends, cancellation by notification.

use std::sync::atomic::Ordering;

use serde_json::json;

use crate::{
    fake::Foreign,
    harness::{Weft, eventually},
    http::{request, send},
};

#[test]
fn a_session_survives_the_death_of_the_gateway() {
    let weft = Weft::up(&["--with-echo"]);
    let token = weft.initialize("/mcp", "2025-11-25");
    let call = json!({ "name": "filesystem_read_text_file", "arguments": { "path": "hello.txt" } });
    assert!(weft.within("/mcp", &token, (1, "tools/call"), &call).text().contains("Hello from a file."));
    let weft = weft.kill_and_restart();
    let again = weft.within("/mcp", &token, (2, "tools/call"), &call);
    assert_eq!(again.status, 200, "{}", again.text());
    assert!(again.text().contains("Hello from a file."));
}

#[test]
fn a_token_is_good_only_unchanged_and_where_it_was_given() {
    let weft = Weft::up(&["--with-echo"]);
    let token = weft.initialize("/mcp", "2025-11-25");
    assert_eq!(weft.within("/mcp", &token, (1, "ping"), &json!({})).status, 200);
    assert_eq!(weft.within("/mcp/echo", &token, (1, "ping"), &json!({})).status, 404);
    let changed = format!("{}{}", if token.starts_with('A') { 'B' } else { 'A' }, &token[1..]);
    assert_eq!(weft.within("/mcp", &changed, (1, "ping"), &json!({})).status, 404);
    assert_eq!(weft.post("/mcp", &[], r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).status, 200);
    let version = weft.post(
        "/mcp",
        &[("mcp-session-id", &token), ("mcp-protocol-version", "1999-01-01")],
        r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
    );
    assert_eq!(version.status, 400);
}

#[test]
fn a_deleted_session_is_gone() {
    let weft = Weft::up(&[]);
    let token = weft.initialize("/mcp", "2025-11-25");
    assert_eq!(weft.status()["sessions"], 1);
    let deleted = request(weft.port, "DELETE", "/mcp", &[("mcp-session-id", &token)], b"");
    assert_eq!(deleted.status, 204);
    assert_eq!(weft.within("/mcp", &token, (1, "ping"), &json!({})).status, 404);
    assert_eq!(weft.status()["sessions"], 0);
    assert_eq!(request(weft.port, "DELETE", "/mcp", &[("mcp-session-id", &token)], b"").status, 404);
}

#[test]
fn a_client_that_hangs_up_cancels_in_the_stateless_era_only() {
    let foreign = Foreign::start();
    let weft = Weft::up(&["--add", &foreign.named("foreign")]);
    let slow = json!({ "name": "foreign_slow", "arguments": {} });
    let body = crate::harness::stateless_body("tools/call", &slow);
    let headers = [
        ("content-type", "application/json"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "foreign_slow"),
    ];
    let stream = send(weft.port, "POST", "/mcp", &headers, body.as_bytes());
    eventually("the call reached the server", || foreign.seen.calls.load(Ordering::Relaxed) == 1);
    drop(stream);
    eventually("the server saw the client go", || foreign.seen.hung_up.load(Ordering::Relaxed) == 1);

    let token = weft.initialize("/mcp", "2025-11-25");
    let body = json!({ "jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": slow }).to_string();
    let stream = send(
        weft.port,
        "POST",
        "/mcp",
        &[("content-type", "application/json"), ("mcp-session-id", &token)],
        body.as_bytes(),
    );
    eventually("the call reached the server", || foreign.seen.calls.load(Ordering::Relaxed) == 2);
    drop(stream);
    // The call is still being worked on: a second look, after the gateway has had time to notice, shows it in flight.
    assert_eq!(weft.within("/mcp", &token, (10, "ping"), &json!({})).status, 200);
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(foreign.seen.hung_up.load(Ordering::Relaxed), 1);
    eventually("it alone is in flight", || weft.status()["calls_in_flight"] == 1);
    let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 9 } });
    assert_eq!(weft.post("/mcp", &[("mcp-session-id", &token)], &cancel.to_string()).status, 202);
    eventually("the cancelled call was given up", || weft.status()["calls_in_flight"] == 0);
}

#[test]
fn a_cancellation_reaches_our_own_server() {
    let weft = Weft::up(&["--with-echo"]);
    let token = weft.initialize("/mcp", "2025-11-25");
    let body = json!({ "jsonrpc": "2.0", "id": "long", "method": "tools/call", "params": { "name": "echo_sleep", "arguments": { "ms": 60_000 } } }).to_string();
    let _stream = send(
        weft.port,
        "POST",
        "/mcp",
        &[("content-type", "application/json"), ("mcp-session-id", &token)],
        body.as_bytes(),
    );
    eventually("the call is at the server", || weft.status().to_string().contains(r#""in_flight":1"#));
    let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": "long" } });
    assert_eq!(weft.post("/mcp", &[("mcp-session-id", &token)], &cancel.to_string()).status, 202);
    eventually("the call is over", || !weft.status().to_string().contains(r#""in_flight":1"#));
    // From the start there is a line for each outcome, with nought.
    eventually("the server itself has stopped working on it", || {
        let metrics = weft.admin("/metrics").text();
        let cancelled = |line: &&str| line.starts_with("weft_service_calls_total") && line.contains("cancelled");
        metrics.lines().filter(cancelled).any(|line| !line.ends_with(" 0"))
    });
}
