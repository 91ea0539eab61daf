//! The tool `search` in all its modes.

use serde_json::json;

use crate::bench::{Bench, ids, refused};

async fn library() -> Bench {
    let bench = Bench::new();
    let fields = json!({ "topic": "keyword", "year": "integer" });
    bench.ok("create_collection", json!({ "name": "books", "fields": fields })).await;
    let items = json!([
        { "id": "fox", "text": "The quick red fox jumps over the lazy dog", "metadata": { "topic": "animals", "year": 2001 } },
        { "id": "dog", "text": "Dogs and foxes are canines; a dog barks", "metadata": { "topic": "animals", "year": 2010 } },
        { "id": "tax", "text": "Tax law and the annual balance sheet", "metadata": { "topic": "money", "year": 2020 } },
        { "id": "bank", "text": "A bank lends money against interest", "metadata": { "topic": "money", "year": 2021 } },
    ]);
    bench.ok("upsert", json!({ "collection": "books", "items": items })).await;
    bench
}

#[tokio::test]
async fn words_meaning_and_both_find_each_in_their_way() {
    let bench = library().await;
    for (mode, kind) in [("hybrid", "rrf"), ("dense", "cosine"), ("sparse", "bm25")] {
        let found =
            bench.ok("search", json!({ "collection": "books", "text": "red fox", "mode": mode, "limit": 2 })).await;
        assert_eq!(found["score_kind"], kind);
        assert_eq!(ids(&found["hits"])[0], "fox", "{mode}");
    }
    let unasked = bench.ok("search", json!({ "collection": "books", "text": "red fox" })).await;
    assert_eq!(unasked["score_kind"], "rrf");
    let sparse = bench.ok("search", json!({ "collection": "books", "text": "dog", "mode": "sparse" })).await;
    assert_eq!(
        ids(&sparse["hits"]),
        ["dog", "fox"],
        "twice in a shorter text is better than once, and other words are no hits"
    );
    let alike = bench.ok("search", json!({ "collection": "books", "like_id": "dog", "limit": 1 })).await;
    assert_eq!(ids(&alike["hits"]), ["fox"], "a point is not like itself");
}

#[tokio::test]
async fn filters_thresholds_groups_and_variety_hold_in_every_mode() {
    let bench = library().await;
    let ask = |more: serde_json::Value| {
        let mut args = json!({ "collection": "books", "text": "dog money fox", "limit": 4 });
        args.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        args
    };
    for mode in ["hybrid", "dense", "sparse"] {
        let filter = json!({ "all": [{ "field": "topic", "eq": "money" }, { "field": "year", "gt": 2020 }] });
        let found = bench.ok("search", ask(json!({ "mode": mode, "filter": filter }))).await;
        assert_eq!(ids(&found["hits"]), ["bank"], "{mode}");
        let grouped = bench.ok("search", ask(json!({ "mode": mode, "group_by": "topic", "include": ["text"] }))).await;
        let groups: Vec<_> =
            grouped["hits"].as_array().unwrap().iter().map(|hit| hit["group"].as_str().unwrap()).collect();
        assert_eq!(groups.len(), 2, "{grouped}");
        assert_ne!(groups[0], groups[1]);
        let varied = bench.ok("search", ask(json!({ "mode": mode, "mmr": 0.3, "limit": 2 }))).await;
        assert_eq!(ids(&varied["hits"]).len(), 2);
        assert!(varied["hits"][0].get("vector").is_none(), "vectors were needed, not asked for");
    }
    let near = bench.ok("search", ask(json!({ "mode": "dense", "score_threshold": 0.99 }))).await;
    assert!(ids(&near["hits"]).is_empty());
    let again = bench.ok("search", json!({ "collection": "books", "text": "balance sheet", "rerank": true })).await;
    assert_eq!((again["score_kind"].as_str(), ids(&again["hits"])[0]), (Some("overlap"), "tax"));
}

#[tokio::test]
async fn several_vectors_and_several_collections_are_ranked_together() {
    let bench = Bench::new();
    for name in ["a", "b"] {
        bench.vectors(name, 2).await;
        let items = json!([{ "id": "x", "vector": [1.0, 0.0] }, { "id": "y", "vector": [0.0, 1.0] }, { "id": "xy", "vector": [1.0, 1.0] }]);
        bench.ok("upsert", json!({ "collection": name, "items": items })).await;
    }
    let both = bench.ok("search", json!({ "collection": "a", "vectors": [[1.0, 0.0], [0.0, 1.0]], "limit": 1 })).await;
    assert_eq!(both["score_kind"], "rrf");
    let more = json!({ "collection": "a", "more_collections": ["b"], "vector": [1.0, 0.0], "limit": 2 });
    let hits = bench.ok("search", more).await["hits"].clone();
    assert_eq!(ids(&hits), ["x", "x"]);
    assert_ne!(hits[0]["collection"], hits[1]["collection"]);
    bench.ok("create_collection", json!({ "name": "e", "dimensions": 2, "metric": "euclidean" })).await;
    let mixed = json!({ "collection": "a", "more_collections": ["e"], "vector": [1.0, 0.0] });
    refused(&bench.call("search", mixed).await, "conflict");
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused() {
    let bench = library().await;
    for wrong in [
        json!({ "collection": "books" }),
        json!({ "collection": "books", "text": " ... " }),
        json!({ "collection": "books", "text": "x", "mmr": 1.5 }),
        json!({ "collection": "books", "text": "x", "hybrid_weight": -0.1 }),
        json!({ "collection": "books", "vector": vec![0.1; 384], "rerank": true }),
        json!({ "collection": "books", "vector": vec![0.1; 384], "mode": "sparse" }),
        json!({ "collection": "books", "text": "x", "group_by": "" }),
    ] {
        refused(&bench.call("search", wrong).await, "invalid_arguments");
    }
    refused(&bench.call("search", json!({ "collection": "books", "like_id": "none" })).await, "not_found");
    refused(&bench.call("search", json!({ "collection": "books", "text": "x", "store": "none" })).await, "not_found");
}
