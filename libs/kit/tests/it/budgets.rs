//! Results stay within their limits and say when something is missing.

use serde_json::json;
use weft_kit::{Direct, Rules, budget};

use crate::rack::Rack;

fn direct() -> Direct {
    Direct::new(Rack::new().service(), Rules::default()).unwrap()
}

#[tokio::test]
async fn text_over_the_limit_is_cut_between_characters_and_said_so() {
    let called = direct().call("text", json!({"bytes": 100_001})).await;
    assert!(!called.is_error);
    assert_eq!(called.structured["truncated"], json!({"reason": "budget", "limit": 49_152, "bytes_omitted": 50_848}));
    let (text, footer) = called.text.split_once('\n').unwrap();
    assert_eq!((text.len(), text.chars().all(|c| c == 'ß')), (budget::TEXT, true));
    assert_eq!(footer, "[truncated: budget 49152, 50848 bytes omitted]");
}

#[tokio::test]
async fn text_at_the_limit_is_whole() {
    let called = direct().call("text", json!({"bytes": budget::TEXT})).await;
    assert!(called.structured.get("truncated").is_none());
    assert_eq!(called.text.len(), budget::TEXT);
}

#[tokio::test]
async fn data_over_the_hard_limit_and_too_many_blocks_are_errors_with_a_way_out() {
    for arguments in [json!({"bytes": 0, "data": budget::HARD}), json!({"bytes": 0, "blocks": budget::BLOCKS})] {
        let called = direct().call("text", arguments).await;
        assert_eq!(called.code(), "too_large");
        assert!(called.structured["error"]["hint"].as_str().unwrap().contains("less"));
    }
    assert_eq!(direct().call("text", json!({"bytes": 0, "blocks": budget::BLOCKS - 1})).await.blocks, 255);
}
