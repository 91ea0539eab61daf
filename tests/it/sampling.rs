//! A server's question to its client's model, answered by the service for models, between clients and servers of both eras.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use weft_testkit::free_port;

use crate::{
    conformance,
    fake::{Foreign, model::Model},
    foreign::{Server, npm},
    harness::{Folder, SESSION, Weft, command, eventually, variable},
    http::{Answer, send},
};

/// The server for models, over this one; and where it listens.
fn models(model: &Model, folder: &Folder) -> (Server, u16) {
    let (settings, port) = (folder.path("models.toml"), free_port());
    let provider = format!(
        "[[service.providers]]\nname = \"own\"\nkind = \"openai\"\nurl = \"http://127.0.0.1:{}/v1\"\n\n[service.defaults]\nchat = \"own/small\"\n",
        model.port
    );
    std::fs::write(&settings, provider).unwrap();
    let mut serve = command(&variable("WEFT_BIN"));
    serve.args(["serve", "aiml", "--listen", &format!("127.0.0.1:{port}"), "--log", "error", "--config"]);
    serve.arg(&settings).arg("--state").arg(folder.path("models"));
    (Server::start(&mut serve, port), port)
}

/// A gateway before a server that asks (`elder`) and one that knows a model (`models`).
struct World {
    weft: Weft,
    model: Model,
    _servers: (conformance::Server, Server),
    _folder: Folder,
}

impl World {
    fn start(asking: &[&str], sampling: &str) -> Self {
        let (elder, model, folder) = (conformance::Server::with(asking), Model::start(), Folder::new());
        let (models, port) = models(&model, &folder);
        let config = folder.path("gateway.toml");
        std::fs::write(&config, sampling).unwrap();
        let added =
            [format!("elder=http://127.0.0.1:{}/mcp", elder.port), format!("models=http://127.0.0.1:{port}/mcp")];
        let weft = Weft::up(&["--add", &added[0], "--add", &added[1], "--config", config.to_str().unwrap()]);
        let all = || weft.stateless("/mcp", "tools/list", &json!({})).text();
        eventually("both servers are known", || all().contains("models_chat") && all().contains("elder_test_sampling"));
        Self { weft, model, _servers: (elder, models), _folder: folder }
    }

    /// A call of a client of the stateless era that can do this.
    fn stateless(&self, tool: &str, capabilities: &Value, more: &Value) -> Answer {
        let (headers, body) = stateless(tool, capabilities, more);
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.weft.post("/mcp", &headers, &body)
    }

    /// A session of a client that can do this.
    fn session(&self, path: &str, capabilities: &Value) -> String {
        let body = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": { "protocolVersion": SESSION,
            "capabilities": capabilities, "clientInfo": { "name": "test", "version": "1" } } });
        let answer = self.weft.post(path, &[], &body.to_string());
        answer.header("mcp-session-id").unwrap_or_else(|| panic!("{}", answer.text())).to_owned()
    }

    fn asked_and_told(&self, question: &str) {
        let asked = self.model.asked();
        let last = asked.last().unwrap_or_else(|| panic!("the model was not asked: {question}"));
        assert_eq!(last["messages"][0]["content"], question, "{last}");
        assert!(last["max_tokens"].as_u64().is_some_and(|most| most <= 50), "the operator's bound holds: {last}");
    }
}

fn stateless(tool: &str, capabilities: &Value, more: &Value) -> ([(&'static str, String); 3], String) {
    let mut params = json!({ "name": tool, "arguments": { "prompt": "Which city?" }, "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": capabilities } });
    for (key, value) in more.as_object().unwrap() {
        params[key] = value.clone();
    }
    let body = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params }).to_string();
    let mirrored = |name, value: &str| (name, value.to_owned());
    let headers = [
        mirrored("mcp-protocol-version", "2026-07-28"),
        mirrored("mcp-method", "tools/call"),
        mirrored("mcp-name", tool),
    ];
    (headers, body)
}

fn text(answer: &Answer) -> String {
    let message = answer.message();
    message["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{message}")).to_owned()
}

const SAMPLING: &str = "[sampling]\nservice = \"models\"\nservices = [\"elder\"]\nmax_tokens = 50\n";

fn answers_clients_of_both_eras(asking: &[&str]) {
    let world = World::start(asking, SAMPLING);
    let call = json!({ "name": "elder_test_sampling", "arguments": { "prompt": "Which city?" } });
    assert_eq!(text(&world.stateless("elder_test_sampling", &json!({}), &json!({}))), "LLM response: Paris it is.");
    world.asked_and_told("Which city?");
    let token = world.session("/mcp", &json!({}));
    let within = |id| world.weft.within("/mcp", &token, (id, "tools/call"), &call);
    assert_eq!(text(&within(1)), "LLM response: Paris it is.");
    assert_eq!(text(&within(2)), "LLM response: Paris it is.", "and again in the same session");
    // The server's own endpoint, where the client's handshake is passed on.
    let own = json!({ "name": "test_sampling", "arguments": { "prompt": "Which city?" } });
    let token = world.session("/mcp/elder", &json!({}));
    let answer = world.weft.within("/mcp/elder", &token, (1, "tools/call"), &own);
    assert_eq!(text(&answer), "LLM response: Paris it is.");
    assert_eq!(world.model.asked().len(), 4);
    // Each was a call like any other, of the one who called.
    eventually("four calls of the model are counted", || {
        let metrics = world.weft.admin("/metrics").text();
        let of_models = |line: &&str| line.starts_with("weft_gateway_calls_total") && line.contains("models");
        metrics.lines().find(of_models).is_some_and(|line| line.ends_with(" 4"))
    });
}

#[test]
fn a_server_with_sessions_is_answered_in_place_of_clients_of_both_eras() {
    answers_clients_of_both_eras(&["--only", "session"]);
}

#[test]
fn a_server_without_sessions_is_answered_in_place_of_clients_of_both_eras() {
    answers_clients_of_both_eras(&["--only", "stateless"]);
}

/// What a client that has no model answers to the rest.
fn own_answers(requests: &Value) -> Value {
    let requests = requests.as_object().unwrap();
    let answers = requests.iter().map(|(key, request)| {
        let answer = match request["method"].as_str().unwrap() {
            "elicitation/create" => json!({ "action": "accept", "content": { "name": "Ada" } }),
            "roots/list" => json!({ "roots": [{ "uri": "file:///r", "name": "r" }] }),
            other => panic!("the client was asked for {other}"),
        };
        (key.clone(), answer)
    });
    answers.collect::<serde_json::Map<_, _>>().into()
}

#[test]
fn the_client_is_asked_for_the_rest_and_nothing_else() {
    for asking in [["--only", "session"], ["--only", "stateless"]] {
        let world = World::start(&asking, SAMPLING);
        let tool = "elder_test_input_required_result_multiple_inputs";
        let can = json!({ "elicitation": {}, "roots": {} });
        let asked = world.stateless(tool, &can, &json!({})).message();
        let result = &asked["result"];
        assert_eq!(result["inputRequests"].as_object().map(serde_json::Map::len), Some(2), "{asking:?}: {asked}");
        let more =
            json!({ "inputResponses": own_answers(&result["inputRequests"]), "requestState": result["requestState"] });
        let done = text(&world.stateless(tool, &can, &more));
        assert!(done.contains("Ada") && done.contains("All three"), "{done}");
        let other = json!({ "inputResponses": {}, "requestState": "weft-sampled:made-up" });
        let refused = world.stateless(tool, &can, &other).message();
        assert_eq!(refused["error"]["code"], -32602, "{refused}");
    }
}

#[test]
fn a_clients_own_model_goes_first_unless_the_operator_prefers_ours() {
    let own = World::start(&["--only", "stateless"], SAMPLING);
    let asked = own.stateless("elder_test_sampling", &json!({ "sampling": {} }), &json!({})).message();
    assert_eq!(asked["result"]["inputRequests"]["asked"]["method"], "sampling/createMessage", "{asked}");
    assert!(own.model.asked().is_empty());
    drop(own);
    let ours = World::start(&["--only", "stateless"], &format!("{SAMPLING}prefer = true\n"));
    let told = ours.stateless("elder_test_sampling", &json!({ "sampling": {} }), &json!({}));
    assert_eq!(text(&told), "LLM response: Paris it is.");
}

#[test]
fn who_is_not_named_is_not_answered_and_a_model_that_fails_is_told() {
    let other = World::start(&[], "[sampling]\nservice = \"models\"\nservices = [\"other\"]\n");
    let token = other.session("/mcp", &json!({}));
    let call = json!({ "name": "elder_test_sampling", "arguments": { "prompt": "Which city?" } });
    let refused = other.weft.within("/mcp", &token, (1, "tools/call"), &call).text();
    assert!(refused.contains("sampling/createMessage") || refused.contains("no sampling"), "{refused}");
    assert!(other.model.asked().is_empty());
    drop(other);
    let broken = World::start(&["--only", "session"], SAMPLING);
    broken.model.fails.store(true, Ordering::Relaxed);
    let token = broken.session("/mcp", &json!({}));
    let failed = broken.weft.within("/mcp", &token, (1, "tools/call"), &call).message();
    assert_eq!(failed["result"]["isError"], true, "{failed}");
}

#[test]
fn who_asks_without_end_is_refused() {
    let (model, folder, asker) = (Model::start(), Folder::new(), Foreign::start());
    let (_models, port) = models(&model, &folder);
    let config = folder.path("gateway.toml");
    std::fs::write(&config, SAMPLING.to_owned() + "per_call = 3\n").unwrap();
    let added = [asker.named("elder"), format!("models=http://127.0.0.1:{port}/mcp")];
    let weft = Weft::up(&["--add", &added[0], "--add", &added[1], "--config", config.to_str().unwrap()]);
    eventually("the model is known", || {
        weft.stateless("/mcp", "tools/list", &json!({})).text().contains("models_chat")
    });
    let call = json!({ "name": "asks", "arguments": {} });
    let refused = weft.stateless("/mcp/elder", "tools/call", &call).text();
    assert!(refused.contains("may ask the model 3 times"), "{refused}");
    assert_eq!(model.asked().len(), 3);
    let token = weft.initialize("/mcp/elder", SESSION);
    let refused = weft.within("/mcp/elder", &token, (1, "tools/call"), &call).text();
    assert!(refused.contains("may ask the model 3 times"), "{refused}");
    assert_eq!(model.asked().len(), 6);
}

#[test]
fn a_call_that_is_called_off_calls_its_model_off() {
    for asking in [["--only", "session"], ["--only", "stateless"]] {
        let world = World::start(&asking, SAMPLING);
        world.model.waits.store(true, Ordering::Relaxed);
        let (mirrored, body) = stateless("elder_test_sampling", &json!({}), &json!({}));
        let mut headers = mirrored.to_vec();
        headers.push(("content-type", "application/json".to_owned()));
        headers.push(("accept", "application/json, text/event-stream".to_owned()));
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let stream = send(world.weft.port, "POST", "/mcp", &headers, body.as_bytes());
        eventually("the model is asked", || world.model.asked().len() == 1);
        drop(stream);
        eventually("the model is left", || world.model.left.load(Ordering::Relaxed) == 1);
        // A client with a session says so.
        let token = world.session("/mcp", &json!({}));
        let call = json!({ "jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": {
            "name": "elder_test_sampling", "arguments": { "prompt": "Which city?" } } });
        let headers = [
            ("mcp-session-id", token.as_str()),
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
        ];
        let stream = send(world.weft.port, "POST", "/mcp", &headers, call.to_string().as_bytes());
        eventually("the model is asked again", || world.model.asked().len() == 2);
        let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 5 } });
        world.weft.post("/mcp", &[("mcp-session-id", &token)], &cancel.to_string());
        eventually("the model is left again", || world.model.left.load(Ordering::Relaxed) == 2);
        drop(stream);
    }
}

#[test]
fn the_official_server_for_everything_is_answered_over_every_transport() {
    const EVERYTHING: (&str, &str) = ("@modelcontextprotocol/server-everything", "dist/index.js");
    let script = variable("WEFT_NODE_MODULES").join(EVERYTHING.0).join(EVERYTHING.1);
    let start = |mode: &str| {
        let port = free_port();
        let mut node = command(&variable("WEFT_NODE"));
        (Server::start(node.arg(&script).arg(mode).env("PORT", port.to_string()), port), port)
    };
    let (model, folder) = (Model::start(), Folder::new());
    let ((_http, http), (_sse, sse), (_models, port)) =
        (start("streamableHttp"), start("sse"), models(&model, &folder));
    let config = folder.path("gateway.toml");
    let settings = "[sampling]\nservice = \"models\"\nservices = [\"stdio\", \"http\", \"sse\"]\n";
    std::fs::write(&config, settings).unwrap();
    let added = [
        format!("stdio={}", npm(EVERYTHING.0, EVERYTHING.1, "stdio")),
        format!("http=http://127.0.0.1:{http}/mcp"),
        format!("sse=sse+http://127.0.0.1:{sse}/sse"),
        format!("models=http://127.0.0.1:{port}/mcp"),
    ];
    let mut arguments = vec!["--config", config.to_str().unwrap()];
    arguments.extend(added.iter().flat_map(|one| ["--add", one]));
    let weft = Weft::up(&arguments);
    for way in ["stdio", "http", "sse"] {
        let tool = format!("{way}_trigger-sampling-request");
        let all = || weft.stateless("/mcp", "tools/list", &json!({})).text();
        eventually("it offers what it offers to clients with a model", || all().contains(&tool));
        let call = json!({ "name": tool, "arguments": { "prompt": "Which city?" } });
        let told = text(&weft.stateless("/mcp", "tools/call", &call));
        assert!(told.contains("Paris it is."), "{way}: {told}");
        let token = weft.initialize("/mcp", SESSION);
        let told = text(&weft.within("/mcp", &token, (1, "tools/call"), &call));
        assert!(told.contains("Paris it is."), "{way}: {told}");
        let asked = model.asked();
        assert_eq!(asked.last().unwrap()["messages"][0]["content"], "You are a helpful test server.");
    }
    assert_eq!(model.asked().len(), 6);
}
