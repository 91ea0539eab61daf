//! Writing, reading, searching and deleting points.

use serde_json::json;

use crate::bench::{Bench, ids};

#[tokio::test]
async fn a_point_that_was_written_is_found_and_survives_a_restart() {
    let mut bench = Bench::new();
    bench.vectors("v", 2).await;
    let items = json!([
        { "id": "east", "vector": [1.0, 0.0], "metadata": { "n": 1 } },
        { "id": "north", "vector": [0.0, 1.0], "metadata": { "n": 2 } },
        { "id": "west", "vector": [-1.0, 0.0], "text": "sunset" },
    ]);
    let written = bench.ok("upsert", json!({ "collection": "v", "items": items })).await;
    assert_eq!(written["points"][0]["outcome"], "created");
    for _ in 0..2 {
        let found = bench.ok("search", json!({ "collection": "v", "vector": [1.0, 0.1] })).await;
        assert_eq!(ids(&found["hits"]), ["east", "north", "west"]);
        let few = json!({ "collection": "v", "vector": [1.0, 0.1], "filter": { "field": "n", "gte": 2 } });
        assert_eq!(ids(&bench.ok("search", few).await["hits"]), ["north"]);
        let got = bench.ok("get", json!({ "collection": "v", "ids": ["west", "none"] })).await;
        assert_eq!(got[0]["text"], "sunset");
        bench.reopen();
    }
    let gone = bench.ok("delete_points", json!({ "collection": "v", "filter": { "field": "n", "eq": 2 } })).await;
    assert_eq!(gone["result"]["points"], 1);
    let left = bench.ok("search", json!({ "collection": "v", "vector": [1.0, 0.1] })).await;
    assert_eq!(ids(&left["hits"]), ["east", "west"]);
    bench.ok("delete_collection", json!({ "collection": "v" })).await;
    assert_eq!(bench.call("get", json!({ "collection": "v", "ids": ["east"] })).await.code(), "not_found");
    bench.vectors("v", 3).await;
}

#[tokio::test]
async fn texts_are_embedded_and_repeating_them_makes_no_second_point() {
    let bench = Bench::new();
    bench.ok("create_collection", json!({ "name": "t" })).await;
    let items = json!([{ "text": "the quick red fox" }, { "text": "balance sheet of the year" }]);
    for outcome in ["created", "replaced"] {
        let written = bench.ok("upsert", json!({ "collection": "t", "items": items })).await;
        assert_eq!(written["points"][1]["outcome"], outcome);
    }
    let found = bench.ok("search", json!({ "collection": "t", "text": "foxes", "limit": 1 })).await;
    assert_eq!(found["hits"][0]["text"], "the quick red fox");
}
