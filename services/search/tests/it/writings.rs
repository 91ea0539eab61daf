//! Texts in writings that put no spaces between words: parts of a run are found, marked and kept in order, in new indexes and old ones.

use std::{fs, path::Path};

use serde_json::{Value, json};
use weft_search::Settings;

use crate::desk::{Desk, direct, ids};

async fn shelved(language: &str) -> Desk {
    let desk = Desk::new();
    let fields = json!([{"name": "text", "kind": "text"}, {"name": "code", "kind": "code"}]);
    desk.done("create_index", json!({"name": "texts", "fields": fields, "language": language})).await;
    let long = format!("{}東京タワー{}", "私達は漢字を書く".repeat(10), "それから寝る".repeat(10));
    let documents = json!([
        {"id": "memo", "text": "日本語のメモ"}, {"id": "turned", "text": "本日は語る"}, {"id": "cat", "text": "黒い猫"},
        {"id": "cats", "text": "猫猫と犬"}, {"id": "korean", "text": "한국어를 배우다"}, {"id": "chinese", "text": "中华人民共和国iPhone手机"},
        {"id": "thai", "text": "ภาษาไทยสนุก"}, {"id": "long", "text": long}, {"id": "code", "code": "let x = 1; // 日本の関数 parseHeader"},
    ]);
    let written = desk.done("index_documents", json!({"index": "texts", "documents": documents})).await;
    assert_eq!(written["failed"], json!([]));
    desk
}

async fn found(desk: &Desk, query: &str) -> Vec<String> {
    let mut found = ids(&desk.done("search", json!({"indices": ["texts"], "query": query})).await);
    found.sort();
    found
}

#[tokio::test]
async fn a_part_of_a_run_is_found_in_every_language_of_an_index() {
    for language in ["plain", "english", "cjk"] {
        let desk = shelved(language).await;
        for (query, expected) in [
            ("日本", vec!["code", "memo"]),
            ("日本語", vec!["memo"]),
            ("メモ", vec!["memo"]),
            ("語", vec!["memo", "turned"]),
            ("猫", vec!["cat", "cats"]),
            ("猫猫", vec!["cats"]),
            ("국어", vec!["korean"]),
            ("한국어를", vec!["korean"]),
            ("共和国", vec!["chinese"]),
            ("iphone手机", vec!["chinese"]),
            ("iphone", vec!["chinese"]),
            ("ไทย", vec!["thai"]),
            ("東京タワー", vec!["long"]),
            ("\"日本 語\"", vec!["memo"]),
            ("\"語 日本\"", vec![]),
            ("+日本 -語", vec!["code"]),
            ("日本語* ", vec!["memo"]),
            ("日木語~", vec!["memo", "turned"]),
            ("中华人民共木国~", vec!["chinese"]),
            ("中木人民木和国~1", vec![]),
            ("関数", vec!["code"]),
            ("\"関数 parse header\"", vec!["code"]),
            ("猫犬", vec![]),
        ] {
            let own = found(&desk, query).await;
            assert_eq!(own, expected, "{language} {query}");
        }
    }
}

#[tokio::test]
async fn what_is_marked_is_what_was_asked_for() {
    let desk = shelved("plain").await;
    for (query, id, field, piece) in [
        ("日本語", "memo", "text", "**日本語**のメモ"),
        ("猫", "cat", "text", "黒い**猫**"),
        ("猫猫", "cats", "text", "**猫猫**と犬"),
        ("parseHeader", "code", "code", "let x = 1; // 日本の関数 **parseHeader**"),
    ] {
        let data = desk.done("search", json!({"indices": ["texts"], "query": query})).await;
        let hit = data["hits"].as_array().unwrap().iter().find(|hit| hit["id"] == id).unwrap().clone();
        assert_eq!(hit["highlights"][field], json!([piece]), "{query}");
    }
    let data = desk.done("search", json!({"indices": ["texts"], "query": "東京タワー"})).await;
    let piece = data["hits"][0]["highlights"]["text"][0].as_str().unwrap().to_owned();
    assert!(piece.contains("**東京タワー**"), "{piece}");
}

/// Where an index is, somewhere below.
fn find(place: &Path, name: &str) -> std::path::PathBuf {
    let tenants = fs::read_dir(place.join("indexes")).unwrap();
    tenants.map(|tenant| tenant.unwrap().path().join(name)).find(|path| path.is_dir()).unwrap()
}

#[tokio::test]
async fn an_index_of_before_keeps_its_words_and_says_what_would_help() {
    let folder = tempfile::tempdir().unwrap();
    let fields = json!([{"name": "text", "kind": "text"}]);
    let first = direct(Settings::default(), folder.path());
    for name in ["old", "new"] {
        let made = first.call("create_index", json!({"name": name, "fields": fields, "language": "english"})).await;
        assert!(!made.is_error);
    }
    drop(first);
    // What an index was cut by stands in its files, under the name of the first edition.
    let meta = find(folder.path(), "old").join("meta.json");
    let text = fs::read_to_string(&meta).unwrap();
    assert!(text.contains("english.2"));
    fs::write(&meta, text.replace("english.2", "english")).unwrap();
    let desk = direct(Settings::default(), folder.path());
    for (name, part) in [("old", 0), ("new", 1)] {
        let documents = json!([{"id": "a", "text": "日本語のメモ about connections"}]);
        let written = desk.call("index_documents", json!({"index": name, "documents": documents})).await;
        assert_eq!(written.data()["indexed"], 1);
        for (query, total) in
            [("日本語のメモ", 1), ("日本", part), ("connect*", 1), ("connection", 1), ("日本語のメ*", 1)]
        {
            let called = desk.call("search", json!({"indices": [name], "query": query})).await;
            assert_eq!(called.data()["total"], total, "{name} {query}");
        }
        let status = desk.call("index_status", json!({"index": name})).await;
        let advice: &Value = &status.data()["indexes"][0]["advice"];
        assert_eq!(advice.as_str().is_some_and(|advice| advice.contains("reindex")), name == "old", "{name}");
    }
    let copied = desk.call("reindex", json!({"from": "old", "to": "fresh"})).await;
    assert!(!copied.is_error, "{}", copied.structured);
    let called = desk.call("search", json!({"indices": ["fresh"], "query": "日本"})).await;
    assert_eq!(called.data()["total"], 1);
}
