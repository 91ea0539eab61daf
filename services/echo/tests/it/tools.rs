//! What the tools do.

use serde_json::{Value, json};
use weft_kit::{Called, Direct, LIST_TOKENS, Rules};

async fn call(tool: &str, arguments: Value) -> Called {
    Direct::new(weft_echo::service().unwrap(), Rules::default()).unwrap().call(tool, arguments).await
}

#[tokio::test]
async fn text_comes_back_and_integers_add_up() {
    let called = call("echo", json!({"text": "ü"})).await;
    assert_eq!((called.text.as_str(), called.data()), ("ü", &json!({"text": "ü"})));
    assert_eq!(call("add", json!({"a": 2, "b": -5})).await.data(), &json!({"sum": -3}));
    assert_eq!(call("add", json!({"a": i64::MAX, "b": 1})).await.code(), "invalid_arguments");
    assert_eq!(call("add", json!({"a": 1.5, "b": 1})).await.code(), "invalid_arguments");
}

#[tokio::test]
async fn failing_and_big_do_what_they_say() {
    assert_eq!(call("fail", json!({"text": "as asked"})).await.structured["error"]["message"], "as asked");
    assert_eq!(call("big", json!({"bytes": 100_000})).await.data()["text"].as_str().unwrap().len(), 100_000);
    assert_eq!(call("sleep", json!({"ms": 1})).await.data(), &json!({"ms": 1}));
}

#[test]
fn the_tool_list_is_affordable() {
    assert!(weft_echo::service().unwrap().list_tokens() < LIST_TOKENS / 4);
}
