//! A real llama.cpp server: one with a small random model that is started here (`WEFT_LLAMA_SERVER`), or any that `WEFT_LLAMA_URL`
//! names (`http://host:port/v1`).

use std::{path::Path, time::Duration};

use serde_json::json;
use tokio_util::sync::CancellationToken;
use weft_aiml::{Capability, Kind, ModelSettings, ProviderSettings, Settings, Tokenizer, service};
use weft_kit::{Direct, Host, SealKey, serve};
use weft_testkit::{llama, llama_alone};

use crate::fake::{desk, ok, refused};
use crate::served::{call, messages};

/// More than it writes in a few seconds, and less than its context.
const ENDLESS: u64 = 7_500;

/// Settings over the real one, and the name of its model.
async fn over(url: &str) -> (Settings, String) {
    let mut own = ProviderSettings::new("llama", Kind::Openai, url);
    own.tokenizer = Tokenizer::LlamaCpp;
    let first = desk(Settings { providers: vec![own.clone()], ..Settings::default() });
    let listed = ok(first.call("list_models", json!({"provider": "llama"})).await);
    let name = listed["models"][0]["name"].as_str().unwrap().to_owned();
    // It embeds and talks with the same model, which its list does not say.
    let id = name.split_once('/').unwrap().1.to_owned();
    own.models =
        vec![ModelSettings { id, capabilities: vec![Capability::Chat, Capability::Embed], ..ModelSettings::default() }];
    (Settings { providers: vec![own], ..Settings::default() }, name)
}

/// A server over the real one, and the name of its model.
async fn real() -> Option<(Direct, String)> {
    let (settings, name) = over(llama()?).await;
    Some((desk(settings), name))
}

#[tokio::test]
async fn a_real_server_talks_counts_and_stops_at_the_limit() {
    let Some((direct, model)) = real().await else { return };
    let data = ok(direct
        .call("generate", json!({"model": model, "prompt": "Say something.", "max_tokens": 8, "temperature": 0}))
        .await);
    assert_eq!(data["by"]["usage"]["estimated"], false, "{data}");
    assert!(data["by"]["usage"]["completion_tokens"].as_u64().unwrap() <= 8, "{data}");
    let counted = ok(direct.call("count_tokens", json!({"model": model, "text": "one two three"})).await);
    assert_eq!(counted["exact"], true);
    assert!(counted["tokens"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn a_real_server_keeps_to_a_schema() {
    let Some((direct, model)) = real().await else { return };
    let schema = json!({"type": "object", "properties": {"colour": {"type": "string", "enum": ["red", "blue"]}}, "required": ["colour"], "additionalProperties": false});
    let data = ok(direct.call("generate", json!({"model": model, "prompt": "A colour as JSON.", "schema": schema, "max_tokens": 300, "temperature": 0})).await);
    assert!(["red", "blue"].contains(&data["json"]["colour"].as_str().unwrap()), "{data}");
}

#[tokio::test]
async fn a_real_server_embeds_the_same_text_the_same_way() {
    let Some((direct, model)) = real().await else { return };
    let data = ok(direct.call("embed", json!({"model": model, "inputs": ["a cat", "a dog", "a cat "]})).await);
    let vectors = data["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), 3);
    let length: f64 =
        vectors[0]["vector"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap().powi(2)).sum();
    assert!((length - 1.0).abs() < 1e-3, "{length}");
    let data =
        ok(direct.call("rerank", json!({"model": model, "query": "a cat", "documents": ["a dog", "a cat"]})).await);
    assert_eq!((&data["method"], &data["ranked"][0]["index"]), (&json!("cosine"), &json!(1)));
}

#[tokio::test]
async fn a_real_server_tells_its_context_and_refuses_in_its_own_words() {
    let Some((direct, model)) = real().await else { return };
    let info = ok(direct.call("model_info", json!({"model": model})).await);
    let context = info[0]["context"].as_u64().unwrap();
    let long = "word ".repeat(usize::try_from(context).unwrap() * 2);
    refused(&direct.call("generate", json!({"model": model, "prompt": long})).await, "too_large");
    // Digits are several tokens each for it and fewer for our estimate, which lets them pass.
    let digits = "7".repeat(usize::try_from(context).unwrap() * 2);
    let told = refused(&direct.call("generate", json!({"model": model, "prompt": digits})).await, "rejected");
    assert!(told.contains("context"), "{told}");
}

#[tokio::test]
async fn a_real_server_without_a_reranker_says_so() {
    let Some((direct, model)) = real().await else { return };
    let mut own = ProviderSettings::new("llama", Kind::Openai, llama().unwrap());
    let id = model.split_once('/').unwrap().1.to_owned();
    own.models = vec![ModelSettings { id, capabilities: vec![Capability::Rerank], ..ModelSettings::default() }];
    let ranks = desk(Settings { providers: vec![own], ..Settings::default() });
    refused(&ranks.call("rerank", json!({"model": model, "query": "a", "documents": ["b"]})).await, "unsupported");
    drop(direct);
}

#[tokio::test]
async fn what_a_real_server_writes_comes_as_progress_and_is_the_answer() {
    let Some(url) = llama() else { return };
    let (settings, model) = over(url).await;
    let host = Host::new("127.0.0.1:0".parse().unwrap(), SealKey::from_bytes([9; 32]));
    let running = serve(service(settings, Path::new("state")).unwrap(), host).await.unwrap();
    let asked = json!({"model": model, "prompt": "Go on.", "max_tokens": 1_500, "temperature": 0});
    let text = call(running.address(), asked).await.text().await.unwrap();
    let (progress, rest) = messages(&text);
    let words: String = progress.iter().map(|message| message["params"]["message"].as_str().unwrap()).collect();
    let data = &rest.last().unwrap()["result"]["structuredContent"]["data"];
    assert!(progress.len() > 1, "{} reports", progress.len());
    assert!(!words.is_empty() && data["text"].as_str().unwrap().starts_with(&words), "{words:?} in {data}");
    assert_eq!(data["by"]["usage"]["estimated"], false, "{data}");
    running.shutdown(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn a_real_server_counts_the_tokens_of_a_text_as_it_reads_them() {
    let Some((direct, model)) = real().await else { return };
    let count = async |text: &str| {
        ok(direct.call("count_tokens", json!({"model": model, "text": text})).await)["tokens"].as_u64().unwrap()
    };
    let used = async |text: &str| {
        let asked = json!({"model": model, "prompt": text, "max_tokens": 1, "temperature": 0});
        let data = ok(direct.call("generate", asked).await);
        data["by"]["usage"]["prompt_tokens"].as_u64().unwrap()
    };
    let (short, long) = ("one", "one two three four five, and so on");
    assert_eq!(used(long).await - used(short).await, count(long).await - count(short).await);
}

#[tokio::test]
async fn cancelling_stops_a_real_server() {
    let Some(url) = llama_alone() else { return };
    let (settings, model) = over(url).await;
    let token = CancellationToken::new();
    let direct = desk(settings).until(token.clone());
    let asked = json!({"model": model, "prompt": "Go on.", "max_tokens": ENDLESS, "temperature": 0});
    let running = tokio::spawn(async move { direct.call("generate", asked).await });
    let root = url.trim_end_matches("/v1");
    until(async || gauge(root, "requests_processing").await == 1).await;
    token.cancel();
    refused(&running.await.unwrap(), "cancelled");
    until(async || gauge(root, "requests_processing").await == 0).await;
    // One step for each token of an answer.
    let steps = gauge(root, "n_decode_total").await;
    assert!(steps < ENDLESS, "it went on to the end: {steps} steps");
}

/// One of the numbers that llama.cpp tells of itself.
async fn gauge(root: &str, name: &str) -> u64 {
    let text = reqwest::get(format!("{root}/metrics")).await.unwrap().text().await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("llamacpp:")?.strip_prefix(name)?.strip_prefix(' '));
    assert!(line.is_some(), "no {name} in {text}");
    line.unwrap().parse().unwrap()
}

/// Waits as long as a busy machine may need; that an answer did not just come to its end is told by its steps.
async fn until(holds: impl AsyncFn() -> bool) {
    let soon = tokio::time::timeout(Duration::from_secs(60), async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(soon.await.is_ok(), "it did not come about in time");
}
