//! The tools over a cluster: what is sent, what is made of the answers, and what happens when there are none.

use std::time::{Duration, Instant};

use axum::http::Method;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use weft_search::Settings;

use crate::{
    cluster::{Fake, elasticsearch, opensearch},
    desk::{Desk, of_tenant, refused},
};

fn hits() -> Value {
    json!({"took": 3, "timed_out": false, "_shards": {"total": 1, "successful": 1, "skipped": 0, "failed": 0},
        "hits": {"total": {"value": 10000, "relation": "gte"}, "max_score": 1.5, "hits": [
            {"_index": "weft-x-books", "_id": "a", "_score": 1.5, "_source": {"title": "Red cars", "author": "Ada"}, "highlight": {"title": ["Red **cars**"]}},
            {"_index": "weft-x-books", "_id": "b", "_score": 0.5, "_source": {"title": "Blue cars"}}]},
        "aggregations": {"0": {"doc_count_error_upper_bound": 0, "sum_other_doc_count": 7, "buckets": [{"key": "Ada", "doc_count": 5}]}}})
}

/// Two documents with their versions, as a plan asks for them.
fn meant() -> Value {
    let hit = |id: &str, number: u64| json!({"_id": id, "_seq_no": number, "_primary_term": 1, "sort": [0]});
    json!({"timed_out": false, "_shards": {"failed": 0}, "hits": {"total": {"value": 2, "relation": "eq"}, "hits": [hit("a", 4), hit("b", 9)]}})
}

#[tokio::test]
async fn both_dialects_are_known_and_others_refused() {
    for (greeting, name) in [(elasticsearch(), "elasticsearch"), (opensearch(), "opensearch")] {
        let fake = Fake::start(greeting).await;
        fake.on(Method::POST, "prod-logs/_count", 200, json!({"count": 12}));
        let listed = fake.desk().done("list_indices", json!({})).await;
        assert_eq!(listed, json!({"store": name, "indexes": [{"name": "logs", "documents": 12, "read_only": true}]}));
        assert!(fake.got().iter().all(|got| got.authorization.as_deref() == Some("ApiKey hidden-key")));
    }
    let fake = Fake::start(json!({"hello": "world"})).await;
    refused(&fake.desk().call("list_indices", json!({})).await, &["unavailable"]);
    assert_eq!(fake.got().len(), 1);
}

#[tokio::test]
async fn an_index_is_made_under_a_name_of_its_namespace() {
    let fake = Fake::start(elasticsearch()).await;
    fake.on(Method::PUT, "/weft-", 200, json!({"acknowledged": true, "shards_acknowledged": true, "index": "x"}));
    let desk = fake.desk();
    desk.done("create_index", json!({"name": "books", "language": "german"})).await;
    let mine = fake.last("-books");
    assert_eq!((&mine.method, mine.json()["mappings"]["dynamic"].clone()), (&Method::PUT, json!("strict")));
    assert_eq!(mine.json()["mappings"]["properties"]["title"]["analyzer"], "german");
    of_tenant(&desk, "other").call("create_index", json!({"name": "books"})).await;
    let other = fake.last("-books");
    assert!(mine.path != other.path && mine.path.starts_with("/weft-local.") && other.path.starts_with("/weft-other."));
    fake.on(
        Method::PUT,
        "/weft-",
        400,
        json!({"error": {"type": "resource_already_exists_exception", "reason": "exists"}, "status": 400}),
    );
    refused(&desk.call("create_index", json!({"name": "books"})).await, &["conflict"]);
}

#[tokio::test]
async fn a_search_is_sent_and_read_in_the_references_form() {
    let fake = Fake::start(opensearch()).await;
    fake.on(Method::POST, "/_search", 200, hits());
    let search = json!({"indices": ["books"], "query": "+car", "filters": [{"field": "year", "op": "gte", "value": 2000}],
        "facets": ["author"], "limit": 1, "fields": ["title"]});
    let called = fake.desk().call("search", search).await;
    let found = called.data();
    assert_eq!((&found["total"], &found["total_is_a_minimum"]), (&json!(10_000), &json!(true)));
    assert_eq!(found["hits"][0]["highlights"], json!({"title": ["Red **cars**"]}));
    assert_eq!(found["hits"][0]["fields"], json!({"title": "Red cars"}));
    assert_eq!(found["hits"][0]["index"], "books");
    assert_eq!(found["facets"], json!([{"field": "author", "buckets": [{"key": "Ada", "count": 5}], "others": 7}]));
    assert!(called.structured["page"]["cursor"].is_string());
    let sent = fake.last("/_search").json();
    assert_eq!((&sent["size"], &sent["from"], &sent["track_total_hits"]), (&json!(2), &json!(0), &json!(10_000)));
    assert_eq!(sent["query"]["bool"]["filter"], json!([{"range": {"year": {"gte": 2000}}}]));
    assert_eq!(sent["aggs"], json!({"0": {"terms": {"field": "author", "size": 10}}}));
    // The synonym is asked for beside the word, in each field, of which the best counts.
    let must = &sent["query"]["bool"]["must"][0]["bool"]["must"][0]["bool"]["should"];
    assert_eq!(must[0]["dis_max"]["queries"][0], json!({"match_phrase": {"title": {"query": "car", "boost": 2.0}}}));
    assert_eq!(must[1]["dis_max"]["queries"][1]["match_phrase"]["body"]["query"], "automobile");
}

#[tokio::test]
async fn each_document_of_a_bulk_is_told_for_itself() {
    let fake = Fake::start(elasticsearch()).await;
    let error =
        json!({"type": "document_parsing_exception", "reason": "[1:9] failed to parse field [day] in [weft-physical]"});
    fake.on(
        Method::POST,
        "_bulk",
        200,
        json!({"took": 5, "errors": true, "items": [
        {"index": {"_index": "x", "_id": "a", "_version": 1, "result": "created", "status": 201}},
        {"index": {"_index": "x", "_id": "c", "status": 400, "error": error}}]}),
    );
    let documents = json!([{"id": "a", "title": "one"}, {"id": "b", "title": 5}, {"id": "c", "day": "2026-01-01"}]);
    let written = fake.desk().done("index_documents", json!({"index": "books", "documents": documents})).await;
    assert_eq!((&written["indexed"], &written["ids"]), (&json!(1), &json!(["a", null, null])));
    let places: Vec<_> = written["failed"].as_array().unwrap().iter().map(|failure| failure["place"].clone()).collect();
    assert_eq!(places, [json!(1), json!(2)]);
    let sent = fake.last("_bulk");
    assert!(sent.path.ends_with("/_bulk?refresh=wait_for"), "{}", sent.path);
    assert_eq!(
        sent.lines(),
        [
            json!({"index": {"_id": "a"}}),
            json!({"title": "one"}),
            json!({"index": {"_id": "c"}}),
            json!({"day": "2026-01-01"})
        ]
    );
}

#[tokio::test]
async fn nothing_is_written_where_there_is_no_index() {
    let fake = Fake::start(elasticsearch()).await;
    fake.on(Method::GET, "_mapping", 404, crate::cluster::missing());
    let called = fake.desk().call("index_documents", json!({"index": "books", "documents": [{"title": "a"}]})).await;
    refused(&called, &["not_found"]);
    assert!(!called.structured.to_string().contains("secret"));
    assert!(fake.got().iter().all(|got| !got.path.contains("_bulk")));
}

#[tokio::test]
async fn a_shared_index_is_searched_by_its_tenants_and_changed_by_nobody() {
    let fake = Fake::start(elasticsearch()).await;
    let fields = json!({"message": {"type": "text"}, "host": {"properties": {"name": {"type": "keyword"}}}});
    fake.on(Method::GET, "/prod-logs/_mapping", 200, json!({"prod-logs-000007": {"mappings": {"properties": fields}}}));
    fake.on(Method::POST, "/_search", 200, hits());
    let desk = fake.desk();
    let search =
        json!({"indices": ["logs"], "query": "error", "filters": [{"field": "host.name", "op": "eq", "value": "a"}]});
    desk.done("search", search.clone()).await;
    assert_eq!(fake.last("/_search").path, "/prod-logs/_search");
    for (tool, arguments) in [
        ("index_documents", json!({"index": "logs", "documents": [{"message": "a"}]})),
        ("set_synonyms", json!({"index": "logs", "synonyms": []})),
        ("set_alias", json!({"alias": "a", "index": "logs"})),
        ("set_alias", json!({"alias": "logs"})),
        ("create_index", json!({"name": "logs"})),
    ] {
        refused(&desk.call(tool, arguments).await, &["refused"]);
    }
    fake.on(Method::GET, "_mapping", 404, crate::cluster::missing());
    refused(&of_tenant(&desk, "other").call("search", search).await, &["not_found"]);
    assert!(fake.last("_mapping").path.starts_with("/weft-other."));
}

#[tokio::test]
async fn a_deletion_by_query_is_planned_and_then_sent() {
    let fake = Fake::start(opensearch()).await;
    fake.on(Method::POST, "/_search", 200, meant());
    fake.on(Method::POST, "_delete_by_query", 200, json!({"task": "oTUltX4IQMOUUVeiohTt8A:12345"}));
    let response =
        json!({"took": 9, "timed_out": false, "total": 2, "deleted": 2, "version_conflicts": 0, "failures": []});
    let told = json!({"completed": true, "task": {}, "response": response});
    fake.on(Method::GET, "=/_tasks/oTUltX4IQMOUUVeiohTt8A:12345", 200, told);
    let desk = fake.desk();
    let mut delete = json!({"index": "books", "query": "author:Ada"});
    let shown = desk.done("delete_documents", delete.clone()).await;
    assert!(fake.got().iter().all(|got| !got.path.contains("_delete_by_query")));
    delete["plan_id"] = shown["plan"]["plan_id"].clone();
    assert_eq!(desk.done("delete_documents", delete).await["result"]["documents"], 2);
    let term = json!({"term": {"author": {"value": "Ada", "boost": 1.0}}});
    assert_eq!(fake.last("_delete_by_query").json()["query"]["bool"]["must"][0]["bool"]["should"], json!([term]));
}

#[tokio::test]
async fn an_alias_moves_in_one_request_and_a_copy_is_read_to_its_end() {
    let fake = Fake::start(elasticsearch()).await;
    let desk = fake.desk();
    fake.on(Method::PUT, "/weft-", 200, json!({"acknowledged": true}));
    desk.done("create_index", json!({"name": "new"})).await;
    let own = fake.last("-new").path.trim_start_matches('/').trim_end_matches("new").to_owned();
    fake.on(
        Method::GET,
        "_cat/aliases",
        200,
        json!([{"alias": format!("{own}current"), "index": format!("{own}old")}]),
    );
    fake.on(Method::POST, "=/_aliases", 200, json!({"acknowledged": true, "errors": false}));
    fake.on(
        Method::GET,
        "_stats",
        200,
        json!({"_all": {"primaries": {"docs": {"count": 0, "deleted": 0}, "store": {"size_in_bytes": 5}}}}),
    );
    fake.on(Method::GET, "_cluster/health", 200, json!({"status": "yellow"}));
    let hit = |number: usize| json!({"_id": format!("d{number}"), "_source": {"title": "t"}});
    let page =
        |from: usize, to: usize| json!({"_scroll_id": "s1", "hits": {"hits": (from..to).map(hit).collect::<Vec<_>>()}});
    fake.on(Method::POST, "_search?scroll=", 200, page(0, 500));
    fake.on(Method::POST, "=/_search/scroll", 200, page(500, 503));
    fake.on(Method::DELETE, "=/_search/scroll", 200, json!({"succeeded": true}));
    let items: Vec<_> = (0..500).map(|number| json!({"index": {"_id": format!("d{number}"), "status": 201}})).collect();
    fake.on(Method::POST, "_bulk", 200, json!({"errors": false, "items": items}));
    let copied = desk.done("reindex", json!({"from": "old", "to": "new2", "alias": "current"})).await;
    assert_eq!((&copied["copied"], &copied["switched"]), (&json!(503), &json!(true)));
    let expected = json!({"actions": [{"remove": {"index": format!("{own}old"), "alias": format!("{own}current")}}, {"add": {"index": format!("{own}new2"), "alias": format!("{own}current")}}]});
    assert_eq!(fake.last("/_aliases").json(), expected);
    assert_eq!(fake.last("/_search/scroll").method, Method::DELETE);
}

#[tokio::test]
async fn suggestions_come_from_words_and_are_merged() {
    let fake = Fake::start(opensearch()).await;
    let hit = |text: &str| json!({"_id": "a", "highlight": {"title.words": [text]}});
    fake.on(Method::POST, "/_search", 200, json!({"hits": {"hits": [hit("\u{1}Sailing\u{2} and \u{1}sails\u{2}"), hit("\u{1}sailing\u{2}")]},
        "suggest": {"0": [{"text": "sai", "options": [{"text": "sail", "score": 0.8, "freq": 3}]}], "1": [{"text": "sai", "options": []}]}}));
    let found = fake.desk().done("suggest", json!({"index": "books", "text": "sai"})).await;
    assert_eq!(found["completions"], json!([{"text": "sailing", "documents": 2}, {"text": "sails", "documents": 1}]));
    assert_eq!(found["did_you_mean"], "sail");
    let term = &fake.last("/_search").json()["suggest"]["0"]["term"];
    assert_eq!((&term["field"], &term["suggest_mode"]), (&json!("title.words"), &json!("missing")));
}

#[tokio::test]
async fn a_native_query_is_offered_only_where_it_is_allowed() {
    let fake = Fake::start(elasticsearch()).await;
    fake.on(Method::POST, "/_search", 200, hits());
    let native = json!({"index": "books", "body": {"query": {"match": {"title": "car"}}}});
    refused(&fake.desk().call("native_query", native.clone()).await, &["not_found"]);
    let desk = Desk::of(Settings { native_queries: true, ..fake.settings() });
    let answer = desk.done("native_query", native).await;
    assert_eq!(answer["answer"]["hits"]["hits"][0]["_index"], "books");
    assert!(answer["answer"].get("_shards").is_none());
    let asked = fake.got().len();
    for body in
        [json!({"query": {"regexp": {"title": ".*.*.*x"}}}), json!({"script_fields": {}}), json!({"size": 10_000_000})]
    {
        refused(
            &desk.call("native_query", json!({"index": "books", "body": body})).await,
            &["refused", "invalid_arguments"],
        );
    }
    assert_eq!(fake.got().len(), asked);
}

#[tokio::test]
async fn e03_no_name_of_a_caller_changes_what_is_asked_for() {
    let fake = Fake::start(elasticsearch()).await;
    let desk = fake.desk();
    for name in [
        "*",
        ".security*",
        "-*,secret",
        "cluster:secret",
        "<logs-{now/d}>",
        "a,b",
        "a/_delete_by_query",
        "%2e%2e",
        "..",
        "_all",
    ] {
        refused(&desk.call("search", json!({"indices": [name]})).await, &["invalid_arguments"]);
        refused(&desk.call("delete_index", json!({"index": name})).await, &["invalid_arguments"]);
        refused(&desk.call("create_index", json!({"name": name})).await, &["invalid_arguments"]);
    }
    assert_eq!(fake.got().len(), 0);
}

#[tokio::test]
async fn faults_of_the_cluster_are_told_without_its_secrets() {
    let fake = Fake::start(elasticsearch()).await;
    let desk = fake.desk();
    let denied = json!({"error": {"type": "security_exception", "reason": "action [indices:data/read/search] is unauthorized for API key id [hidden]"}, "status": 403});
    let many = json!({"error": {"root_cause": [{"type": "x", "reason": "Trying to create too many buckets. too_many_buckets"}], "type": "too_many_buckets_exception"}, "status": 400});
    for (status, body, code, again) in [
        (401, denied.to_string(), "refused", false),
        (403, denied.to_string(), "refused", false),
        (429, json!({"error": {"type": "circuit_breaking_exception"}, "status": 429}).to_string(), "unavailable", true),
        (503, "<html>no upstream</html>".to_owned(), "unavailable", true),
        (400, many.to_string(), "too_large", false),
        (302, "http://127.0.0.1:1/elsewhere".to_owned(), "internal", true),
        (200, "not json".to_owned(), "internal", true),
        (200, "{}".to_owned(), "unavailable", true),
        (200, format!("{{\"x\": \"{}\"}}", "x".repeat(33 << 20)), "too_large", false),
    ] {
        fake.on_text(Method::POST, "/_search", status, &body);
        let called = desk.call("search", json!({"indices": ["books"], "query": "a"})).await;
        refused(&called, &[code]);
        assert_eq!(called.structured["error"]["retryable"], again, "{status}");
        let told = called.structured.to_string();
        assert!(!told.contains("hidden") && !told.contains("127.0.0.1"), "{told}");
    }
}

#[tokio::test]
async fn a_cluster_that_is_away_is_told_and_found_again() {
    let mut settings = Fake::start(elasticsearch()).await.settings();
    // Held and never listened at: nobody else gets the port meanwhile.
    let held = tokio::net::TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let free = held.local_addr().unwrap();
    settings.cluster.as_mut().unwrap().url = weft_kit::Reference::Text(format!("http://{free}"));
    let desk = Desk::of(settings);
    let called = desk.call("list_indices", json!({})).await;
    refused(&called, &["unavailable"]);
    assert!(!called.structured.to_string().contains(&free.to_string()));
}

#[tokio::test]
async fn a_cancelled_call_closes_its_request() {
    // A cluster that greets and then never answers.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut settings = Fake::start(elasticsearch()).await.settings();
    settings.cluster.as_mut().unwrap().url = weft_kit::Reference::Text(format!("http://{address}"));
    let desk = Desk::of(settings);
    let token = CancellationToken::new();
    let direct = desk.direct.until(token.clone());
    let call = tokio::spawn(async move { direct.call("list_indices", json!({})).await });
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut bytes = [0; 4_096];
    assert!(tokio::io::AsyncReadExt::read(&mut stream, &mut bytes).await.unwrap() > 0);
    let start = Instant::now();
    token.cancel();
    refused(&call.await.unwrap(), &["cancelled"]);
    while tokio::io::AsyncReadExt::read(&mut stream, &mut bytes).await.unwrap_or(0) > 0 {}
    // The request itself may take a minute.
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_password_in_the_address_is_refused_at_the_start() {
    let fake = Fake::start(elasticsearch()).await;
    let folder = tempfile::tempdir().unwrap();
    for (url, prefix) in [
        ("http://user:pass@host:9200", "weft"),
        ("ftp://host", "weft"),
        ("http://host:9200", "a*"),
        ("nonsense", "weft"),
    ] {
        let mut settings = fake.settings();
        let cluster = settings.cluster.as_mut().unwrap();
        (cluster.url, cluster.prefix) = (weft_kit::Reference::Text(url.to_owned()), prefix.to_owned());
        let error = weft_search::service(settings, folder.path()).err().unwrap();
        assert!(!format!("{error:#}").contains("pass@"), "{error:#}");
    }
    for target in ["*", "a,b", "-x", "a/_search", "<a>", "c:secret", ""] {
        let mut settings = fake.settings();
        settings.cluster.as_mut().unwrap().shared[0].target = target.to_owned();
        assert!(weft_search::service(settings, folder.path()).is_err(), "{target}");
    }
}

#[tokio::test]
async fn scores_are_explained_by_the_cluster_in_our_words() {
    let fake = Fake::start(elasticsearch()).await;
    let why = json!({"value": 1.5, "description": "weight(title:car)", "details": [{"value": 2.2, "description": "boost", "details": []}]});
    fake.on(
        Method::POST,
        "/_search",
        200,
        json!({"hits": {"hits": [{"_id": "a", "_score": 1.5, "_explanation": why}]}}),
    );
    let told = fake.desk().done("explain", json!({"index": "books", "id": "a", "query": "car"})).await;
    assert_eq!((&told["score"], &told["reasons"][1]), (&json!(1.5), &json!("  2.2000 boost")));
    assert_eq!(told["understood"], "((car automobile^0.8))");
}

#[tokio::test]
async fn a_deletion_that_nobody_waits_for_is_ended_in_the_cluster() {
    let mut tries = 0..10;
    while !ends_a_deletion().await {
        assert!(tries.next().is_some(), "the machine stands still each time");
    }
}

/// False if the call ended so late that what it still had to do was broken off: half a second is what it has for that.
async fn ends_a_deletion() -> bool {
    let fake = Fake::start(elasticsearch()).await;
    fake.on(Method::POST, "/_search", 200, meant());
    fake.on(Method::POST, "_delete_by_query", 200, json!({"task": "node:7"}));
    let told = json!({"completed": false, "task": {"status": {"total": 100, "deleted": 3}}});
    fake.on(Method::GET, "=/_tasks/node:7", 200, told);
    fake.on(Method::POST, "=/_tasks/node:7/_cancel", 200, json!({"nodes": {}}));
    let desk = fake.desk();
    let mut delete = json!({"index": "books", "query": "author:Ada"});
    delete["plan_id"] = desk.done("delete_documents", delete.clone()).await["plan"]["plan_id"].clone();
    let token = CancellationToken::new();
    let direct = desk.direct.until(token.clone());
    let call = tokio::spawn(async move { direct.call("delete_documents", delete).await });
    while !fake.got().iter().any(|got| got.path == "/_tasks/node:7") {
        tokio::task::yield_now().await;
    }
    let start = Instant::now();
    token.cancel();
    refused(&call.await.unwrap(), &["cancelled"]);
    if start.elapsed() >= Duration::from_millis(500) {
        return false;
    }
    assert_eq!(fake.last("_cancel").method, Method::POST);
    true
}
