//! pgvector against a real server: the suite of all stores, cancellation, plans, failures.

use std::str::FromStr;
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};

use super::*;
use crate::model::{Metric, Near, Quantisation};
use crate::stores::conform;

/// A database of its own for one test.
struct Scratch {
    options: PgConnectOptions,
    name: String,
}

impl Scratch {
    /// None, said aloud, if there is no server.
    async fn new(test: &str) -> Option<Self> {
        let url = weft_testkit::postgres()?.url("postgres");
        let options = PgConnectOptions::from_str(&url).unwrap();
        let name = format!("weft_vectors_{test}_{}", std::process::id());
        let scratch = Self { options, name };
        scratch.run(&format!("DROP DATABASE IF EXISTS {}", scratch.name)).await;
        scratch.run(&format!("CREATE DATABASE {}", scratch.name)).await;
        Some(scratch)
    }

    async fn run(&self, sql: &str) {
        let mut connection = PgConnection::connect_with(&self.options).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    }

    fn settings(&self, timeout: Duration) -> Settings {
        let url = self.options.clone().database(&self.name).to_url_lossy().to_string();
        Settings { url, schema: "we\"ft; vectors".to_owned(), connections: 3, timeout }
    }

    async fn inside(&self) -> PgConnection {
        PgConnection::connect_with(&self.options.clone().database(&self.name)).await.unwrap()
    }

    async fn drop(self) {
        self.run(&format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
    }
}

#[tokio::test]
async fn it_answers_as_every_store_does() {
    let Some(scratch) = Scratch::new("conform").await else { return };
    let store = Pgvector::open(&scratch.settings(LONG)).unwrap();
    conform::conform(&store).await;
    scratch.drop().await;
}

/// Longer than any test waits: what ends before was ended by something else.
const LONG: Duration = Duration::from_secs(600);

fn nearest(vector: Vec<f32>, exact: bool) -> Query {
    Query { near: Near::Vector(vector), filter: None, limit: 10, ef: None, exact, with: conform::ALL }
}

/// A collection whose table somebody else has locked: every act on it waits.
async fn locked(scratch: &Scratch) -> (Pgvector, PgConnection) {
    let store = Pgvector::open(&scratch.settings(LONG)).unwrap();
    let spec = conform::spec("locked", Metric::Cosine, Quantisation::None);
    assert!(store.create("t", &spec).await.unwrap());
    let mut holder = scratch.inside().await;
    let lock = r#"BEGIN; LOCK TABLE "we""ft; vectors".points_1 IN ACCESS EXCLUSIVE MODE"#;
    sqlx::raw_sql(lock).execute(&mut holder).await.unwrap();
    (store, holder)
}

async fn statements_that_wait(connection: &mut PgConnection) -> i64 {
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'weft-vectorstore'
                   AND wait_event_type = 'Lock' AND datname = current_database()";
    sqlx::query_scalar(waiting).fetch_one(connection).await.unwrap()
}

#[tokio::test]
async fn a_dropped_call_ends_its_statement_and_the_pool_stays_whole() {
    let Some(scratch) = Scratch::new("dropped").await else { return };
    let (store, mut holder) = locked(&scratch).await;
    let mut watcher = scratch.inside().await;
    for _ in 0..5 {
        let mut call = Box::pin(store.count("t", "locked", None));
        let begun = Instant::now();
        while statements_that_wait(&mut watcher).await == 0 {
            assert!(begun.elapsed() < Duration::from_secs(60), "the statement never began");
            assert!(tokio::time::timeout(Duration::from_millis(20), &mut call).await.is_err());
        }
        drop(call);
        while statements_that_wait(&mut watcher).await > 0 {
            assert!(begun.elapsed() < Duration::from_secs(120), "the statement goes on");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    sqlx::raw_sql("ROLLBACK").execute(&mut holder).await.unwrap();
    assert_eq!(store.count("t", "locked", None).await.unwrap(), 0);
    scratch.drop().await;
}

#[tokio::test]
async fn a_statement_that_takes_too_long_says_so() {
    let Some(scratch) = Scratch::new("slow").await else { return };
    let (_, mut holder) = locked(&scratch).await;
    // Only the statement that waits for the lock is to take too long: not the making of the collection, nor the way there.
    let store = Pgvector::open(&scratch.settings(Duration::from_secs(5))).unwrap();
    let refusal = store.count("t", "locked", None).await.unwrap_err();
    assert_eq!(refusal.code(), "deadline_exceeded");
    sqlx::raw_sql("ROLLBACK").execute(&mut holder).await.unwrap();
    assert_eq!(store.count("t", "locked", None).await.unwrap(), 0);
    scratch.drop().await;
}

#[tokio::test]
async fn a_server_that_is_away_is_unavailable_and_its_password_stays_unsaid() {
    let url = "postgres://someone:s3cret@127.0.0.1:1/nothing".to_owned();
    let settings = Settings { url, schema: "weft_vectors".to_owned(), connections: 1, timeout: Duration::from_secs(2) };
    let store = Pgvector::open(&settings).unwrap();
    let refusal = store.healthy().await.unwrap_err();
    assert_eq!((refusal.code(), refusal.is_retryable()), ("unavailable", true));
    assert!(!format!("{refusal:?}{store:?}").contains("s3cret"));
    let bad = Settings { url: "postgres://someone:s3cret@host:port/".to_owned(), ..settings };
    let refusal = Pgvector::open(&bad).unwrap_err();
    assert!(refusal.code() == "invalid_arguments" && !refusal.message().contains("s3cret"));
}

#[tokio::test]
async fn searches_walk_the_graph_and_filters_their_index() {
    let Some(scratch) = Scratch::new("plans").await else { return };
    // For so few rows the planner would read them all: it must use an index where one serves.
    scratch.run(&format!("ALTER DATABASE {} SET enable_seqscan = off", scratch.name)).await;
    let store = Pgvector::open(&scratch.settings(LONG)).unwrap();
    let naive = conform::seeded(300, 7);
    let pairs = [
        (Metric::Cosine, Quantisation::None),
        (Metric::Dot, Quantisation::Scalar),
        (Metric::Euclidean, Quantisation::Binary),
        (Metric::Euclidean, Quantisation::None),
    ];
    for (number, (metric, kind)) in (1..).zip(pairs) {
        let name = format!("c{number}");
        store.create("t", &conform::spec(&name, metric, kind)).await.unwrap();
        store.upsert("t", &name, naive.points.values().cloned().collect(), Conflict::Error).await.unwrap();
        let mut found = 0;
        for point in naive.points.values().step_by(30) {
            let near: Vec<f32> = point.vector.iter().map(|x| x + 0.01).collect();
            let hits = store.search("t", &name, &nearest(near.clone(), false)).await.unwrap();
            let expected = naive.nearest(metric, &near, None);
            let close =
                |hit: &&Hit| expected[..10].iter().any(|(_, score)| (score - f64::from(hit.score)).abs() < 1e-4);
            found += hits.iter().filter(close).count();
        }
        // One bit of each of eight dimensions tells next to nothing; the ranking of a hundred candidates does.
        let least = if kind == Quantisation::Binary { 30 } else { 95 };
        assert!(found >= least, "{metric:?} {kind:?}: {found} of 100");
    }
    let filter = Filter::In { field: "it's; a.b".to_owned(), values: vec!["cat".into()] };
    assert_eq!(store.count("t", "c1", Some(&filter)).await.unwrap(), naive.matching(Some(&filter)).len() as u64);
    for number in 1..=pairs.len() {
        assert!(scanned(&scratch, &format!("points_{number}_near")).await, "collection {number}: not by the graph");
    }
    assert!(scanned(&scratch, "points_1_expr_idx%").await, "not by the index of a field");
    scratch.drop().await;
}

/// Whether an index was used; the server tells with a delay: a process that does nothing more, after ten seconds.
async fn scanned(scratch: &Scratch, index: &str) -> bool {
    let mut connection = scratch.inside().await;
    let scans = "SELECT coalesce(sum(idx_scan), 0)::bigint FROM pg_stat_user_indexes WHERE indexrelname LIKE $1";
    for _ in 0..600 {
        let scans: i64 = sqlx::query_scalar(scans).bind(index).fetch_one(&mut connection).await.unwrap();
        if scans > 0 {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    false
}

#[tokio::test]
async fn overlapping_batches_at_once_all_arrive() {
    let Some(scratch) = Scratch::new("at_once").await else { return };
    let store = Pgvector::open(&scratch.settings(LONG)).unwrap();
    store.create("t", &conform::spec("busy", Metric::Dot, Quantisation::None)).await.unwrap();
    let batch = |reverse: bool| {
        let mut points: Vec<Point> = conform::seeded(40, 3).points.into_values().collect();
        if reverse {
            points.reverse();
        }
        store.upsert("t", "busy", points, Conflict::Replace)
    };
    let done = futures_util::future::join_all((0..8).map(|number| batch(number % 2 == 0))).await;
    let created = done.into_iter().flat_map(Result::unwrap).filter(|outcome| *outcome == Outcome::Created).count();
    assert_eq!(created, 40, "each id was new to exactly one batch");
    scratch.drop().await;
}
