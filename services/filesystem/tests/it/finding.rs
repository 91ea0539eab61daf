//! Lists and searches: order, ignore files, budgets, cancellation.

use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::desk::{Desk, ok};

#[tokio::test]
async fn ignore_files_are_respected_unless_asked_otherwise() {
    let desk = Desk::new();
    desk.put(".gitignore", "target/\n*.log\n!keep.log\n");
    for name in ["src/main.rs", "target/out", "a.log", "keep.log", "sub/b.log", ".git/HEAD"] {
        desk.put(name, "needle\n");
    }
    desk.put("sub/.ignore", "c.txt\n");
    desk.put("sub/c.txt", "needle\n");
    let names = async |arguments: serde_json::Value| -> Vec<String> {
        let found = ok(desk.call("search_files", arguments).await);
        let root = desk.root("").to_string_lossy().into_owned();
        found
            .data()
            .as_array()
            .unwrap()
            .iter()
            .map(|path| path.as_str().unwrap().trim_start_matches(&root).to_owned())
            .collect()
    };
    let seen = names(json!({ "path": ".", "pattern": "**", "kind": "file" })).await;
    assert_eq!(seen, [".gitignore", "keep.log", "src/main.rs", "sub/.ignore"]);
    let logs = names(json!({ "path": ".", "pattern": "*.log", "respect_ignore": false })).await;
    assert_eq!(logs, ["a.log", "keep.log", "sub/b.log"]);
    let hits = ok(desk.call("search_content", json!({ "path": ".", "query": "NEEDLE" })).await);
    assert_eq!(hits.data().as_array().unwrap().len(), 2, "{}", hits.text);
    let none = ok(desk.call("search_content", json!({ "path": ".", "query": "NEEDLE", "case_sensitive": true })).await);
    assert_eq!(none.text, "nothing found");
}

#[tokio::test]
async fn long_answers_come_in_pages_without_gaps() {
    let desk = Desk::new();
    for number in 0..250 {
        desk.put(&format!("f{number:04}"), "hit\n");
    }
    let mut cursor = serde_json::Value::Null;
    let mut seen = Vec::new();
    loop {
        let mut arguments = json!({ "path": ".", "query": "hit", "context": 0 });
        if !cursor.is_null() {
            arguments["cursor"] = cursor;
        }
        let page = ok(desk.call("search_content", arguments).await);
        seen.extend(page.data().as_array().unwrap().iter().map(|hit| hit["path"].as_str().unwrap().to_owned()));
        cursor = page.structured["page"]["cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(seen.len(), 250);
    assert!(seen.is_sorted());
    let listed = ok(desk.call("list_directory", json!({ "path": ".", "with_sizes": true, "sort": "size" })).await);
    assert_eq!(listed.structured["page"]["total"], 250);
}

/// A24.
#[tokio::test]
async fn patterns_made_to_hang_do_not() {
    let desk = Desk::new();
    desk.put("big", "a".repeat(4 << 20));
    for depth in 0..40 {
        desk.put(&format!("{}x", "d/".repeat(depth)), "aaa");
    }
    let all = async {
        ok(desk.call("search_files", json!({ "path": ".", "pattern": "**/**/**/**/*a*a*a*" })).await);
        ok(desk.call("search_content", json!({ "path": ".", "query": "(a+)+$", "regex": true, "context": 0 })).await);
        assert!(desk.call("search_content", json!({ "path": ".", "query": "(", "regex": true })).await.is_error);
        let bomb = desk
            .call("search_content", json!({ "path": ".", "query": "((a{1000}){1000}){1000}", "regex": true }))
            .await;
        assert!(bomb.is_error);
        assert!(desk.call("search_files", json!({ "path": ".", "pattern": "[" })).await.is_error);
    };
    tokio::time::timeout(Duration::from_secs(60), all).await.unwrap();
}

#[tokio::test]
async fn a_cancelled_walk_stops() {
    let desk = Desk::new();
    for number in 0..2000 {
        desk.put(&format!("d{}/f{number}", number % 20), "x");
    }
    let token = CancellationToken::new();
    token.cancel();
    let stopped = desk.direct().until(token).call("search_content", json!({ "path": ".", "query": "x" })).await;
    assert!(stopped.is_error);
    assert_eq!(stopped.code(), "cancelled");
}

#[tokio::test]
async fn a_tree_is_drawn_and_cut_where_it_is_long() {
    let desk = Desk::new();
    desk.put("src/a/b.rs", "");
    for number in 0..300 {
        desk.put(&format!("many/f{number:03}"), "");
    }
    let tree = ok(desk.call("directory_tree", json!({ "path": ".", "max_depth": 5 })).await);
    let text = tree.data()["tree"].as_str().unwrap();
    assert!(text.contains("src/\n  a/\n    b.rs\n") && text.contains("(100 more in many/)"), "{text}");
    assert!(!tree.structured["truncated"].is_null());
    let without = ok(desk.call("directory_tree", json!({ "path": ".", "excludePatterns": ["many"] })).await);
    assert!(!without.text.contains("many"));
}
