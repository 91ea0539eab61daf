//! Pages of one state of an index, while others write to it.

use axum::http::Method;
use serde_json::{Value, json};

use crate::{
    cluster::{Fake, elasticsearch, opensearch},
    desk::{Desk, ids, refused},
};

async fn numbered(count: usize) -> Desk {
    let desk = Desk::new();
    desk.done("create_index", json!({"name": "books"})).await;
    let documents: Vec<Value> = (0..count)
        .map(|number| json!({"id": format!("d{number:03}"), "title": "one", "url": format!("{number:03}")}))
        .collect();
    desk.done("index_documents", json!({"index": "books", "documents": documents})).await;
    desk
}

#[tokio::test]
async fn what_is_written_meanwhile_does_not_move_the_pages() {
    let desk = numbered(30).await;
    let mut search = json!({"indices": ["books"], "sort": {"field": "url"}, "limit": 10, "snapshot": true});
    let mut seen = Vec::new();
    loop {
        let called = desk.call("search", search.clone()).await;
        assert!(!called.is_error, "{}", called.structured);
        assert_eq!(called.structured.get("warnings"), None, "{}", called.structured);
        seen.extend(ids(called.data()));
        let Some(cursor) = called.structured["page"]["cursor"].as_str() else { break };
        search["cursor"] = json!(cursor);
        let earlier = format!("a{}", seen.len());
        let documents = json!([{"id": earlier, "title": "one", "url": "000"}]);
        desk.done("index_documents", json!({"index": "books", "documents": documents})).await;
        let plan = desk.done("delete_documents", json!({"index": "books", "ids": ["d029"]})).await;
        desk.call("delete_documents", json!({"index": "books", "ids": ["d029"], "plan_id": plan["plan"]["plan_id"]}))
            .await;
    }
    let expected: Vec<String> = (0..30).map(|number| format!("d{number:03}")).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_snapshot_that_is_gone_is_told() {
    let desk = numbered(20).await;
    let mut search = json!({"indices": ["books"], "sort": {"field": "url"}, "limit": 10, "snapshot": true});
    search["cursor"] = desk.call("search", search.clone()).await.structured["page"]["cursor"].clone();
    // More are kept than one index has room for.
    for _ in 0..32 {
        desk.call("search", json!({"indices": ["books"], "limit": 1, "snapshot": true})).await;
    }
    let called = desk.call("search", search).await;
    assert_eq!(ids(called.data()).len(), 10);
    assert!(called.structured["warnings"].to_string().contains("not kept any more"), "{}", called.structured);
    let two = json!({"indices": ["books", "books"], "snapshot": true});
    refused(&desk.call("search", two).await, &["invalid_arguments"]);
}

#[tokio::test]
async fn a_cluster_keeps_a_point_in_time_and_is_told_when_it_is_done() {
    for (greeting, open, key) in [(elasticsearch(), "_pit", "id"), (opensearch(), "_search/point_in_time", "pit_id")] {
        let fake = Fake::start(greeting).await;
        fake.on(Method::POST, &format!("{open}?keep_alive=2m"), 200, json!({key: "p1"}));
        fake.on(Method::DELETE, &format!("=/{open}"), 200, json!({"succeeded": true}));
        let hit = |number: usize| json!({"_id": format!("d{number}"), "_score": 1.25, "_source": {}, "sort": [1.25, number + 70]});
        let page = |from: usize, to: usize| {
            let hits: Vec<Value> = (from..to).map(hit).collect();
            json!({"pit_id": "p2", "hits": {"total": {"value": 3, "relation": "eq"}, "hits": hits}})
        };
        fake.on(Method::POST, "=/_search", 200, page(0, 3));
        let desk = fake.desk();
        let mut search = json!({"indices": ["books"], "limit": 2, "snapshot": true});
        let called = desk.call("search", search.clone()).await;
        assert_eq!(ids(called.data()), ["d0", "d1"]);
        let sent = fake.last("=/_search".trim_start_matches('='));
        assert_eq!((sent.path.as_str(), &sent.json()["pit"]), ("/_search", &json!({"id": "p1", "keep_alive": "2m"})));
        assert!(fake.got().iter().all(|got| got.method != Method::DELETE));
        search["cursor"] = called.structured["page"]["cursor"].clone();
        fake.on(Method::POST, "=/_search", 200, page(2, 3));
        assert_eq!(ids(desk.call("search", search.clone()).await.data()), ["d2"]);
        let second = fake.got().into_iter().rev().find(|got| got.path == "/_search").unwrap().json();
        assert_eq!((&second["pit"]["id"], second.get("from")), (&json!("p2"), None));
        // Behind the last hit that was shown, not behind the one that only told that there is more.
        assert_eq!(second["search_after"], json!([1.25, 71]));
        let unique = if open == "_pit" { "_shard_doc" } else { "_id" };
        assert_eq!(second["sort"], json!([{"_score": "desc"}, {unique: "asc"}]));
        let freed = fake.got().into_iter().rev().find(|got| got.method == Method::DELETE).unwrap();
        assert_eq!(freed.json(), if open == "_pit" { json!({"id": "p2"}) } else { json!({"pit_id": ["p2"]}) });
        // The cluster let go of it by itself: the search goes on, and says so.
        let gone = json!({"error": {"type": "search_context_missing_exception", "reason": "No search context found for id [1]"}, "status": 404});
        fake.on(Method::POST, "=/_search", 404, gone);
        fake.on(Method::POST, "-books/_search", 200, page(2, 3));
        let called = desk.call("search", search).await;
        assert!(called.structured["warnings"].to_string().contains("not kept any more"), "{}", called.structured);
    }
}

#[tokio::test]
async fn pages_of_a_clusters_snapshot_go_as_deep_as_there_are_hits() {
    let fake = Fake::start(elasticsearch()).await;
    fake.on(Method::POST, "_pit?keep_alive=2m", 200, json!({"id": "p1"}));
    // A field that some documents lack: their place is told as the cluster tells it, and sent back so.
    let hit = |number: usize| json!({"_id": format!("d{number}"), "_score": null, "_source": {}, "sort": [9_223_372_036_854_775_807_i64, number]});
    let hits: Vec<Value> = (0..101).map(hit).collect();
    let page = json!({"pit_id": "p1", "hits": {"total": {"value": 10_000, "relation": "gte"}, "hits": hits}});
    fake.on(Method::POST, "=/_search", 200, page);
    let desk = fake.desk();
    let mut search =
        json!({"indices": ["books"], "limit": 100, "snapshot": true, "sort": {"field": "year", "order": "desc"}});
    for round in 0..102 {
        let called = desk.call("search", search.clone()).await;
        assert_eq!(ids(called.data()).len(), 100, "{round}: {}", called.structured);
        assert_eq!(called.structured.get("warnings"), None);
        search["cursor"] = called.structured["page"]["cursor"].clone();
    }
    let sent = fake.last("/_search").json();
    assert_eq!(sent["sort"], json!([{"year": {"order": "desc", "missing": "_last"}}, {"_shard_doc": "asc"}]));
    assert_eq!(sent["search_after"], json!([9_223_372_036_854_775_807_i64, 99]));
    // When it is gone, no number of hits leads there: the index as it is would show something else.
    let gone = json!({"error": {"type": "search_context_missing_exception", "reason": "No search context found for id [1]"}, "status": 404});
    fake.on(Method::POST, "=/_search", 404, gone);
    refused(&desk.call("search", search).await, &["stale_cursor"]);
    // Without a snapshot the pages end, as they did.
    fake.on(Method::POST, "-books/_search", 200, json!({"hits": {"total": {"value": 0}, "hits": []}}));
    desk.done("search", json!({"indices": ["books"]})).await;
    let plain = fake.last("-books/_search").json();
    assert_eq!((plain.get("sort"), plain.get("search_after"), &plain["from"]), (None, None, &json!(0)));
}
