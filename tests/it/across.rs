//! Clients and servers of different eras: questions in both directions, sessions that servers forget, and none that leak.

use std::{io::Read as _, sync::atomic::Ordering, time::Duration};

use serde_json::{Value, json};

use crate::{
    conformance::Server,
    fake::Foreign,
    harness::{Folder, Weft, eventually},
    http::{Answer, Connection, events, read_until, send},
};

/// A gateway in front of a server, with settings of its own.
fn before(added: &str, settings: &str) -> Weft {
    let folder = Folder::new();
    let config = folder.path("gateway.toml");
    std::fs::write(&config, settings).unwrap();
    Weft::up(&["--add", added, "--config", config.to_str().unwrap()])
}

fn conformance(port: u16) -> String {
    format!("elder=http://127.0.0.1:{port}/mcp")
}

/// A call of the stateless era by a client that can be asked; gives headers and body.
fn asking(tool: &str, more: &Value) -> ([(&'static str, String); 4], String) {
    let mut params = json!({ "name": tool, "arguments": {}, "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": { "elicitation": {}, "sampling": {}, "roots": {} } } });
    for (key, value) in more.as_object().unwrap() {
        params[key] = value.clone();
    }
    let body = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params }).to_string();
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("mcp-protocol-version", "2026-07-28".to_owned()),
        ("mcp-method", "tools/call".to_owned()),
        ("mcp-name", tool.to_owned()),
    ];
    (headers, body)
}

fn call(weft: &Weft, tool: &str, more: &Value) -> Answer {
    let (headers, body) = asking(tool, more);
    let headers: Vec<(&str, &str)> = headers.iter().skip(1).map(|(name, value)| (*name, value.as_str())).collect();
    weft.post("/mcp", &headers, &body)
}

fn gauge(weft: &Weft, name: &str) -> f64 {
    let text = weft.admin("/metrics").text();
    let line = text.lines().find(|line| line.starts_with(name)).map(str::to_owned);
    line.and_then(|line| line.rsplit(' ').next().and_then(|value| value.parse().ok())).unwrap_or_default()
}

#[test]
fn a_stateless_client_answers_what_a_server_with_sessions_asks() {
    let server = Server::with(&["--only", "session"]);
    let weft = before(&conformance(server.port), "");
    let tool = "elder_test_input_required_result_multiple_inputs";
    let asked = call(&weft, tool, &json!({})).message();
    let result = &asked["result"];
    assert_eq!((&asked["id"], &result["resultType"]), (&json!(7), &json!("input_required")), "{asked}");
    let requests = result["inputRequests"].as_object().unwrap();
    assert_eq!(requests.len(), 3, "what is asked together comes together: {asked}");
    assert!((gauge(&weft, "weft_gateway_held") - 1.0).abs() < 0.1);
    let answers: Value = requests
        .iter()
        .map(|(key, request)| {
            let answer = match request["method"].as_str().unwrap() {
                "elicitation/create" => json!({ "action": "accept", "content": { "name": "Ada" } }),
                "roots/list" => json!({ "roots": [{ "uri": "file:///r", "name": "r" }] }),
                _ => json!({ "role": "assistant", "model": "m", "content": { "type": "text", "text": "Hi." } }),
            };
            (key.clone(), answer)
        })
        .collect::<serde_json::Map<_, _>>()
        .into();
    let state = &result["requestState"];
    let other =
        call(&weft, tool, &json!({ "arguments": { "x": 1 }, "inputResponses": answers, "requestState": state }));
    assert_eq!(other.message()["error"]["code"], -32602, "a state fits its own call only");
    let done = call(&weft, tool, &json!({ "inputResponses": answers, "requestState": state })).message();
    assert!(done["result"]["content"][0]["text"].as_str().unwrap().contains("Ada"), "{done}");
    assert_eq!(done["result"]["resultType"], "complete");
    let again = call(&weft, tool, &json!({ "inputResponses": answers, "requestState": state })).message();
    assert_eq!(again["result"]["isError"], true, "an answer counts once: {again}");
    assert!(gauge(&weft, "weft_gateway_held").abs() < 0.1);
}

#[test]
fn who_does_not_answer_in_time_is_not_waited_for() {
    let foreign = Foreign::with_sessions();
    let weft = before(&foreign.named("elder"), "[timeouts]\nquestion_seconds = 1\n");
    let asked = call(&weft, "elder_ask", &json!({})).message();
    assert_eq!(asked["result"]["inputRequests"]["question-1"]["method"], "elicitation/create", "{asked}");
    eventually("the server was told", || foreign.seen.cancelled.load(Ordering::Relaxed) == 1);
    eventually("nothing is held", || gauge(&weft, "weft_gateway_held").abs() < 0.1);
    let late = json!({ "inputResponses": { "question-1": { "action": "cancel" } }, "requestState": asked["result"]["requestState"] });
    let late = call(&weft, "elder_ask", &late).message();
    assert!(late["result"]["content"][0]["text"].as_str().unwrap().contains("time to answer is over"), "{late}");
}

#[test]
fn a_stateless_client_that_goes_away_calls_its_call_off() {
    let foreign = Foreign::with_sessions();
    let weft = before(&foreign.named("elder"), "");
    let (headers, body) = asking(
        "elder_slow",
        &json!({ "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}, "progressToken": "mine" } }),
    );
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut stream = send(weft.port, "POST", "/mcp", &headers, body.as_bytes());
    let text = read_until(&mut stream, &mut Vec::new(), |text| text.contains("notifications/progress"));
    assert!(text.contains(r#""progressToken":"mine""#), "the client's own token comes back: {text}");
    assert_eq!(foreign.seen.cancelled.load(Ordering::Relaxed), 0);
    drop(stream);
    eventually("the server was told", || foreign.seen.cancelled.load(Ordering::Relaxed) == 1);
    // And when it goes before the server has said anything.
    let (headers, body) = asking("elder_mute", &json!({}));
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let calls = foreign.seen.calls.load(Ordering::Relaxed);
    let stream = send(weft.port, "POST", "/mcp", &headers, body.as_bytes());
    eventually("the server works on it", || foreign.seen.calls.load(Ordering::Relaxed) > calls);
    drop(stream);
    eventually("the server was told again", || foreign.seen.cancelled.load(Ordering::Relaxed) == 2);
}

#[test]
fn a_session_client_is_asked_for_a_server_without_sessions() {
    let server = Server::with(&["--only", "stateless"]);
    let weft = before(&conformance(server.port), "");
    let body = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": { "protocolVersion": "2025-06-18",
        "capabilities": { "elicitation": {} }, "clientInfo": { "name": "test", "version": "1" } } });
    let opened = weft.post("/mcp", &[], &body.to_string());
    let token = opened.header("mcp-session-id").unwrap().to_owned();
    let headers = [("content-type", "application/json"), ("mcp-session-id", token.as_str())];
    let body = json!({ "jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": {
        "name": "elder_test_input_required_result_multi_round", "arguments": {} } });
    let mut stream = send(weft.port, "POST", "/mcp", &headers, body.to_string().as_bytes());
    let mut raw = Vec::new();
    for (round, content) in [(1, json!({ "name": "Ada" })), (2, json!({ "color": "green" }))] {
        let marker = format!("Step {round}:");
        let text = read_until(&mut stream, &mut raw, |text| text.contains(&marker));
        let question: Value = serde_json::from_str(&events(&text).last().unwrap().1).unwrap();
        assert_eq!(question["method"], "elicitation/create", "{question}");
        let answer =
            json!({ "jsonrpc": "2.0", "id": question["id"], "result": { "action": "accept", "content": content } });
        assert_eq!(weft.post("/mcp", &[("mcp-session-id", &token)], &answer.to_string()).status, 202);
    }
    let text = read_until(&mut stream, &mut raw, |text| text.contains("likes"));
    let last: Value = serde_json::from_str(&events(&text).last().unwrap().1).unwrap();
    assert_eq!((&last["id"], &last["result"]["content"][0]["text"]), (&json!(5), &json!("Ada likes green.")));
    let mut rest = Vec::new();
    assert!(stream.read_to_end(&mut rest).is_ok(), "the stream ends with the answer");
    let unable = weft.initialize("/mcp", "2025-06-18");
    let refused = weft.within(
        "/mcp",
        &unable,
        (6, "tools/call"),
        &json!({ "name": "elder_test_input_required_result_elicitation", "arguments": {} }),
    );
    let refused = refused.message();
    assert!(refused["result"]["content"][0]["text"].as_str().unwrap().contains("elicitation/create"), "{refused}");
}

#[test]
fn a_session_that_the_server_forgot_is_begun_again_unseen() {
    let foreign = Foreign::with_sessions();
    let weft = before(&foreign.named("elder"), "");
    let token = weft.initialize("/mcp", "2025-11-25");
    let whose = || {
        let session =
            weft.within("/mcp", &token, (1, "tools/call"), &json!({ "name": "elder_whose", "arguments": {} }));
        let stateless = weft.call("elder_whose", &json!({}));
        let text = |result: &Value| result["content"][0]["text"].as_str().unwrap().to_owned();
        (text(&session.message()["result"]), text(&stateless))
    };
    let first = whose();
    assert_ne!(first.0, first.1, "a session and a caller without one do not share a session at the server");
    assert_eq!(whose(), first, "they keep theirs");
    for _ in 0..3 {
        foreign.forget();
        let next = whose();
        assert!(next.0 != first.0 && next.1 != first.1, "{next:?}");
    }
    assert!(gauge(&weft, "weft_gateway_renewals_total") >= 6.0);
}

#[test]
fn conversations_of_one_caller_are_kept_apart_where_they_are_named() {
    let foreign = Foreign::with_sessions();
    let weft = before(&foreign.named("elder"), "");
    let whose = |conversation: &str| {
        let (headers, body) = asking("elder_whose", &json!({}));
        let mut headers: Vec<(&str, &str)> =
            headers.iter().skip(1).map(|(name, value)| (*name, value.as_str())).collect();
        headers.push(("weft-conversation", conversation));
        weft.post("/mcp", &headers, &body).message()["result"]["content"][0]["text"].clone()
    };
    assert_eq!(whose("a"), whose("a"));
    assert_ne!(whose("a"), whose("b"));
}

#[test]
fn ten_thousand_sessions_that_nobody_ends_are_ended() {
    const ALL: usize = 10_000;
    let foreign = Foreign::with_sessions();
    let weft = before(&foreign.named("elder"), "[timeouts]\nsession_idle_seconds = 1\n");
    let begin = |connection: &mut Connection| {
        let body = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": { "protocolVersion": "2025-06-18",
            "capabilities": {}, "clientInfo": { "name": "test", "version": "1" } } });
        let opened = connection.post("/mcp", &[], &body.to_string());
        let token = opened.header("mcp-session-id").unwrap().to_owned();
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "elder_ping", "arguments": {} } });
        let answer = connection.post("/mcp", &[("mcp-session-id", &token)], &body.to_string()).message();
        assert_eq!(answer["result"]["content"][0]["text"], "pong", "{answer}");
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut connection = Connection::open(weft.port);
                (0..ALL / 4).for_each(|_| begin(&mut connection));
            });
        }
    });
    let patience = std::time::Instant::now();
    while foreign.seen.ended.load(Ordering::Relaxed) < ALL {
        assert!(patience.elapsed() < Duration::from_secs(180), "{} ended", foreign.seen.ended.load(Ordering::Relaxed));
        std::thread::sleep(Duration::from_millis(50));
    }
    eventually("none is left but the gateway's own", || foreign.seen.sessions.lock().unwrap().len() <= 1);
    eventually("nothing is left at the gateway", || {
        weft.status()["sessions"] == 0 && gauge(&weft, "weft_gateway_links").abs() < 0.1
    });
}
