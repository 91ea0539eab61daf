//! Long texts, part by part.

use serde_json::json;
use weft_aiml::{Kind, ModelSettings, Settings};
use weft_kit::Direct;

use crate::fake::{Fake, KINDS, Way, desk, ok, refused, says};

/// Over a model whose context holds about three parts of a thousand tokens.
fn small(fake: &Fake) -> Direct {
    let mut own = fake.settings("own");
    own.models = vec![ModelSettings { id: "talker".to_owned(), context: Some(1_000), ..ModelSettings::default() }];
    own.concurrency = 1;
    desk(Settings { providers: vec![own], ..Settings::default() })
}

fn text(sentences: usize) -> String {
    (0..sentences).map(|number| format!("Sentence number {number} says something of its own. ")).collect()
}

#[tokio::test]
async fn a_long_text_is_summarised_part_by_part_and_then_as_a_whole() {
    for kind in KINDS {
        let fake = Fake::start(kind).await;
        fake.will((0..10).map(|number| says(&format!("summary {number}"))));
        let data =
            ok(small(&fake).call("summarise", json!({"text": text(120), "words": 50, "focus": "numbers"})).await);
        let calls = fake.chats();
        let parts = usize::try_from(data["parts"].as_u64().unwrap()).unwrap();
        assert!(parts > 1 && calls.len() == parts + 1, "{parts} parts, {} calls", calls.len());
        assert_eq!((&data["summary"], &data["rounds"]), (&json!(format!("summary {parts}")), &json!(1)));
        assert_eq!(data["by"]["usage"]["prompt_tokens"], 11 * calls.len());
        let last = calls.last().unwrap()["messages"].to_string();
        assert!(
            last.contains("summary 0") && last.contains(&format!("summary {}", parts - 1)) && last.contains("numbers"),
            "{last}"
        );
        let all: String = calls[..parts].iter().map(|call| call["messages"][1].to_string()).collect();
        assert!((0..120).all(|number| all.contains(&format!("Sentence number {number} says"))), "a sentence was lost");
    }
}

#[tokio::test]
async fn a_part_that_fails_or_does_not_shrink_fails_the_whole() {
    let fake = Fake::start(Kind::Openai).await;
    fake.will([says("fine"), Way::Status(400, "{\"error\": {\"message\": \"no\"}}".to_owned())]);
    refused(&small(&fake).call("summarise", json!({"model": "own/talker", "text": text(120)})).await, "rejected");
    let fake = Fake::start(Kind::Openai).await;
    fake.will((0..10).map(|_| says(&text(120))));
    refused(&small(&fake).call("summarise", json!({"model": "own/talker", "text": text(120)})).await, "no_progress");
    let fake = Fake::start(Kind::Openai).await;
    fake.will([says(" ")]);
    refused(&small(&fake).call("summarise", json!({"model": "own/talker", "text": "Short."})).await, "bad_answer");
}
