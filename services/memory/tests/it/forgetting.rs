//! Forgetting: shown first, undone or verified, on every store.

use serde_json::{Value, json};

use crate::{desk::Desk, stores};

/// Calls a planned tool twice: for its plan, and with it.
pub(crate) async fn planned(desk: &Desk, tool: &str, mut arguments: Value) -> Value {
    let shown = desk.ok(tool, arguments.clone()).await;
    assert_eq!(shown["applied"], false, "{shown}");
    arguments["plan_id"] = shown["plan"]["plan_id"].clone();
    desk.ok(tool, arguments).await["result"].clone()
}

#[tokio::test]
async fn what_is_forgotten_can_be_brought_back() {
    for settings in stores::all() {
        let desk = Desk::of(settings);
        let id = desk.store("The staging cluster is in Oslo").await;
        let done = planned(&desk, "forget", json!({"ids": [id]})).await;
        assert_eq!(done["records"], 1);
        assert!(desk.texts(json!({"query": "staging cluster"})).await.is_empty());
        assert_eq!(desk.ok("get", json!({"ids": [id]})).await["missing"][0], id.as_str());
        desk.ok("update", json!({"id": id, "if_match": 2, "patch": {"restore": true}})).await;
        assert_eq!(desk.texts(json!({"query": "staging cluster"})).await, ["The staging cluster is in Oslo"]);
    }
}

#[tokio::test]
async fn an_erasure_by_subject_takes_every_version_and_leaves_a_proof_without_content() {
    for settings in stores::all() {
        let desk = Desk::of(settings);
        let named = desk.store("Zacharias Quellenbrunn likes tea").await;
        let other = desk.store("The deploy runs on Thursdays").await;
        desk.store(json!({"text": "met at the fair", "entities": ["Zacharias  Quellenbrunn"]})).await;
        desk.ok("link", json!({"from": "Zacharias Quellenbrunn", "relation": "works_at", "to": "Weft"})).await;
        // Only its first version names him.
        let moved = desk.store("Ask zacharias quellenbrunn for the keys").await;
        desk.ok("update", json!({"id": moved, "if_match": 1, "patch": {"text": "Ask Bob for the keys"}})).await;
        let done = planned(&desk, "forget", json!({"subject": "Zacharias Quellenbrunn", "mode": "erase"})).await;
        assert_eq!((&done["records"], &done["verified"]), (&json!(4), &json!(true)), "{done}");
        assert_eq!(done["versions"], 5);
        assert_eq!(desk.code("history", json!({"id": named})).await, "not_found");
        assert_eq!(desk.ok("graph", json!({"node": "Weft"})).await["edges"], json!([]));
        let left = desk.ok("list", json!({"all": true})).await;
        assert!(!left.to_string().to_lowercase().contains("quellenbrunn"), "{left}");
        let kinds: Vec<&str> =
            left["records"].as_array().unwrap().iter().map(|own| own["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["erasure", "fact"]);
        assert_eq!(left["records"][1]["id"], other.as_str());
    }
}

#[tokio::test]
async fn what_is_erased_is_not_in_the_file_any_more() {
    let desk = Desk::embedded();
    let id = desk.store("The passphrase hint is Xylophonquartz").await;
    for number in 0..50 {
        desk.store(format!("something else number {number}")).await;
    }
    planned(&desk, "forget", json!({"ids": [id], "mode": "erase"})).await;
    for entry in std::fs::read_dir(desk.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        for word in [&b"Xylophonquartz"[..], b"xylophonquartz"] {
            assert!(!bytes.windows(word.len()).any(|window| window == word), "{} holds it", path.display());
        }
    }
}

#[tokio::test]
async fn a_filter_that_says_nothing_means_nothing() {
    let desk = Desk::embedded();
    desk.store("keep me").await;
    for arguments in [
        json!({}),
        json!({"filter": {}}),
        json!({"filter": {"topics": [""], "text": " "}, "mode": "erase"}),
        json!({"subject": " "}),
        json!({"ids": ["f-1"], "subject": "me"}),
    ] {
        assert_eq!(desk.code("forget", arguments.clone()).await, "invalid_arguments", "{arguments}");
    }
    assert_eq!(desk.texts(json!({"query": "keep"})).await.len(), 1);
}

#[tokio::test]
async fn a_plan_does_not_outlive_a_change() {
    let desk = Desk::embedded();
    let id = desk.store("The build takes 9 minutes").await;
    let shown = desk.ok("forget", json!({"ids": [id], "mode": "erase"})).await;
    desk.ok("update", json!({"id": id, "if_match": 1, "patch": {"text": "The build takes 8 minutes"}})).await;
    let plan = &shown["plan"]["plan_id"];
    assert_eq!(desk.code("forget", json!({"ids": [id], "mode": "erase", "plan_id": plan})).await, "stale_plan");
}
