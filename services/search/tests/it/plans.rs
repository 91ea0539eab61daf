//! Deletions are shown first; what was shown goes, and nothing else: a plan ends with the first change of what it means.

use axum::http::Method;
use serde_json::{Value, json};

use crate::{
    cluster::{Fake, elasticsearch},
    desk::{Desk, refused},
};

async fn notes(documents: &Value) -> Desk {
    let desk = Desk::new();
    desk.done("create_index", json!({"name": "notes"})).await;
    desk.done("index_documents", json!({"index": "notes", "documents": documents})).await;
    desk
}

/// The arguments with the plan that is shown for them.
async fn planned(desk: &Desk, tool: &str, mut arguments: Value) -> Value {
    let shown = desk.done(tool, arguments.clone()).await;
    arguments["plan_id"] = shown["plan"]["plan_id"].clone();
    arguments
}

async fn write(desk: &Desk, id: &str, title: &str) {
    desk.done("index_documents", json!({"index": "notes", "documents": [{"id": id, "title": title}]})).await;
}

#[tokio::test]
async fn another_document_in_the_place_of_the_one_shown_is_not_deleted() {
    let desk = notes(&json!([{"id": "a", "title": "sea"}, {"id": "b", "title": "land"}])).await;
    let plan = planned(&desk, "delete_documents", json!({"index": "notes", "query": "sea"})).await;
    write(&desk, "a", "land").await;
    write(&desk, "c", "sea").await;
    refused(&desk.call("delete_documents", plan).await, &["stale_plan"]);
    assert_eq!(desk.done("count", json!({"index": "notes"})).await["count"], 3);
}

#[tokio::test]
async fn a_document_that_was_written_anew_is_shown_again_before_it_goes() {
    let desk = notes(&json!([{"id": "a", "title": "sea"}, {"id": "b", "title": "land"}])).await;
    for delete in [json!({"index": "notes", "query": "sea"}), json!({"index": "notes", "ids": ["a"]})] {
        let plan = planned(&desk, "delete_documents", delete).await;
        write(&desk, "a", "sea sea").await;
        refused(&desk.call("delete_documents", plan).await, &["stale_plan"]);
        write(&desk, "a", "sea").await;
    }
    // What is not meant may change meanwhile.
    let plan = planned(&desk, "delete_documents", json!({"index": "notes", "query": "sea"})).await;
    write(&desk, "b", "land again").await;
    assert_eq!(desk.done("delete_documents", plan).await["result"]["documents"], 1);
    assert_eq!(desk.done("count", json!({"index": "notes"})).await["count"], 1);
}

#[tokio::test]
async fn a_plan_for_very_many_documents_ends_with_any_change() {
    let desk = notes(&json!([{"id": "b", "title": "land"}])).await;
    for batch in 0..21 {
        let documents: Vec<_> =
            (0..500).map(|number| json!({"id": format!("{batch}-{number}"), "title": "sea"})).collect();
        desk.done("index_documents", json!({"index": "notes", "documents": documents})).await;
    }
    let delete = json!({"index": "notes", "query": "sea"});
    let plan = planned(&desk, "delete_documents", delete.clone()).await;
    write(&desk, "b", "land again").await;
    refused(&desk.call("delete_documents", plan).await, &["stale_plan"]);
    let plan = planned(&desk, "delete_documents", delete).await;
    assert_eq!(desk.done("delete_documents", plan).await["result"]["documents"], 10_500);
    assert_eq!(desk.done("count", json!({"index": "notes"})).await["count"], 1);
}

#[tokio::test]
async fn another_index_of_the_same_size_is_not_the_one_that_was_shown() {
    let desk = notes(&json!([{"id": "a", "title": "sea"}])).await;
    let delete = json!({"index": "notes"});
    let plan = planned(&desk, "delete_index", delete.clone()).await;
    write(&desk, "a", "land").await;
    refused(&desk.call("delete_index", plan).await, &["stale_plan"]);
    let plan = planned(&desk, "delete_index", delete.clone()).await;
    let meanwhile = planned(&desk, "delete_index", delete.clone()).await;
    assert_eq!(desk.done("delete_index", meanwhile).await["result"]["documents"], 1);
    desk.done("create_index", json!({"name": "notes"})).await;
    write(&desk, "x", "another").await;
    refused(&desk.call("delete_index", plan).await, &["stale_plan"]);
    let plan = planned(&desk, "delete_index", delete).await;
    desk.done("delete_index", plan).await;
}

/// What a cluster says of the documents of a plan.
fn versions(hits: &[(&str, u64)], total: u64) -> Value {
    let hit = |(id, number): &(&str, u64)| json!({"_index": "x", "_id": id, "_score": null, "_seq_no": number, "_primary_term": 1, "sort": [0]});
    json!({"took": 1, "timed_out": false, "_shards": {"total": 1, "successful": 1, "skipped": 0, "failed": 0},
        "hits": {"total": {"value": total, "relation": "eq"}, "max_score": null, "hits": hits.iter().map(hit).collect::<Vec<_>>()}})
}

/// The statistics of an index, by shards.
fn stats(uuid: &str, last: i64) -> Value {
    let copy = |primary: bool, last: i64| {
        json!({"routing": {"state": "STARTED", "primary": primary, "node": "n"}, "docs": {"count": 3, "deleted": 0},
            "seq_no": {"max_seq_no": last, "local_checkpoint": last, "global_checkpoint": last}})
    };
    json!({"_shards": {"total": 2, "successful": 2, "failed": 0}, "_all": {"primaries": {"docs": {"count": 3, "deleted": 0}}},
        "indices": {"x": {"uuid": uuid, "shards": {"0": [copy(false, 1), copy(true, last)]}}}})
}

#[tokio::test]
async fn a_cluster_is_asked_for_the_versions_and_deletes_those_ids_alone() {
    let fake = Fake::start(elasticsearch()).await;
    fake.on(Method::POST, "/_search", 200, versions(&[("a", 7), ("b", 8)], 2));
    fake.on(Method::POST, "_delete_by_query", 200, json!({"task": "n:1"}));
    let done = json!({"completed": true, "response": {"deleted": 2, "version_conflicts": 0, "failures": []}});
    fake.on(Method::GET, "=/_tasks/n:1", 200, done);
    let desk = fake.desk();
    let delete = json!({"index": "books", "query": "author:Ada"});
    let plan = planned(&desk, "delete_documents", delete.clone()).await;
    let sent = fake.last("/_search").json();
    assert_eq!((&sent["seq_no_primary_term"], &sent["_source"]), (&json!(true), &json!(false)));
    assert_eq!((&sent["size"], &sent["track_total_hits"]), (&json!(10_000), &json!(10_001)));
    // One of them was written anew.
    fake.on(Method::POST, "/_search", 200, versions(&[("a", 9), ("b", 8)], 2));
    refused(&desk.call("delete_documents", plan).await, &["stale_plan"]);
    let plan = planned(&desk, "delete_documents", delete).await;
    assert_eq!(desk.done("delete_documents", plan).await["result"]["documents"], 2);
    let sent = fake.last("_delete_by_query").json();
    assert_eq!(sent["query"]["bool"]["filter"], json!([{"ids": {"values": ["a", "b"]}}]));
    assert_eq!(sent["query"]["bool"]["must"][0]["bool"]["should"][0]["term"]["author"]["value"], "Ada");
}

#[tokio::test]
async fn more_than_a_cluster_can_name_is_bound_to_the_last_write_of_each_shard() {
    let fake = Fake::start(elasticsearch()).await;
    fake.on(Method::POST, "/_search", 200, versions(&[("a", 7)], 10_001));
    fake.on(Method::GET, "/_stats/docs?level=shards", 200, stats("u1", 5));
    fake.on(Method::POST, "_delete_by_query", 200, json!({"task": "n:1"}));
    let done = json!({"completed": true, "response": {"deleted": 10_001, "version_conflicts": 0, "failures": []}});
    fake.on(Method::GET, "=/_tasks/n:1", 200, done);
    let desk = fake.desk();
    let delete = json!({"index": "books", "query": "author:Ada"});
    let plan = planned(&desk, "delete_documents", delete.clone()).await;
    fake.on(Method::GET, "/_stats/docs?level=shards", 200, stats("u1", 6));
    refused(&desk.call("delete_documents", plan).await, &["stale_plan"]);
    let plan = planned(&desk, "delete_documents", delete).await;
    assert_eq!(desk.done("delete_documents", plan).await["result"]["documents"], 10_001);
    assert!(fake.last("_delete_by_query").json()["query"]["bool"]["filter"].is_null());
    // Half an answer tells nothing.
    let mut partial = versions(&[("a", 7)], 1);
    partial["_shards"]["failed"] = json!(1);
    fake.on(Method::POST, "/_search", 200, partial);
    refused(&desk.call("delete_documents", json!({"index": "books", "query": "author:Ada"})).await, &["unavailable"]);
}
