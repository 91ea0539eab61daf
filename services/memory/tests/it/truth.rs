//! What was true when: facts that ended, facts that are to come, and what a newer one takes from an older one; on every store.

use serde_json::json;

use crate::{desk::Desk, forgetting::planned, stores};

const ASKED: &str = "who leads the platform team";
const ADA: &str = "Ada leads the platform team";
const BOB: &str = "Bob leads the platform team";

/// The texts that are found for a time, in the order of the alphabet.
async fn during(desk: &Desk, from: &str, to: &str) -> Vec<String> {
    let mut texts = desk.texts(json!({"query": ASKED, "valid_during": {"from": from, "to": to}})).await;
    texts.sort();
    texts
}

#[tokio::test]
async fn what_was_true_once_is_found_by_its_time_after_it_was_superseded() {
    for settings in stores::all() {
        let desk = Desk::of(settings);
        let id = desk.store(json!({"text": ADA, "valid_from": "2025-01-01"})).await;
        let new = json!({"id": id, "if_match": 1, "text": BOB, "valid_from": "2026-03-01"});
        let new = desk.ok("supersede", new).await["record"].clone();
        assert_eq!(new["replaces"], json!(id));
        assert_eq!(during(&desk, "2025-06-01", "2025-06-02").await, [ADA]);
        assert_eq!(during(&desk, "2026-02-01", "2026-04-01").await, [ADA, BOB]);
        assert_eq!(during(&desk, "2026-03-01", "2026-04-01").await, [BOB]);
        assert!(during(&desk, "2024-01-01", "2024-06-01").await.is_empty());
        assert_eq!(desk.texts(json!({"query": ASKED})).await, [BOB]);
        // What is forgotten is not found by its time either.
        planned(&desk, "forget", json!({"filter": {"text": "platform"}})).await;
        assert!(during(&desk, "2025-06-01", "2026-06-02").await.is_empty());
    }
}

#[tokio::test]
async fn what_is_true_again_does_not_take_the_place_of_when_it_was_before() {
    for settings in stores::all() {
        let desk = Desk::of(settings);
        let first = desk.store(json!({"text": ADA, "valid_from": "2024-01-01"})).await;
        let mut id = json!(first);
        for (text, since) in [(BOB, "2025-01-01"), (ADA, "2026-01-01")] {
            let new = json!({"id": id, "if_match": 1, "text": text, "valid_from": since});
            id = desk.ok("supersede", new).await["record"]["id"].clone();
        }
        assert_ne!(id, json!(first));
        assert_eq!(during(&desk, "2024-06-01", "2024-07-01").await, [ADA]);
        assert_eq!(during(&desk, "2025-06-01", "2025-07-01").await, [BOB]);
        assert_eq!(during(&desk, "2026-06-01", "2026-07-01").await, [ADA]);
        assert_eq!(desk.texts(json!({"query": ASKED})).await, [ADA]);
        let same = json!({"id": id, "if_match": 1, "text": ADA, "valid_from": "2026-02-01"});
        assert_eq!(desk.code("supersede", same).await, "invalid_arguments");
    }
}

#[tokio::test]
async fn what_is_still_true_stays_until_the_day_on_which_something_else_will_be() {
    for settings in stores::all() {
        let desk = Desk::of(settings);
        let id = desk.store(json!({"text": ADA, "valid_from": "2025-01-01"})).await;
        let new = json!({"id": id, "if_match": 1, "text": BOB, "valid_from": "2099-01-01"});
        let new = desk.ok("supersede", new).await["record"]["id"].clone();
        assert_eq!(desk.texts(json!({"query": ASKED})).await, [ADA]);
        assert_eq!(desk.texts(json!({"query": ASKED, "as_of": "2100-01-01"})).await, [BOB]);
        assert_eq!(during(&desk, "2099-06-01", "2099-07-01").await, [BOB]);
        let listed = desk.ok("list", json!({})).await;
        assert_eq!(listed["records"].as_array().unwrap().len(), 1, "{listed}");
        assert_eq!(desk.ok("get", json!({"ids": [new]})).await["records"][0]["record"]["text"], BOB);
        // A change of words changes nothing about when.
        desk.ok("update", json!({"id": new, "if_match": 1, "patch": {"topics": ["team"]}})).await;
        assert_eq!(desk.texts(json!({"query": ASKED})).await, [ADA]);
    }
}

#[tokio::test]
async fn what_was_merged_is_not_found_beside_what_it_became() {
    for settings in stores::all() {
        let desk = Desk::of(settings);
        let (from, to) = ("2025-01-01", "2027-01-01");
        desk.store(json!({"text": ADA, "valid_from": from, "valid_to": to, "pinned": true})).await;
        desk.store(json!({"text": "Ada leads the platform teams", "valid_from": from, "valid_to": to})).await;
        let done = planned(&desk, "consolidate", json!({"threshold": 0.8})).await;
        assert_eq!(done["merged"], 1);
        assert_eq!(during(&desk, "2025-06-01", "2025-07-01").await, [ADA]);
    }
}
