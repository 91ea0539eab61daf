//! What the tools do over embedded indexes.

use serde_json::json;
use weft_search::Settings;

use crate::desk::{Desk, direct, ids, of_tenant, refused};

#[tokio::test]
async fn words_phrases_prefixes_and_typing_errors_find_their_documents() {
    let desk = Desk::books().await;
    for (query, expected) in [
        ("sea", vec!["sea", "wind"]),
        ("sailing ship", vec!["sea", "cars", "wind"]),
        ("\"old sea\"", vec!["sea"]),
        ("\"sea old\"", vec![]),
        ("\"ships sea\"~4", vec!["wind"]),
        ("+sea -ship", vec![]),
        ("+wind -weather", vec!["sea"]),
        ("program*", vec!["code"]),
        ("saeling~2", vec!["cars", "sea"]),
        ("title:wind", vec!["wind"]),
        ("author:Ada AND title:wind", vec!["wind"]),
        ("creme brulee", vec!["cook"]),
        ("header", vec!["code"]),
        ("parseHttpHeader", vec!["code"]),
        ("\"retry count\"", vec!["code"]),
        ("year:1999 AND cars", vec!["cars"]),
        ("-ships", vec!["cars", "code", "cook", "none"]),
    ] {
        let mut found = desk.found(json!({"query": query})).await;
        let mut expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
        if query != "sea" {
            found.sort();
            expected.sort();
        }
        assert_eq!(found, expected, "{query}");
    }
    assert_eq!(desk.found(json!({"query": "sea wind cars", "require_all": true})).await, [""; 0]);
}

#[tokio::test]
async fn filters_narrow_by_exact_values() {
    let desk = Desk::books().await;
    for (filters, expected) in [
        (json!([{"field": "author", "op": "eq", "value": "Bob"}]), vec!["cars", "cook"]),
        (json!([{"field": "author", "op": "ne", "value": "Bob"}]), vec!["code", "none", "sea", "wind"]),
        (json!([{"field": "author", "op": "in", "value": ["Ada", "Cyd"]}]), vec!["code", "sea", "wind"]),
        (json!([{"field": "author", "op": "prefix", "value": "B"}]), vec!["cars", "cook"]),
        (
            json!([{"field": "year", "op": "gte", "value": 1999}, {"field": "price", "op": "lt", "value": 15.25}]),
            vec!["cook"],
        ),
        (json!([{"field": "year", "op": "lt", "value": 1901}]), vec!["none"]),
        (json!([{"field": "lent", "op": "eq", "value": true}]), vec!["cook", "sea"]),
        (json!([{"field": "lent", "op": "exists", "value": false}]), vec!["cars", "none"]),
        (json!([{"field": "body", "op": "exists"}]), vec!["cars", "code", "cook", "sea", "wind"]),
        (json!([{"field": "bought", "op": "lt", "value": "2026-01-01"}]), vec!["cook"]),
        (
            json!([{"field": "bought", "op": "gt", "value": "2025-12-31T23:59:59.4Z"}, {"field": "bought", "op": "lte", "value": "2026-01-01"}]),
            vec!["cook", "sea"],
        ),
        (json!([{"field": "bought", "op": "eq", "value": "2026-01-02T11:00:00+01:00"}]), vec!["wind"]),
    ] {
        let mut found = desk.found(json!({"filters": filters})).await;
        found.sort();
        assert_eq!(found, expected, "{filters}");
    }
}

#[tokio::test]
async fn hits_carry_highlights_facets_and_an_order() {
    let desk = Desk::books().await;
    let found =
        desk.done("search", json!({"indices": ["books"], "query": "sea ships", "facets": ["author", "lent"]})).await;
    let marked = found["hits"][0]["highlights"]["body"][0].as_str().unwrap();
    assert!(marked.contains("**Ships**") && marked.contains("**sea**"), "{marked}");
    assert_eq!(found["facets"][0]["buckets"], json!([{"key": "Ada", "count": 2}]));
    assert_eq!(found["facets"][1]["buckets"], json!([{"key": false, "count": 1}, {"key": true, "count": 1}]));
    let by = |field: &str, order: &str| json!({"sort": {"field": field, "order": order}, "limit": 6});
    assert_eq!(desk.found(by("year", "asc")).await[..2], ["none", "sea"]);
    assert_eq!(desk.found(by("price", "desc")).await[..2], ["code", "wind"]);
    assert_eq!(desk.found(by("bought", "desc")).await[..2], ["cars", "wind"]);
    assert_eq!(desk.found(by("author", "desc")).await[0], "code");
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repetition() {
    let desk = Desk::books().await;
    let mut search = json!({"indices": ["books"], "limit": 2, "sort": {"field": "year"}});
    let mut seen = Vec::new();
    loop {
        let called = desk.call("search", search.clone()).await;
        seen.extend(ids(called.data()));
        match called.structured["page"]["cursor"].as_str() {
            Some(cursor) => search["cursor"] = json!(cursor),
            None => break,
        }
    }
    assert_eq!(seen.len(), 6);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 6);
    let other = json!({"indices": ["books"], "limit": 3, "cursor": search["cursor"]});
    refused(&desk.call("search", other).await, &["invalid_cursor"]);
}

#[tokio::test]
async fn several_indexes_are_searched_as_one() {
    let desk = Desk::books().await;
    desk.done("create_index", json!({"name": "notes"})).await;
    desk.done(
        "index_documents",
        json!({"index": "notes", "documents": [{"id": "n", "title": "sea", "body": "the sea", "tags": ["a", "b"]}]}),
    )
    .await;
    let found = desk.done("search", json!({"indices": ["notes", "books"], "query": "sea", "limit": 2})).await;
    assert_eq!(found["total"], 3);
    assert_eq!(found["hits"].as_array().unwrap().len(), 2);
    let scores: Vec<f64> = found["hits"].as_array().unwrap().iter().map(|hit| hit["score"].as_f64().unwrap()).collect();
    assert!(scores[0] >= scores[1], "{scores:?}");
}

#[tokio::test]
async fn counts_and_aggregates_agree_with_the_documents() {
    let desk = Desk::books().await;
    assert_eq!(desk.done("count", json!({"index": "books", "query": "sea"})).await["count"], 2);
    let groups = json!([{"field": "author"}, {"field": "year", "by": "steps", "step": 50.0}, {"field": "price", "by": "summary"},
        {"field": "price", "by": "ranges", "ranges": [{"to": 10.0}, {"from": 10.0}]}, {"field": "bought", "by": "times", "interval": "1d"}]);
    let found = desk.done("aggregate", json!({"index": "books", "groups": groups})).await;
    let groups = &found["groups"];
    assert_eq!(
        groups[0]["buckets"],
        json!([{"key": "Ada", "count": 2}, {"key": "Bob", "count": 2}, {"key": "Cyd", "count": 1}])
    );
    assert_eq!(
        groups[1]["buckets"].as_array().unwrap().iter().map(|bucket| bucket["count"].as_u64().unwrap()).sum::<u64>(),
        6
    );
    assert_eq!(groups[2]["summary"]["count"], 5.0);
    assert_eq!(groups[2]["summary"]["max"], 40.0);
    let counts: Vec<u64> =
        groups[3]["buckets"].as_array().unwrap().iter().map(|bucket| bucket["count"].as_u64().unwrap()).collect();
    assert_eq!(counts, [2, 3]);
    assert_eq!(groups[4]["buckets"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn suggestions_complete_and_correct() {
    let desk = Desk::books().await;
    let found = desk.done("suggest", json!({"index": "books", "text": "sai"})).await;
    let words: Vec<&str> =
        found["completions"].as_array().unwrap().iter().map(|word| word["text"].as_str().unwrap()).collect();
    assert_eq!(words, ["sailing", "sails"]);
    let found = desk.done("suggest", json!({"index": "books", "text": "B", "field": "author"})).await;
    assert_eq!(found["completions"], json!([{"text": "Bob", "documents": 2}]));
    let found = desk.done("search", json!({"indices": ["books"], "query": "+wheather +title:widn"})).await;
    assert_eq!((&found["total"], &found["did_you_mean"]), (&json!(0), &json!("+weather +title:wind")));
}

#[tokio::test]
async fn a_score_is_explained() {
    let desk = Desk::books().await;
    let told = desk.done("explain", json!({"index": "books", "id": "sea", "query": "sea"})).await;
    let found = desk.done("search", json!({"indices": ["books"], "query": "sea"})).await;
    let (score, explained) = (found["hits"][0]["score"].as_f64().unwrap(), told["score"].as_f64().unwrap());
    assert!((score - explained).abs() < 1e-4, "{score} {told}");
}

#[tokio::test]
async fn what_is_explained_as_a_match_is_what_is_found_for_every_document() {
    let desk = Desk::books().await;
    let all = ["sea", "cars", "code", "cook", "none", "wind"];
    for query in [
        "sea",
        "wind weather",
        "+wind -weather",
        "\"old sea\"",
        "\"ships sea\"~4",
        "program*",
        "saeling~2",
        "title:wind",
        "(sea OR wind) AND (ship OR weather)",
        "-ships",
        "retry-count parse",
        "nothing-of this",
        "\u{e9}",
        "sea~2 OR \"old",
        "NOT NOT wind OR",
    ] {
        let hits = desk.done("search", json!({"indices": ["books"], "query": query})).await["hits"].clone();
        for id in all {
            let told = desk.done("explain", json!({"index": "books", "id": id, "query": query})).await;
            let hit = hits.as_array().unwrap().iter().find(|hit| hit["id"] == id);
            assert_eq!(told["matches"], json!(hit.is_some()), "{query} {id}: {told}");
            if let Some(hit) = hit {
                let [found, told] = [&hit["score"], &told["score"]].map(|score| score.as_f64().unwrap());
                assert!((found - told).abs() < 1e-4, "{query} {id}: {found} {told}");
            }
        }
    }
}

#[tokio::test]
async fn documents_that_do_not_fit_are_told_and_the_others_kept() {
    let desk = Desk::books().await;
    let documents = json!([{"id": "a", "title": "good"}, {"id": "b", "nothing": 1}, {"id": "c", "year": "old"}, {"id": "", "title": "x"}, {"title": "no id"}, {"id": {"a": 1}, "title": "y"}]);
    let written = desk.done("index_documents", json!({"index": "books", "documents": documents})).await;
    assert_eq!(written["indexed"], 2);
    let places: Vec<u64> =
        written["failed"].as_array().unwrap().iter().map(|failure| failure["place"].as_u64().unwrap()).collect();
    assert_eq!(places, [1, 2, 3, 5]);
    let again = desk.done("index_documents", json!({"index": "books", "documents": [{"title": "no id"}]})).await;
    assert_eq!(again["ids"][0], written["ids"][4]);
    assert_eq!(desk.done("count", json!({"index": "books"})).await["count"], 8);
}

#[tokio::test]
async fn writing_again_replaces_and_is_seen_at_once() {
    let desk = Desk::books().await;
    for number in 0..5 {
        let title = format!("edition{number}");
        desk.done("index_documents", json!({"index": "books", "documents": [{"id": "sea", "title": title}]})).await;
        assert_eq!(desk.found(json!({"query": title})).await, ["sea"]);
    }
    assert_eq!(desk.done("count", json!({"index": "books"})).await["count"], 6);
    let got = desk.done("get_documents", json!({"index": "books", "ids": ["sea", "nothing"]})).await;
    assert_eq!(got, json!({"documents": [{"id": "sea", "fields": {"title": "edition4"}}], "missing": ["nothing"]}));
}

#[tokio::test]
async fn deletions_show_what_goes_and_then_do_it() {
    let desk = Desk::books().await;
    let by_query = json!({"index": "books", "query": "sea"});
    let shown = desk.done("delete_documents", by_query.clone()).await;
    assert_eq!((&shown["applied"], &shown["plan"]["effects"]["documents"]), (&json!(false), &json!(2)));
    let mut apply = by_query;
    apply["plan_id"] = shown["plan"]["plan_id"].clone();
    desk.done("index_documents", json!({"index": "books", "documents": [{"id": "new", "title": "sea"}]})).await;
    refused(&desk.call("delete_documents", apply.clone()).await, &["stale_plan"]);
    let shown = desk.done("delete_documents", json!({"index": "books", "query": "sea"})).await;
    apply["plan_id"] = shown["plan"]["plan_id"].clone();
    assert_eq!(desk.done("delete_documents", apply).await["result"]["documents"], 3);
    assert_eq!(desk.done("count", json!({"index": "books"})).await["count"], 4);
    for nothing in [
        json!({"index": "books"}),
        json!({"index": "books", "query": " "}),
        json!({"index": "books", "ids": ["a"], "query": "b"}),
    ] {
        refused(&desk.call("delete_documents", nothing).await, &["invalid_arguments"]);
    }
    let shown = desk.done("delete_index", json!({"index": "books"})).await;
    desk.done("delete_index", json!({"index": "books", "plan_id": shown["plan"]["plan_id"]})).await;
    refused(&desk.call("describe_index", json!({"index": "books"})).await, &["not_found"]);
}

#[tokio::test]
async fn an_alias_moves_to_a_copy_with_other_fields() {
    let desk = Desk::books().await;
    desk.done("set_alias", json!({"alias": "current", "index": "books"})).await;
    let fields = json!([{"name": "title", "kind": "text"}, {"name": "year", "kind": "keyword"}]);
    let copied =
        desk.done("reindex", json!({"from": "current", "to": "books2", "fields": fields, "alias": "current"})).await;
    assert_eq!((&copied["failures"], &copied["switched"]), (&json!(6), &json!(false)));
    let fields = json!([{"name": "title", "kind": "text", "language": "plain"}, {"name": "year", "kind": "integer"}]);
    let copied =
        desk.done("reindex", json!({"from": "current", "to": "books3", "fields": fields, "alias": "current"})).await;
    assert_eq!((&copied["copied"], &copied["switched"]), (&json!(6), &json!(true)));
    let listed = desk.done("list_indices", json!({"pattern": "curr"})).await;
    assert_eq!(listed["indexes"], json!([{"name": "current", "alias_of": "books3", "documents": 6}]));
    let found = desk.done("search", json!({"indices": ["current"], "query": "wind"})).await;
    assert_eq!(ids(&found), ["wind"]);
    refused(&desk.call("reindex", json!({"from": "books", "to": "books3"})).await, &["conflict"]);
    refused(&desk.call("create_index", json!({"name": "current"})).await, &["conflict"]);
    desk.done("set_alias", json!({"alias": "current"})).await;
    refused(&desk.call("count", json!({"index": "current"})).await, &["not_found"]);
}

#[tokio::test]
async fn a_copy_of_many_documents_is_whole() {
    let desk = Desk::new();
    desk.done("create_index", json!({"name": "many"})).await;
    for batch in 0..5 {
        let documents: Vec<_> =
            (0..250).map(|number| json!({"id": format!("d{batch}-{number}"), "title": "one of many"})).collect();
        desk.done("index_documents", json!({"index": "many", "documents": documents})).await;
    }
    let copied = desk.done("reindex", json!({"from": "many", "to": "copy"})).await;
    assert_eq!(copied["copied"], 1250);
    assert_eq!(desk.done("count", json!({"index": "copy"})).await["count"], 1250);
}

#[tokio::test]
async fn synonyms_work_at_once_and_stay() {
    let desk = Desk::books().await;
    assert_eq!(desk.found(json!({"query": "automobile"})).await, [""; 0]);
    desk.done("set_synonyms", json!({"index": "books", "synonyms": [["automobile", "motor car"]]})).await;
    assert_eq!(desk.found(json!({"query": "automobile"})).await, ["cars"]);
    let Desk { direct: first, folder } = desk;
    drop(first);
    let desk = Desk { direct: direct(Settings::default(), folder.path()), folder };
    assert_eq!(desk.found(json!({"query": "automobile"})).await, ["cars"]);
}

#[tokio::test]
async fn another_tenant_sees_nothing() {
    let desk = Desk::books().await;
    let other = of_tenant(&desk, "other");
    assert_eq!(other.call("list_indices", json!({})).await.data()["indexes"], json!([]));
    for (tool, arguments) in [
        ("search", json!({"indices": ["books"], "query": "sea"})),
        ("describe_index", json!({"index": "books"})),
        ("get_documents", json!({"index": "books", "ids": ["sea"]})),
        ("suggest", json!({"index": "books", "text": "sea"})),
        ("index_documents", json!({"index": "books", "documents": [{"title": "a"}]})),
        ("delete_index", json!({"index": "books"})),
        ("set_alias", json!({"alias": "mine", "index": "books"})),
        ("reindex", json!({"from": "books", "to": "mine"})),
        ("index_status", json!({"index": "books"})),
    ] {
        refused(&other.call(tool, arguments).await, &["not_found"]);
    }
    let listed = desk.direct.resources(None).await.unwrap();
    assert!(other.read(&listed.items[0].uri).await.is_err());
    assert!(!desk.direct.read(&listed.items[0].uri).await.unwrap().is_empty());
    assert!(!desk.direct.read(&format!("{}/sea", listed.items[0].uri)).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_damaged_index_hides_no_other_and_can_be_deleted() {
    let desk = Desk::books().await;
    desk.done("create_index", json!({"name": "notes"})).await;
    let Desk { direct: first, folder } = desk;
    drop(first);
    let tenant = std::fs::read_dir(folder.path().join("indexes")).unwrap().next().unwrap().unwrap();
    std::fs::write(tenant.path().join("notes/meta.json"), "{").unwrap();
    let desk = Desk { direct: direct(Settings::default(), folder.path()), folder };
    assert_eq!(desk.found(json!({"query": "weather"})).await, ["wind"]);
    let called = desk.call("search", json!({"indices": ["notes"]})).await;
    refused(&called, &["damaged", "internal"]);
    assert!(!called.structured.to_string().contains("notes/meta.json"));
    let listed = desk.done("list_indices", json!({})).await;
    assert_eq!(listed["indexes"].as_array().unwrap().len(), 2);
    let shown = desk.done("delete_index", json!({"index": "notes"})).await;
    desk.done("delete_index", json!({"index": "notes", "plan_id": shown["plan"]["plan_id"]})).await;
    assert_eq!(desk.done("create_index", json!({"name": "notes"})).await["created"], true);
}
