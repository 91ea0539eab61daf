//! Working notes with an end, consolidation without false merges, resources, prompts' completion.

use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use weft_kit::{Body, Completing, CompletionOf};

use crate::{desk::Desk, forgetting::planned, stores};

#[tokio::test]
async fn the_newest_turns_that_fit_come_back_oldest_first() {
    for settings in stores::all() {
        let desk = Desk::of(settings);
        for number in 0..20 {
            let turn = json!({"role": "user", "text": (format!("turn {number} {}", "x".repeat(80)))});
            desk.ok("session_append", json!({"session_id": "s-1", "messages": [turn]})).await;
        }
        let window = desk.ok("session_context", json!({"session_id": "s-1", "token_budget": 150})).await;
        let turns: Vec<&str> =
            window["turns"].as_array().unwrap().iter().map(|own| own["text"].as_str().unwrap()).collect();
        assert!(turns.len() >= 3 && window["tokens"].as_u64().unwrap() <= 150, "{window}");
        assert!(turns.is_sorted() && turns.last().unwrap().starts_with("turn 19"), "{turns:?}");
        assert_eq!(window["left_out"].as_u64().unwrap() + turns.len() as u64, 20);
        assert!(desk.texts(json!({"query": "turn 19"})).await.is_empty(), "turns are no memories");
        let other = desk.by("eve", desk_namespace(), &[]);
        let theirs = other.ok("session_context", json!({"session_id": "s-1"})).await;
        assert_eq!(theirs["turns"], json!([]), "a session's id opens nothing");
    }
}

fn desk_namespace() -> &'static str {
    Box::leak(weft_kit::Rules::default().namespace.into_boxed_str())
}

/// Stores a record and a turn, looks for them within their time, and waits for its end; the id of the record. A second is mostly
/// enough to look; on a machine that stood still meanwhile they get more of them.
async fn brief(desk: &Desk) -> String {
    for seconds in [1, 5, 60] {
        // By the clock that the times of records are by.
        let begun = SystemTime::now();
        let id = desk.store(json!({"text": "The door code is with Bob today", "ttl_seconds": seconds})).await;
        let messages = json!([{"role": "user", "text": "hello"}]);
        desk.ok("session_append", json!({"session_id": "s", "messages": messages, "ttl_seconds": seconds})).await;
        let end = Instant::now() + Duration::from_secs(seconds);
        let (found, session) = (
            desk.texts(json!({"query": "door code"})).await.len(),
            desk.ok("session_context", json!({"session_id": "s"})).await["turns"].as_array().unwrap().len(),
        );
        if begun.elapsed().is_ok_and(|took| took < Duration::from_secs(seconds)) {
            assert_eq!((found, session), (1, 1), "they ended before their time");
            tokio::time::sleep_until((end + Duration::from_millis(100)).into()).await;
            return id;
        }
        tokio::time::sleep_until((end + Duration::from_millis(100)).into()).await;
    }
    panic!("nothing could be looked for within a minute");
}

#[tokio::test]
async fn what_has_a_time_to_live_is_gone_after_it() {
    for settings in stores::all() {
        let desk = Desk::of(settings);
        let id = brief(&desk).await;
        assert!(desk.texts(json!({"query": "door code"})).await.is_empty());
        assert_eq!(desk.ok("get", json!({"ids": [id]})).await["missing"][0], id.as_str());
        assert_eq!(desk.ok("session_context", json!({"session_id": "s"})).await["turns"], json!([]));
    }
}

#[tokio::test]
async fn what_says_the_same_becomes_one_and_the_rest_stays_apart() {
    for settings in stores::all() {
        let desk = Desk::of(settings);
        let first =
            desk.store(json!({"text": "Deploys happen on Thursday mornings", "pinned": true, "topics": ["a"]})).await;
        let second = desk.store(json!({"text": "deploy happens on Thursday mornings", "topics": ["b"]})).await;
        for apart in [
            "Deploys happen on Friday mornings",
            "Deploys do not happen on Thursday mornings",
            "The port is 8080",
            "The port is 8081",
        ] {
            desk.store(apart).await;
        }
        let shown = desk.ok("consolidate", json!({"threshold": 0.8})).await;
        let groups = shown["plan"]["effects"]["groups"].as_array().unwrap();
        assert_eq!(groups.len(), 1, "{groups:?}");
        assert_eq!((&groups[0]["keep"], groups[0]["merge"].as_object().unwrap().len()), (&json!(first), 1));
        assert_eq!(desk.ok("list", json!({})).await["records"].as_array().unwrap().len(), 6, "a plan changes nothing");
        let done = planned(&desk, "consolidate", json!({"threshold": 0.8})).await;
        assert_eq!(done, json!({"groups": 1, "merged": 1, "skipped": 0}));
        assert_eq!(desk.ok("list", json!({})).await["records"].as_array().unwrap().len(), 5);
        let kept = desk.ok("get", json!({"ids": [first, second]})).await["records"].clone();
        assert_eq!(kept[0]["record"]["topics"], json!(["a", "b"]));
        assert_eq!(kept[0]["record"]["merged"], json!([format!("{second}@1")]));
        assert_eq!(kept[1]["record"]["superseded_by"], json!(first));
    }
}

#[tokio::test]
async fn memory_is_read_as_resources_by_those_who_may() {
    let desk = Desk::embedded();
    let id = desk.store("The cache is in front of the database").await;
    let listed = desk.direct.resources(None).await.unwrap();
    let team = listed.items.iter().find(|item| item.name == "team").unwrap();
    let text = |body: &Body| match body {
        Body::Text(text) => serde_json::from_str::<Value>(text).unwrap(),
        Body::Bytes(_) => panic!("bytes"),
    };
    let all = desk.direct.read(&team.uri).await.unwrap();
    assert_eq!(text(&all[0].body)["records"][0]["id"], id.as_str());
    let one = desk.direct.read(&format!("{}/{id}", team.uri)).await.unwrap();
    assert_eq!(text(&one[0].body)["text"], "The cache is in front of the database");
    let other = desk.by("ada", "elsewhere", &[]);
    assert_eq!(other.direct.read(&team.uri).await.unwrap_err().code(), "not_found");
    assert_eq!(other.direct.read(&format!("{}/{id}", team.uri)).await.unwrap_err().code(), "not_found");
    let of = CompletionOf::Template("memory://{namespace}/{part}/{id}".to_owned());
    let asked = Completing {
        of,
        argument: "id".to_owned(),
        value: "f-".to_owned(),
        settled: std::collections::BTreeMap::new(),
    };
    assert_eq!(desk.direct.complete(asked).await.unwrap(), [id]);
}
