//! Inputs that mean harm, by the numbers of the attack corpus: E03 (names and bodies that reach elsewhere) and E04 (the embedded
//! engine).

use serde_json::json;
use weft_search::Settings;

use crate::desk::{Desk, direct, refused};

#[tokio::test]
async fn e03_no_name_reaches_beyond_one_index() {
    let desk = Desk::books().await;
    for name in [
        "*",
        ".security",
        ".security*",
        "-*,secret",
        "cluster:secret",
        "<logs-{now/d}>",
        "books,books",
        "books/_delete_by_query",
        "%2e%2e",
        "..",
        "../books",
        "_all",
        "",
        "books\u{0}",
        "BOOKS",
    ] {
        for (tool, arguments) in [
            ("search", json!({"indices": [name]})),
            ("count", json!({"index": name})),
            ("get_documents", json!({"index": name, "ids": ["sea"]})),
            ("aggregate", json!({"index": name, "groups": [{"field": "author"}]})),
            ("suggest", json!({"index": name, "text": "a"})),
            ("explain", json!({"index": name, "id": "sea", "query": "sea"})),
            ("create_index", json!({"name": name})),
            ("index_documents", json!({"index": name, "documents": [{"title": "a"}]})),
            ("delete_documents", json!({"index": name, "ids": ["sea"]})),
            ("delete_index", json!({"index": name})),
            ("set_alias", json!({"alias": name, "index": "books"})),
            ("set_alias", json!({"alias": "a", "index": name})),
            ("set_synonyms", json!({"index": name, "synonyms": []})),
            ("reindex", json!({"from": name, "to": "copy"})),
            ("reindex", json!({"from": "books", "to": name})),
            ("index_status", json!({"index": name})),
        ] {
            refused(&desk.call(tool, arguments).await, &["invalid_arguments"]);
        }
    }
    let listed = desk.done("list_indices", json!({})).await;
    assert_eq!(listed["indexes"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn e03_no_size_or_depth_is_without_limit() {
    let desk = Desk::books().await;
    for search in [
        json!({"limit": 10_000_000}),
        json!({"limit": 0}),
        json!({"from": 1_000_000_000}),
        json!({"script_fields": {}}),
        json!({"facets": ["author", "author", "author", "author", "author", "author"]}),
        json!({"fields": ["_source"]}),
        json!({"sort": {"field": "_doc"}}),
        json!({"filters": [{"field": "author", "op": "eq", "value": {"index": "secret", "id": "1", "path": "x"}}]}),
        json!({"filters": [{"field": "author", "op": "regexp", "value": ".*.*.*x"}]}),
    ] {
        let mut search = search;
        search["indices"] = json!(["books"]);
        refused(&desk.call("search", search).await, &["invalid_arguments"]);
    }
    let many = vec!["books"; 11];
    refused(&desk.call("search", json!({"indices": many})).await, &["invalid_arguments"]);
    let groups = json!([{"field": "author", "size": 1_000_000}]);
    refused(&desk.call("aggregate", json!({"index": "books", "groups": groups})).await, &["invalid_arguments"]);
    let groups = json!([{"field": "price", "by": "steps", "step": 1e-300}]);
    refused(&desk.call("aggregate", json!({"index": "books", "groups": groups})).await, &["invalid_arguments"]);
}

#[tokio::test]
async fn e04_queries_that_cost_or_mean_nothing_are_refused_or_read_leniently() {
    let desk = Desk::books().await;
    let many = vec!["a"; 10_000].join(" OR ");
    for bad in ["*sea", "s*", "sea^NaN", "sea^inf", "nofield:sea", &many, "((((((((((((sea))))))))))))"] {
        refused(&desk.call("search", json!({"indices": ["books"], "query": bad})).await, &["invalid_arguments"]);
    }
    for fine in [
        "*:*",
        "_id:sea",
        "_source:sea",
        "\"unbalanced sea",
        "(unbalanced sea",
        "sea)",
        "sea \u{202e}\u{0}",
        "-",
        "AND OR NOT sea",
        "-\u{a0}sea",
        "+\u{3000}sea",
        "(sea +\u{2003})",
    ] {
        let called = desk.call("search", json!({"indices": ["books"], "query": fine})).await;
        assert!(!called.is_error || called.code() == "invalid_arguments", "{fine}: {}", called.structured);
    }
    let warned = desk.call("search", json!({"indices": ["books"], "query": "\"old sea"})).await;
    assert_eq!(warned.structured["warnings"], json!(["a quote was never closed"]));
}

#[tokio::test]
async fn e04_a_second_writer_is_told_that_there_is_one() {
    let desk = Desk::books().await;
    let second = direct(Settings::default(), desk.folder.path());
    let write = json!({"index": "books", "documents": [{"id": "second", "title": "second"}]});
    let called = second.call("index_documents", write.clone()).await;
    refused(&called, &["unavailable"]);
    assert!(called.structured["error"]["message"].as_str().unwrap().contains("another instance"));
    // Reading is free, and sees what the first one writes.
    desk.done("index_documents", json!({"index": "books", "documents": [{"id": "first", "title": "fresh"}]})).await;
    let found = second.call("search", json!({"indices": ["books"], "query": "fresh"})).await;
    assert_eq!(found.data()["total"], 1);
    drop(desk.direct);
    let called = second.call("index_documents", write).await;
    assert!(!called.is_error, "{}", called.structured);
}

#[tokio::test]
async fn unknown_arguments_are_refused_everywhere() {
    let desk = Desk::books().await;
    for tool in ["search", "count", "list_indices", "describe_index", "create_index", "index_documents", "delete_index"]
    {
        let arguments =
            json!({"index": "books", "indices": ["books"], "name": "x", "documents": [], "namespace": "other"});
        refused(&desk.call(tool, arguments).await, &["invalid_arguments"]);
    }
}
