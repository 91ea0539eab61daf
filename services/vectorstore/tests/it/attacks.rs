//! Hostile input: E02 of the attack corpus, and tenants that look for each other's data.

use serde_json::{Value, json};

use crate::bench::{Bench, ids, refused};

async fn filled() -> Bench {
    let bench = Bench::new();
    bench.vectors("v", 2).await;
    let items = json!([{ "id": "a", "vector": [1.0, 0.0], "text": "mine", "metadata": { "tenant": "local" } }]);
    bench.ok("upsert", json!({ "collection": "v", "items": items })).await;
    bench
}

#[tokio::test]
async fn a_filter_cannot_reach_another_tenant() {
    let bench = filled().await;
    let other = bench.by("other");
    for tool in ["search", "scroll", "count", "describe_collection"] {
        let mut args = json!({ "collection": "v" });
        if tool == "search" {
            args["vector"] = json!([1.0, 0.0]);
        }
        refused(&other.call(tool, args).await, "not_found");
    }
    assert!(!other.call("create_collection", json!({ "name": "v", "dimensions": 2 })).await.is_error);
    let all = [
        json!({ "all": [] }),
        json!({ "field": "tenant", "eq": "local" }),
        json!({ "not": { "ids": ["b"] } }),
        json!({ "ids": ["a"] }),
    ];
    for filter in all {
        let count = other.call("count", json!({ "collection": "v", "filter": filter })).await;
        assert_eq!(count.data()["count"], 0, "{filter}");
        let found = other.call("search", json!({ "collection": "v", "vector": [1.0, 0.0], "filter": filter })).await;
        assert!(ids(&found.data()["hits"]).is_empty());
    }
    assert_eq!(other.call("get", json!({ "collection": "v", "ids": ["a"] })).await.data(), &json!([]));
    let gone = other.call("delete_points", json!({ "collection": "v", "filter": { "all": [] } })).await;
    assert_eq!(gone.data()["result"]["points"], 0);
    other.call("delete_collection", json!({ "collection": "v" })).await;
    assert_eq!(bench.ok("count", json!({ "collection": "v" })).await["count"], 1);
    let foreign = other.call("list_collections", json!({})).await;
    assert_eq!(foreign.data()["collections"], json!([]));
}

#[tokio::test]
async fn foreign_filter_languages_and_oversized_filters_are_refused() {
    let bench = filled().await;
    let mut deep = json!({ "field": "a", "eq": 1 });
    for _ in 0..1_000 {
        deep = json!({ "not": deep });
    }
    let many: Vec<String> = (0..1_000_000).map(|n| n.to_string()).collect();
    let cases = [
        (json!({ "should": [{ "must_not": [{ "key": "tenant", "match": { "value": "x" } }] }] }), "invalid_arguments"),
        (json!({ "$or": [{ "tenant": { "$ne": "local" } }] }), "invalid_arguments"),
        (json!("1 = 1"), "invalid_arguments"),
        (deep, "too_large"),
        (json!({ "ids": many }), "too_large"),
        (json!({ "field": "a\u{0}b", "eq": 1 }), "invalid_arguments"),
    ];
    for (filter, code) in cases {
        refused(&bench.call("count", json!({ "collection": "v", "filter": filter })).await, code);
    }
    let get = bench.call("get", json!({ "collection": "v", "ids": vec!["a"; 201] })).await;
    refused(&get, "too_large");
}

#[tokio::test]
async fn vectors_must_be_finite_and_of_the_right_length() {
    let bench = filled().await;
    let write = |vector: Value| json!({ "collection": "v", "items": [{ "id": "x", "vector": vector }] });
    for vector in [json!([1.0]), json!([1.0, 2.0, 3.0]), json!([1e39, 0.0]), json!([null, 0.0]), json!(["NaN", 0.0])] {
        assert!(bench.call("upsert", write(vector.clone())).await.is_error, "{vector}");
        assert!(bench.call("search", json!({ "collection": "v", "vector": vector })).await.is_error, "{vector}");
    }
    bench.ok("upsert", write(json!([-0.0, 0.0]))).await;
    let found = bench.ok("search", json!({ "collection": "v", "vector": [-0.0, 0.0] })).await;
    assert_eq!(ids(&found["hits"]), ["a", "x"], "a vector of zeros is near to nothing, and breaks nothing");
    assert_eq!(bench.ok("count", json!({ "collection": "v" })).await["count"], 2);
}

#[tokio::test]
async fn names_that_could_be_paths_are_no_names() {
    let bench = filled().await;
    for name in ["../x", "a/b", "..", ".", "/etc/passwd", "a\0b", "%2e%2e", "v@x", "", "ｖ", &"x".repeat(64)] {
        refused(&bench.call("create_collection", json!({ "name": name, "dimensions": 2 })).await, "invalid_arguments");
        refused(&bench.call("count", json!({ "collection": name })).await, "invalid_arguments");
        assert!(bench.call("set_alias", json!({ "alias": name, "collection": "v" })).await.is_error, "{name}");
        assert!(bench.call("snapshot_collection", json!({ "collection": "v", "name": name })).await.is_error, "{name}");
        assert!(bench.call("restore_collection", json!({ "snapshot": name })).await.is_error, "{name}");
    }
    let stores: Vec<_> = std::fs::read_dir(bench.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(stores.iter().all(|name| name == "stores" || name == "snapshots"), "{stores:?}");
}

#[tokio::test]
async fn another_embedding_model_is_refused_everywhere() {
    let bench = filled().await;
    bench.ok("create_collection", json!({ "name": "t" })).await;
    let zeros = vec![0.5; 384];
    let item = json!({ "collection": "t", "items": [{ "vector": zeros }], "model": "openai/large" });
    refused(&bench.call("upsert", item).await, "model_mismatch");
    refused(&bench.call("search", json!({ "collection": "t", "vector": zeros, "model": "x" })).await, "model_mismatch");
    refused(&bench.call("create_collection", json!({ "name": "t", "dimensions": 3 })).await, "conflict");
    refused(&bench.call("create_collection", json!({ "name": "n", "model": "openai/x" })).await, "unknown_model");
    let both = json!({ "name": "n", "model": "lexical/1", "dimensions": 3 });
    refused(&bench.call("create_collection", both).await, "model_mismatch");
    let text = json!({ "collection": "v", "items": [{ "text": "words for a collection of vectors" }] });
    refused(&bench.call("upsert", text).await, "model_mismatch");
    refused(&bench.call("search", json!({ "collection": "v", "text": "x", "mode": "dense" })).await, "model_mismatch");
}

#[tokio::test]
async fn too_much_at_once_is_refused_before_anything_is_written() {
    let bench = filled().await;
    let items: Vec<Value> = (0..257).map(|n| json!({ "id": n.to_string(), "vector": [0.0, 1.0] })).collect();
    refused(&bench.call("upsert", json!({ "collection": "v", "items": items })).await, "too_large");
    let one = |item: Value| json!({ "collection": "v", "items": [{ "id": "ok", "vector": [0.0, 1.0] }, item] });
    let long = "x".repeat(70_000);
    for item in [
        json!({ "id": "long", "vector": [0.0, 1.0], "text": long }),
        json!({ "id": "meta", "vector": [0.0, 1.0], "metadata": { "m": long } }),
        json!({ "id": long, "vector": [0.0, 1.0] }),
        json!({ "id": "", "vector": [0.0, 1.0] }),
        json!({ "id": "nothing" }),
        json!({ "id": "unknown", "vector": [0.0, 1.0], "payload": {} }),
    ] {
        assert!(bench.call("upsert", one(item.clone())).await.is_error);
    }
    assert_eq!(bench.ok("count", json!({ "collection": "v" })).await["count"], 1);
    for limit in [0, 101, 1_000_000] {
        assert!(
            bench.call("search", json!({ "collection": "v", "vector": [0.0, 1.0], "limit": limit })).await.is_error
        );
    }
}

#[tokio::test]
async fn one_tenant_cannot_take_all_the_room() {
    let bench = Bench::new();
    for n in 0..256 {
        bench.vectors(&format!("c{n}"), 1).await;
    }
    refused(&bench.call("create_collection", json!({ "name": "more", "dimensions": 1 })).await, "too_large");
    assert!(!bench.by("other").call("create_collection", json!({ "name": "own", "dimensions": 1 })).await.is_error);
}
