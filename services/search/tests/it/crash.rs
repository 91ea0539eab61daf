//! Killed in the middle of writing, again and again: what was acknowledged is there, nothing is half done, and the index opens.
//!
//! The process that is killed is this test program once more, told by a variable to be the server.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use serde_json::json;
use weft_search::Settings;

use crate::desk::direct;

const PLACE: &str = "WEFT_TEST_CRASH";
const CREATES: &str = "WEFT_TEST_CREATES";
const ROUNDS: u64 = 200;
/// Kills in each phase of a merge.
const MERGES: u64 = 5;
/// Documents of one call, which is one commit.
const BATCH: u64 = 20;

/// Not a test of its own: what the other starts and kills.
#[tokio::test]
async fn the_one_that_is_killed() {
    let Ok(place) = std::env::var(PLACE) else { return };
    let (place, start) = place.rsplit_once('#').unwrap();
    let start: u64 = start.parse().unwrap();
    let direct = direct(Settings::default(), Path::new(place));
    direct.call("create_index", json!({"name": "log"})).await;
    for batch in start.. {
        let document = |number| json!({"id": format!("{batch}-{number}"), "title": format!("batch{batch}"), "tags": [format!("b{batch}")]});
        let documents: Vec<_> = (0..BATCH).map(document).collect();
        let called = direct.call("index_documents", json!({"index": "log", "documents": documents})).await;
        assert!(!called.is_error, "{}", called.structured);
        println!("\nacknowledged {batch} .");
    }
}

fn start(place: &str, batch: u64) -> Child {
    run_one("crash::the_one_that_is_killed", (PLACE, format!("{place}#{batch}")))
}

/// This program once more, to run one of its tests.
fn run_one(test: &str, (name, value): (&str, String)) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads", "1"])
        .env(name, value)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Runs the writer until `until` returns, which begins after its first write; gives the last batch that was acknowledged.
fn run_and_kill(place: &str, start_at: u64, until: impl FnOnce()) -> u64 {
    let mut child = start(place, start_at);
    let output = child.stdout.take().unwrap();
    let (tell, told) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let lines = BufReader::new(output).lines().map_while(Result::ok);
        let batches =
            lines.filter_map(|line| line.strip_prefix("acknowledged ")?.split(' ').next()?.parse::<u64>().ok());
        batches.inspect(|_| tell.send(()).unwrap_or_default()).last()
    });
    // Not before the first write, so that every round is one.
    told.recv_timeout(Duration::from_secs(60)).unwrap();
    until();
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap().unwrap()
}

/// What must hold after every kill; gives how many batches there are.
async fn whole(place: &Path, last: u64, round: &str) -> u64 {
    let direct = direct(Settings::default(), place);
    let total = direct.call("count", json!({"index": "log"})).await.data()["count"].as_u64().unwrap();
    assert_eq!(total % BATCH, 0, "a batch is half there after round {round}");
    let there = total / BATCH;
    assert!(there > last, "batch {last} was acknowledged and is not there after round {round}");
    assert!(there <= last + 2, "{there} batches, but {last} was the last one acknowledged");
    let query = json!({"indices": ["log"], "query": format!("batch{last}")});
    assert_eq!(direct.call("search", query).await.data()["total"], BATCH);
    there
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_every_kill() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().display().to_string();
    let mut next = 0;
    for round in 0..ROUNDS {
        let after = Duration::from_millis((round * 7) % 45);
        let (own, start) = (place.clone(), next);
        let until = move || std::thread::sleep(after);
        let last = tokio::task::spawn_blocking(move || run_and_kill(&own, start, until)).await.unwrap();
        next = whole(folder.path(), last, &round.to_string()).await;
    }
}

/// The files of the index, by their endings and sizes.
fn files(place: &Path) -> Vec<(String, String, u64)> {
    let tenant = fs::read_dir(place.join("indexes")).unwrap().next().unwrap().unwrap().path();
    let entries = fs::read_dir(tenant.join("log")).unwrap().flatten();
    let told = entries.filter_map(|entry| {
        let (segment, ending) = entry.file_name().into_string().ok()?.rsplit_once('.').map(owned)?;
        Some((segment, ending, entry.metadata().ok()?.len()))
    });
    told.collect()
}

fn owned((one, other): (&str, &str)) -> (String, String) {
    (one.to_owned(), other.to_owned())
}

/// Waits for a file with this ending that is new and much larger than that of one batch: parts are being merged, and have come so far.
/// With `None` for the first merge that is done: fewer parts than before are named in the index.
fn merging(place: &Path, ending: Option<&str>) {
    let parts = || {
        let tenant = fs::read_dir(place.join("indexes")).unwrap().next().unwrap().unwrap().path();
        fs::read_to_string(tenant.join("log/meta.json")).unwrap_or_default().matches("segment_id").count()
    };
    let of = |ending: &str| files(place).into_iter().filter(|(_, own, _)| own == ending).collect::<Vec<_>>();
    let known = ending.map(of).unwrap_or_default();
    let (mut least, mut most) = (u64::MAX, parts());
    let end = Instant::now() + Duration::from_secs(60);
    while Instant::now() < end {
        let Some(ending) = ending else {
            let now = parts();
            // Eight parts have become one.
            if now > 0 && now + 5 < most {
                return;
            }
            most = most.max(now);
            continue;
        };
        for (_, _, bytes) in of(ending).into_iter().filter(|(own, ..)| !known.iter().any(|(there, ..)| there == own)) {
            least = if bytes > 0 { least.min(bytes) } else { least };
            if least < u64::MAX && bytes > 3 * least {
                return;
            }
        }
    }
    panic!("nothing was merged as far as {ending:?}");
}

#[tokio::test]
async fn e04_a_kill_in_each_phase_of_a_merge_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut next = 0;
    for round in 0..MERGES {
        for ending in [Some("store"), Some("fast"), Some("term"), Some("idx"), Some("pos"), None] {
            let (own, place, start) = (folder.path().to_owned(), folder.path().display().to_string(), next);
            let until = move || merging(&own, ending);
            let last = tokio::task::spawn_blocking(move || run_and_kill(&place, start, until)).await.unwrap();
            next = whole(folder.path(), last, &format!("{round} {ending:?}")).await;
        }
    }
}

/// Not a test of its own: one of the two that create.
#[tokio::test]
async fn the_one_that_creates() {
    let Ok(place) = std::env::var(CREATES) else { return };
    let (place, own) = place.rsplit_once('#').unwrap();
    let direct = direct(Settings::default(), Path::new(place));
    let creates = (0..25).map(async |number| {
        let name = format!("index{number}");
        let made = direct.call("create_index", json!({"name": name})).await;
        assert!(!made.is_error, "{}", made.structured);
        if made.data()["created"] == true {
            println!("\ncreated {name} .");
        }
        let document = json!({"index": "index0", "documents": [{"id": format!("{own}-{number}"), "title": "one"}]});
        loop {
            let called = direct.call("index_documents", document.clone()).await;
            if !called.is_error {
                break;
            }
            // The other one writes: its turn is over when it ends.
            assert!(["unavailable", "not_found"].contains(&called.code()), "{}", called.structured);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    futures_util::future::join_all(creates).await;
}

#[tokio::test]
async fn e05_of_25_creates_in_each_of_two_processes_none_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().display().to_string();
    let run = |own: char| run_one("crash::the_one_that_creates", (CREATES, format!("{place}#{own}")));
    let both = ['a', 'b'].map(run);
    let mut created = Vec::new();
    for mut child in both {
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        created.extend(lines.filter_map(|line| Some(line.strip_prefix("created ")?.to_owned())));
        assert!(child.wait().unwrap().success());
    }
    // Each of the indexes was made by one of them, and once.
    created.sort();
    let mut once = created.clone();
    once.dedup();
    assert_eq!((created.len(), once.len()), (25, 25), "{created:?}");
    let direct = direct(Settings::default(), folder.path());
    assert_eq!(direct.call("list_indices", json!({})).await.data()["indexes"].as_array().unwrap().len(), 25);
    assert_eq!(direct.call("count", json!({"index": "index0"})).await.data()["count"], 50);
}

#[tokio::test]
async fn while_one_process_writes_another_is_told_so_and_reads() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = start(&folder.path().display().to_string(), 0);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().starts_with("acknowledged 1 ")));
    let direct = direct(Settings::default(), folder.path());
    let write = json!({"index": "log", "documents": [{"id": "own", "title": "own"}]});
    let called = direct.call("index_documents", write.clone()).await;
    assert_eq!(called.code(), "unavailable", "{}", called.structured);
    let found = direct.call("search", json!({"indices": ["log"], "query": "batch1"})).await;
    assert_eq!(found.data()["total"], BATCH);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!direct.call("index_documents", write).await.is_error);
}
