//! Killed in the middle of writing, again and again: what was acknowledged is there, nothing is half done.
//!
//! The process that is killed is this test program once more, told by a variable to be the server.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use weft_kit::Called;
use weft_memory::Settings;

use crate::{desk::Desk, stores};

const PLACE: &str = "WEFT_TEST_MEMORY_CRASH";
/// Records of one call: written together or not at all.
const BATCH: u64 = 8;
/// Batches of one store: it is looked through after each kill, and a new one is begun before that takes long.
const STORE: u64 = 30;
/// Kills on each store.
const KILLS: u64 = 200;
/// Between the numbers of the batches of two instances that write at once.
const APART: u64 = 1_000_000;
/// How long a machine that does other things may take for what takes a moment.
const PATIENCE: Duration = Duration::from_secs(60);

fn settings(place: &Path) -> Settings {
    Settings { store: weft_memory::StoreSettings::File { path: place.to_owned() }, ..Settings::default() }
}

/// Calls until the store is reached: when the machine stood still for a while, it was not in time, and the call says `unavailable`.
async fn answered(desk: &Desk, tool: &str, arguments: Value) -> Called {
    let until = Instant::now() + PATIENCE;
    loop {
        let called = desk.call(tool, arguments.clone()).await;
        if called.code() != "unavailable" || Instant::now() > until {
            return called;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn read(desk: &Desk, tool: &str, arguments: Value) -> Value {
    let called = answered(desk, tool, arguments).await;
    assert!(!called.is_error, "{tool}: {}", called.structured);
    called.data().clone()
}

/// Not a test of its own: what the other starts and kills.
#[tokio::test]
async fn the_one_that_is_killed() {
    let Ok(place) = std::env::var(PLACE) else { return };
    let (start, settings) = place.split_once('#').unwrap();
    let start: u64 = start.parse().unwrap();
    let desk = Desk::of(serde_json::from_str(settings).unwrap());
    for batch in start.. {
        let item = |number: u64| {
            let text = format!("batch {batch} has number {number}");
            json!({"id": (format!("b{batch}-{number}")), "text": text, "topics": [(format!("batch{batch}"))], "entities": [(format!("node {batch}"))]})
        };
        let items: Vec<Value> = (0..BATCH).map(item).collect();
        // Stored twice, because the first answer came too late, is stored once.
        read(&desk, "store", json!({ "items": items })).await;
        // A second version of one of them, by which the first one leaves the index.
        let patch = json!({"text": (format!("batch {batch} is changed"))});
        let update = json!({"id": (format!("b{batch}-0")), "if_match": 1, "patch": patch});
        let called = answered(&desk, "update", update).await;
        // A conflict with itself, if the first answer came too late; the other looks at the version.
        assert!(!called.is_error || called.code() == "conflict", "{}", called.structured);
        println!("\nacknowledged {batch}");
    }
}

fn run_and_kill(settings: &Settings, start: u64, after: Duration) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::the_one_that_is_killed", "--nocapture", "--test-threads", "1"])
        .env(PLACE, format!("{start}#{}", json!(settings)))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = child.stdout.take().unwrap();
    let (tell, told) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let lines = BufReader::new(output).lines().map_while(Result::ok);
        let batches = lines.filter_map(|line| line.strip_prefix("acknowledged ")?.parse::<u64>().ok());
        batches.inspect(|_| tell.send(()).unwrap_or_default()).last()
    });
    // Not before the first write, so that every round is one.
    told.recv_timeout(PATIENCE).unwrap();
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap().unwrap()
}

/// How many records of a batch are found by id, topic, node and word.
async fn found(desk: &Desk, batch: u64) -> [usize; 4] {
    let ids: Vec<String> = (0..BATCH).map(|number| format!("b{batch}-{number}")).collect();
    let got = read(desk, "get", json!({ "ids": ids })).await["records"].as_array().unwrap().len();
    let listed = read(desk, "list", json!({"filter": {"topics": [(format!("batch{batch}"))]}})).await;
    let graph = read(desk, "graph", json!({"node": (format!("node {batch}"))})).await;
    let searched = read(desk, "search", json!({"query": (format!("batch{batch}")), "mode": "text", "limit": 50})).await;
    [
        got,
        listed["records"].as_array().unwrap().len(),
        graph["edges"].as_array().unwrap().len(),
        searched["hits"].as_array().unwrap().len(),
    ]
}

/// What one instance acknowledged is there, from batch `start` to `last`, and of the one after it all or nothing.
async fn look(desk: &Desk, start: u64, last: u64) {
    let all = [usize::try_from(BATCH).unwrap(); 4];
    for batch in start..=last {
        assert_eq!(found(desk, batch).await, all, "batch {batch} was acknowledged");
        let changed = read(desk, "get", json!({"ids": [(format!("b{batch}-0"))]})).await;
        assert_eq!(changed["records"][0]["record"]["version"], 2);
    }
    // The one that nobody was told of is there whole, or not at all. A server may still be at work on what the dead one sent last, and
    // that may end between two of the questions: then the answers agree when they are asked again.
    let until = Instant::now() + PATIENCE;
    let mut torn = found(desk, last + 1).await;
    while torn != all && torn != [0; 4] && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(20)).await;
        torn = found(desk, last + 1).await;
    }
    assert!(torn == all || torn == [0; 4], "batch {} is half there: {torn:?}", last + 1);
}

/// Kills instances, two at a time, while both write; `place` gives each time that a new store begins.
async fn kills(place: impl Fn(u64) -> Settings) {
    let mut settings = place(0);
    let mut desk = Desk::of(settings.clone());
    let mut next = [0, APART];
    for round in 0..KILLS / 2 {
        let after = Duration::from_millis((round * 7) % 30);
        let killed = next.map(|start| {
            let own = settings.clone();
            tokio::task::spawn_blocking(move || run_and_kill(&own, start, after))
        });
        for (start, killed) in next.iter_mut().zip(killed) {
            let last = killed.await.unwrap();
            look(&desk, *start, last).await;
            // A batch that is there already would not be stored again.
            *start = last + 2;
        }
        if next[0] > STORE {
            (next, settings) = ([0, APART], place(round + 1));
            desk = Desk::of(settings.clone());
        }
    }
}

#[tokio::test]
async fn two_hundred_kills_on_a_file_lose_nothing_and_leave_nothing_half_done() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    kills(|round| settings(&folder.path().join(format!("crash-{round}.db")))).await;
}

#[tokio::test]
async fn two_hundred_kills_of_an_instance_on_postgresql_lose_nothing() {
    if stores::postgres().is_some() {
        kills(|_| stores::postgres().unwrap()).await;
    }
}

#[tokio::test]
async fn two_hundred_kills_of_an_instance_on_redis_lose_nothing() {
    if stores::redis().is_some() {
        kills(|_| stores::redis().unwrap()).await;
    }
}

#[tokio::test]
async fn two_hundred_kills_of_an_instance_on_a_graph_database_lose_nothing() {
    if stores::neo4j().is_some() {
        kills(|_| stores::neo4j().unwrap()).await;
    }
}
