//! Killed in the middle of writing, again and again: what was acknowledged is there, nothing is half done.
//!
//! The process that is killed is this test program once more, told by a variable to be the server.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use serde_json::json;
use weft_database::{Rights, Settings};

use crate::desk::{Admin, Desk, fresh, ok, postgres, sqlite};

const PLACE: &str = "WEFT_TEST_CRASH";
/// Rows of one import: written together or not at all.
const BATCH: u64 = 40;

fn settings(place: &str) -> Settings {
    match place.strip_prefix("postgres:") {
        Some(url) => Settings { postgres: vec![postgres(url, Rights::Migrate)], ..Settings::default() },
        None => Settings { sqlite: vec![sqlite(std::path::Path::new(place), Rights::Migrate)], ..Settings::default() },
    }
}

/// Not a test of its own: what the others start and kill.
#[tokio::test]
async fn the_one_that_is_killed() {
    let Ok(place) = std::env::var(PLACE) else { return };
    let (place, start) = place.rsplit_once('#').unwrap();
    let start: u64 = start.parse().unwrap();
    let desk = Desk::of(settings(place));
    for batch in start.. {
        let rows: String = (0..BATCH).map(|row| format!("{batch},{row}\n")).collect();
        let called = if batch % 2 == 0 {
            desk.call("import_rows", json!({"table": "log", "data": format!("batch,number\n{rows}")})).await
        } else {
            let statements: Vec<_> =
                (0..BATCH).map(|row| json!({"sql": format!("INSERT INTO log VALUES ({batch}, {row})")})).collect();
            desk.call("transaction", json!({ "statements": statements })).await
        };
        // The commit of the one that was killed may have arrived after the rows were counted.
        if called.code() == "conflict" && batch == start {
            continue;
        }
        println!("\nacknowledged {batch} {}", !ok(called).is_error);
    }
}

fn run_and_kill(place: &str, start: u64, after: Duration) -> u64 {
    let program = std::env::current_exe().unwrap();
    let mut child = Command::new(program)
        .args(["--exact", "crash::the_one_that_is_killed", "--nocapture", "--test-threads", "1"])
        .env(PLACE, format!("{place}#{start}"))
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let output = child.stdout.take().unwrap();
    let (tell, told) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let lines = BufReader::new(output).lines().map_while(Result::ok);
        let batches =
            lines.filter_map(|line| line.strip_prefix("acknowledged ")?.split(' ').next()?.parse::<u64>().ok());
        batches.inspect(|_| tell.send(()).unwrap_or_default()).last()
    });
    // Not before the first write, so that every round is one.
    told.recv_timeout(Duration::from_secs(180)).unwrap();
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap().unwrap()
}

/// Waits until the database has ended what the killed program asked of it: a commit that comes later would make a plan stale.
async fn settled(admin: &Admin) {
    let busy = "SELECT count(*)::text FROM pg_stat_activity WHERE application_name = 'weft-database' \
        AND datname = current_database() AND state <> 'idle'";
    let end = Instant::now() + Duration::from_secs(60);
    while admin.text(busy).await != "0" {
        assert!(Instant::now() < end, "the database still serves the program that was killed");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn hold_fast(place: String, rounds: u64) {
    let desk = Desk::of(settings(&place));
    let admin = match place.strip_prefix("postgres:") {
        Some(url) => Some(Admin::of(url).await),
        None => None,
    };
    ok(desk.call("migrate", json!({"name": "log", "up": "CREATE TABLE log (batch integer, number integer, PRIMARY KEY (batch, number))"})).await);
    let mut next = 0;
    for round in 0..rounds {
        let after = Duration::from_millis((round * 7) % 45);
        let (place, start) = (place.clone(), next);
        let last = tokio::task::spawn_blocking(move || run_and_kill(&place, start, after)).await.unwrap();
        if let Some(admin) = &admin {
            settled(admin).await;
        }
        let rows = desk.rows("SELECT batch, count(*) FROM log GROUP BY batch ORDER BY batch").await;
        let rows = rows.as_array().unwrap();
        for row in rows {
            assert_eq!(row[1], BATCH, "batch {} is half there after round {round}", row[0]);
        }
        let there = rows.last().map_or(0, |row| row[0].as_u64().unwrap() + 1);
        assert!(there > last, "batch {last} was acknowledged and is not there");
        next = there;
        if next > 100 {
            let shown = desk.call("execute", json!({"sql": "DELETE FROM log WHERE batch >= 0"})).await;
            if let Some(plan) = shown.data()["plan"]["plan_id"].as_str() {
                ok(desk.call("execute", json!({"sql": "DELETE FROM log WHERE batch >= 0", "plan_id": plan})).await);
            }
            next = 0;
        }
    }
}

#[tokio::test]
async fn sqlite_keeps_what_it_acknowledged_through_kills() {
    let folder = tempfile::tempdir().unwrap();
    hold_fast(folder.path().join("crash.db").display().to_string(), 200).await;
}

#[tokio::test]
async fn postgres_keeps_what_it_acknowledged_through_kills_of_the_server_in_front() {
    let Some(url) = fresh().await else { return };
    hold_fast(format!("postgres:{url}"), 200).await;
}
