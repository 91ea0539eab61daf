//! Streams: progress, taking a lost one up again, changes told, and an end that is always told.

use std::{io::Read as _, time::Duration};

use serde_json::{Value, json};

use crate::{
    harness::{Weft, stateless_body},
    http::{events, parse, read_until, request, send},
};

fn sleep_call(id: u32, ms: u32) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": "echo_sleep", "arguments": { "ms": ms }, "_meta": { "progressToken": "p" } } }).to_string()
}

#[test]
fn progress_comes_before_the_answer_in_either_era() {
    let weft = Weft::up(&["--with-echo"]);
    let params = json!({ "name": "echo_sleep", "arguments": { "ms": 300 }, "_meta": { "progressToken": 7 } });
    let stateless = weft.stateless("/mcp", "tools/call", &params).messages();
    let token = weft.initialize("/mcp", "2025-06-18");
    let session = weft.post("/mcp", &[("mcp-session-id", &token)], &sleep_call(1, 300)).messages();
    for (messages, token) in [(stateless, json!(7)), (session, json!("p"))] {
        let progress: Vec<f64> = messages
            .iter()
            .filter(|message| message["method"] == "notifications/progress")
            .map(|message| {
                assert_eq!(message["params"]["progressToken"], token);
                message["params"]["progress"].as_f64().unwrap()
            })
            .collect();
        assert!(progress.len() >= 2 && progress.is_sorted(), "{progress:?}");
        assert!(messages.last().unwrap()["result"].is_object());
    }
}

#[test]
fn a_lost_stream_is_taken_up_where_it_was_lost() {
    let weft = Weft::up(&["--with-echo"]);
    let token = weft.initialize("/mcp", "2025-11-25");
    let headers = [("content-type", "application/json"), ("mcp-session-id", token.as_str())];
    let mut stream = send(weft.port, "POST", "/mcp", &headers, sleep_call(5, 1000).as_bytes());
    let text = read_until(&mut stream, &mut Vec::new(), |text| text.contains("notifications/progress"));
    let seen = events(&text);
    assert!(
        seen[0].1.is_empty() && !seen[0].0.is_empty(),
        "the first event only gives a place to come back to: {text}"
    );
    let (last, _) = seen.last().unwrap().clone();
    drop(stream);
    let rest = request(weft.port, "GET", "/mcp", &[("mcp-session-id", &token), ("last-event-id", &last)], b"");
    let rest: Vec<(String, String)> = rest.events().into_iter().filter(|(_, data)| !data.is_empty()).collect();
    let messages: Vec<Value> = rest.iter().map(|(_, data)| serde_json::from_str(data).unwrap()).collect();
    assert_eq!(messages.last().unwrap()["id"], 5, "{messages:?}");
    assert!(rest.iter().all(|(id, _)| seen.iter().all(|(known, _)| known != id)), "nothing came twice");
    let unknown = request(weft.port, "GET", "/mcp", &[("mcp-session-id", &token), ("last-event-id", "77-1")], b"");
    assert_eq!((unknown.status, unknown.body.len()), (200, 0));
}

#[test]
fn listening_is_acknowledged_and_ends_in_order_when_the_gateway_does() {
    let mut weft = Weft::up(&[]);
    let params = json!({ "notifications": { "toolsListChanged": true, "resourceSubscriptions": [format!("file://{}/hello.txt", weft.folder.path("root").canonicalize().unwrap().display())] } });
    let body = stateless_body("subscriptions/listen", &params);
    let headers = [
        ("content-type", "application/json"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "subscriptions/listen"),
    ];
    let mut stream = send(weft.port, "POST", "/mcp", &headers, body.as_bytes());
    let mut raw = Vec::new();
    let text = read_until(&mut stream, &mut raw, |text| text.contains("acknowledged"));
    let first: Value = serde_json::from_str(&events(&text)[0].1).unwrap();
    assert_eq!(first["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 1);
    assert_eq!(first["params"]["notifications"]["toolsListChanged"], true);
    assert_eq!(first["params"]["notifications"]["resourceSubscriptions"].as_array().unwrap().len(), 1, "{text}");
    std::fs::write(weft.folder.path("root/hello.txt"), "changed").unwrap();
    read_until(&mut stream, &mut raw, |text| text.contains("notifications/resources/updated"));
    let reader = std::thread::spawn(move || {
        // An end by reset is one too: what counts is what came before it.
        let _ = stream.read_to_end(&mut raw);
        parse(&raw).messages()
    });
    let (status, took) = weft.end_by("TERM");
    assert!(status.success() && took < Duration::from_secs(20), "{status} after {took:?}");
    let messages = reader.join().unwrap();
    let last = messages.last().unwrap();
    assert_eq!((&last["id"], &last["result"]["resultType"]), (&json!(1), &json!("complete")), "{messages:?}");
}

#[test]
fn a_session_is_told_of_changed_files_on_its_own_stream() {
    let weft = Weft::up(&[]);
    let token = weft.initialize("/mcp", "2025-11-25");
    let mut stream =
        send(weft.port, "GET", "/mcp", &[("mcp-session-id", &token), ("accept", "text/event-stream")], b"");
    let mut raw = Vec::new();
    read_until(&mut stream, &mut raw, |text| text.contains("id:"));
    let uri = format!("file://{}/hello.txt", weft.folder.path("root").canonicalize().unwrap().display());
    let subscribed = weft.within("/mcp", &token, (1, "resources/subscribe"), &json!({ "uri": uri }));
    assert_eq!(subscribed.message()["result"], json!({}), "{}", subscribed.text());
    std::fs::write(weft.folder.path("root/hello.txt"), "changed").unwrap();
    let text = read_until(&mut stream, &mut raw, |text| text.contains("resources/updated"));
    assert!(text.contains(&uri), "{text}");
    assert_eq!(weft.within("/mcp", &token, (2, "resources/unsubscribe"), &json!({ "uri": uri })).status, 200);
}

#[test]
fn a_session_older_than_polling_gets_no_event_without_a_message() {
    let weft = Weft::up(&["--with-echo"]);
    let token = weft.initialize("/mcp", "2025-03-26");
    let answer = weft.post("/mcp", &[("mcp-session-id", &token)], &sleep_call(1, 200));
    assert!(answer.events().iter().all(|(_, data)| !data.is_empty()), "{}", answer.text());
}
