//! A server with no provider at all: what works without a model works, and says that no model was used.

use serde_json::json;
use weft_aiml::Settings;
use weft_kit::{Completing, CompletionOf};

use crate::fake::{desk, ok, refused};

#[tokio::test]
async fn words_are_embedded_ordered_labelled_and_summarised_without_a_model() {
    let direct = desk(Settings::default());
    let documents = json!(["How to bake bread", "Resetting a forgotten password", "Weather tomorrow"]);
    let called = direct.call("rerank", json!({"query": "forgotten password", "documents": documents})).await;
    assert!(called.structured["warnings"].to_string().contains("no model was used"), "{}", called.structured);
    let data = ok(called);
    assert_eq!((&data["method"], &data["ranked"][0]["index"]), (&json!("bm25"), &json!(1)));
    let data = ok(direct.call("embed", json!({"inputs": ["a", "b"]})).await);
    assert_eq!((&data["identity"], &data["dimensions"]), (&json!("builtin/lexical@lexical/1"), &json!(384)));
    let labels = json!({"sports": "football, goal, match, team", "finance": "money, bank, stock, market"});
    let data = ok(direct
        .call("classify", json!({"text": "The team scored a late goal in the match", "labels": labels}))
        .await);
    assert_eq!((&data["labels"], &data["method"]), (&json!(["sports"]), &json!("cosine")));
    let text =
        "The gateway carries every call of the mesh. It rained. Each call of the mesh has a record at the gateway.";
    let called = direct.call("summarise", json!({"text": text, "words": 20})).await;
    assert!(called.structured["warnings"].to_string().contains("extractive"), "{}", called.structured);
    let data = ok(called);
    assert_eq!(data["method"], "extractive");
    assert!(!data["summary"].as_str().unwrap().contains("rained"), "{data}");
}

#[tokio::test]
async fn what_needs_a_model_says_so_and_what_there_is_instead() {
    let direct = desk(Settings::default());
    let told = refused(&direct.call("generate", json!({"prompt": "Hello"})).await, "no_model");
    assert!(told.contains("summarise"), "{told}");
    refused(&direct.call("translate", json!({"text": "Hello", "to": "German"})).await, "no_model");
    refused(
        &direct.call("generate", json!({"model": "builtin/lexical", "prompt": "Hello"})).await,
        "invalid_arguments",
    );
}

#[tokio::test]
async fn conversations_are_shortened_to_fit_and_tokens_estimated() {
    let direct = desk(Settings::default());
    let turn = |role: &str, words: usize| json!({"role": role, "content": "word ".repeat(words)});
    let messages = json!([turn("system", 10), turn("user", 300), turn("assistant", 300), turn("user", 20)]);
    let data = ok(direct.call("fit_context", json!({"messages": messages, "context": 400, "max_tokens": 50})).await);
    let roles: Vec<&str> =
        data["messages"].as_array().unwrap().iter().map(|turn| turn["role"].as_str().unwrap()).collect();
    assert_eq!((roles, &data["left_out"]), (vec!["system", "assistant", "user"], &json!(1)));
    refused(&direct.call("fit_context", json!({"messages": messages, "context": 40})).await, "too_large");
    let data = ok(direct.call("count_tokens", json!({"text": "Hello, world!"})).await);
    assert_eq!(data, json!({"tokens": 4, "exact": false}));
    refused(&direct.call("count_tokens", json!({})).await, "invalid_arguments");
}

#[tokio::test]
async fn models_are_resources_and_their_names_are_completed() {
    let direct = desk(Settings::default());
    let listed = direct.resources(None).await.unwrap();
    assert_eq!(listed.items[0].uri, "model://builtin/lexical");
    assert!(format!("{:?}", direct.read("model://builtin/lexical").await.unwrap()).contains("384"));
    assert!(direct.read("model://builtin/nothing").await.is_err());
    let template = CompletionOf::Template("model://{provider}/{+model}".to_owned());
    let settled = [("provider".to_owned(), "builtin".to_owned())].into();
    let asked = Completing { of: template, argument: "model".to_owned(), value: "lex".to_owned(), settled };
    assert_eq!(direct.complete(asked).await.unwrap(), ["lexical"]);
}
