//! Killed at any moment, the store has every batch that it acknowledged, and no part of any other.
//!
//! The test runs itself as a child that writes and says what was acknowledged; the parent kills it and looks.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use weft_kit::Direct;

use crate::bench::{database, killed, open, settings, settled};

const CHILD: &str = "WEFT_TEST_CRASH_FOLDER";
const CHILD_ON_POSTGRES: &str = "WEFT_TEST_CRASH_POSTGRES_FOLDER";
const ROUNDS: u32 = 200;
/// A database takes its time to begin and end what a program asks: as many kills as fit into this, and these at least.
const LONGEST: Duration = Duration::from_secs(40);
const FEWEST: u32 = 40;
/// Points of a batch, beside the one that says which batch was the last.
const BATCH: u64 = 8;

#[test]
fn an_acknowledged_batch_survives_a_kill_and_no_half_batch_is_ever_there() {
    let folder = tempfile::tempdir().unwrap();
    let test = "crash::an_acknowledged_batch_survives_a_kill_and_no_half_batch_is_ever_there";
    assert_eq!(survives((test, CHILD), folder.path(), Duration::MAX), ROUNDS);
}

#[test]
fn an_acknowledged_batch_survives_a_kill_on_postgres_too() {
    let folder = tempfile::tempdir().unwrap();
    if std::env::var_os(CHILD_ON_POSTGRES).is_none() && !database(folder.path(), "vectors_crash") {
        return;
    }
    let test = "crash::an_acknowledged_batch_survives_a_kill_on_postgres_too";
    let rounds = survives((test, CHILD_ON_POSTGRES), folder.path(), LONGEST);
    assert!(rounds >= FEWEST, "{rounds}");
}

/// Kills writers and looks, as often as time allows; gives how often that was.
fn survives((test, variable): (&str, &str), folder: &Path, longest: Duration) -> u32 {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if let Some(folder) = std::env::var_os(variable) {
        runtime.block_on(write_until_killed(Path::new(&folder)));
    }
    let (began, mut batches, mut rounds) = (Instant::now(), 0, 0);
    while rounds < ROUNDS && (rounds < FEWEST || began.elapsed() < longest) {
        // Every fourth is killed while it starts, the others some time after their first batch.
        let awaited = if rounds.is_multiple_of(4) { 0 } else { 1 + rounds as usize % 5 };
        let after = Duration::from_micros(u64::from(rounds) * 7919 % 9_000);
        let acknowledged = killed((test, variable), folder, (awaited, after));
        batches = runtime.block_on(async {
            settled(folder).await;
            let direct = open(folder, settings(folder));
            look(&direct, acknowledged.unwrap_or(batches), batches).await
        });
        rounds += 1;
    }
    assert!(batches > u64::from(rounds), "the children wrote: {batches}");
    rounds
}

async fn write_until_killed(folder: &Path) {
    let direct = open(folder, settings(folder));
    let fields = json!({ "batch": "integer" });
    direct
        .call("create_collection", json!({ "name": "c", "dimensions": 8, "metric": "euclidean", "fields": fields }))
        .await;
    let mut number = last(&direct).await;
    loop {
        number += 1;
        let point = |n: u64| {
            let vector: Vec<u64> = (0..8).map(|place| (number * 31 + n * 17 + place * 7) % 101).collect();
            json!({ "id": format!("{number}-{n}"), "vector": vector, "text": format!("word{number} all"), "metadata": { "batch": number } })
        };
        let mark = json!({ "id": "last", "vector": [0, 0, 0, 0, 0, 0, 0, 0], "metadata": { "last": number } });
        let items: Vec<Value> = (0..BATCH).map(point).chain([mark]).collect();
        let called = direct.call("upsert", json!({ "collection": "c", "items": items })).await;
        assert!(!called.is_error, "{}", called.text);
        // On a line of its own: with one thread the name of the test stands before it.
        println!("\nacknowledged {number}");
    }
}

async fn last(direct: &Direct) -> u64 {
    let got = direct.call("get", json!({ "collection": "c", "ids": ["last"] })).await;
    got.data()[0]["metadata"]["last"].as_u64().unwrap_or(0)
}

/// Everything up to the last batch is there, whole, in every index; nothing else is.
async fn look(direct: &Direct, acknowledged: u64, before: u64) -> u64 {
    let last = last(direct).await;
    assert!(
        last == acknowledged || last == acknowledged + 1 || last >= before && acknowledged == before,
        "{last} {acknowledged}"
    );
    if last == 0 {
        return 0;
    }
    let count = async |filter: Value| {
        let counted = direct.call("count", json!({ "collection": "c", "filter": filter })).await;
        counted.data()["count"].as_u64().unwrap()
    };
    assert_eq!(count(json!({ "all": [] })).await, last * BATCH + 1);
    assert_eq!(count(json!({ "field": "batch", "gte": 1 })).await, last * BATCH);
    assert_eq!(count(json!({ "field": "batch", "gt": last })).await, 0);
    for batch in [last, acknowledged.max(1), last / 2 + 1] {
        assert_eq!(count(json!({ "field": "batch", "eq": batch })).await, BATCH);
        let ask = json!({ "collection": "c", "text": format!("word{batch}"), "mode": "sparse", "limit": 100 });
        let found = direct.call("search", ask).await;
        assert_eq!(found.data()["hits"].as_array().unwrap().len() as u64, BATCH, "{}", found.text);
        let like = json!({ "collection": "c", "like_id": format!("{batch}-0"), "limit": 1, "filter": { "field": "batch", "eq": batch } });
        assert!(!direct.call("search", like).await.is_error);
    }
    last
}
