//! Connections, transactions and what becomes of them: sqlx errors into refusals, and dropped futures into cancelled statements.
//!
//! A dropped sqlx future only stops listening: the statement runs on and its connection waits for it. A [`Session`] that is dropped
//! before its end therefore asks the server, over a connection kept apart for this, to cancel what its backend does, and closes its
//! own connection instead of giving it back: the cancellation can never hit a later user of it.

use std::fmt;
use std::future::Future;
use std::str::FromStr;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection, PgConnection, PgPool, Postgres, Row};
use tokio::runtime::Handle;
use tokio::sync::OnceCell;
use weft_kit::ToolError;

use super::Settings;

/// How long a cancellation may take before it is given up.
const CANCEL: Duration = Duration::from_secs(5);
/// Beyond the statements' own timeout: for a server that does not even say that the time is over.
const GRACE: Duration = Duration::from_secs(2);
/// Guards the making of schema and extension; any number that nobody else uses.
const LOCK: i64 = 0x7765_6674_7665_6374;

/// One server, as all acts share it.
pub(super) struct Server {
    pool: PgPool,
    cancelling: PgPool,
    timeout: Duration,
    /// Quoted.
    pub(super) schema: String,
    /// The version of pgvector, once the schema is there.
    ready: OnceCell<(u32, u32)>,
}

impl fmt::Debug for Server {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Server").field("schema", &self.schema).field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl Server {
    pub(super) fn new(settings: &Settings) -> Result<Self, ToolError> {
        let options = PgConnectOptions::from_str(&settings.url)
            .map_err(|_| {
                ToolError::invalid("the PostgreSQL address cannot be read, write postgres://user@host/database")
            })?
            .application_name("weft-vectorstore")
            // Statements hold what is stored, and a log is no place for it.
            .disable_statement_logging();
        let pool = |connections: u32| {
            PgPoolOptions::new()
                .max_connections(connections.max(1))
                .acquire_timeout(settings.timeout.min(Duration::from_secs(10)))
                .idle_timeout(Duration::from_secs(300))
                .connect_lazy_with(options.clone())
        };
        Ok(Self {
            pool: pool(settings.connections),
            cancelling: pool(1),
            timeout: settings.timeout,
            schema: quote(&settings.schema),
            ready: OnceCell::new(),
        })
    }

    /// Bounds an act, even if the network swallows every answer. `factor` is in timeouts.
    pub(super) async fn bounded<T>(
        &self,
        factor: u32,
        act: impl Future<Output = Result<T, ToolError>>,
    ) -> Result<T, ToolError> {
        tokio::time::timeout(self.timeout * factor + GRACE, act).await.unwrap_or_else(|_| Err(ToolError::deadline()))
    }

    /// A transaction in a schema that is there.
    pub(super) async fn begin(&self, factor: u32) -> Result<Session, ToolError> {
        let version = *self.ready.get_or_try_init(|| self.prepare()).await?;
        Session::new(self, factor, version).await
    }

    /// The pool, with the schema there: for single short statements.
    pub(super) async fn pool(&self) -> Result<&PgPool, ToolError> {
        self.ready.get_or_try_init(|| self.prepare()).await?;
        Ok(&self.pool)
    }

    async fn prepare(&self) -> Result<(u32, u32), ToolError> {
        let mut session = Session::new(self, 1, (0, 0)).await?;
        let made = make(session.connection(), &self.schema).await;
        session.end(made).await
    }
}

async fn make(connection: &mut PgConnection, schema: &str) -> Result<(u32, u32), ToolError> {
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *connection).await.map_err(failed)?;
    let installed = "SELECT extversion FROM pg_extension WHERE extname = 'vector'";
    let mut version: Option<String> =
        sqlx::query_scalar(installed).fetch_optional(&mut *connection).await.map_err(failed)?;
    if version.is_none() {
        sqlx::query("CREATE EXTENSION vector").execute(&mut *connection).await.map_err(|_| no_extension())?;
        version = sqlx::query_scalar(installed).fetch_optional(&mut *connection).await.map_err(failed)?;
    }
    let tables = [
        (
            "collections",
            "id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
             tenant text COLLATE \"C\" NOT NULL,
             name text COLLATE \"C\" NOT NULL,
             spec jsonb NOT NULL,
             UNIQUE (tenant, name)",
        ),
        (
            "aliases",
            "tenant text COLLATE \"C\" NOT NULL,
             alias text COLLATE \"C\" NOT NULL,
             collection text COLLATE \"C\" NOT NULL,
             PRIMARY KEY (tenant, alias)",
        ),
    ];
    for (table, columns) in tables {
        let there = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(format!("{schema}.{table}"));
        if !there.fetch_one(&mut *connection).await.map_err(failed)? {
            let sql = format!("CREATE SCHEMA IF NOT EXISTS {schema}; CREATE TABLE {schema}.{table} ({columns})");
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *connection).await.map_err(failed)?;
        }
    }
    let mut numbers = version.as_deref().unwrap_or_default().split('.').map_while(|part| part.parse().ok());
    Ok((numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)))
}

fn no_extension() -> ToolError {
    ToolError::unavailable("the PostgreSQL server has no extension `vector`")
        .hint("install pgvector on the server and run CREATE EXTENSION vector in its database")
}

/// One transaction. It must be ended; if it is dropped instead, what it does on the server is cancelled.
pub(super) struct Session {
    connection: Option<PoolConnection<Postgres>>,
    cancelling: PgPool,
    process: i32,
    pub(super) schema: String,
    pub(super) version: (u32, u32),
}

impl Session {
    async fn new(server: &Server, factor: u32, version: (u32, u32)) -> Result<Self, ToolError> {
        let connection = server.pool.acquire().await.map_err(failed)?;
        let (cancelling, schema) = (server.cancelling.clone(), server.schema.clone());
        let mut session = Self { connection: Some(connection), cancelling, process: 0, schema, version };
        // Plans are made for the values at hand: which index serves a filter depends on the field's name.
        let sql = format!(
            "BEGIN; SET LOCAL statement_timeout = {}; SET LOCAL plan_cache_mode = force_custom_plan;
             SELECT pg_backend_pid()",
            (server.timeout * factor).as_millis()
        );
        let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(session.connection()).await.map_err(failed)?;
        session.process = rows.first().map_or(Ok(0), |row| row.try_get(0)).map_err(failed)?;
        Ok(session)
    }

    /// The connection, in its transaction.
    #[expect(clippy::expect_used, reason = "it is taken by `end` and `drop` only, which nothing follows")]
    pub(super) fn connection(&mut self) -> &mut PgConnection {
        self.connection.as_mut().expect("a session has its connection until its end")
    }

    /// Commits what succeeded and rolls back what failed.
    pub(super) async fn end<T>(mut self, done: Result<T, ToolError>) -> Result<T, ToolError> {
        let last = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
        let ended = sqlx::raw_sql(last).execute(self.connection()).await;
        if ended.is_ok() {
            // Goes back to the pool; nothing is left to be cancelled.
            drop(self.connection.take());
        }
        match ended {
            Err(error) if done.is_ok() => Err(failed(error)),
            _ => done,
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        connection.close_on_drop();
        let (cancelling, process) = (self.cancelling.clone(), self.process);
        let Ok(runtime) = Handle::try_current() else { return };
        // Not joined at shutdown: it ends by itself within `CANCEL`, and the statement's own timeout ends what it misses.
        runtime.spawn(async move {
            let cancel = sqlx::query("SELECT pg_cancel_backend($1)").bind(process).execute(&cancelling);
            let cancelled = tokio::time::timeout(CANCEL, cancel).await;
            tracing::debug!(process, done = matches!(cancelled, Ok(Ok(_))), "cancelled a statement");
            drop(tokio::time::timeout(CANCEL, connection.detach().close()).await);
        });
    }
}

/// An identifier, whatever is in it.
pub(super) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\"").replace('\0', ""))
}

/// What a failure means to the caller. Nothing of the server's own words is shown: they may quote values of others.
pub(super) fn failed(error: sqlx::Error) -> ToolError {
    use sqlx::Error;
    let code = match &error {
        Error::Database(refusal) => refusal.code().unwrap_or_default().into_owned(),
        Error::Io(_)
        | Error::Tls(_)
        | Error::PoolTimedOut
        | Error::PoolClosed
        | Error::WorkerCrashed
        | Error::Protocol(_) => {
            tracing::warn!(%error, "PostgreSQL is out of reach");
            return ToolError::unavailable("the PostgreSQL server cannot be reached");
        }
        _ => return ToolError::internal(&error),
    };
    match code.as_str() {
        "57014" => ToolError::deadline(),
        "42P01" | "3F000" => {
            ToolError::not_found("the collection was deleted or replaced meanwhile").hint("ask again").retryable()
        }
        "22P05" | "22021" => ToolError::invalid("a string has the character U+0000, which PostgreSQL cannot keep"),
        "54000" | "54001" => ToolError::too_large("a point or the filter is larger than PostgreSQL takes"),
        "53100" => ToolError::new("storage_full", "the PostgreSQL server has no space left"),
        "23505" | "40001" | "40P01" | "55P03" => {
            ToolError::unavailable("another write was in the way, nothing was written")
        }
        _ if ["08", "28", "53", "57"].contains(&&code[..code.len().min(2)]) => {
            tracing::warn!(%error, "PostgreSQL turned a connection down");
            ToolError::unavailable("the PostgreSQL server takes no connection now")
        }
        _ => ToolError::internal(&error),
    }
}
