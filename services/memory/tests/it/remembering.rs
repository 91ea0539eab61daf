//! Storing, finding, changing: what one agent writes, another reads.

use serde_json::json;
use weft_memory::{Settings, StoreSettings};

use crate::desk::Desk;

#[tokio::test]
async fn what_is_stored_is_found_by_another_caller_of_the_namespace() {
    let desk = Desk::embedded();
    let ada = desk.by("ada", "team", &[]);
    ada.store(json!({"text": "The billing service is deployed on Thursdays", "entities": ["billing"]})).await;
    ada.store("Ada drinks green tea").await;
    let bob = desk.by("bob", "team", &[]);
    let found = bob.texts(json!({"query": "when is billing deployed?"})).await;
    assert_eq!(found[0], "The billing service is deployed on Thursdays");
    let data = bob.ok("search", json!({"query": "billing deploys"})).await;
    let hit = &data["hits"][0];
    assert_eq!(hit["record"]["by"], "ada");
    assert!(hit["parts"]["text"].as_f64().unwrap() > 0.0 && hit["parts"]["meaning"].as_f64().unwrap() > 0.0, "{hit}");
    assert!(hit["fitness"]["reasons"][0]["because"].as_str().unwrap().contains("importance 0.50"));
}

#[tokio::test]
async fn the_same_text_is_kept_once_and_a_near_one_is_named() {
    let desk = Desk::embedded();
    let first = desk.store("Deploys happen on Thursday mornings").await;
    let again = desk.ok("store", json!({"items": [{"text": " Deploys  happen on Thursday mornings"}]})).await;
    assert_eq!(again["items"][0]["id"], first.as_str());
    let same = desk.ok("store", json!({"items": [{"text": "Deploys happen on Thursday mornings"}]})).await;
    assert_eq!(same["items"][0]["id"], first.as_str());
    let near = desk.ok("store", json!({"items": [{"text": "Deploys happen on Thursday morning"}]})).await;
    assert_eq!(near["items"][0]["similar"][0], first.as_str());
}

#[tokio::test]
async fn a_second_writer_is_shown_what_the_first_one_wrote() {
    let desk = Desk::embedded();
    let id = desk.store("The port is 8080").await;
    desk.ok("update", json!({"id": id, "patch": {"text": "The port is 8081"}, "if_match": 1})).await;
    let late = desk.call("update", json!({"id": id, "patch": {"text": "The port is 9000"}, "if_match": 1})).await;
    assert_eq!(late.code(), "conflict");
    assert!(late.structured["error"]["message"].as_str().unwrap().contains("The port is 8081"), "{}", late.structured);
    let history = desk.ok("history", json!({"id": id})).await;
    let versions = history["versions"].as_array().unwrap();
    assert_eq!(versions.len(), 2);
    assert!(versions[1]["believed_until"].is_string() && versions[0].get("believed_until").is_none());
}

#[tokio::test]
async fn what_was_believed_then_is_still_known() {
    let desk = Desk::embedded();
    let id = desk.store(json!({"text": "Ada leads the platform team", "valid_from": "2025-01-01"})).await;
    let before = desk.ok("get", json!({"ids": [id]})).await["records"][0]["record"]["recorded_at"].clone();
    let new = desk
        .ok(
            "supersede",
            json!({"id": id, "if_match": 1, "text": "Bob leads the platform team", "valid_from": "2026-03-01"}),
        )
        .await;
    assert_eq!(new["replaces"], id.as_str());
    assert_eq!(desk.texts(json!({"query": "who leads the platform team"})).await, ["Bob leads the platform team"]);
    let then = desk.texts(json!({"query": "who leads the platform team", "as_of": before})).await;
    assert_eq!(then, ["Ada leads the platform team"]);
    let old = desk.ok("get", json!({"ids": [id]})).await["records"][0]["record"].clone();
    assert_eq!(old["valid_to"], "2026-03-01T00:00:00Z");
    assert_eq!(old["superseded_by"], new["record"]["id"]);
    assert_eq!(desk.code("supersede", json!({"id": id, "if_match": 2, "text": "Cyd leads"})).await, "conflict");
}

#[tokio::test]
async fn pages_hold_all_records_once() {
    let desk = Desk::embedded();
    for number in 0..25 {
        desk.store(json!({"text": format!("note number {number}"), "topics": ["count"]})).await;
    }
    let (mut seen, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let mut arguments = json!({"limit": 7, "filter": {"topics": ["count"]}});
        if let Some(cursor) = &cursor {
            arguments["cursor"] = json!(cursor);
        }
        let called = desk.call("list", arguments).await;
        seen.extend(
            called.data()["records"].as_array().unwrap().iter().map(|own| own["text"].as_str().unwrap().to_owned()),
        );
        cursor = called.structured["page"]["cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    let expected: Vec<String> = (0..25).rev().map(|number| format!("note number {number}")).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn use_raises_fitness_and_being_misled_lowers_it() {
    let desk = Desk::embedded();
    let id = desk.store("The build needs protoc").await;
    let fitness =
        async || desk.ok("get", json!({"ids": [id]})).await["records"][0]["fitness"]["score"].as_f64().unwrap();
    let first = fitness().await;
    desk.ok("reinforce", json!({"ids": [id]})).await;
    let used = fitness().await;
    desk.ok("reinforce", json!({"ids": [id], "misled": true})).await;
    assert!(used > first && fitness().await < first);
}

#[tokio::test]
async fn the_order_of_time_is_that_of_what_happened() {
    let desk = Desk::embedded();
    for (text, when) in [("third", "2026-03-01"), ("first", "2024-01-01"), ("second", "2025-02-01T10:00:00Z")] {
        desk.store(json!({"text": text, "kind": "event", "event_time": when})).await;
    }
    let data = desk.ok("timeline", json!({"from": "2024-06-01"})).await;
    let texts: Vec<&str> =
        data["records"].as_array().unwrap().iter().map(|own| own["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["second", "third"]);
}

#[tokio::test]
async fn what_was_superseded_does_not_come_back_because_it_is_said_again() {
    let desk = Desk::embedded();
    let id = desk.store("Ada leads the team").await;
    desk.ok("supersede", json!({"id": id, "if_match": 1, "text": "Bob leads the team"})).await;
    let again = desk.call("store", json!({"items": [{"text": "Ada leads the team"}]})).await;
    assert_eq!(again.data()["items"][0]["outcome"], "superseded");
    assert!(again.structured["warnings"][0].as_str().unwrap().contains("restore"), "{}", again.structured);
    assert_eq!(desk.texts(json!({"query": "who leads the team"})).await, ["Bob leads the team"]);
}

#[tokio::test]
async fn a_forgotten_private_record_does_not_hide_one_of_the_team() {
    let desk = Desk::embedded();
    desk.store(json!({"id": "x", "text": "mine", "visibility": "private"})).await;
    crate::forgetting::planned(&desk, "forget", json!({"ids": ["x"]})).await;
    desk.store(json!({"id": "x", "text": "ours"})).await;
    let done = desk.ok("update", json!({"id": "x", "if_match": 1, "patch": {"text": "still ours"}})).await;
    assert_eq!(done["record"]["visibility"], "team");
}

#[tokio::test]
async fn nobody_works_on_for_a_call_that_is_cancelled() {
    let desk = Desk::embedded();
    desk.store("something to find").await;
    let token = tokio_util::sync::CancellationToken::new();
    token.cancel();
    let gone = desk.direct.until(token);
    assert_eq!(gone.call("search", json!({"query": "something"})).await.code(), "cancelled");
    let stored = gone.call("store", json!({"items": [{"text": "never"}]})).await;
    assert_eq!(stored.code(), "cancelled");
    assert!(desk.texts(json!({"query": "never"})).await.is_empty());
}

#[tokio::test]
async fn a_store_that_is_away_says_so_and_is_asked_again() {
    let away = weft_kit::Reference::Text(format!("redis://127.0.0.1:{}/0", weft_testkit::free_port()));
    let redis = StoreSettings::Redis { url: away, prefix: "away".to_owned(), pool: 2 };
    let away = weft_kit::Reference::Text(format!("postgres://nobody@127.0.0.1:{}/none", weft_testkit::free_port()));
    let postgres = StoreSettings::Postgres { url: away, schema: "away".to_owned(), pool: 2 };
    for store in [redis, postgres] {
        let desk = Desk::of(Settings { store, ..Settings::default() });
        let called = desk.call("search", json!({"query": "anything"})).await;
        assert_eq!((called.code(), &called.structured["error"]["retryable"]), ("unavailable", &json!(true)));
        assert!(!called.structured.to_string().contains("127.0.0.1"), "{}", called.structured);
    }
}
