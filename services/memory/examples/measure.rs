//! Measures the stores and prints a page: `measure` for all of it, or `measure STORE RECORDS` for one line, where STORE is `embedded`,
//! `postgres`, `redis` or `neo4j`.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use weft_kit::{Direct, Reference, Rules};
use weft_memory::{Neo4jSettings, Settings, StoreSettings, service};

/// What the whole page measures.
const ALL: [(&str, usize); 8] = [
    ("embedded", 1_000),
    ("postgres", 1_000),
    ("redis", 1_000),
    ("neo4j", 1_000),
    ("embedded", 10_000),
    ("postgres", 10_000),
    ("redis", 10_000),
    ("neo4j", 10_000),
];
/// Calls of each kind that are measured.
const CALLS: usize = 60;
/// How soon half of the changes must be heard.
const SOON: Duration = Duration::from_millis(50);
/// Records of one call while a store is filled.
const BATCH: usize = 50;
const TOPICS: [&str; 6] = ["billing", "search", "gateway", "payroll", "kitchen", "travel"];

#[tokio::main]
async fn main() -> Result<(), anyhow::Error> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    println!("# Memory, measured\n");
    println!(
        "Texts of a dozen words with two names each, found by words and parts of words; one caller, one call at a time, everything"
    );
    println!(
        "on one machine. *Remember* is one new record, *recall* a hybrid search for ten; *heard* is how long after a write"
    );
    println!(
        "another instance hears of it: at most {} ms for half of the changes, or this program fails. The graph database is the test server",
        SOON.as_millis()
    );
    println!("that speaks Bolt, not Neo4j itself; PostgreSQL has pgvector.\n");
    println!("| store | records | filled in | remember p50 | p99 | recall p50 | p99 | heard p50 | p99 |");
    println!("|---|---|---|---|---|---|---|---|---|");
    let mut late = Vec::new();
    match words.as_slice() {
        [] => {
            for (store, records) in ALL {
                late.extend(line(store, records).await?.filter(|heard| *heard > SOON).map(|heard| (store, heard)));
            }
        }
        [store, records] => {
            let heard = line(store, records.parse()?).await?;
            late.extend(heard.filter(|heard| *heard > SOON).map(|heard| (store.as_str(), heard)));
        }
        _ => anyhow::bail!("give nothing, or STORE RECORDS"),
    }
    anyhow::ensure!(late.is_empty(), "changes are heard too late: {late:?}");
    Ok(())
}

/// The settings of an empty store; none where it cannot be had here.
fn settings(store: &str, records: usize) -> Result<Option<Settings>, anyhow::Error> {
    let own = format!("measure_{}_{records}", std::process::id());
    let store = match store {
        "embedded" => Some(StoreSettings::Embedded),
        "postgres" => weft_testkit::postgres().map(|server| {
            // Vectors are compared by pgvector where it is.
            server.run_in("postgres", "CREATE EXTENSION IF NOT EXISTS vector");
            let url = Reference::Text(server.url("postgres"));
            StoreSettings::Postgres { url, schema: own, pool: 8 }
        }),
        "redis" => weft_testkit::redis().map(|url| {
            let url = Reference::Text(url.to_owned());
            StoreSettings::Redis { url, prefix: own, pool: 8 }
        }),
        "neo4j" => weft_testkit::bolt()
            .map(|url| StoreSettings::Neo4j(Neo4jSettings { prefix: own, ..Neo4jSettings::new(url) })),
        other => anyhow::bail!("{other} is no store that can be measured"),
    };
    Ok(store.map(|store| Settings { store, ..Settings::default() }))
}

fn text(number: usize) -> Value {
    let topic = TOPICS[number % TOPICS.len()];
    let said = format!(
        "Note {number}: the {topic} team changed plan {} of quarter {} and told everybody",
        number * 7,
        number % 4
    );
    json!({"text": said, "topics": [topic], "entities": [topic, (format!("plan {}", number % 500))]})
}

async fn call(direct: &Direct, tool: &str, arguments: Value) -> Result<Duration, anyhow::Error> {
    let begun = Instant::now();
    let called = direct.call(tool, arguments).await;
    anyhow::ensure!(!called.is_error, "{tool}: {}", called.structured);
    Ok(begun.elapsed())
}

/// Measures one store and prints its line; how long after a write half of the changes are heard, if it can be had here.
async fn line(store: &str, records: usize) -> Result<Option<Duration>, anyhow::Error> {
    let Some(settings) = settings(store, records)? else { return Ok(None) };
    let folder = tempfile::tempdir()?;
    let direct = Direct::new(service(settings.clone(), folder.path())?, Rules::default())?;
    let begun = Instant::now();
    for batch in 0..records.div_ceil(BATCH) {
        let items: Vec<Value> = (batch * BATCH..((batch + 1) * BATCH).min(records)).map(text).collect();
        call(&direct, "store", json!({ "items": items })).await?;
    }
    let filled = begun.elapsed();
    let (mut remember, mut recall) = (Vec::new(), Vec::new());
    for number in 0..CALLS {
        remember.push(call(&direct, "store", json!({ "items": [text(records + number)] })).await?);
        let asked = format!("which plan did the {} team change in quarter {}", TOPICS[number % 6], number % 4);
        recall.push(call(&direct, "search", json!({ "query": asked })).await?);
    }
    let heard = heard(&settings, folder.path(), &direct).await?;
    let median = percentile(&heard, 50);
    let cells = [remember, recall, heard].map(|times| format!("{} | {}", at(&times, 50), at(&times, 99)));
    println!("| {store} | {records} | {:.1} s | {} |", filled.as_secs_f64(), cells.join(" | "));
    Ok(Some(median))
}

/// How long after a write another instance hears of it.
async fn heard(settings: &Settings, state: &Path, writer: &Direct) -> Result<Vec<Duration>, anyhow::Error> {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let stop = CancellationToken::new();
    let listening = weft_memory::listen(settings.clone(), state, tell, stop.clone())?;
    let listening = tokio::spawn(listening);
    // Not before it listens.
    let mut warm = 0;
    while tokio::time::timeout(Duration::from_millis(300), told.recv()).await.is_err() {
        warm += 1;
        anyhow::ensure!(warm < 50, "nothing is heard");
        call(writer, "store", json!({ "items": [{ "id": (format!("warm-{warm}")), "text": "is anybody there" }] }))
            .await?;
    }
    let mut times = Vec::new();
    for number in 0..CALLS {
        tokio::time::sleep(Duration::from_millis(3)).await;
        while told.try_recv().is_ok() {}
        // It ends when it is written: `store` goes on to look for what is alike.
        let said =
            json!({ "session_id": "told", "messages": [{ "role": "note", "text": (format!("turn {number}")) }] });
        call(writer, "session_append", said).await?;
        let written = Instant::now();
        let at: Instant =
            tokio::time::timeout(Duration::from_secs(5), told.recv()).await?.context("the listener ended")?;
        times.push(at.saturating_duration_since(written));
    }
    stop.cancel();
    listening.await?;
    Ok(times)
}

fn at(times: &[Duration], percent: usize) -> String {
    format!("{:.2} ms", percentile(times, percent).as_secs_f64() * 1e3)
}

/// What so many of a hundred are at most.
fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort();
    let place = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(place).copied().unwrap_or_default()
}
