//! Words and meaning together: vectors that are made or brought, the one list of both, and what a cluster is asked.

use axum::http::Method;
use serde_json::{Value, json};

use crate::{
    cluster::{Fake, elasticsearch, opensearch},
    desk::{Desk, ids, refused},
};

fn fields(metric: &str) -> Value {
    json!([{"name": "text", "kind": "text"}, {"name": "group", "kind": "keyword"},
        {"name": "v", "kind": "vector", "vector": {"dimensions": 3, "metric": metric}}])
}

async fn with_vectors(metric: &str) -> Desk {
    let desk = Desk::new();
    desk.done("create_index", json!({"name": "books", "fields": fields(metric)})).await;
    let documents = json!([
        {"id": "a", "text": "red", "group": "x", "v": [1, 0, 0]}, {"id": "b", "text": "red blue", "group": "y", "v": [0, 1, 0]},
        {"id": "c", "text": "blue", "group": "x", "v": [0.9, 0.1, 0]}, {"id": "d", "text": "none"}]);
    let written = desk.done("index_documents", json!({"index": "books", "documents": documents})).await;
    assert_eq!(written["indexed"], 4, "{written}");
    desk
}

#[tokio::test]
async fn hits_of_words_and_of_vectors_are_one_list_that_tells_both_ranks() {
    let desk = with_vectors("cosine").await;
    let semantic = json!({"vector": [1, 0, 0]});
    let found = desk.done("search", json!({"indices": ["books"], "query": "red", "semantic": semantic})).await;
    assert_eq!(ids(&found), ["a", "b", "c"]);
    assert_eq!((&found["hits"][0]["ranks"]["words"], &found["hits"][0]["ranks"]["meaning"]), (&json!(1), &json!(1)));
    assert_eq!(found["hits"][1]["ranks"]["meaning"], 3);
    assert_eq!(found["hits"][2]["ranks"].get("words"), None);
    assert!(found["hits"][0]["highlights"]["text"][0].as_str().unwrap().contains("**red**"));
    // Vectors say nothing to a reader, unless they are asked for.
    assert_eq!(found["hits"][0]["fields"].get("v"), None);
    let asked = json!({"indices": ["books"], "semantic": semantic, "fields": ["v"], "limit": 1});
    assert_eq!(desk.done("search", asked).await["hits"][0]["fields"]["v"], json!([1, 0, 0]));
    let explained =
        desk.done("explain", json!({"index": "books", "id": "c", "query": "red", "semantic": semantic})).await;
    assert_eq!((&explained["matches"], &explained["ranks"]["meaning"]), (&json!(true), &json!(2)));
    assert!(explained["reasons"][0].as_str().unwrap().contains("nothing by words + 0.50 / (60 + rank 2 by meaning)"));
}

#[tokio::test]
async fn filters_come_before_nearness_and_pages_go_on() {
    let desk = with_vectors("euclidean").await;
    let filters = json!([{"field": "group", "op": "eq", "value": "x"}]);
    let search = json!({"semantic": {"vector": [0, 1, 0]}, "filters": filters});
    assert_eq!(desk.found(search).await, ["c", "a"]);
    let mut all = Vec::new();
    let mut search = json!({"indices": ["books"], "semantic": {"vector": [0, 1, 0]}, "limit": 1});
    loop {
        let called = desk.call("search", search.clone()).await;
        all.extend(ids(called.data()));
        match called.structured["page"]["cursor"].as_str() {
            Some(cursor) => search["cursor"] = json!(cursor),
            None => break,
        }
    }
    assert_eq!(all, ["b", "c", "a"]);
}

#[tokio::test]
async fn texts_become_vectors_when_they_are_written_and_again_when_they_are_copied() {
    let desk = Desk::new();
    let fields = |of: &str| {
        json!([{"name": "title", "kind": "text"}, {"name": "text", "kind": "text"},
        {"name": "meaning", "kind": "vector", "vector": {"of": [of]}}])
    };
    let made = desk.done("create_index", json!({"name": "books", "fields": fields("text")})).await;
    assert_eq!(made["fields"][2]["vector"]["model"], "lexical/1");
    let documents = json!([{"id": "sea", "title": "waves", "text": "sailing over the old sea"}, {"id": "car", "title": "sea", "text": "motors and wheels"}]);
    desk.done("index_documents", json!({"index": "books", "documents": documents})).await;
    let near = json!({"semantic": {"text": "sailor at sea"}, "limit": 1});
    assert_eq!(desk.found(near.clone()).await, ["sea"]);
    desk.done("reindex", json!({"from": "books", "to": "titles", "fields": fields("title")})).await;
    let found = desk.done("search", json!({"indices": ["titles"], "semantic": {"text": "the sea"}, "limit": 1})).await;
    assert_eq!(ids(&found), ["car"]);
    // A new text is a new vector.
    let documents = json!([{"id": "sea", "title": "gone", "text": "cooking with butter"}]);
    desk.done("index_documents", json!({"index": "books", "documents": documents})).await;
    assert_eq!(desk.found(json!({"semantic": {"text": "butter cooking"}, "limit": 1})).await, ["sea"]);
    assert_eq!(
        desk.done("get_documents", json!({"index": "books", "ids": ["sea"]})).await["documents"][0]["fields"]
            .get("meaning"),
        None
    );
}

#[tokio::test]
async fn what_is_no_vector_is_refused() {
    let desk = with_vectors("cosine").await;
    for vector in [json!([1, 2]), json!([0, 0, 0]), json!("text"), json!([1, null, 2])] {
        let documents = json!([{"id": "bad", "text": "x", "v": vector}]);
        let written = desk.done("index_documents", json!({"index": "books", "documents": documents})).await;
        assert_eq!(written["failed"].as_array().unwrap().len(), 1, "{vector}");
    }
    for search in [
        json!({"semantic": {"vector": [1, 2]}}),
        json!({"semantic": {"text": "a text"}}),
        json!({"semantic": {}}),
        json!({"semantic": {"vector": [1, 0, 0], "weight": 2}}),
        json!({"semantic": {"vector": [1, 0, 0]}, "sort": {"field": "group"}}),
        json!({"semantic": {"vector": [1, 0, 0], "field": "text"}}),
        json!({"query": "v:1"}),
        json!({"filters": [{"field": "v", "op": "eq", "value": [1, 0, 0]}]}),
    ] {
        let mut search = search;
        search["indices"] = json!(["books"]);
        refused(&desk.call("search", search).await, &["invalid_arguments"]);
    }
    for field in [
        json!({"name": "v", "kind": "vector"}),
        json!({"name": "v", "kind": "vector", "vector": {"of": ["nothing"]}}),
        json!({"name": "v", "kind": "vector", "vector": {"dimensions": 5000}}),
        json!({"name": "v", "kind": "vector", "vector": {"of": ["text"], "model": "unknown/1"}}),
        json!({"name": "v", "kind": "text", "vector": {"dimensions": 3}}),
    ] {
        let fields = json!([{"name": "text", "kind": "text"}, field]);
        refused(&desk.call("create_index", json!({"name": "bad", "fields": fields})).await, &["invalid_arguments"]);
    }
}

#[tokio::test]
async fn each_dialect_is_asked_in_its_own_words() {
    let schema = json!({"fields": fields("cosine")});
    let near = json!({"hits": {"total": {"value": 1, "relation": "eq"}, "hits": [{"_id": "a", "_score": 0.9, "_source": {"text": "red"}}]}});
    let filters = json!([{"field": "group", "op": "eq", "value": "x"}]);
    let search = json!({"indices": ["books"], "semantic": {"vector": [3, 0, 0]}, "filters": filters});
    for greeting in [elasticsearch(), opensearch()] {
        let open = greeting["version"]["distribution"] == "opensearch";
        let fake = Fake::start(greeting).await;
        fake.on(Method::GET, "_mapping", 200, json!({"x": {"mappings": {"_meta": {"weft": schema}}}}));
        fake.on(Method::POST, "/_search", 200, near.clone());
        fake.on(Method::PUT, "/weft-", 200, json!({"acknowledged": true}));
        let desk = fake.desk();
        let found = desk.done("search", search.clone()).await;
        assert_eq!(found["hits"][0]["ranks"]["meaning"], 1);
        let sent = fake.last("/_search").json();
        let terms = json!({"terms": {"group": ["x"]}});
        desk.done("create_index", json!({"name": "new", "fields": fields("cosine")})).await;
        let made = fake.last("-new").json();
        let kept = &made["mappings"]["properties"]["v"];
        if open {
            let knn = json!({"vector": [1.0, 0.0, 0.0], "k": 100, "filter": {"bool": {"filter": [terms]}}});
            assert_eq!(sent["query"], json!({"knn": {"v": knn}}));
            assert_eq!(
                (&kept["type"], &kept["dimension"], &kept["method"]["space_type"]),
                (&json!("knn_vector"), &json!(3), &json!("cosinesimil"))
            );
            assert_eq!(made["settings"]["index"]["knn"], true);
        } else {
            let knn = json!({"field": "v", "query_vector": [1.0, 0.0, 0.0], "k": 100, "num_candidates": 400, "filter": [terms]});
            assert_eq!(sent["knn"], knn);
            assert_eq!(*kept, json!({"type": "dense_vector", "dims": 3, "index": true, "similarity": "cosine"}));
        }
    }
    let mut old = elasticsearch();
    old["version"]["number"] = json!("7.17.0");
    let fake = Fake::start(old).await;
    fake.on(Method::GET, "_mapping", 200, json!({"x": {"mappings": {"_meta": {"weft": schema}}}}));
    refused(&fake.desk().call("search", search).await, &["unsupported"]);
}
