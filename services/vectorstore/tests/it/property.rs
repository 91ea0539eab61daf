//! The embedded store and the naive one, given the same acts, give the same answers.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::{
    bench::{Bench, ids},
    naive::{Naive, Point},
};

#[derive(Debug, Clone)]
enum Act {
    Upsert(Vec<(String, Point)>, &'static str),
    DeleteIds(Vec<String>),
    DeleteFilter(Value),
    Update(Value, Map<String, Value>, Vec<String>),
    Near(Vec<f64>, Value, usize),
    Words(String, Value),
    Look(Value),
    Reopen,
}

fn id() -> impl Strategy<Value = String> {
    "[ab][0-9]"
}

fn vector() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec((-3_i8..=3).prop_map(f64::from), 9)
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec("[xyz]", 1..6).prop_map(|words| words.join(" "))
}

/// `k` and `n` are indexed, `free` is not.
fn metadata() -> impl Strategy<Value = Map<String, Value>> {
    let maybe = |strategy: BoxedStrategy<Value>| prop::option::of(strategy);
    (
        maybe("[pq]".prop_map(Value::from).boxed()),
        maybe((-3_i64..4).prop_map(Value::from).boxed()),
        maybe((0_i64..3).prop_map(Value::from).boxed()),
    )
        .prop_map(|(k, n, free)| {
            [("k", k), ("n", n), ("free", free)]
                .into_iter()
                .filter_map(|(key, value)| Some((key.to_owned(), value?)))
                .collect()
        })
}

fn filter() -> impl Strategy<Value = Value> {
    let field = prop_oneof![Just("n"), Just("free")];
    let leaf = prop_oneof![
        (field.clone(), -4_i64..5).prop_map(|(field, n)| json!({ "field": field, "gte": n })),
        (field.clone(), -4_i64..5, 0_i64..4)
            .prop_map(|(field, n, more)| json!({ "field": field, "gt": n, "lte": n + more })),
        (field.clone(), -4_i64..5).prop_map(|(field, n)| json!({ "field": field, "lt": n })),
        (field, -3_i64..4).prop_map(|(field, n)| json!({ "field": field, "in": [n, n + 2] })),
        "[pq]".prop_map(|k| json!({ "field": "k", "in": [k] })),
        prop_oneof![Just("k"), Just("n"), Just("free")].prop_map(|field| json!({ "field": field, "is_null": true })),
        prop::collection::vec(id(), 0..4).prop_map(|ids| json!({ "ids": ids })),
        Just(json!({ "all": [] })),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(|list| json!({ "all": list })),
            prop::collection::vec(inner.clone(), 0..3).prop_map(|list| json!({ "any": list })),
            inner.prop_map(|filter| json!({ "not": filter })),
        ]
    })
}

fn act() -> impl Strategy<Value = Act> {
    let point = (vector(), prop::option::of(text()), metadata()).prop_map(|(vector, text, metadata)| Point {
        vector,
        text,
        metadata,
    });
    let conflict = prop_oneof![Just("replace"), Just("skip"), Just("error")];
    prop_oneof![
        4 => (prop::collection::vec((id(), point), 1..8), conflict).prop_map(|(points, conflict)| Act::Upsert(points, conflict)),
        1 => prop::collection::vec(id(), 0..4).prop_map(Act::DeleteIds),
        1 => filter().prop_map(Act::DeleteFilter),
        1 => (filter(), metadata(), prop::collection::vec("k|n|free", 0..2)).prop_map(|(filter, set, unset)| Act::Update(filter, set, unset)),
        3 => (vector(), filter(), 1..12_usize).prop_map(|(vector, filter, limit)| Act::Near(vector, filter, limit)),
        2 => (text(), filter()).prop_map(|(text, filter)| Act::Words(text, filter)),
        2 => filter().prop_map(Act::Look),
        1 => Just(Act::Reopen),
    ]
}

/// Everything that was found is right, in order, and nothing better was left out.
fn agree(found: &Value, expected: &BTreeMap<String, f64>, limit: usize, is_distance: bool) {
    let hits = found["hits"].as_array().unwrap();
    assert_eq!(hits.len(), expected.len().min(limit), "{found} {expected:?}");
    let sign = if is_distance { 1.0 } else { -1.0 };
    let mut best: Vec<f64> = expected.values().map(|score| sign * score).collect();
    best.sort_by(f64::total_cmp);
    let mut last = (f64::NEG_INFINITY, String::new());
    for (hit, best) in hits.iter().zip(best) {
        let (id, score) = (hit["id"].as_str().unwrap().to_owned(), sign * hit["score"].as_f64().unwrap());
        assert!((score - sign * expected[&id]).abs() < 1e-3, "{id}: {score} {expected:?}");
        assert!((score - best).abs() < 1e-3, "{found} {expected:?}");
        assert!(last.0 < score || (last.0 - score).abs() < 1e-12 && last.1 < id, "ties are broken by id: {found}");
        last = (score, id);
    }
}

async fn perform(bench: &mut Bench, naive: &mut Naive, metric: &str, act: Act) {
    match act {
        Act::Upsert(points, conflict) => upsert(bench, naive, points, conflict).await,
        Act::DeleteIds(ids) => {
            let gone = bench.ok("delete_points", json!({ "collection": "c", "ids": ids })).await;
            let before = naive.0.len();
            ids.iter().for_each(|id| drop(naive.0.remove(id)));
            assert_eq!(gone["result"]["points"], before - naive.0.len());
        }
        Act::DeleteFilter(filter) => {
            let gone = bench.ok("delete_points", json!({ "collection": "c", "filter": filter })).await;
            let ids: Vec<_> = naive.chosen(&filter).map(|(id, _)| id.clone()).collect();
            assert_eq!(gone["result"]["points"], ids.len());
            ids.iter().for_each(|id| drop(naive.0.remove(id)));
        }
        Act::Update(filter, set, unset) => {
            let args = json!({ "collection": "c", "filter": filter, "set": set, "unset": unset });
            let updated = bench.ok("update_metadata", args).await;
            let ids: Vec<_> = naive.chosen(&filter).map(|(id, _)| id.clone()).collect();
            assert_eq!(updated["result"]["points"], ids.len());
            for id in ids {
                let metadata = &mut naive.0.get_mut(&id).unwrap().metadata;
                unset.iter().for_each(|key| drop(metadata.remove(key)));
                metadata.extend(set.clone());
            }
        }
        Act::Near(vector, filter, limit) => {
            let args = json!({ "collection": "c", "vector": vector, "filter": filter, "limit": limit });
            let found = bench.ok("search", args).await;
            agree(&found, &naive.near(metric, &vector, &filter), limit, metric == "euclidean");
        }
        Act::Words(text, filter) => {
            let args = json!({ "collection": "c", "text": text, "filter": filter, "mode": "sparse", "limit": 100 });
            let found = bench.ok("search", args).await;
            agree(&found, &naive.words(&text, &filter), 100, false);
        }
        Act::Look(filter) => look(bench, naive, &filter).await,
        Act::Reopen => bench.reopen(),
    }
}

async fn upsert(bench: &Bench, naive: &mut Naive, points: Vec<(String, Point)>, conflict: &str) {
    let item = |(id, point): &(String, Point)| json!({ "id": id, "vector": point.vector, "text": point.text, "metadata": point.metadata });
    let items: Vec<Value> = points.iter().map(item).collect();
    let called = bench.call("upsert", json!({ "collection": "c", "items": items, "on_conflict": conflict })).await;
    let mut next: BTreeMap<String, Point> = naive.0.clone();
    let mut outcomes = Vec::new();
    for (id, point) in points {
        outcomes.push(match (next.contains_key(&id), conflict) {
            (false, _) => "created",
            (true, "replace") => "replaced",
            (true, "skip") => "skipped",
            _ => "refused",
        });
        if outcomes.last() != Some(&"skipped") {
            next.insert(id, point);
        }
    }
    if outcomes.contains(&"refused") {
        assert_eq!(called.code(), "conflict", "{}", called.text);
        return;
    }
    let said = called.data()["points"].as_array().unwrap();
    assert_eq!(said.iter().map(|one| one["outcome"].as_str().unwrap()).collect::<Vec<_>>(), outcomes);
    naive.0 = next;
}

async fn look(bench: &Bench, naive: &Naive, filter: &Value) {
    let expected: Vec<&str> = naive.chosen(filter).map(|(id, _)| id.as_str()).collect();
    let count = bench.ok("count", json!({ "collection": "c", "filter": filter })).await;
    assert_eq!(count["count"], expected.len(), "{filter}");
    let scrolled = bench.ok("scroll", json!({ "collection": "c", "filter": filter })).await;
    assert_eq!(ids(&scrolled), expected);
    for (shown, (_, point)) in scrolled.as_array().unwrap().iter().zip(naive.chosen(filter)) {
        assert_eq!(shown["text"].as_str(), point.text.as_deref());
        assert_eq!(shown.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default(), point.metadata);
    }
    for field in ["k", "free"] {
        let facet = bench.ok("facet", json!({ "collection": "c", "field": field, "filter": filter })).await;
        let counted: BTreeMap<String, u64> = facet
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (one["value"].to_string(), one["count"].as_u64().unwrap()))
            .collect();
        assert_eq!(counted, naive.facet(field, filter), "{field} {filter}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_answers_as_the_naive_one(metric in "cosine|dot|euclidean", acts in prop::collection::vec(act(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (mut bench, mut naive) = (Bench::new(), Naive::default());
            let fields = json!({ "k": "keyword", "n": "integer" });
            bench.ok("create_collection", json!({ "name": "c", "dimensions": 9, "metric": metric, "fields": fields })).await;
            for act in acts {
                perform(&mut bench, &mut naive, &metric, act).await;
            }
        });
    }
}
