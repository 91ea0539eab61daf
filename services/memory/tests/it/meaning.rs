//! Vectors by a model: kept with a partition, not mixed with those of another, made again when it is asked for.
//!
//! The model is a small server of the test that speaks OpenAI's protocol and knows three meanings: beverages, vehicles and the rest.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use weft_memory::{ChatSettings, EmbedderSettings, HttpSettings, ModelSettings, Settings};

use crate::{desk::Desk, stores};

/// A server of models on this machine.
pub(crate) struct Models {
    url: String,
    /// Answers 503 as long as it is set.
    away: Arc<AtomicBool>,
}

impl Models {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let away = Arc::new(AtomicBool::new(false));
        let is_away = away.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, is_away.clone()));
            }
        });
        Self { url, away }
    }

    fn embedder(&self, model: &str) -> EmbedderSettings {
        EmbedderSettings::Openai(HttpSettings {
            url: self.url.clone(),
            model: model.to_owned(),
            dimensions: 3,
            api_key: None,
            authorities: None,
            batch: 8,
            timeout_ms: 60_000,
        })
    }

    fn teller(&self) -> ModelSettings {
        let (url, model) = (self.url.clone(), "teller".to_owned());
        ModelSettings::Openai(ChatSettings { url, model, api_key: None, timeout_ms: 60_000 })
    }
}

/// One direction for each meaning, turned a little by the rest.
fn vector(text: &str) -> [f32; 3] {
    let text = text.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if has(&["tea", "coffee", "drink"]) {
        [1.0, 0.1, 0.0]
    } else if has(&["car", "lorry", "drive"]) {
        [0.0, 1.0, 0.1]
    } else {
        [0.0, 0.0, 1.0]
    }
}

async fn answer(mut stream: TcpStream, away: Arc<AtomicBool>) {
    let mut read = Vec::new();
    let mut part = [0; 8_192];
    let (head, length) = loop {
        let count = stream.read(&mut part).await.unwrap_or(0);
        if count == 0 {
            return;
        }
        read.extend_from_slice(&part[..count]);
        let text = String::from_utf8_lossy(&read).into_owned();
        let Some((head, _)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let length: usize = length.unwrap_or(0);
        if read.len() >= head.len() + 4 + length {
            break (head.to_owned(), length);
        }
    };
    let body: Value = serde_json::from_slice(&read[read.len() - length..]).unwrap();
    let said = if head.contains("/v1/embeddings") {
        let texts = body["input"].as_array().unwrap().iter().map(|text| vector(text.as_str().unwrap()));
        let data: Vec<Value> =
            texts.enumerate().map(|(index, embedding)| json!({"index": index, "embedding": embedding})).collect();
        json!({ "data": data })
    } else {
        let events = body["messages"][1]["content"].as_str().unwrap().lines().count() - 2;
        json!({"model": "teller-2026", "choices": [{"message": {"content": (format!("{events} things happened to the billing."))}}]})
    };
    let (status, said) = if away.load(Ordering::SeqCst) { ("503 Away", json!({})) } else { ("200 OK", said) };
    let said = said.to_string();
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{said}",
        said.len()
    );
    stream.write_all(answer.as_bytes()).await.unwrap_or_default();
}

/// Both halves of a call that is shown first.
async fn consolidate(desk: &Desk, what: &str) -> (Value, Value) {
    let shown = desk.ok("consolidate", json!({ "what": what })).await["plan"].clone();
    let done = desk.ok("consolidate", json!({"what": what, "plan_id": shown["plan_id"]})).await["result"].clone();
    (shown["effects"].clone(), done)
}

async fn fill(desk: &Desk) {
    desk.store("Ada takes a cup of oolong tea at noon").await;
    desk.store("The lorry of the depot is red").await;
    desk.store("Deploys need two reviews").await;
}

#[tokio::test]
async fn a_model_finds_what_means_the_same_in_every_store() {
    let models = Models::start().await;
    for settings in stores::all() {
        let desk = Desk::of(Settings { embedder: Some(models.embedder("small")), ..settings });
        fill(&desk).await;
        let found = desk.texts(json!({"query": "which beverage, coffee perhaps", "mode": "meaning"})).await;
        assert_eq!(found[0], "Ada takes a cup of oolong tea at noon");
        let found = desk.texts(json!({"query": "who would drive a vehicle"})).await;
        assert_eq!(found[0], "The lorry of the depot is red");
    }
}

#[tokio::test]
async fn vectors_of_another_model_are_not_compared_until_they_are_made_again() {
    let models = Models::start().await;
    for settings in stores::all() {
        let words = Desk::of(settings.clone());
        fill(&words).await;
        let with = |model: &str| Settings { embedder: Some(models.embedder(model)), ..settings.clone() };
        let desk = Desk::on(with("small"), words.folder.clone());
        let asked = json!({"query": "something to drink", "mode": "meaning"});
        assert_eq!(desk.code("search", asked.clone()).await, "model_mismatch");
        // Words still find, and what is written meanwhile is found too.
        let late = desk.store("Coffee is in the kitchen").await;
        let found = desk.call("search", json!({"query": "oolong kitchen"})).await;
        assert!(!found.is_error && found.structured.to_string().contains("searched without meaning"));
        assert_eq!(found.data()["hits"].as_array().unwrap().len(), 2);

        let (shown, done) = consolidate(&desk, "vectors").await;
        assert_eq!((&shown["dimensions"], &shown["parts"][0]["records"]), (&json!(3), &json!(4)));
        assert_eq!((&done["model"], &done["records"]), (&json!("openai/small"), &json!(4)));
        let found = desk.ok("search", asked.clone()).await;
        let ids: Vec<&str> =
            found["hits"].as_array().unwrap().iter().filter_map(|hit| hit["record"]["id"].as_str()).collect();
        assert!(ids[..2].contains(&late.as_str()), "{ids:?}");
        // Versions did not move, and whoever still has the old settings does not mix in.
        assert_eq!(desk.ok("get", json!({"ids": [late]})).await["records"][0]["record"]["version"], 1);
        assert_eq!(words.code("search", asked.clone()).await, "model_mismatch");
        words.store("Tea is out, says the old one").await;
        let (shown, _) = consolidate(&desk, "vectors").await;
        assert_eq!(shown["parts"], json!([]), "nothing is left to do");
    }
}

#[tokio::test]
async fn without_its_embedder_memory_reads_by_words_and_writes_nothing_half() {
    let models = Models::start().await;
    let desk = Desk::of(Settings { embedder: Some(models.embedder("small")), ..Settings::default() });
    fill(&desk).await;
    models.away.store(true, Ordering::SeqCst);
    let found = desk.call("search", json!({"query": "oolong"})).await;
    assert!(!found.is_error && found.structured.to_string().contains("searched without meaning"));
    assert_eq!(found.data()["hits"].as_array().unwrap().len(), 1);
    assert_eq!(desk.code("search", json!({"query": "oolong", "mode": "meaning"})).await, "embedder_failed");
    assert_eq!(desk.code("store", json!({"items": [{"id": "lost", "text": "A car"}]})).await, "embedder_failed");
    assert_eq!(desk.ok("get", json!({"ids": ["lost"]})).await["missing"], json!(["lost"]));
    models.away.store(false, Ordering::SeqCst);
    desk.store(json!({"id": "lost", "text": "A car"})).await;
}

async fn events(desk: &Desk) {
    for (number, text) in ["Billing went down", "Bob rolled back", "Billing came up"].iter().enumerate() {
        let time = format!("2026-03-01T1{number}:00:00Z");
        desk.store(json!({"id": (format!("e{number}")), "kind": "event", "text": text, "event_time": time, "entities": ["billing"]}))
            .await;
    }
    desk.store(json!({"kind": "event", "text": "Alone on its day", "event_time": "2026-03-02"})).await;
}

#[tokio::test]
async fn the_events_of_a_day_are_told_once_with_who_told_them() {
    let models = Models::start().await;
    for settings in stores::all() {
        let desk = Desk::of(Settings { model: Some(models.teller()), ..settings });
        events(&desk).await;
        let (shown, done) = consolidate(&desk, "episodes").await;
        assert_eq!(shown["episodes"].as_array().unwrap().len(), 1);
        assert_eq!(shown["episodes"][0]["events"].as_object().unwrap().len(), 3);
        let id = done["episodes"][0]["id"].clone();
        let own = desk.ok("get", json!({"ids": [id]})).await["records"][0]["record"].clone();
        assert_eq!(own["text"], "3 things happened to the billing.");
        assert_eq!(own["source"], json!({"origin": "tool", "name": "openai/teller-2026"}));
        assert_eq!((&own["trust"], &own["merged"]), (&json!("untrusted"), &json!(["e0@1", "e1@1", "e2@1"])));
        let (shown, _) = consolidate(&desk, "episodes").await;
        assert_eq!(shown["episodes"], json!([]), "it is not told twice");
        // An event that changes is told anew: as the next version.
        desk.ok("update", json!({"id": "e1", "if_match": 1, "patch": {"text": "Bob rolled forward"}})).await;
        let (_, done) = consolidate(&desk, "episodes").await;
        assert_eq!((&done["episodes"][0]["id"], &done["episodes"][0]["version"]), (&id, &json!(2)));
        // It holds their words, so it is erased with any of them; they are not with it.
        let erase = json!({"ids": ["e0"], "mode": "erase"});
        assert_eq!(crate::forgetting::planned(&desk, "forget", erase).await["records"], 2);
        let left = desk.ok("get", json!({"ids": ["e1", "e2", id]})).await;
        assert_eq!((left["records"].as_array().unwrap().len(), &left["missing"]), (2, &json!([id])));
    }
}

#[tokio::test]
async fn a_model_that_fails_leaves_everything_as_it_was() {
    let models = Models::start().await;
    let desk = Desk::of(Settings { model: Some(models.teller()), ..Settings::default() });
    events(&desk).await;
    let before = desk.ok("stats", json!({})).await;
    let plan = desk.ok("consolidate", json!({"what": "episodes"})).await["plan"]["plan_id"].clone();
    models.away.store(true, Ordering::SeqCst);
    assert_eq!(desk.code("consolidate", json!({"what": "episodes", "plan_id": plan})).await, "model_failed");
    assert_eq!(desk.ok("stats", json!({})).await, before);
    let without = Desk::embedded();
    assert_eq!(without.code("consolidate", json!({"what": "episodes"})).await, "no_model");
}
