//! What one instance writes, listeners of another hear.

use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::Connection as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use weft_kit::{Host, Rules, SealKey, serve};
use weft_memory::{Settings, StoreSettings, service};

use crate::{desk::Desk, stores};

/// Changes that are heard one after the other.
const CHANGES: u64 = 50;
/// What is asked for is 50 ms, which `cargo xtask bench memory` measures; here is room for a machine that does other things too.
const SOON: Duration = Duration::from_millis(500);
/// How often that many changes are measured until half of them are heard soon: the machine may be busy for longer than once.
const ROUNDS: u64 = 10;
/// What takes so long does not come any more.
const PATIENCE: Duration = Duration::from_secs(60);

/// A stream of changes of these resources, read as it comes.
struct Listener {
    stream: TcpStream,
    heard: String,
}

impl Listener {
    async fn of(address: std::net::SocketAddr, uris: &[String]) -> Self {
        let protocol = "io.modelcontextprotocol/protocolVersion";
        let capabilities = "io.modelcontextprotocol/clientCapabilities";
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": {
            "notifications": {"resourceSubscriptions": uris}, "_meta": {(protocol): "2026-07-28", (capabilities): {}}}})
        .to_string();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "POST /mcp HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\n\
             mcp-protocol-version: 2026-07-28\r\nmcp-method: subscriptions/listen\r\ncontent-length: {}\r\n\r\n",
            message.len()
        );
        stream.write_all(format!("{head}{message}").as_bytes()).await.unwrap();
        let mut listener = Self { stream, heard: String::new() };
        listener.until("subscriptions/acknowledged").await;
        listener
    }

    /// Reads until a word was heard, and drops what is up to there.
    async fn until(&mut self, word: &str) {
        let mut part = [0; 4_096];
        loop {
            if let Some(at) = self.heard.find(word) {
                self.heard.drain(..at + word.len());
                return;
            }
            let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut part)).await;
            let read = read.unwrap_or_else(|_| panic!("{word} was not heard in time: {}", self.heard)).unwrap();
            assert!(read > 0, "the stream ended: {}", self.heard);
            self.heard.push_str(&String::from_utf8_lossy(&part[..read]));
        }
    }
}

/// Writes until it is heard: listening to the store begins beside, and what is written before is not.
async fn warm(writer: &Desk, listener: &mut Listener) {
    let begun = Instant::now();
    loop {
        writer.store(json!({"text": (format!("warm {:?}", begun.elapsed()))})).await;
        let word = tokio::time::timeout(Duration::from_millis(300), listener.until("resources/updated")).await;
        if word.is_ok() {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "nothing is heard");
    }
}

/// Changes a record, from this version on, one change after the other; half of them are heard after this time at most.
async fn median(writer: &Desk, listener: &mut Listener, version: u64) -> Duration {
    let mut times = Vec::new();
    for number in version..version + CHANGES {
        let patch = json!({"text": (format!("number {number}"))});
        let start = Instant::now();
        writer.ok("update", json!({"id": "r1", "if_match": number, "patch": patch})).await;
        listener.until("team/r1").await;
        times.push(start.elapsed());
    }
    times.sort();
    let median = times[times.len() / 2];
    println!("written and heard after {median:?}, at most {:?}", times.last());
    median
}

async fn heard_from_another(settings: Settings) {
    let writer = Desk::of(settings.clone());
    let host = Host::new("127.0.0.1:0".parse().unwrap(), SealKey::from_bytes([7; 32]));
    let namespace = Rules::default().namespace;
    let running = serve(service(settings.clone(), writer.folder.path()).unwrap(), host).await.unwrap();
    let team = format!("memory://{namespace}/team");
    let mut listener = Listener::of(running.address(), &[team, format!("memory://{namespace}/team/r1")]).await;
    warm(&writer, &mut listener).await;
    writer.store(json!({"id": "r1", "text": "number 0"})).await;
    listener.until("team/r1").await;
    let mut medians = Vec::new();
    for round in 0..ROUNDS {
        let median = median(&writer, &mut listener, 1 + round * CHANGES).await;
        medians.push(median);
        if median < SOON {
            break;
        }
    }
    let best = medians.iter().min().unwrap();
    assert!(*best < SOON, "half of the changes are heard after {medians:?} only");
    is_told(&settings).await;
    running.shutdown(Duration::from_secs(5)).await;
}

/// PostgreSQL and Redis tell the listener: it asks nothing. The others are asked, every 15 and 25 ms.
async fn is_told(settings: &Settings) {
    match &settings.store {
        StoreSettings::Postgres { url, schema, .. } => {
            let mut connection = sqlx::PgConnection::connect(&url.value().unwrap()).await.unwrap();
            // What it said last, before all these changes, was that it listens.
            let listening: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle' AND query LIKE 'LISTEN%' || $1 || '%'",
            )
            .bind(schema)
            .fetch_one(&mut connection)
            .await
            .unwrap();
            assert_eq!(listening, 1);
        }
        StoreSettings::Redis { url, prefix, .. } => {
            let client = redis::Client::open(url.value().unwrap()).unwrap();
            let mut connection = client.get_multiplexed_async_connection().await.unwrap();
            let channel = format!("{prefix}:changed");
            let listening: (String, u64) =
                redis::cmd("PUBSUB").arg("NUMSUB").arg(&channel).query_async(&mut connection).await.unwrap();
            assert_eq!(listening, (channel, 1));
        }
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_hears_of_what_another_process_writes_to_the_file() {
    heard_from_another(Settings::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_hears_of_what_another_instance_writes_to_postgresql() {
    let Some(settings) = stores::postgres() else { return };
    heard_from_another(settings).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_hears_of_what_another_instance_writes_to_redis() {
    let Some(settings) = stores::redis() else { return };
    heard_from_another(settings).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_hears_of_what_another_instance_writes_to_a_graph_database() {
    let Some(settings) = stores::neo4j() else { return };
    heard_from_another(settings).await;
}
