//! PostgreSQL through sqlx: every call is one transaction on a pooled connection, read-only and rolled back unless it is a write.
//!
//! Nothing here takes the caller's text: it comes as [`Checked`](super::Checked). A call that is dropped cancels its statement in
//! the server (`pg_cancel_backend` over a connection of its own), so that nothing runs on for nobody.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use futures_util::future::BoxFuture;
use globset::GlobSet;
use serde_json::Value;
use sqlx::{
    ConnectOptions as _, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions, PgSslMode},
};
use tokio::sync::OnceCell;
use weft_kit::{Call, ToolError, names};

mod alive;
mod cancel;
mod catalogue;
mod cells;
mod ddl;
mod errors;
mod exact;
mod functions;
mod health;
mod known;
mod operators;
mod params;
mod plan;
mod read;
mod session;
mod surface;
#[cfg(test)]
mod tests;
mod veil;
mod write;

use session::Session;

use super::{
    Answer, Ask, Checked, Described, Dialect, Done, Finding, Name, Object, Planned, Relation, Sql, Table, TopBy,
    Wanted, Write, shown,
};
use crate::{
    access::globs,
    settings::{Limits, PostgresSettings},
};

/// One PostgreSQL database.
#[derive(Debug)]
pub(crate) struct Postgres {
    shared: Arc<Shared>,
}

/// What every call needs.
#[derive(Debug)]
struct Shared {
    name: String,
    pool: PgPool,
    /// How the connection that cancels is made: it must not wait for the pool.
    options: PgConnectOptions,
    limits: Limits,
    schemas: Vec<String>,
    tables: GlobSet,
    /// Whether only some relations may be used.
    restricted: bool,
    functions: GlobSet,
    known: known::Known,
    max_cost: Option<f64>,
    tenant_setting: Option<String>,
    allow_privileged: bool,
    /// Why the role may not be used, found out once.
    role: OnceCell<Option<String>>,
}

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Read,
    Write(super::Isolation),
}

impl Postgres {
    /// Checks the settings; the server is reached when it is first needed.
    pub(crate) fn open(settings: &PostgresSettings) -> Result<Self, anyhow::Error> {
        let url = settings.url.value()?;
        let mut options: PgConnectOptions =
            url.parse().map_err(|_| anyhow::anyhow!("its url is none: postgres://user@host:port/database"))?;
        if let Some(password) = &settings.password {
            options = options.password(&password.value()?);
        }
        if let Some(authorities) = &settings.authorities {
            options = options.ssl_root_cert(authorities);
            if matches!(options.get_ssl_mode(), PgSslMode::Prefer | PgSslMode::Allow) {
                options = options.ssl_mode(PgSslMode::VerifyFull);
            }
        }
        let path = if settings.schemas.is_empty() { vec!["public".to_owned()] } else { settings.schemas.clone() };
        let search: Vec<String> = path.iter().map(|schema| super::quoted(schema)).collect();
        let options = options
            .application_name("weft-database")
            // Statements hold values, and a log is no place for them; slow ones are in the metrics and the traces.
            .disable_statement_logging()
            .options([
                ("standard_conforming_strings", "on"),
                ("client_encoding", "UTF8"),
                ("DateStyle", "ISO"),
                ("TimeZone", "UTC"),
            ])
            .options([
                ("IntervalStyle", "iso_8601"),
                ("bytea_output", "hex"),
                ("search_path", search.join(",").as_str()),
            ]);
        let limits = settings.limits;
        let pool = PgPoolOptions::new()
            .max_connections(limits.pool)
            .acquire_timeout(Duration::from_millis(limits.acquire_ms))
            .idle_timeout(Duration::from_secs(300))
            .max_lifetime(Duration::from_secs(3600))
            .connect_lazy_with(options.clone());
        let shared = Shared {
            name: settings.name.clone(),
            pool,
            options,
            limits,
            restricted: !settings.schemas.is_empty() || !settings.tables.is_empty(),
            schemas: path,
            tables: globs(&settings.tables).context("tables")?,
            functions: globs(&settings.functions).context("functions")?,
            known: known::Known::default(),
            max_cost: settings.max_cost,
            tenant_setting: settings.tenant_setting.clone(),
            allow_privileged: settings.allow_privileged_role,
            role: OnceCell::new(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }
}

impl Shared {
    /// Opens a transaction for one call; fails if the role may do more than a server for agents should hold.
    async fn begin(&self, call: &Call, mode: Mode) -> Result<Session<'_>, ToolError> {
        let statement = match mode {
            Mode::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            Mode::Write(super::Isolation::ReadCommitted) => "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
            Mode::Write(super::Isolation::RepeatableRead) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE",
            Mode::Write(super::Isolation::Serializable) => "BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE",
        };
        metrics::gauge!(names::DATABASE_POOL_CONNECTIONS.name, "connection" => self.name.clone())
            .set(f64::from(self.pool.size()));
        let acquired = call.run(Box::pin(self.pool.acquire())).await?;
        let connection = acquired.map_err(|error| errors::tool(&self.name, &error))?;
        let mut session = Session { shared: self, connection, pid: None, is_open: true };
        session.run(statement).await?;
        session.prepare(call).await.map_err(|error| errors::tool(&self.name, &error))?;
        if let Some(why) = session.role().await? {
            session.rollback().await;
            return Err(ToolError::refused(format!("the connection {:?} is not served: {why}", self.name))
                .hint("the operator must give it a role of its own"));
        }
        Ok(session)
    }
}

impl Sql for Postgres {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    fn select<'a>(&'a self, call: &'a Call, ask: Ask<'a>) -> Answer<'a, Table> {
        Box::pin(async move {
            shown::tell(Dialect::Postgres, [ask.checked]);
            call.run(read::select(&self.shared, call, ask)).await?
        })
    }

    fn write<'a>(&'a self, call: &'a Call, write: Write<'a>) -> Answer<'a, Vec<Done>> {
        Box::pin(async move {
            shown::tell(Dialect::Postgres, write.acts.iter().map(|act| &act.checked));
            call.run(write::write(&self.shared, call, write)).await?
        })
    }

    fn explain<'a>(
        &'a self,
        call: &'a Call,
        ask: Ask<'a>,
        analyze: bool,
        indexes: &'a [String],
    ) -> Answer<'a, Planned> {
        Box::pin(async move {
            shown::tell(Dialect::Postgres, [ask.checked]);
            call.run(plan::explain(&self.shared, call, ask, analyze, indexes)).await?
        })
    }

    fn objects<'a>(&'a self, call: &'a Call, wanted: &'a Wanted) -> Answer<'a, Vec<Object>> {
        Box::pin(async move { call.run(catalogue::objects(&self.shared, call, wanted)).await? })
    }

    fn describe<'a>(&'a self, call: &'a Call, name: &'a Name) -> Answer<'a, Described> {
        Box::pin(async move { call.run(catalogue::describe(&self.shared, call, name)).await? })
    }

    fn relations<'a>(&'a self, call: &'a Call, schema: Option<&'a str>) -> Answer<'a, Vec<Relation>> {
        Box::pin(async move { call.run(catalogue::relations(&self.shared, call, schema)).await? })
    }

    fn health<'a>(&'a self, call: &'a Call) -> Answer<'a, Vec<Finding>> {
        Box::pin(async move { call.run(health::health(&self.shared, call)).await? })
    }

    fn top<'a>(&'a self, call: &'a Call, by: TopBy, take: usize) -> Answer<'a, Vec<Value>> {
        Box::pin(async move { call.run(health::top(&self.shared, call, by, take)).await? })
    }

    fn prepares<'a>(&'a self, checked: &'a Checked) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(alive::prepares(&self.shared, checked))
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(alive::probe(&self.shared))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.shared.pool.close())
    }
}
