//! What the service says of itself, and a call over HTTP: words as progress, and a client that hangs up.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use weft_aiml::{Kind, Settings, service};
use weft_embed::{EmbedderSettings, MeshSettings, ServiceSettings};
use weft_kit::{Host, LIST_TOKENS, SealKey, serve};

use crate::fake::{Fake, Way};

#[test]
fn the_list_of_tools_fits_a_client_with_everything_turned_on() {
    let settings = Settings { admin: true, admin_roles: vec!["keeper".to_owned()], ..Settings::default() };
    let service = service(settings, std::path::Path::new("state")).unwrap();
    assert!(service.list_tokens() < LIST_TOKENS, "{} tokens", service.list_tokens());
}

#[test]
fn models_within_these_walls_are_no_open_world() {
    let list = |url: &str| {
        let providers = vec![weft_aiml::ProviderSettings::new("own", Kind::Openai, url)];
        let service = service(Settings { providers, ..Settings::default() }, std::path::Path::new("state")).unwrap();
        let list: Value = serde_json::from_str(&service.list_json()).unwrap();
        let tools = list.as_array().or(list["tools"].as_array()).unwrap().clone();
        tools.iter().find(|tool| tool["name"] == "chat").unwrap()["annotations"]["openWorldHint"].clone()
    };
    assert_eq!(list("http://127.0.0.1:11434"), false);
    assert_eq!(list("https://models.example/v1"), true);
}

/// Sends a call of the stateless era that wants progress; gives the response as it begins.
pub(crate) async fn call(address: std::net::SocketAddr, arguments: Value) -> reqwest::Response {
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}, "progressToken": 1});
    let params = json!({"name": "generate", "arguments": arguments, "_meta": meta});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    let request = reqwest::Client::new().post(format!("http://{address}/mcp"));
    let headers = [
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "generate"),
    ];
    let request = headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
    request.body(body.to_string()).send().await.unwrap()
}

/// The progress, and what else was said.
pub(crate) fn messages(text: &str) -> (Vec<Value>, Vec<Value>) {
    let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data:")?).ok());
    messages.partition(|message| message["method"] == "notifications/progress")
}

async fn started(fake: &Fake) -> weft_kit::Running {
    let service = service(
        Settings { providers: vec![fake.settings("own")], ..Settings::default() },
        std::path::Path::new("state"),
    );
    let host = Host::new("127.0.0.1:0".parse().unwrap(), SealKey::from_bytes([9; 32]));
    serve(service.unwrap(), host).await.unwrap()
}

#[tokio::test]
async fn words_come_as_progress_while_they_are_written() {
    let fake = Fake::start(Kind::Openai).await;
    fake.will([Way::Slowly("one two three four five six".to_owned(), Duration::from_millis(200))]);
    let running = started(&fake).await;
    let text = call(running.address(), json!({"model": "own/talker", "prompt": "Count."})).await.text().await.unwrap();
    let (progress, rest) = messages(&text);
    let words: String = progress.iter().map(|message| message["params"]["message"].as_str().unwrap()).collect();
    assert!(progress.len() > 2 && "one two three four five six".starts_with(&words), "{words:?} in {}", progress.len());
    let done: Vec<f64> = progress.iter().map(|message| message["params"]["progress"].as_f64().unwrap()).collect();
    assert!(done.is_sorted(), "{done:?}");
    assert_eq!(rest.last().unwrap()["result"]["structuredContent"]["data"]["text"], "one two three four five six");
    running.shutdown(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn a_client_that_hangs_up_stops_the_model() {
    let fake = Fake::start(Kind::Ollama).await;
    // It would go on for longer than is waited for below.
    fake.will([Way::Slowly("word ".repeat(10_000), Duration::from_millis(100))]);
    let running = started(&fake).await;
    let mut response = call(running.address(), json!({"model": "own/talker", "prompt": "Go on."})).await;
    response.chunk().await.unwrap();
    while fake.open.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(response);
    let until = Instant::now() + Duration::from_secs(60);
    while fake.left.load(Ordering::SeqCst) == 0 {
        assert!(Instant::now() < until, "the model went on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    running.shutdown(Duration::from_secs(1)).await;
}

/// As other services of the mesh ask, here without a gateway between them.
#[tokio::test]
async fn another_service_embeds_and_summarises_here() {
    let host = Host::new("127.0.0.1:0".parse().unwrap(), SealKey::from_bytes([9; 32]));
    let running = serve(service(Settings::default(), std::path::Path::new("state")).unwrap(), host).await.unwrap();
    let url = format!("http://{}/mcp", running.address());
    let own = |model: &str| MeshSettings {
        url: url.clone(),
        model: model.to_owned(),
        dimensions: 384,
        api_key: None,
        authorities: None,
        batch: 256,
        timeout_ms: 20_000,
    };
    let embedder = weft_embed::open(&EmbedderSettings::Mesh(own("builtin/lexical"))).unwrap();
    // More than one page, and one blank.
    let mut texts: Vec<String> = (0..300).map(|number| format!("text number {number}")).collect();
    texts[7] = " ".to_owned();
    let vectors = weft_embed::embed(&*embedder, &texts).await.unwrap();
    let length = |vector: &[f32]| vector.iter().map(|element| element * element).sum::<f32>();
    assert!(length(&vectors[7]) < 1e-6 && vectors.iter().filter(|one| (length(one) - 1.0).abs() < 1e-3).count() == 299);
    let absent = weft_embed::open(&EmbedderSettings::Mesh(own("nowhere/model"))).unwrap();
    let error = weft_embed::embed(&*absent, &texts).await.unwrap_err();
    assert!(!error.is_retryable() && error.hint().is_some(), "{} {error}", error.code());
    let reach = ServiceSettings { url, api_key: None, authorities: None, timeout_ms: 20_000 };
    let aiml = weft_embed::Service::open("aiml", &reach).unwrap();
    let text =
        "The gateway carries every call of the mesh. It rained. Each call of the mesh has a record at the gateway.";
    let content = aiml.call("summarise", json!({"text": text, "words": 20})).await.unwrap();
    assert!(content["data"]["summary"].as_str().unwrap().contains("gateway"), "{content}");
    let error = aiml.call("no_such_tool", json!({})).await.unwrap_err();
    assert!(!error.is_retryable() && error.hint().is_some(), "{error}");
}
