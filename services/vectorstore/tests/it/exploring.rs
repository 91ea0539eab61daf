//! Recommend, discover, scroll, count, facet, and changes of metadata and settings.

use serde_json::{Value, json};

use crate::bench::{Bench, ids, refused};

/// Points on a circle: `p0` in the east, then counter-clockwise by 30 degrees.
async fn circle() -> Bench {
    let bench = Bench::new();
    bench
        .ok(
            "create_collection",
            json!({ "name": "c", "dimensions": 2, "fields": { "side": "keyword", "n": "integer" } }),
        )
        .await;
    let item = |n: u8| {
        let angle = f64::from(n) * std::f64::consts::PI / 6.0;
        let side = if n < 6 { "upper" } else { "lower" };
        json!({ "id": format!("p{n:02}"), "vector": [angle.cos(), angle.sin()], "metadata": { "side": side, "n": n, "tags": ["all", side] } })
    };
    bench.ok("upsert", json!({ "collection": "c", "items": (0..12).map(item).collect::<Vec<Value>>() })).await;
    bench
}

#[tokio::test]
async fn examples_lead_to_what_is_like_them() {
    let bench = circle().await;
    for strategy in ["average", "best"] {
        let args =
            json!({ "collection": "c", "positive": ["p00"], "negative": ["p11"], "strategy": strategy, "limit": 2 });
        let found = bench.ok("recommend", args).await;
        assert!(ids(&found["hits"]).contains(&"p01"), "{strategy}: {found}");
        assert!(!ids(&found["hits"]).iter().any(|id| ["p00", "p11"].contains(id)), "examples are no hits");
    }
    let by_vector = json!({ "collection": "c", "positive": [[0.0, 1.0]], "limit": 1 });
    assert_eq!(ids(&bench.ok("recommend", by_vector).await["hits"]), ["p03"]);
    let pairs = json!([{ "positive": "p03", "negative": "p09" }]);
    let found = bench.ok("discover", json!({ "collection": "c", "target": "p00", "pairs": pairs, "limit": 1 })).await;
    assert_eq!(ids(&found["hits"]), ["p01"], "near the east, but in the upper half: not p11");
    refused(&bench.call("recommend", json!({ "collection": "c", "positive": [] })).await, "invalid_arguments");
    refused(&bench.call("discover", json!({ "collection": "c", "pairs": [] })).await, "invalid_arguments");
    refused(&bench.call("recommend", json!({ "collection": "c", "positive": ["p99"] })).await, "not_found");
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repetition() {
    let bench = circle().await;
    let mut seen = Vec::new();
    let mut args = json!({ "collection": "c", "limit": 5 });
    loop {
        let page = bench.call("scroll", args.clone()).await;
        assert!(!page.is_error, "{}", page.text);
        seen.extend(ids(page.data()).into_iter().map(str::to_owned));
        match page.structured["page"]["cursor"].as_str() {
            Some(cursor) => args["cursor"] = json!(cursor),
            None => break,
        }
    }
    assert_eq!(seen, (0..12).map(|n| format!("p{n:02}")).collect::<Vec<_>>());
    args["filter"] = json!({ "all": [] });
    assert!(bench.call("scroll", args).await.is_error, "a cursor is for the arguments that it was given for");
}

#[tokio::test]
async fn values_are_counted_with_and_without_an_index() {
    let bench = circle().await;
    for field in ["side", "tags"] {
        let filter = json!({ "field": "n", "lt": 8 });
        let facet = bench.ok("facet", json!({ "collection": "c", "field": field, "filter": filter, "limit": 3 })).await;
        let upper = facet.as_array().unwrap().iter().find(|one| one["value"] == "upper").unwrap();
        assert_eq!(upper["count"], 6, "{field}");
    }
    assert_eq!(
        bench.ok("count", json!({ "collection": "c", "filter": { "field": "tags", "eq": "lower" } })).await["count"],
        6
    );
}

#[tokio::test]
async fn changed_metadata_is_found_as_it_is_now() {
    let bench = circle().await;
    let update =
        json!({ "collection": "c", "filter": { "field": "n", "lt": 2 }, "set": { "side": "east" }, "unset": ["n"] });
    assert_eq!(bench.ok("update_metadata", update).await["result"]["points"], 2);
    let count = |filter: Value| json!({ "collection": "c", "filter": filter });
    assert_eq!(bench.ok("count", count(json!({ "field": "side", "eq": "east" }))).await["count"], 2);
    assert_eq!(bench.ok("count", count(json!({ "field": "side", "eq": "upper" }))).await["count"], 4);
    assert_eq!(bench.ok("count", count(json!({ "field": "n", "gte": 0 }))).await["count"], 10);
    let wrong = json!({ "collection": "c", "ids": ["p05"], "set": { "n": "five" } });
    refused(&bench.call("update_metadata", wrong).await, "invalid_arguments");
    let neither = json!({ "collection": "c", "set": { "x": 1 } });
    refused(&bench.call("update_metadata", neither).await, "invalid_arguments");
}

#[tokio::test]
async fn a_field_can_be_indexed_later_if_its_values_allow() {
    let bench = circle().await;
    let altered = bench
        .ok(
            "alter_collection",
            json!({ "collection": "c", "add_fields": { "tags": "keyword" }, "ef_search": 200, "description": "round" }),
        )
        .await;
    assert_eq!(altered["fields"], json!(["n", "side", "tags"]));
    let shown = bench.ok("describe_collection", json!({ "collection": "c" })).await;
    assert_eq!((shown["index"]["ef_search"].as_u64(), shown["description"].as_str()), (Some(200), Some("round")));
    assert_eq!(
        bench.ok("count", json!({ "collection": "c", "filter": { "field": "tags", "eq": "upper" } })).await["count"],
        6
    );
    refused(
        &bench.call("alter_collection", json!({ "collection": "c", "add_fields": { "n": "keyword" } })).await,
        "conflict",
    );
    bench
        .ok(
            "upsert",
            json!({ "collection": "c", "items": [{ "id": "odd", "vector": [1.0, 0.0], "metadata": { "free": 1 } }] }),
        )
        .await;
    refused(
        &bench.call("alter_collection", json!({ "collection": "c", "add_fields": { "free": "keyword" } })).await,
        "invalid_arguments",
    );
}

#[tokio::test]
async fn an_alias_is_exchanged_at_once_and_survives() {
    let mut bench = circle().await;
    bench.vectors("d", 2).await;
    bench.ok("set_alias", json!({ "alias": "now", "collection": "c" })).await;
    assert_eq!(bench.ok("count", json!({ "collection": "now" })).await["count"], 12);
    let set = bench.ok("set_alias", json!({ "alias": "now", "collection": "d" })).await;
    assert_eq!(set["before"], "c");
    bench.reopen();
    assert_eq!(bench.ok("count", json!({ "collection": "now" })).await["count"], 0);
    refused(&bench.by("other").call("count", json!({ "collection": "now" })).await, "not_found");
    refused(&bench.call("create_collection", json!({ "name": "now", "dimensions": 2 })).await, "conflict");
    refused(&bench.call("set_alias", json!({ "alias": "c", "collection": "d" })).await, "conflict");
    refused(&bench.call("set_alias", json!({ "alias": "x", "collection": "none" })).await, "not_found");
    bench.ok("set_alias", json!({ "alias": "now" })).await;
    refused(&bench.call("count", json!({ "collection": "now" })).await, "not_found");
}
