//! How good the order of the hits is: nDCG@10 and recall@10 on a judged set (`tests/judged`), against BM25 written by its paper.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::{
    desk::{Desk, ids},
    judged::{documents, mean, ndcg, queries, reference},
};

async fn indexed(language: &str) -> Desk {
    let desk = Desk::new();
    let fields = json!([{"name": "text", "kind": "text"}]);
    desk.done("create_index", json!({"name": "judged", "fields": fields, "language": language})).await;
    let documents: Vec<_> = documents().into_iter().map(|(id, text)| json!({"id": id, "text": text})).collect();
    desk.done("index_documents", json!({"index": "judged", "documents": documents})).await;
    desk
}

async fn measured(desk: &Desk) -> (f64, f64) {
    measured_with(desk, |_| json!({})).await
}

/// With more arguments of each search.
async fn measured_with(desk: &Desk, more: impl Fn(&str) -> Value) -> (f64, f64) {
    let mut orders = HashMap::new();
    for (id, query) in queries() {
        let mut search = more(query);
        (search["indices"], search["query"]) = (json!(["judged"]), json!(query));
        orders.insert(id, ids(&desk.done("search", search).await));
    }
    mean(&orders)
}

/// The lexical embedder knows no meaning, only parts of words: it must not spoil what words alone find by more than this.
const TOLERANCE: f64 = 0.03;

#[tokio::test]
async fn hybrid_search_is_not_worse_than_words_alone() {
    let desk = Desk::new();
    let fields =
        json!([{"name": "text", "kind": "text"}, {"name": "meaning", "kind": "vector", "vector": {"of": ["text"]}}]);
    desk.done("create_index", json!({"name": "judged", "fields": fields, "language": "english"})).await;
    let documents: Vec<_> = documents().into_iter().map(|(id, text)| json!({"id": id, "text": text})).collect();
    desk.done("index_documents", json!({"index": "judged", "documents": documents})).await;
    let (words, words_recall) = measured(&desk).await;
    for weight in [0.3, 0.5, 0.7] {
        let (both, recall) = measured_with(&desk, |_| json!({"semantic": {"weight": weight}})).await;
        println!("nDCG@10: words {words:.4}, hybrid ({weight}) {both:.4}; recall@10: {words_recall:.4}, {recall:.4}");
        let tolerance = if weight > 0.5 { 2.0 * TOLERANCE } else { TOLERANCE };
        assert!(both > words - tolerance && recall > words_recall - tolerance, "{weight}: {both} {recall}");
    }
}

#[tokio::test]
async fn scores_are_those_of_bm25() {
    let desk = indexed("plain").await;
    for (_, query) in queries() {
        let found = desk.done("search", json!({"indices": ["judged"], "query": query, "limit": 40})).await;
        let expected: HashMap<String, f64> = reference(query).into_iter().collect();
        assert_eq!(found["total"], expected.len(), "{query}");
        for hit in found["hits"].as_array().unwrap() {
            let (own, of_paper) = (hit["score"].as_f64().unwrap(), expected[hit["id"].as_str().unwrap()]);
            assert!((own - of_paper).abs() < 1e-3, "{query}: {} {own} {of_paper}", hit["id"]);
        }
    }
}

#[tokio::test]
async fn the_order_is_as_good_as_the_references_and_better_with_stems() {
    let named = |query| reference(query).into_iter().map(|(id, _)| id).collect();
    let (of_paper, _) = mean(&queries().into_iter().map(|(id, query)| (id, named(query))).collect());
    let (plain, plain_recall) = measured(&indexed("plain").await).await;
    let (english, english_recall) = measured(&indexed("english").await).await;
    println!(
        "nDCG@10: reference {of_paper:.4}, plain {plain:.4}, english {english:.4}; recall@10: plain {plain_recall:.4}, english {english_recall:.4}"
    );
    assert!((plain - of_paper).abs() < 0.01, "{plain} {of_paper}");
    assert!(english > plain && english > 0.75, "{english} {plain}");
    assert!(english_recall >= plain_recall && english_recall > 0.6, "{english_recall}");
}

#[test]
fn the_measure_knows_a_perfect_order_from_a_wrong_one() {
    let grades = HashMap::from([("a", 3), ("b", 1)]);
    let order = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert!((ndcg(&order(&["a", "b"]), &grades) - 1.0).abs() < 1e-9);
    let swapped = (1.0 + 7.0 / 3f64.log2()) / (7.0 + 1.0 / 3f64.log2());
    assert!((ndcg(&order(&["b", "a"]), &grades) - swapped).abs() < 1e-9);
    assert!(ndcg(&order(&["x"]), &grades).abs() < 1e-9);
}
