//! Embedders behind HTTP. The servers are ours, because the real ones are not at hand; what they read and answer is the format of the
//! published API references of OpenAI (create embeddings) and Ollama (generate embeddings).

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use weft_kit::Reference;
use weft_vectorstore::{EmbedderSettings, HttpSettings, Settings};

use crate::bench::{Bench, ids, refused};

/// Requests as they came: head and body.
type Seen = Arc<Mutex<Vec<(String, Value)>>>;

/// A server that answers each request with what `answer` makes of its body.
pub(crate) async fn serve(answer: impl Fn(&Value) -> (u16, String) + Send + 'static) -> (String, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = Seen::default();
    let log = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = Vec::new();
            let (head, body) = loop {
                let mut part = [0; 4096];
                let read = stream.read(&mut part).await.unwrap();
                bytes.extend_from_slice(&part[..read]);
                let text = String::from_utf8_lossy(&bytes).into_owned();
                if let Some((head, body)) = text.split_once("\r\n\r\n")
                    && let Ok(body) = serde_json::from_str::<Value>(body)
                {
                    break (head.to_lowercase(), body);
                }
            };
            let (status, answer) = answer(&body);
            log.lock().unwrap().push((head, body));
            let reply =
                format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{answer}", answer.len());
            stream.write_all(reply.as_bytes()).await.unwrap();
        }
    });
    (url, seen)
}

fn settings(protocol: fn(HttpSettings) -> EmbedderSettings, url: &str, dimensions: usize) -> Settings {
    let embedder = HttpSettings {
        url: url.to_owned(),
        model: "small".to_owned(),
        dimensions,
        api_key: Some(Reference::Text("key-1".to_owned())),
        authorities: None,
        batch: 2,
        timeout_ms: 60_000,
    };
    Settings { embedders: vec![protocol(embedder)], ..Settings::default() }
}

/// As many letters a, and as many b: two dimensions.
fn vector(text: &Value) -> [f64; 2] {
    let count = |letter| 0.1 + text.as_str().unwrap().matches(letter).count() as f64;
    [count('a'), count('b')]
}

#[tokio::test]
async fn openai_vectors_are_taken_by_their_index() {
    let (url, seen) = serve(|body| {
        let inputs = body["input"].as_array().unwrap();
        let item = |(index, text): (usize, &Value)| json!({ "object": "embedding", "index": index, "embedding": vector(text) });
        let data: Vec<Value> = inputs.iter().enumerate().map(item).rev().collect();
        (200, json!({ "object": "list", "data": data, "model": "small", "usage": { "prompt_tokens": 1, "total_tokens": 1 } }).to_string())
    })
    .await;
    let bench = Bench::with(|_| settings(EmbedderSettings::Openai, &url, 2));
    let made = bench.ok("create_collection", json!({ "name": "t" })).await;
    assert_eq!((made["model"].as_str(), made["dimensions"].as_u64()), (Some("openai/small"), Some(2)));
    let items = json!([{ "id": "a", "text": "aaaa" }, { "id": "b", "text": "bbbb" }, { "id": "ab", "text": "aabb" }]);
    bench.ok("upsert", json!({ "collection": "t", "items": items })).await;
    let found = bench.ok("search", json!({ "collection": "t", "text": "bb", "mode": "dense" })).await;
    assert_eq!(ids(&found["hits"]), ["b", "ab", "a"]);
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 3, "batches of two, and the query");
    let (head, body) = &seen[0];
    assert!(head.starts_with("post /v1/embeddings ") && head.contains("authorization: bearer key-1"), "{head}");
    assert_eq!(body, &json!({ "model": "small", "input": ["aaaa", "bbbb"] }));
}

#[tokio::test]
async fn ollama_vectors_come_in_the_order_of_the_texts() {
    let (url, seen) = serve(|body| {
        let vectors: Vec<_> = body["input"].as_array().unwrap().iter().map(vector).collect();
        (200, json!({ "model": "small", "embeddings": vectors, "total_duration": 1 }).to_string())
    })
    .await;
    let bench = Bench::with(|_| settings(EmbedderSettings::Ollama, &url, 2));
    bench.ok("create_collection", json!({ "name": "t", "model": "ollama/small" })).await;
    bench
        .ok("upsert", json!({ "collection": "t", "items": [{ "id": "a", "text": "aa" }, { "id": "b", "text": "bb" }] }))
        .await;
    let found = bench.ok("search", json!({ "collection": "t", "text": "a", "mode": "dense" })).await;
    assert_eq!(ids(&found["hits"]), ["a", "b"]);
    assert!(seen.lock().unwrap()[0].0.starts_with("post /api/embed "));
}

#[tokio::test]
async fn an_embedder_that_does_not_keep_its_word_writes_nothing() {
    let answers: [(u16, String, &str); 5] = [
        (200, json!({ "embeddings": [[1.0, 2.0, 3.0]] }).to_string(), "model_mismatch"),
        (200, json!({ "embeddings": [] }).to_string(), "model_mismatch"),
        (200, "not json".to_owned(), "unavailable"),
        (401, "{}".to_owned(), "embedder_failed"),
        (200, "x".repeat(1_000_000), "too_large"),
    ];
    for (status, answer, code) in answers {
        let (url, _) = serve(move |_| (status, answer.clone())).await;
        let bench = Bench::with(|_| settings(EmbedderSettings::Ollama, &url, 2));
        bench.ok("create_collection", json!({ "name": "t" })).await;
        let called = bench.call("upsert", json!({ "collection": "t", "items": [{ "text": "x" }] })).await;
        refused(&called, code);
        assert!(!called.text.contains("key-1"), "{}", called.text);
        assert_eq!(bench.ok("count", json!({ "collection": "t" })).await["count"], 0);
    }
    let bench = Bench::with(|_| settings(EmbedderSettings::Ollama, "http://127.0.0.1:1", 2));
    bench.ok("create_collection", json!({ "name": "t" })).await;
    refused(&bench.call("search", json!({ "collection": "t", "text": "x", "mode": "dense" })).await, "unavailable");
    assert!(
        ids(&bench.ok("search", json!({ "collection": "t", "text": "x", "mode": "sparse" })).await["hits"]).is_empty()
    );
}
