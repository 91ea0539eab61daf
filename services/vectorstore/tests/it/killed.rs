//! Killed in the middle of replacing a source, the old version or the new one is there, whole; ingesting again leaves only one.
//!
//! The test runs itself as a child that ingests version after version; the parent kills it and looks.

use std::{
    collections::HashMap,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use weft_kit::Direct;
use weft_vectorstore::Settings;

use crate::bench::{killed, open};

const CHILD: &str = "WEFT_TEST_KILLED_FOLDER";
/// As many kills as fit into this, and no fewer or more than these; more until one hit the middle.
const LONGEST: Duration = Duration::from_secs(40);
const ROUNDS: std::ops::Range<u64> = 48..200;

/// A text of some batches of chunks, which all say which version they are of.
fn text(version: u64) -> String {
    let line = |number: u64| format!("version{version} line {number} {}\n\n", "word ".repeat(16));
    (0..160 + version % 40).map(line).collect()
}

async fn ingest(direct: &Direct, version: u64) -> Value {
    let cut = json!({ "size": 120, "overlap": 0 });
    let args = json!({ "collection": "c", "source": "s", "text": text(version), "cut": cut });
    let called = direct.call("ingest_text", args).await;
    assert!(!called.is_error, "{}", called.text);
    called.data().clone()
}

#[test]
fn a_source_is_never_lost_and_never_left_half_replaced() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if let Some(folder) = std::env::var_os(CHILD) {
        runtime.block_on(ingest_until_killed(Path::new(&folder)));
    }
    let folder = tempfile::tempdir().unwrap();
    runtime.block_on(async {
        let direct = open(folder.path(), Settings::default());
        direct.call("create_collection", json!({ "name": "c" })).await;
        ingest(&direct, 1).await;
    });
    let (began, mut last, mut halves, mut round) = (Instant::now(), 1, 0, 0);
    while round < ROUNDS.start || round < ROUNDS.end && (halves == 0 || began.elapsed() < LONGEST) {
        let acknowledged = kill_an_ingester(folder.path(), round).unwrap_or(last);
        let direct = open(folder.path(), Settings::default());
        runtime.block_on(async {
            let found = versions(&direct).await;
            let whole: Vec<u64> = found.iter().filter(|(_, (there, all))| there == all).map(|(own, _)| *own).collect();
            assert!(
                whole.iter().any(|own| *own == acknowledged || *own == acknowledged + 1),
                "{acknowledged}: {found:?}"
            );
            assert!(
                found.keys().all(|own| *own == acknowledged || *own == acknowledged + 1),
                "{acknowledged}: {found:?}"
            );
            halves += u32::from(found.len() > 1);
            last = *found.keys().max().unwrap();
            ingest(&direct, last).await;
            let found = versions(&direct).await;
            assert!(found.len() == 1 && found.values().all(|(there, all)| there == all), "{found:?}");
            assert_eq!(ingest(&direct, last).await["unchanged"], true);
        });
        round += 1;
    }
    assert!(last > round / 2, "the children ingested: {last}");
    assert!(halves > 0, "at least one was killed in the middle");
}

/// Starts an ingester, kills it at some moment, and gives the last version that it said was acknowledged.
fn kill_an_ingester(folder: &Path, round: u64) -> Option<u64> {
    let test = "killed::a_source_is_never_lost_and_never_left_half_replaced";
    let awaited = usize::from(!round.is_multiple_of(6));
    // A slow machine takes longer to get to the middle: later rounds wait for it.
    let longest = 60_000 * (1 + round / ROUNDS.start);
    killed((test, CHILD), folder, (awaited, Duration::from_micros(round * 7_919 % longest)))
}

async fn ingest_until_killed(folder: &Path) {
    let direct = open(folder, Settings::default());
    let mut version = versions(&direct).await.into_keys().max().unwrap();
    loop {
        version += 1;
        ingest(&direct, version).await;
        // On a line of its own: with one thread the name of the test stands before it.
        println!("\nacknowledged {version}");
    }
}

/// Chunks of each version: how many there are, of how many.
async fn versions(direct: &Direct) -> HashMap<u64, (u64, u64)> {
    let mut found = HashMap::new();
    let mut cursor = Value::Null;
    loop {
        let args = json!({ "collection": "c", "limit": 500, "include": ["text", "metadata"], "cursor": cursor });
        let page = direct.call("scroll", args).await;
        assert!(!page.is_error, "{}", page.text);
        for point in page.data().as_array().unwrap() {
            let text = point["text"].as_str().unwrap();
            let own = text.strip_prefix("version").and_then(|rest| rest.split(' ').next()).unwrap().parse().unwrap();
            found.entry(own).or_insert((0, point["metadata"]["chunks"].as_u64().unwrap())).0 += 1;
        }
        cursor = page.structured["page"]["cursor"].clone();
        if cursor.is_null() {
            return found;
        }
    }
}
