//! Rolling restarts under load, and sessions that go on at another replica.

use serde_json::{Value, json};

use super::{Gateway, Load, Mesh, PATIENCE, pass};
use crate::{
    conformance::Server,
    harness::{SESSION, STATELESS, eventually},
    http::{events, parse, read_until, request, send},
};

#[test]
fn every_instance_is_replaced_one_by_one_and_no_call_fails() {
    let mesh = Mesh::start();
    let mut servers = vec![mesh.echo(), mesh.echo(), mesh.echo()];
    let gateway = mesh.gateway();
    gateway.await_healthy(3);
    let load = Load::start(&[gateway.port]);
    for _ in 0..3 {
        let mut old = servers.remove(0);
        old.process.signal("TERM");
        old.process.wait();
        servers.push(mesh.echo());
        gateway.await_healthy(3);
    }
    pass(0.5);
    load.all_right("rolling restart of the servers");
}

#[test]
fn both_gateways_are_replaced_one_by_one_and_no_call_fails() {
    let mesh = Mesh::start();
    let _servers = [mesh.echo(), mesh.echo()];
    let mut gateways = vec![mesh.gateway(), mesh.gateway(), mesh.gateway()];
    gateways.iter().for_each(|gateway| gateway.await_healthy(2));
    // Clients of the first two; the third stays, as a load balancer would have one.
    let ports: Vec<u16> = gateways.iter().map(|gateway| gateway.port).collect();
    let load = Load::start(&ports);
    for _ in 0..2 {
        pass(1.0);
        let mut old = gateways.remove(0);
        old.process.signal("TERM");
        old.process.wait();
    }
    pass(1.0);
    load.all_right("rolling restart of the gateways");
}

#[test]
fn a_session_goes_on_at_another_replica() {
    let mesh = Mesh::start();
    let _server = mesh.echo();
    let (mut first, second) = (mesh.gateway(), mesh.gateway());
    first.await_healthy(1);
    second.await_healthy(1);
    let post = |port: u16, token: Option<&str>, body: &Value| {
        let mut headers = vec![("content-type", "application/json"), ("accept", "application/json, text/event-stream")];
        headers.extend(token.map(|token| ("mcp-session-id", token)));
        request(port, "POST", "/mcp", &headers, body.to_string().as_bytes())
    };
    let initialize = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": SESSION, "capabilities": {}, "clientInfo": { "name": "test", "version": "1" } } });
    let begun = post(first.port, None, &initialize);
    let token = begun.header("mcp-session-id").unwrap().to_owned();
    let call = |port: u16, id: u32| {
        let body = json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call",
            "params": { "name": "echo_echo", "arguments": { "text": "again" } } });
        post(port, Some(&token), &body).message()
    };
    assert_eq!(call(first.port, 1)["result"]["isError"], false);
    assert_eq!(call(second.port, 2)["result"]["isError"], false);
    first.process.signal("KILL");
    first.process.wait();
    assert_eq!(call(second.port, 3)["result"]["isError"], false);
    assert!(super::call(second.port, PATIENCE).is_ok());
}

#[test]
fn an_answer_that_reaches_the_other_replica_finds_who_asked() {
    let mesh = Mesh::start();
    let asking = Server::start();
    tell(&mesh, "asking", asking.port);
    let (first, second) = (mesh.gateway(), mesh.gateway());
    for gateway in [&first, &second] {
        eventually("the asking server is known", || gateway.status().to_string().contains("test_elicitation"));
    }
    answer_elsewhere(first.port, second.port);
}

/// A question that the first gateway puts to its client is answered at the second, which knows the instance that asked.
fn answer_elsewhere(first: u16, second: u16) {
    for path in ["/mcp", "/mcp/asking"] {
        let tool = if path == "/mcp" { "asking_test_elicitation" } else { "test_elicitation" };
        let post = |port: u16, token: Option<&str>, body: &Value| {
            let mut headers =
                vec![("content-type", "application/json"), ("accept", "application/json, text/event-stream")];
            headers.extend(token.map(|token| ("mcp-session-id", token)));
            send(port, "POST", path, &headers, body.to_string().as_bytes())
        };
        let whole = |mut stream: std::net::TcpStream| {
            let mut raw = Vec::new();
            let _ = std::io::Read::read_to_end(&mut stream, &mut raw);
            parse(&raw)
        };
        let initialize = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": { "protocolVersion": SESSION,
            "capabilities": { "elicitation": {} }, "clientInfo": { "name": "test", "version": "1" } } });
        let token = whole(post(first, None, &initialize)).header("mcp-session-id").unwrap().to_owned();
        let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        assert_eq!(whole(post(first, Some(&token), &ready)).status, 202);
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": { "name": tool, "arguments": { "message": "Who are you?" } } });
        let (mut stream, mut raw) = (post(first, Some(&token), &call), Vec::new());
        let text = read_until(&mut stream, &mut raw, |text| text.contains("elicitation/create"));
        let question = events(&text).into_iter().find(|(_, data)| data.contains("elicitation/create")).unwrap().1;
        let id = serde_json::from_str::<Value>(&question).unwrap()["id"].clone();
        let answer =
            json!({ "jsonrpc": "2.0", "id": id, "result": { "action": "accept", "content": { "name": "Ada" } } });
        // Not where the question came from.
        assert_eq!(whole(post(second, Some(&token), &answer)).status, 202);
        let text = read_until(&mut stream, &mut raw, |text| text.contains("\"result\""));
        assert!(text.contains("accept"), "{path}: {text}");
    }
}

/// Tells Consul of a server outside of the mesh.
pub(super) fn tell(mesh: &Mesh, name: &str, port: u16) {
    let body = json!({ "ID": name, "Name": name, "Tags": ["mcp"], "Address": "127.0.0.1", "Port": port });
    mesh.consul.put("/v1/agent/service/register", &body);
}

/// Servers of one era each, which clients of the other era know only through what a replica holds for them.
pub(super) fn of_one_era() -> [(&'static str, Server); 2] {
    [("elder", Server::with(&["--only", "session"])), ("modern", Server::with(&["--only", "stateless"]))]
}

/// Waits until the tools of both are known.
pub(super) fn await_both(gateway: &Gateway) {
    eventually("both servers are known", || {
        let status = gateway.status();
        let services = status["services"].as_array().unwrap();
        services.iter().filter(|it| !it["tools"].as_array().unwrap().is_empty()).count() == 2
    });
}

fn given() -> Value {
    json!({ "question-1": { "action": "accept", "content": { "name": "Ada" } } })
}

/// A call of a client of the stateless era at the server that has sessions.
fn stateless(port: u16, more: &Value) -> Value {
    let mut params = json!({ "name": "elder_test_input_required_result_elicitation", "arguments": {}, "_meta": {
        "io.modelcontextprotocol/protocolVersion": STATELESS, "io.modelcontextprotocol/clientCapabilities": { "elicitation": {} } } });
    more.as_object().unwrap().iter().for_each(|(key, value)| params[key] = value.clone());
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }).to_string();
    let headers = [
        ("content-type", "application/json"),
        ("mcp-protocol-version", STATELESS),
        ("mcp-method", "tools/call"),
        ("mcp-name", "elder_test_input_required_result_elicitation"),
    ];
    request(port, "POST", "/mcp", &headers, body.as_bytes()).message()
}

/// Waits until the second replica knows the first: the registry tells of replicas and of servers apart.
fn await_replica(first: u16, second: u16) {
    eventually("the replicas know each other", || {
        let asked = stateless(first, &json!({}));
        let again = json!({ "inputResponses": given(), "requestState": asked["result"]["requestState"] });
        stateless(second, &again)["result"]["content"][0]["text"] == "Hello, Ada!"
    });
}

/// Questions of both eras that the first replica holds are answered at the second, which hands the answers over. Gives the session.
pub(super) fn handed_over(first: u16, second: u16) -> String {
    await_replica(first, second);
    // A client of the stateless era, whose call the first replica holds.
    let asked = stateless(first, &json!({}));
    let again = json!({ "inputResponses": given(), "requestState": asked["result"]["requestState"] });
    let done = stateless(second, &again);
    assert_eq!(done["result"]["content"][0]["text"], "Hello, Ada!", "{done}");
    // A client of the session era, whose call waits at the first replica.
    let initialize = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": { "protocolVersion": SESSION,
        "capabilities": { "elicitation": {} }, "clientInfo": { "name": "test", "version": "1" } } });
    let json_only = [("content-type", "application/json")];
    let begun = request(first, "POST", "/mcp", &json_only, initialize.to_string().as_bytes());
    let token = begun.header("mcp-session-id").unwrap().to_owned();
    let headers = [("content-type", "application/json"), ("mcp-session-id", token.as_str())];
    let call = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call",
        "params": { "name": "modern_test_input_required_result_elicitation", "arguments": {} } });
    let (mut stream, mut raw) = (send(first, "POST", "/mcp", &headers, call.to_string().as_bytes()), Vec::new());
    let text = read_until(&mut stream, &mut raw, |text| text.contains("elicitation/create"));
    let question: Value = serde_json::from_str(&events(&text).last().unwrap().1).unwrap();
    let reply = json!({ "jsonrpc": "2.0", "id": question["id"], "result": given()["question-1"] }).to_string();
    assert_eq!(request(second, "POST", "/mcp", &headers, reply.as_bytes()).status, 202);
    let text = read_until(&mut stream, &mut raw, |text| text.contains("\"result\""));
    assert!(text.contains("Hello, Ada!"), "{text}");
    token
}

/// How many messages a gateway took from another replica.
pub(super) fn taken(gateway: &Gateway) -> f64 {
    gateway.metric("weft_gateway_callers_total", r#"kind="replica",outcome="accepted""#)
}

#[test]
fn a_question_asked_by_one_replica_is_answered_at_the_other() {
    let mesh = Mesh::start();
    let (first, second) = (mesh.gateway(), mesh.gateway());
    let servers = of_one_era();
    for (name, server) in &servers {
        tell(&mesh, name, server.port);
    }
    [&first, &second].into_iter().for_each(await_both);
    let token = handed_over(first.port, second.port);
    assert!(taken(&first) >= 3.0, "{}", taken(&first));
    // The replica that holds a call is killed: nothing hangs, the client is told, and its next call works.
    let asked = stateless(first.port, &json!({}));
    let mut first = first;
    first.process.signal("KILL");
    first.process.wait();
    let again = json!({ "inputResponses": given(), "requestState": asked["result"]["requestState"] });
    let gone = stateless(second.port, &again);
    assert!(gone["result"]["content"][0]["text"].as_str().unwrap().contains("call again"), "{gone}");
    let asked = stateless(second.port, &json!({}));
    let again = json!({ "inputResponses": given(), "requestState": asked["result"]["requestState"] });
    assert_eq!(stateless(second.port, &again)["result"]["content"][0]["text"], "Hello, Ada!");
    let headers = [("content-type", "application/json"), ("mcp-session-id", token.as_str())];
    let after = json!({ "jsonrpc": "2.0", "id": 3, "method": "ping" }).to_string();
    assert_eq!(request(second.port, "POST", "/mcp", &headers, after.as_bytes()).status, 200);
}

#[test]
fn streams_of_a_killed_replica_end_and_their_clients_go_on_at_the_other() {
    let mesh = Mesh::start();
    let _server = mesh.echo();
    let (mut first, second) = (mesh.gateway(), mesh.gateway());
    [&first, &second].iter().for_each(|gateway| gateway.await_healthy(1));
    let plain = [("content-type", "application/json")];
    let initialize = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": { "protocolVersion": SESSION,
        "capabilities": {}, "clientInfo": { "name": "test", "version": "1" } } });
    let begun = request(first.port, "POST", "/mcp", &plain, initialize.to_string().as_bytes());
    let token = begun.header("mcp-session-id").unwrap().to_owned();
    let within = [("content-type", "application/json"), ("mcp-session-id", token.as_str())];
    let sleep = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "echo_sleep",
        "arguments": { "ms": 20_000 }, "_meta": { "progressToken": "p" } } });
    let mut progress = send(first.port, "POST", "/mcp", &within, sleep.to_string().as_bytes());
    read_until(&mut progress, &mut Vec::new(), |text| text.contains("notifications/progress"));
    let listen = |port: u16| {
        let body = crate::harness::stateless_body(
            "subscriptions/listen",
            &json!({ "notifications": { "toolsListChanged": true } }),
        );
        let headers = [plain[0], ("mcp-protocol-version", STATELESS), ("mcp-method", "subscriptions/listen")];
        let mut stream = send(port, "POST", "/mcp", &headers, body.as_bytes());
        read_until(&mut stream, &mut Vec::new(), |text| text.contains("subscriptions/acknowledged"));
        stream
    };
    let mut news = listen(first.port);
    first.process.signal("KILL");
    first.process.wait();
    // Nothing hangs: both streams are over.
    for stream in [&mut progress, &mut news] {
        let _ = std::io::Read::read_to_end(stream, &mut Vec::new());
    }
    let _again = listen(second.port);
    let next = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call",
        "params": { "name": "echo_echo", "arguments": { "text": "on" } } });
    let answer = request(second.port, "POST", "/mcp", &within, next.to_string().as_bytes()).message();
    assert_eq!(answer["result"]["content"][0]["text"], "on", "{answer}");
}
