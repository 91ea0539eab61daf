//! PostgreSQL, shared by all instances: terms in a `tsvector`, vectors in arrays that are compared in the server (by pgvector where it is
//! installed), word of changes by `NOTIFY`, which the server sends only when the writing is done.
//!
//! Tables are made when they are first needed, by one instance at a time. Where a row is written by two, the second waits for the first
//! and then sees that it was second. What is erased leaves the tables; the server overwrites it at its next vacuum.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::BoxFuture;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, PgPool,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;
use weft_kit::{Reference, ToolError};

mod find;
mod tables;
mod write;

use super::{Answer, Census, Committed, Refit, Row, Store, Tell, Write};
use crate::{
    filter::Filter,
    model::{Record, Uses},
    moment::Moment,
};

/// How long a call waits for a connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two tries to listen.
const AGAIN: Duration = Duration::from_secs(1);

/// Memory in PostgreSQL.
#[derive(Debug)]
pub(crate) struct Postgres {
    pool: PgPool,
    schema: String,
    /// Tells what this process wrote from what others did.
    origin: String,
    /// Whether the tables are there, and pgvector with them.
    ready: OnceCell<bool>,
}

/// What PostgreSQL says → what a caller can do about it.
fn fault(error: sqlx::Error) -> ToolError {
    use sqlx::Error;
    match &error {
        Error::PoolTimedOut => ToolError::unavailable("memory is busy").hint("try again in a moment"),
        Error::Io(_) | Error::Tls(_) | Error::PoolClosed | Error::Protocol(_) => {
            tracing::warn!(%error, "the store of memory cannot be reached");
            ToolError::unavailable("memory cannot be reached now").hint("try again in a moment")
        }
        Error::Database(said) => match said.code().as_deref() {
            Some("57014") => ToolError::deadline(),
            Some("40001" | "40P01") => ToolError::conflict("others write the same records").retryable(),
            Some(code) if ["08", "53", "57", "58"].contains(&code.get(..2).unwrap_or_default()) => {
                tracing::warn!(%error, "the store of memory does not work");
                ToolError::unavailable("memory cannot be used now").hint("try again in a moment")
            }
            _ => ToolError::internal(&error),
        },
        _ => ToolError::internal(&error),
    }
}

impl Postgres {
    /// Checks the settings; the server is reached when it is first needed.
    pub(crate) fn open(url: &Reference, schema: &str, pool: u32) -> Result<Self, anyhow::Error> {
        let fits = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
        anyhow::ensure!(
            (1..=48).contains(&schema.len())
                && schema.chars().all(fits)
                && !schema.starts_with(|c: char| c.is_ascii_digit()),
            "the schema is named with 1 to 48 of a-z, 0-9 and _: {schema:?}"
        );
        let options: PgConnectOptions = url
            .value()?
            .parse()
            .map_err(|_| anyhow::anyhow!("the url of memory is none: postgres://user@host:port/database"))?;
        let path = format!("{schema},public");
        // Statements hold what is remembered, and a log is no place for it.
        let options = options.application_name("weft-memory").disable_statement_logging().options([
            ("search_path", path.as_str()),
            ("statement_timeout", "60s"),
            ("client_encoding", "UTF8"),
        ]);
        let pool =
            PgPoolOptions::new().max_connections(pool.max(2)).acquire_timeout(PATIENCE).connect_lazy_with(options);
        let origin = uuid::Uuid::new_v4().simple().to_string();
        Ok(Self { pool, schema: schema.to_owned(), origin, ready: OnceCell::new() })
    }

    /// Makes the tables if need be; says whether vectors are compared by pgvector.
    async fn ready(&self) -> Result<bool, sqlx::Error> {
        self.ready.get_or_try_init(|| tables::make(&self.pool, &self.schema)).await.copied()
    }

    async fn listen(&self, tell: &Tell) -> Result<(), sqlx::Error> {
        self.ready().await?;
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.listen(&self.schema).await?;
        loop {
            let said = listener.recv().await?;
            let mut words = said.payload().splitn(3, ' ');
            if let (Some(origin), Some(space), Some(id)) = (words.next(), words.next(), words.next())
                && origin != self.origin
            {
                tell(space, id);
            }
        }
    }
}

impl Store for Postgres {
    fn kind(&self) -> &'static str {
        "postgres"
    }

    fn healthy(&self) -> Answer<'_, ()> {
        Box::pin(async move { self.ready().await.map(drop).map_err(fault) })
    }

    fn get<'a>(&'a self, space: &'a str, ids: &'a [String]) -> Answer<'a, Vec<Record>> {
        Box::pin(async move { find::get(self, space, ids).await.map_err(fault) })
    }

    fn history<'a>(&'a self, space: &'a str, id: &'a str) -> Answer<'a, Vec<Row>> {
        Box::pin(async move { find::history(self, space, id).await.map_err(fault) })
    }

    fn commit<'a>(&'a self, space: &'a str, batch: Vec<Write>) -> Answer<'a, Committed> {
        Box::pin(async move { write::commit(self, space, batch).await.map_err(fault) })
    }

    fn newest<'a>(
        &'a self,
        space: &'a str,
        before: Option<&'a (Moment, String)>,
        filter: &'a Filter,
        limit: usize,
    ) -> Answer<'a, Vec<Record>> {
        Box::pin(async move { find::newest(self, space, before.cloned(), filter, limit).await.map_err(fault) })
    }

    fn believed<'a>(&'a self, space: &'a str, at: Moment, filter: &'a Filter) -> Answer<'a, Vec<Record>> {
        Box::pin(async move { find::believed(self, space, at, filter).await.map_err(fault) })
    }

    fn matching<'a>(
        &'a self,
        space: &'a str,
        tokens: &'a [String],
        filter: &'a Filter,
        limit: usize,
    ) -> Answer<'a, Vec<Record>> {
        Box::pin(async move { find::matching(self, space, tokens, filter, limit).await.map_err(fault) })
    }

    fn nearest<'a>(
        &'a self,
        space: &'a str,
        vector: &'a [f32],
        filter: &'a Filter,
        limit: usize,
    ) -> Answer<'a, Vec<(Record, f64)>> {
        Box::pin(async move { find::nearest(self, space, vector, filter, limit).await.map_err(fault) })
    }

    fn touching<'a>(
        &'a self,
        space: &'a str,
        nodes: &'a [String],
        filter: &'a Filter,
        limit: usize,
    ) -> Answer<'a, Vec<Record>> {
        Box::pin(async move { find::touching(self, space, nodes, filter, limit).await.map_err(fault) })
    }

    fn refit<'a>(&'a self, space: &'a str, batch: Vec<Refit>) -> Answer<'a, ()> {
        Box::pin(async move { write::refit(self, space, batch).await.map_err(fault) })
    }

    fn count_use<'a>(&'a self, space: &'a str, ids: &'a [String], misled: bool, at: Moment) -> Answer<'a, ()> {
        Box::pin(async move { write::count_use(self, space, ids, misled, at).await.map_err(fault) })
    }

    fn count_recall<'a>(&'a self, space: &'a str, ids: &'a [String], at: Moment) -> Answer<'a, ()> {
        Box::pin(async move { write::count_recall(self, space, ids, at).await.map_err(fault) })
    }

    fn uses<'a>(&'a self, space: &'a str, ids: &'a [String]) -> Answer<'a, BTreeMap<String, Uses>> {
        Box::pin(async move { find::uses(self, space, ids).await.map_err(fault) })
    }

    fn erase<'a>(&'a self, space: &'a str, ids: &'a [String]) -> Answer<'a, u64> {
        Box::pin(async move { write::erase(self, space, ids).await.map_err(fault) })
    }

    fn count<'a>(&'a self, space: &'a str) -> Answer<'a, u64> {
        Box::pin(async move { find::count(self, space).await.map_err(fault) })
    }

    fn census<'a>(&'a self, space: &'a str) -> Answer<'a, Census> {
        Box::pin(async move { find::census(self, space).await.map_err(fault) })
    }

    fn spaces(&self) -> Answer<'_, Vec<String>> {
        Box::pin(async move { find::spaces(self).await.map_err(fault) })
    }

    fn sweep(&self, now: Moment) -> Answer<'_, u64> {
        Box::pin(async move { write::sweep(self, now).await.map_err(fault) })
    }

    fn watch(&self, tell: Tell, stop: CancellationToken) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            while let Some(ended) = stop.run_until_cancelled(self.listen(&tell)).await {
                if let Err(error) = ended {
                    tracing::warn!(%error, "what other instances write to memory is not heard now");
                }
                let _ = stop.run_until_cancelled(tokio::time::sleep(AGAIN)).await;
            }
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.pool.close())
    }
}

/// A statement that is ours: no part of it comes from a caller.
fn own(sql: String) -> AssertSqlSafe<String> {
    AssertSqlSafe(sql)
}
