//! Measures the embedded index beside SQLite's FTS5 and prints a page: `measure` for all of it, `measure DOCUMENTS QUERIES` for
//! another size, or `measure order` for the order of the hits alone.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use weft_kit::{Direct, Rules};
use weft_search::{Settings, service};

use crate::{corpus::Corpus, sqlite::Fts};

mod corpus;
mod judged;
mod order;
mod sqlite;

/// Documents of one call.
const BATCH: usize = 500;

#[tokio::main]
async fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (documents, queries) = match words.as_slice() {
        [] => (20_000, 200),
        [only] if only == "order" => return order().await,
        [documents, queries] => (documents.parse()?, queries.parse()?),
        _ => anyhow::bail!("give nothing, order, or DOCUMENTS QUERIES"),
    };
    let mut corpus = Corpus::new(documents);
    let bytes: usize = corpus.documents.iter().map(|document| document.to_string().len()).sum();
    println!("# Full-text search, measured\n");
    println!(
        "{documents} generated documents ({} MB of JSON; 40 000 words by Zipf's law), written in calls of {BATCH}, each durable. Then {queries} queries\n\
        of each kind, one at a time, ten hits with their fields and the total. Weft is called by its tools, without a network; SQLite\n\
        by its library, with the same stemming of words, synchronous to the disk. Nearness of vectors is that of `lexical/1`, 384 numbers.\n",
        bytes >> 20
    );
    let folder = tempfile::tempdir()?;
    let desk = Direct::new(service(Settings::default(), &folder.path().join("weft"))?, Rules::default())?;
    std::fs::create_dir(folder.path().join("fts"))?;
    let mut fts = Fts::open(&folder.path().join("fts"))?;
    println!("| written to | documents/s | MB/s | on disk |\n|---|---|---|---|");
    index(&desk, &corpus, ("plain", false), (bytes, &folder.path().join("weft"))).await?;
    let start = Instant::now();
    for batch in corpus.documents.chunks(BATCH) {
        fts.write(batch)?;
    }
    written("SQLite FTS5", documents, (bytes, start.elapsed()), size(&folder.path().join("fts")));
    index(&desk, &corpus, ("meaning", true), (bytes, &folder.path().join("weft"))).await?;
    println!("\n| query | hits | Weft p50 | p99 | FTS5 p50 | p99 |\n|---|---|---|---|---|---|");
    for kind in
        ["term", "two words", "phrase", "prefix", "fuzzy", "filter", "facets", "near a point", "by distance", "hybrid"]
    {
        line(&desk, &fts, &mut corpus, (kind, queries)).await?;
    }
    order().await
}

/// How good the order of the hits is, in stores of its own.
async fn order() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let desk = Direct::new(service(Settings::default(), &folder.path().join("weft"))?, Rules::default())?;
    std::fs::create_dir(folder.path().join("fts"))?;
    order::table(&desk, &mut Fts::open(&folder.path().join("fts"))?).await
}

/// Writes all documents into a new index.
async fn index(
    desk: &Direct,
    corpus: &Corpus,
    (name, vectors): (&str, bool),
    (bytes, place): (usize, &Path),
) -> Result<()> {
    let mut fields = json!([{"name": "title", "kind": "text", "boost": 2.0}, {"name": "body", "kind": "text"}, {"name": "tag", "kind": "keyword"},
        {"name": "year", "kind": "integer"}, {"name": "place", "kind": "point"}]);
    if let Some(fields) = fields.as_array_mut().filter(|_| vectors) {
        fields.push(json!({"name": "meaning", "kind": "vector", "vector": {"of": ["body"]}}));
    }
    let before = size(place);
    done(desk, "create_index", json!({"name": name, "fields": fields, "language": "english"})).await?;
    let start = Instant::now();
    for batch in corpus.documents.chunks(BATCH) {
        let told = done(desk, "index_documents", json!({"index": name, "documents": batch})).await?;
        ensure!(told["indexed"] == batch.len(), "not all documents were indexed: {}", told["failed"]);
    }
    let label = if vectors { "Weft, with vectors" } else { "Weft" };
    written(label, corpus.documents.len(), (bytes, start.elapsed()), size(place).saturating_sub(before));
    Ok(())
}

async fn done(desk: &Direct, tool: &str, arguments: Value) -> Result<Value> {
    let called = desk.call(tool, arguments).await;
    ensure!(!called.is_error, "{tool}: {}", called.structured);
    Ok(called.data().clone())
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
fn written(name: &str, documents: usize, (bytes, took): (usize, Duration), disk: u64) {
    let seconds = took.as_secs_f64();
    let (rate, megabytes) = (documents as f64 / seconds, bytes as f64 / 1e6 / seconds);
    println!("| {name} | {rate:.0} | {megabytes:.1} | {} MiB |", disk >> 20);
}

/// Bytes of a file, or of all files below a folder.
fn size(place: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(place) else { return place.metadata().map_or(0, |meta| meta.len()) };
    entries.flatten().map(|entry| size(&entry.path())).sum()
}

/// Asks one kind of question many times, here and there.
async fn line(desk: &Direct, fts: &Fts, corpus: &mut Corpus, (kind, queries): (&str, usize)) -> Result<()> {
    let (mut own, mut other, mut hits) = (Vec::new(), Vec::new(), 0);
    for round in 0..queries + queries / 10 {
        let (mut search, theirs) = question(kind, corpus);
        search["indices"] = json!([if kind == "hybrid" { "meaning" } else { "plain" }]);
        search["highlight"] = json!(false);
        let start = Instant::now();
        let found = done(desk, "search", search).await?;
        let took = start.elapsed();
        let start = Instant::now();
        if let Some((query, tag)) = &theirs {
            fts.search(query, tag.as_deref())?;
        }
        // The first tenth warms up what is to be warm.
        if round >= queries / 10 {
            own.push(took);
            other.extend(theirs.map(|_| start.elapsed()));
            hits += found["total"].as_u64().unwrap_or_default();
        }
    }
    let (own, other) = (shares(own), shares(other));
    println!("| {kind} | {} | {own} | {other} |", hits / queries as u64);
    Ok(())
}

/// The search, and that of FTS5 with the tag that it filters by, where it has such a thing.
fn question(kind: &str, corpus: &mut Corpus) -> (Value, Option<(String, Option<String>)>) {
    let tag = || Some("t42".to_owned());
    match kind {
        "two words" => {
            let (one, other) = (corpus.term(), corpus.term());
            (json!({"query": format!("{one} {other}")}), Some((format!("{one} OR {other}"), None)))
        }
        "phrase" => {
            let phrase = format!("\"{}\"", corpus.phrase());
            (json!({"query": phrase}), Some((phrase, None)))
        }
        "prefix" => {
            let start: String = corpus.term().chars().take(4).collect();
            (json!({"query": format!("{start}*")}), Some((format!("{start}*"), None)))
        }
        "fuzzy" => (json!({"query": format!("{}~", corpus.typo())}), None),
        "filter" => {
            let term = corpus.term();
            let filters = json!([{"field": "tag", "op": "eq", "value": "t42"}]);
            (json!({"query": term, "filters": filters}), Some((term, tag())))
        }
        "facets" => (json!({"query": corpus.term(), "facets": ["tag"]}), None),
        "near a point" => {
            let within =
                json!([{"field": "place", "op": "within", "value": {"lat": 50.0, "lon": 10.0, "metres": 500_000}}]);
            (json!({"query": corpus.term(), "filters": within}), None)
        }
        "by distance" => {
            let sort = json!({"field": "place", "near": {"lat": 50.0, "lon": 10.0}});
            (json!({"query": corpus.term(), "sort": sort}), None)
        }
        "hybrid" => (json!({"query": corpus.phrase(), "semantic": {}}), None),
        _ => {
            let term = corpus.term();
            (json!({"query": term}), Some((term, None)))
        }
    }
}

/// Half of them, and all but one in a hundred, took at most so long.
fn shares(mut times: Vec<Duration>) -> String {
    times.sort();
    let share = |part: usize| {
        times
            .get((times.len() * part / 100).min(times.len().saturating_sub(1)))
            .map_or_else(|| "–".to_owned(), |time| format!("{:.2} ms", time.as_secs_f64() * 1e3))
    };
    format!("{} | {}", share(50), share(99))
}
