//! A write that was let past the gate meets the read-only transaction, and a role that may only read refuses it where the transaction
//! does not.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use weft_kit::{Annotations, Call, Called, Direct, Reference, Reply, Rules, Service, Tool, ToolError};

use crate::{
    Databases, MANIFEST,
    access::Need,
    settings::{Access, PostgresSettings, Rights, Settings},
    sql::{
        Act, Ask, Isolation, Write,
        gate::{self, Checked, Kind},
    },
};

const WRITES: [&str; 5] = [
    "INSERT INTO t VALUES (2)",
    "UPDATE t SET a = 2 WHERE a = 1",
    "DELETE FROM t WHERE a = 1 RETURNING a",
    "WITH gone AS (SELECT 1 AS a) DELETE FROM t USING gone WHERE t.a = gone.a",
    "MERGE INTO t USING (VALUES (1)) AS n(a) ON t.a = n.a WHEN MATCHED THEN DELETE",
];

/// What only tests can ask for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Past {
    connection: String,
    sql: String,
    /// As a read, whatever it is; otherwise as the write that it is.
    as_read: bool,
}

/// Runs a write as if the gate had taken it for a read, by the one way that does not put a SELECT around it.
async fn past(databases: Arc<Databases>, call: Call, args: Past) -> Result<Reply<bool>, ToolError> {
    let sql = databases.sql(&call, &args.connection, Need::Read)?;
    let checked = gate::check(sql.dialect(), &args.sql)?;
    if args.as_read {
        let checked = Checked { kind: Kind::Read, ..checked };
        sql.explain(&call, Ask { checked: &checked, params: &[], skip: 0, take: 1, bytes: 1 << 10 }, true, &[]).await?;
    } else {
        let acts = [Act { checked, params: Vec::new() }];
        let write = Write { acts: &acts, isolation: Isolation::default(), take: 1, expected: None, commit: true };
        sql.write(&call, write).await?;
    }
    Ok(Reply::new(true))
}

/// A table of a role called like the database, and another role that may only read it.
fn database(name: &str) -> Option<[String; 2]> {
    let server = weft_testkit::postgres()?;
    server.run(&format!("CREATE ROLE {name} LOGIN"));
    server.run(&format!("CREATE ROLE {name}_reader LOGIN"));
    server.run(&format!("CREATE DATABASE {name} OWNER {name}"));
    server.run_in(name, &format!("CREATE TABLE t (a integer); INSERT INTO t VALUES (1); ALTER TABLE t OWNER TO {name}; GRANT SELECT ON t TO {name}_reader"));
    Some([server.url_as(name, name), server.url_as(&format!("{name}_reader"), name)])
}

fn direct(url: &str) -> Direct {
    let access = Access { rights: Rights::ReadOnly, ..Access::default() };
    let mut settings = PostgresSettings::new("main".to_owned(), Reference::Text(url.to_owned()), access);
    // A pause of the whole machine is no reason to give up.
    settings.limits.acquire_ms = 60_000;
    let settings = Settings { postgres: vec![settings], ..Settings::default() };
    let databases = Databases::open(&settings, std::path::Path::new("/nowhere")).unwrap();
    let tool = Tool::new("past_the_gate", Annotations::EDIT, "Runs what the gate would refuse.");
    let service = Service::build(MANIFEST, "0.0.0", databases).tool(tool, past).finish().unwrap();
    Direct::new(service, Rules::default()).unwrap()
}

async fn ask(direct: &Direct, sql: &str, as_read: bool) -> Called {
    direct.call("past_the_gate", json!({"connection": "main", "sql": sql, "as_read": as_read})).await
}

#[tokio::test]
async fn the_read_only_transaction_alone_refuses_a_write() {
    let Some([owner, _]) = database("depth_transaction") else { return };
    let direct = direct(&owner);
    for sql in WRITES {
        let called = ask(&direct, sql, true).await;
        assert!(called.is_error && called.text.contains("read-only transaction"), "{sql}: {}", called.text);
    }
    // Nothing but the transaction stood in their way.
    for sql in WRITES {
        let called = ask(&direct, sql, false).await;
        assert!(!called.is_error, "{sql}: {}", called.text);
    }
}

#[tokio::test]
async fn a_role_that_may_only_read_alone_refuses_a_write() {
    let Some([_, reader]) = database("depth_role") else { return };
    let direct = direct(&reader);
    for sql in WRITES {
        let called = ask(&direct, sql, false).await;
        assert!(called.is_error && called.text.contains("permission denied"), "{sql}: {}", called.text);
    }
    assert!(!ask(&direct, "SELECT a FROM t", true).await.is_error);
}
