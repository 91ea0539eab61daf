//! What must not be told: values in a log, and by a resource what no tool may tell.

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use serde_json::json;
use weft_database::{RedisSettings, Rights, Settings};
use weft_kit::{Completing, CompletionOf};

use crate::desk::{Desk, ok, refused, sqlite};

/// A log in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_value_of_a_slow_statement_is_logged() {
    let Some(desk) = Desk::postgres().await else { return };
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let told = tracing::subscriber::set_default(subscriber);
    tracing::warn!("the log hears");
    let slow = "SELECT count(*) FROM generate_series(1, 8000000) n WHERE n::text <> 'needle'";
    assert_eq!(desk.rows(slow).await, json!([[8_000_000]]));
    ok(desk.call("execute", json!({"sql": "UPDATE customers SET city = 'needle' WHERE id = 1"})).await);
    drop(told);
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("the log hears"));
    assert!(!text.contains("needle"), "{text}");
}

#[tokio::test]
async fn a_resource_needs_the_tool_that_tells_the_same() {
    let desk = Desk::sqlite().await;
    let mut own = sqlite(&desk.folder.path().join("main.db"), Rights::ReadOnly);
    own.access.tools = vec!["query".to_owned()];
    // Nothing listens there: what is refused is refused before anything is asked.
    let mut cache = RedisSettings::new("cache", "redis://127.0.0.1:9");
    cache.access.tools = vec!["redis_info".to_owned()];
    let narrow = Desk::of(Settings { sqlite: vec![own], redis: vec![cache], ..Settings::default() });
    assert_eq!(narrow.rows("SELECT 1").await, json!([[1]]));
    for uri in ["sqlite://main", "sqlite://main/orders", "redis://cache/key"] {
        assert_eq!(narrow.direct.read(uri).await.unwrap_err().code(), "refused", "{uri}");
    }
    assert!(narrow.direct.resources(None).await.unwrap().items.is_empty());
    let completing = Completing {
        of: CompletionOf::Template("sqlite://{connection}/{+table}".to_owned()),
        argument: "table".to_owned(),
        value: "ord".to_owned(),
        settled: [("connection".to_owned(), "main".to_owned())].into(),
    };
    assert_eq!(narrow.direct.complete(completing).await.unwrap_err().code(), "refused");
}

#[tokio::test]
async fn lines_of_json_lose_no_column() {
    let desk = Desk::sqlite().await;
    let twice = json!({"sql": "SELECT 1 AS x, 2 AS x", "format": "jsonl"});
    refused(&desk.call("export_rows", twice).await, &["invalid_arguments"]);
    let csv = ok(desk.call("export_rows", json!({"sql": "SELECT 1 AS x, 2 AS x"})).await);
    assert_eq!(csv.data()["content"], "x,x\n1,2\n");
    let once = ok(desk.call("export_rows", json!({"sql": "SELECT 1 AS x, 2 AS y", "format": "jsonl"})).await);
    assert_eq!(once.data()["content"], "{\"x\":1,\"y\":2}\n");
}
