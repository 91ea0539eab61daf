//! Hits ranked anew: by a model of a folder, by the aiml service, and by words where there is none or it fails.

use serde_json::{Value, json};
use weft_embed::{
    LocalSettings,
    local::{Local, Threads},
};
use weft_vectorstore::{RerankServiceSettings, RerankerSettings, Settings};

use crate::{
    bench::{Bench, ids},
    embedding::serve,
};

const TEXTS: [(&str, &str); 4] = [
    ("a", "The red fox jumps over the lazy dog."),
    ("b", "A quick house in the wood."),
    ("c", "fox fox fox and dogs"),
    ("d", "Nothing of the kind at all, a red one."),
];

async fn filled(reranker: Option<RerankerSettings>) -> Bench {
    let bench = Bench::with(|_| Settings { reranker, ..Settings::default() });
    bench.ok("create_collection", json!({ "name": "t" })).await;
    let items: Vec<Value> = TEXTS.iter().map(|(id, text)| json!({ "id": id, "text": text })).collect();
    bench.ok("upsert", json!({ "collection": "t", "items": items })).await;
    bench
}

fn asked() -> Value {
    json!({ "collection": "t", "text": "red fox", "rerank": true, "mode": "dense" })
}

#[tokio::test]
async fn without_a_model_words_rank_and_the_answer_says_so() {
    let found = filled(None).await.ok("search", asked()).await;
    assert_eq!((&found["reranked_by"], &found["score_kind"]), (&json!("words"), &json!("overlap")));
    let plain = filled(None).await.ok("search", json!({ "collection": "t", "text": "red fox" })).await;
    assert_eq!(plain["reranked_by"], Value::Null);
}

#[tokio::test]
async fn a_model_of_a_folder_ranks_by_its_scores() {
    let Some(models) = weft_testkit::models() else { return };
    let folder = models.small.join("reranker");
    let local = Local::open("local/reranker", &folder, &Threads::new(1), None).unwrap();
    let texts: Vec<String> = TEXTS.iter().map(|(_, text)| (*text).to_owned()).collect();
    let scores = local.scores("red fox", &texts).await.unwrap().of;
    let mut expected: Vec<(f32, &str)> = scores.into_iter().zip(TEXTS.map(|(id, _)| id)).collect();
    expected.sort_by(|a, b| b.0.total_cmp(&a.0));
    let found = filled(Some(RerankerSettings::Local(LocalSettings::new(folder)))).await.ok("search", asked()).await;
    assert_eq!((&found["reranked_by"], &found["score_kind"]), (&json!("local/reranker"), &json!("rerank")));
    assert_eq!(ids(&found["hits"]), expected.iter().map(|(_, id)| *id).collect::<Vec<_>>());
    let wrong = Settings {
        reranker: Some(RerankerSettings::Local(LocalSettings::new(models.small.join("embedder")))),
        ..Settings::default()
    };
    let refusal = weft_vectorstore::service(wrong, tempfile::tempdir().unwrap().path()).err().unwrap();
    assert!(refusal.to_string().contains("is no reranker"), "{refusal}");
}

fn mesh(url: &str) -> RerankerSettings {
    RerankerSettings::Mesh(RerankServiceSettings {
        url: format!("{url}/mcp/aiml"),
        model: Some("local/judge".to_owned()),
        api_key: None,
        authorities: None,
        timeout_ms: 60_000,
    })
}

#[tokio::test]
async fn the_aiml_service_ranks_through_a_gateway() {
    let (url, seen) = serve(|body| {
        let documents = body["params"]["arguments"]["documents"].as_array().unwrap();
        let long = |(index, text): (usize, &Value)| json!({ "index": index, "score": text.as_str().unwrap().len() });
        let ranked: Vec<Value> = documents.iter().enumerate().map(long).collect();
        let data = json!({ "ranked": ranked, "method": "rerank", "by": {} });
        let result = json!({ "content": [], "structuredContent": { "data": data }, "isError": false });
        (200, json!({ "jsonrpc": "2.0", "id": 1, "result": result }).to_string())
    })
    .await;
    let found = filled(Some(mesh(&url))).await.ok("search", asked()).await;
    assert_eq!(found["reranked_by"], "aiml/local/judge (rerank)");
    assert_eq!(ids(&found["hits"]), ["d", "a", "b", "c"], "the longest first");
    let seen = seen.lock().unwrap();
    let arguments = &seen[0].1["params"]["arguments"];
    assert_eq!((&arguments["model"], &arguments["query"]), (&json!("local/judge"), &json!("red fox")));
}

#[tokio::test]
async fn a_model_that_is_away_leaves_the_ranking_to_words_with_a_warning() {
    let bench = filled(Some(mesh("http://127.0.0.1:1"))).await;
    let called = bench.call("search", asked()).await;
    assert!(!called.is_error, "{}", called.text);
    assert_eq!((&called.data()["reranked_by"], ids(&called.data()["hits"])[0]), (&json!("words"), "a"));
    assert!(called.structured["warnings"].to_string().contains("words in common decided"), "{}", called.structured);
}
