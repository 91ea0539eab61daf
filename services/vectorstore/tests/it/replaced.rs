//! Killed in the middle of a restore over a collection, the one before it is there, whole, or the new one is.
//!
//! The test runs itself as a child that restores one snapshot after the other; the parent kills it and looks.

use std::{path::Path, time::Duration};

use serde_json::{Value, json};
use weft_kit::Direct;

use crate::bench::{database, killed, open, settings, settled};

const CHILD: &str = "WEFT_TEST_REPLACED_FOLDER";
const CHILD_ON_POSTGRES: &str = "WEFT_TEST_REPLACED_POSTGRES_FOLDER";
/// Points of the two snapshots.
const SIZES: [u64; 2] = [300, 500];

async fn ok(direct: &Direct, tool: &str, arguments: Value) -> Value {
    let called = direct.call(tool, arguments).await;
    assert!(!called.is_error, "{tool}: {}", called.text);
    called.data().clone()
}

/// Snapshots of both sizes; the collection is the smaller one at first.
async fn prepared(direct: &Direct) {
    for (number, size) in SIZES.into_iter().enumerate().rev() {
        ok(direct, "create_collection", json!({ "name": "c", "dimensions": 4 })).await;
        let point = |n: u64| json!({ "id": n.to_string(), "vector": [n, 1, size, 0], "metadata": { "of": size } });
        for first in (0..size).step_by(100) {
            let items: Vec<Value> = (first..first + 100).map(point).collect();
            ok(direct, "upsert", json!({ "collection": "c", "items": items })).await;
        }
        ok(direct, "snapshot_collection", json!({ "collection": "c", "name": format!("s{number}") })).await;
        if number > 0 {
            ok(direct, "delete_collection", json!({ "collection": "c" })).await;
        }
    }
}

async fn restore_until_killed(folder: &Path) {
    let direct = open(folder, settings(folder));
    for round in 1_u64.. {
        ok(&direct, "restore_collection", json!({ "snapshot": format!("s{}", round % 2), "collection": "c" })).await;
        // On a line of its own: with one thread the name of the test stands before it.
        println!("\nacknowledged {round}");
    }
}

/// The points of one snapshot, all of them and no other.
async fn whole(direct: &Direct) -> u64 {
    let count = async |filter: Value| {
        let counted = ok(direct, "count", json!({ "collection": "c", "filter": filter })).await;
        counted["count"].as_u64().unwrap()
    };
    let all = count(json!({ "all": [] })).await;
    assert!(SIZES.contains(&all), "{all}");
    assert_eq!(count(json!({ "field": "of", "eq": all })).await, all);
    let listed = ok(direct, "list_collections", json!({})).await;
    assert_eq!(listed["collections"].as_array().unwrap().len(), 1, "{listed}");
    all
}

fn survives((test, variable): (&str, &str), folder: &Path, rounds: u64) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if let Some(folder) = std::env::var_os(variable) {
        runtime.block_on(restore_until_killed(Path::new(&folder)));
    }
    runtime.block_on(async { prepared(&open(folder, settings(folder))).await });
    let mut seen = std::collections::BTreeSet::new();
    for round in 0..rounds {
        // After one restore the larger one is there, after two the smaller one, if the next is not done: both are found on any machine.
        let awaited = [0, 1, 2, 1][round as usize % 4];
        let last = killed((test, variable), folder, (awaited, Duration::from_micros(round * 7_919 % 60_000)));
        assert!(awaited == 0 || last.is_some());
        seen.insert(runtime.block_on(async {
            settled(folder).await;
            whole(&open(folder, settings(folder))).await
        }));
    }
    assert_eq!(seen.len(), SIZES.len(), "both were found: {seen:?}");
}

#[test]
fn a_kill_in_a_restore_leaves_the_old_collection_or_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let test = "replaced::a_kill_in_a_restore_leaves_the_old_collection_or_the_new_one";
    survives((test, CHILD), folder.path(), 40);
}

#[test]
fn a_kill_in_a_restore_leaves_the_old_collection_or_the_new_one_on_postgres() {
    let test = "replaced::a_kill_in_a_restore_leaves_the_old_collection_or_the_new_one_on_postgres";
    let folder = tempfile::tempdir().unwrap();
    if std::env::var_os(CHILD_ON_POSTGRES).is_none() && !database(folder.path(), "vectors_replaced") {
        return;
    }
    survives((test, CHILD_ON_POSTGRES), folder.path(), 40);
}
