//! Vectors and order, from models and without.

use serde_json::{Value, json};
use weft_aiml::{AliasSettings, Kind, Settings};

use crate::fake::{Fake, KINDS, Way, desk, ok, over, refused};

#[tokio::test]
async fn texts_become_vectors_in_their_order_batch_by_batch_and_only_once() {
    for kind in KINDS {
        let fake = Fake::start(kind).await;
        let mut own = fake.settings("own");
        own.batch = 3;
        let direct = desk(Settings { providers: vec![own], ..Settings::default() });
        let inputs: Vec<String> = (1..=7).map(|length| "x".repeat(length)).collect();
        let arguments = json!({"model": "own/embedder", "inputs": inputs, "normalize": false});
        let data = ok(direct.call("embed", arguments.clone()).await);
        let first: Vec<f64> =
            data["vectors"].as_array().unwrap().iter().map(|one| one["vector"][0].as_f64().unwrap()).collect();
        assert_eq!(first, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
        assert_eq!(
            fake.embeds().iter().map(|body| body["input"].as_array().unwrap().len()).collect::<Vec<_>>(),
            [3, 3, 1]
        );
        let digest = if kind == Kind::Ollama { "sha256:embedder" } else { "unknown" };
        assert_eq!(data["identity"], format!("own/embedder@{digest}"));
        assert_eq!((&data["dimensions"], &data["by"]["usage"]["prompt_tokens"]), (&json!(3), &json!(7)));
        assert_eq!(ok(direct.call("embed", arguments).await)["by"]["cached"], true);
        assert_eq!(fake.embeds().len(), 3);
    }
}

#[tokio::test]
async fn one_text_that_is_refused_spoils_only_itself() {
    for kind in KINDS {
        let fake = Fake::start(kind).await;
        let inputs = json!(["a", "b", "poison", "d", "e"]);
        let data = ok(over(&fake).call("embed", json!({"model": "own/embedder", "inputs": inputs})).await);
        let vectors = data["vectors"].as_array().unwrap();
        let failed: Vec<bool> = vectors.iter().map(|one| one["error"].is_string()).collect();
        assert_eq!(failed, [false, false, true, false, false]);
        assert!(vectors[2]["error"].as_str().unwrap().contains("too long"), "{data}");
        refused(&over(&fake).call("embed", json!({"model": "own/embedder", "inputs": ["poison"]})).await, "rejected");
    }
}

#[tokio::test]
async fn all_vectors_of_a_call_come_from_one_model() {
    let (one, other) = (Fake::start(Kind::Ollama).await, Fake::start(Kind::Openai).await);
    let (mut first, mut second) = (one.settings("one"), other.settings("other"));
    (first.batch, second.batch) = (2, 2);
    let models = ["one/embedder", "other/embedder"].map(str::to_owned).to_vec();
    let aliases = vec![AliasSettings { name: "e".to_owned(), models }];
    let direct = desk(Settings { providers: vec![first, second], aliases, ..Settings::default() });
    // The first batch succeeds, the second fails: everything comes from the other one.
    one.will([Way::Never, Way::Status(500, String::new())]);
    let data = ok(direct.call("embed", json!({"model": "e", "inputs": ["a", "b", "c", "d"]})).await);
    assert_eq!(data["by"]["model"], "other/embedder");
    let embedded: Vec<Value> =
        other.embeds().iter().flat_map(|body| body["input"].as_array().unwrap().clone()).collect();
    assert!(["a", "b", "c", "d"].iter().all(|text| embedded.contains(&json!(text))), "{embedded:?}");
}

#[tokio::test]
async fn vectors_that_fill_a_page_go_on_with_a_cursor_and_base64_is_the_same() {
    let direct = desk(Settings::default());
    let inputs: Vec<String> =
        (0..256).map(|number| format!("text number {number} about cats and dogs and much else")).collect();
    let mut arguments = json!({"inputs": inputs});
    let (mut seen, mut pages) = (Vec::new(), 0);
    loop {
        let called = direct.call("embed", arguments.clone()).await;
        assert!(called.structured.to_string().len() < 1 << 20);
        let page = called.structured["page"].clone();
        let data = ok(called);
        seen.extend(data["vectors"].as_array().unwrap().iter().map(|one| one["index"].as_u64().unwrap()));
        pages += 1;
        let Some(cursor) = page["cursor"].as_str() else { break };
        arguments["cursor"] = json!(cursor);
    }
    assert_eq!(seen, (0..256).collect::<Vec<u64>>());
    assert!(pages > 1);
    let floats = ok(direct.call("embed", json!({"inputs": ["a cat"]})).await);
    let packed = ok(direct.call("embed", json!({"inputs": ["a cat"], "encoding": "base64"})).await);
    let bytes = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD,
        packed["vectors"][0]["base64"].as_str().unwrap(),
    )
    .unwrap();
    let (values, _) = bytes.as_chunks::<4>();
    for (bytes, float) in values.iter().zip(floats["vectors"][0]["vector"].as_array().unwrap()) {
        assert!((f64::from(f32::from_le_bytes(*bytes)) - float.as_f64().unwrap()).abs() < 1e-6);
    }
    let mut other = arguments;
    other["inputs"] = json!(["something else"]);
    refused(&direct.call("embed", other).await, "invalid_cursor");
}

#[tokio::test]
async fn documents_are_ordered_by_a_reranker_or_by_vectors_and_it_is_said_by_which() {
    let fake = Fake::start(Kind::Openai).await;
    let direct = over(&fake);
    let documents = json!(["a dog", "a cat, which is what was asked for, sat on a very long mat", "cat"]);
    let data = ok(direct
        .call("rerank", json!({"model": "own/reranker", "query": "cat", "documents": documents, "top_n": 2}))
        .await);
    assert_eq!(data["method"], "rerank");
    assert_eq!(
        data["ranked"].as_array().unwrap().iter().map(|one| one["index"].as_u64().unwrap()).collect::<Vec<_>>(),
        [1, 0]
    );
    let data =
        ok(direct.call("rerank", json!({"model": "own/embedder", "query": "cat", "documents": documents})).await);
    assert_eq!((&data["method"], &data["ranked"][0]["index"]), (&json!("cosine"), &json!(2)));
}

#[tokio::test]
async fn tokens_are_counted_by_the_provider_where_it_can() {
    let fake = Fake::start(Kind::Openai).await;
    let mut own = fake.settings("own");
    own.tokenizer = weft_aiml::Tokenizer::LlamaCpp;
    let direct = desk(Settings { providers: vec![own], ..Settings::default() });
    let data = ok(direct.call("count_tokens", json!({"model": "own/talker", "text": "one two three"})).await);
    assert_eq!(data, json!({"tokens": 3, "exact": true, "context": 2048}));
    let data = ok(over(&fake).call("count_tokens", json!({"model": "own/talker", "text": "one two three"})).await);
    assert_eq!(data["exact"], false);
}
