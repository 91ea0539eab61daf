//! The aiml service as an embedder, and tools of services, at an endpoint that answers as a gateway does. The real gateway and the
//! real service are in the end-to-end tests.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::post,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use weft_embed::{EmbedderSettings, MeshSettings, Service, ServiceSettings, embed, open};
use weft_settings::Reference;

/// What came: headers and message.
type Seen = Arc<Mutex<Vec<(HeaderMap, Value)>>>;

/// An endpoint whose answers to messages are what `answer` makes of them.
async fn serve(answer: impl Fn(&Value) -> Response + Clone + Send + Sync + 'static) -> (String, Seen) {
    let seen = Seen::default();
    let log = Arc::clone(&seen);
    let handle = move |headers: HeaderMap, body: String| async move {
        let message: Value = serde_json::from_str(&body).unwrap();
        let response = answer(&message);
        log.lock().unwrap().push((headers, message));
        response
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp/aiml", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/mcp/aiml", post(handle))).await });
    (url, seen)
}

fn result(result: &Value) -> Response {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "result": result }).to_string();
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// Vectors of two elements for `inputs`, at most two a page; the cursor is where the next page begins.
fn page(message: &Value, identity: &str) -> Response {
    let arguments = &message["params"]["arguments"];
    let inputs = arguments["inputs"].as_array().unwrap();
    let from: usize = arguments["cursor"].as_str().map_or(0, |cursor| cursor.parse().unwrap());
    let vector = |text: &Value| {
        let length = f32::from(u16::try_from(text.as_str().unwrap().len()).unwrap());
        STANDARD.encode([length.to_le_bytes(), 1.0_f32.to_le_bytes()].concat())
    };
    let part = inputs.iter().enumerate().skip(from).take(2);
    let vectors: Vec<Value> = part.map(|(index, text)| json!({ "index": index, "base64": vector(text) })).collect();
    let next = from + vectors.len();
    let cursor = (next < inputs.len()).then(|| next.to_string());
    let data = json!({ "vectors": vectors, "dimensions": 2, "normalized": true, "identity": identity });
    result(&json!({ "content": [], "structuredContent": { "data": data, "page": { "cursor": cursor } } }))
}

fn settings(url: &str) -> MeshSettings {
    MeshSettings {
        url: url.to_owned(),
        model: "own/small".to_owned(),
        dimensions: 2,
        api_key: Some(Reference::Text("key-1".to_owned())),
        authorities: None,
        batch: 3,
        timeout_ms: 60_000,
    }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[tokio::test]
async fn every_text_gets_its_vector_over_batches_and_pages() {
    let (url, seen) = serve(|message| page(message, "own/small@sha:1")).await;
    let embedder = open(&EmbedderSettings::Mesh(settings(&url))).unwrap();
    assert_eq!((embedder.model(), embedder.dimensions()), ("mesh/own/small", 2));
    let vectors = embed(&*embedder, &texts(&["a", "bb", " ", "cccc", "ddddd"])).await.unwrap();
    assert_eq!(vectors, [[1.0, 1.0], [2.0, 1.0], [0.0, 0.0], [4.0, 1.0], [5.0, 1.0]].map(Vec::from));
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 3, "a batch of three in two pages, and one of one");
    let (headers, message) = &seen[0];
    assert_eq!(headers["authorization"], "Bearer key-1");
    let mirrored = ["mcp-protocol-version", "mcp-method", "mcp-name"].map(|name| headers[name].to_str().unwrap());
    assert_eq!(mirrored, ["2026-07-28", "tools/call", "embed"]);
    assert_eq!(message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"], "2026-07-28");
    assert_eq!(message["params"]["arguments"]["inputs"], json!(["a", "bb", "cccc"]));
}

#[tokio::test]
async fn vectors_of_another_model_are_refused() {
    let (url, _) = serve(|message| page(message, "builtin/lexical@lexical-1")).await;
    let embedder = open(&EmbedderSettings::Mesh(settings(&url))).unwrap();
    let error = embed(&*embedder, &texts(&["a"])).await.unwrap_err();
    assert_eq!((error.code(), error.is_retryable()), ("model_mismatch", false));
    assert!(error.to_string().contains("builtin/lexical"), "{error}");
    let alias = MeshSettings { model: "default".to_owned(), ..settings(&url) };
    let refused = open(&EmbedderSettings::Mesh(alias)).unwrap_err().to_string();
    assert!(refused.contains("provider/model"), "{refused}");
}

#[tokio::test]
async fn what_a_tool_says_reaches_the_asker() {
    let (url, _) = serve(|_| {
        let error = json!({ "code": "over_budget", "message": "too many\ntokens", "hint": "wait", "retryable": true });
        result(&json!({ "isError": true, "content": [], "structuredContent": { "error": error } }))
    })
    .await;
    let embedder = open(&EmbedderSettings::Mesh(settings(&url))).unwrap();
    let error = embed(&*embedder, &texts(&["a"])).await.unwrap_err();
    assert_eq!((error.code(), error.is_retryable(), error.hint()), ("over_budget", true, Some("wait")));
    assert!(error.to_string().contains("too many tokens"), "{error}");
}

fn service(url: &str) -> Service {
    let settings = ServiceSettings { url: url.to_owned(), api_key: None, authorities: None, timeout_ms: 60_000 };
    Service::open("aiml", &settings).unwrap()
}

#[tokio::test]
async fn the_last_message_of_a_stream_is_the_answer() {
    let (url, _) = serve(|_| {
        let progress = json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": {} });
        let done =
            json!({ "jsonrpc": "2.0", "id": 1, "result": { "structuredContent": { "data": { "text": "short" } } } });
        let stream = format!(": hello\n\ndata: {progress}\n\nevent: message\ndata: {done}\n\n");
        ([(header::CONTENT_TYPE, "Text/Event-Stream; charset=utf-8")], stream).into_response()
    })
    .await;
    let content = service(&url).call("summarize", json!({ "text": "long" })).await.unwrap();
    assert_eq!(content["data"]["text"], "short");
}

/// An answer, the code of its error, and whether to try again.
type Case = (fn() -> Response, &'static str, bool);

#[tokio::test]
async fn whatever_is_no_result_is_an_error_with_a_way_out() {
    let answers: [Case; 6] = [
        (|| (StatusCode::UNAUTHORIZED, "<html>").into_response(), "mesh_refused", false),
        (
            || (StatusCode::SERVICE_UNAVAILABLE, r#"{"error":{"code":1,"message":"away"}}"#).into_response(),
            "mesh_refused",
            true,
        ),
        (|| "not json".into_response(), "unavailable", true),
        (|| result(&json!({ "content": [] })), "unavailable", true),
        (|| result(&json!({ "resultType": "input_required" })), "input_required", false),
        (|| "x".repeat(9 << 20).into_response(), "too_large", false),
    ];
    for (answer, code, retryable) in answers {
        let (url, _) = serve(move |_| answer()).await;
        let error = service(&url).call("embed", json!({})).await.unwrap_err();
        assert_eq!((error.code(), error.is_retryable()), (code, retryable), "{error}");
    }
    let error = service("http://127.0.0.1:1/mcp/aiml").call("embed", json!({})).await.unwrap_err();
    assert_eq!((error.code(), error.is_retryable()), ("unavailable", true));
    for wrong in ["127.0.0.1:8080", "ftp://x/", "http://user:secret@x/"] {
        let settings = ServiceSettings { url: wrong.to_owned(), api_key: None, authorities: None, timeout_ms: 1 };
        let error = Service::open("aiml", &settings).unwrap_err().to_string();
        assert!(error.contains("url") && !error.contains("secret"), "{error}");
    }
}
