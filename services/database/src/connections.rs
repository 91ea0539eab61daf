//! The named connections, whatever their kind: found by name, permitted, and handed to the tools as what they are.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Instant};

use anyhow::{Context as _, ensure};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;
use weft_kit::{Call, ToolError, names, span::backend};

use crate::{
    access::{self, Need, Rules},
    graph::{Graph, GraphSettings},
    named::{Named, NamedQuery},
    pulse::Pulse,
    redis::{self, Redis, RedisSettings},
    settings::{Access, Rights, Settings, SqliteSettings},
    sql::{Dialect, Postgres, Sql, Sqlite},
};

/// What every tool works with.
#[derive(Debug)]
pub(crate) struct Databases {
    connections: BTreeMap<String, Connection>,
}

/// What is allowed at most on the connections of each kind; nothing where there is none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Offered {
    pub(crate) sql: Option<Rights>,
    pub(crate) redis: Option<Rights>,
    pub(crate) graph: Option<Rights>,
    /// Some connection has named queries that read.
    pub(crate) named_reads: bool,
    /// Some connection has named queries that write.
    pub(crate) named_writes: bool,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) rules: Rules,
    pub(crate) engine: Engine,
    /// What the operator has prepared.
    pub(crate) named: BTreeMap<String, Named>,
    /// Whether the database answered of late.
    pub(crate) pulse: Pulse,
}

/// What is behind it.
#[derive(Debug)]
pub(crate) enum Engine {
    Sql(Arc<dyn Sql>),
    Redis(Arc<Redis>),
    Graph(Arc<Graph>),
}

impl Engine {
    /// Its name, as callers see it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Sql(sql) => sql.dialect().name(),
            Self::Redis(_) => "redis",
            Self::Graph(_) => "neo4j",
        }
    }

    /// Whether it answers; otherwise why not.
    pub(crate) async fn probe(&self) -> Result<(), String> {
        match self {
            Self::Sql(sql) => sql.probe().await,
            Self::Redis(redis) => Box::pin(redis::health::probe(redis)).await,
            Self::Graph(graph) => Box::pin(graph.probe()).await,
        }
    }
}

impl Databases {
    /// Opens what is configured. Servers that are away are no fault: their connections are made when they are needed.
    pub(crate) fn open(settings: &Settings, state: &Path) -> Result<Self, anyhow::Error> {
        let mut open = Self { connections: BTreeMap::new() };
        for own in &settings.postgres {
            let sql = Postgres::open(own).with_context(|| format!("the connection {:?}", own.name))?;
            open.add(&own.name, &own.access, Engine::Sql(Arc::new(sql)))?;
            open.prepare(&own.name, Dialect::Postgres, &own.queries)?;
        }
        for own in &settings.sqlite {
            let sql = Sqlite::open(own).with_context(|| format!("the connection {:?}", own.name))?;
            open.add(&own.name, &own.access, Engine::Sql(Arc::new(sql)))?;
            open.prepare(&own.name, Dialect::Sqlite, &own.queries)?;
        }
        for own in &settings.redis {
            let read_only = own.access.rights == Rights::ReadOnly;
            let redis = Redis::open(&RedisSettings { read_only, ..own.clone() });
            let redis = redis.with_context(|| format!("the connection {:?}", own.name))?;
            open.add(&own.name, &own.access, Engine::Redis(Arc::new(redis)))?;
        }
        for own in &settings.neo4j {
            let read_only = own.access.rights == Rights::ReadOnly;
            let graph = Graph::open(&own.name, &GraphSettings { read_only, ..own.clone() });
            let graph = graph.with_context(|| format!("the connection {:?}", own.name))?;
            open.add(&own.name, &own.access, Engine::Graph(Arc::new(graph)))?;
        }
        if settings.embedded || open.connections.is_empty() {
            let access = Access { rights: Rights::Migrate, ..Access::default() };
            let (name, path) = ("main".to_owned(), state.join("main.db"));
            let own = SqliteSettings { access, ..SqliteSettings::new(name, path) };
            let sql = Sqlite::open(&own)?;
            open.add(&own.name, &own.access, Engine::Sql(Arc::new(sql)))?;
        }
        Ok(open)
    }

    fn add(&mut self, name: &str, access: &Access, engine: Engine) -> Result<(), anyhow::Error> {
        let fits = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
        ensure!(
            !name.is_empty() && name.chars().all(fits),
            "a connection is named with letters, digits, _ and -: {name:?}"
        );
        let connection =
            Connection { rules: Rules::new(access.clone())?, engine, named: BTreeMap::new(), pulse: Pulse::default() };
        ensure!(self.connections.insert(name.to_owned(), connection).is_none(), "two connections are called {name:?}");
        Ok(())
    }

    /// Understands the named queries of a connection; what is wrong with one ends the start.
    fn prepare(&mut self, name: &str, dialect: Dialect, queries: &[NamedQuery]) -> Result<(), anyhow::Error> {
        let Some(connection) = self.connections.get_mut(name) else { return Ok(()) };
        for own in queries {
            let named = Named::new(dialect, own).with_context(|| format!("the connection {name:?}"))?;
            let reads = connection.rules.most() == Rights::ReadOnly;
            ensure!(
                !(own.writes && reads),
                "the query {:?} writes, but the connection {name:?} only reads: give it access.rights",
                own.name
            );
            let twice = connection.named.insert(own.name.clone(), named).is_some();
            ensure!(!twice, "two queries of the connection {name:?} are called {:?}", own.name);
        }
        Ok(())
    }

    /// Lets the databases look at the named queries, as far as they can be reached. What fails may come right by a migration, so
    /// it is told and no more.
    pub(crate) async fn try_named(&self) {
        for (name, connection) in &self.connections {
            let Engine::Sql(sql) = &connection.engine else { continue };
            for named in connection.named.values() {
                if let Err(why) = sql.prepares(&named.checked).await {
                    tracing::warn!(connection = %name, query = %named.own.name, why, "a named query cannot be run as things are");
                }
            }
        }
    }

    /// A named query of a connection that the caller may use.
    pub(crate) fn named(&self, connection: &str, name: &str) -> Result<&Named, ToolError> {
        let found = self.connections.get(connection).and_then(|own| own.named.get(name));
        found.ok_or_else(|| {
            ToolError::not_found(format!("the connection {connection:?} has no query {name:?}"))
                .hint("list_named tells which there are")
        })
    }

    /// What can be done on any connection: what nobody can do is not offered.
    pub(crate) fn offered(&self) -> Offered {
        let most = |fits: fn(&Engine) -> bool| {
            let rights = self.connections.values().filter(|own| fits(&own.engine)).map(|own| own.rules.most());
            rights.max()
        };
        Offered {
            sql: most(|engine| matches!(engine, Engine::Sql(_))),
            redis: most(|engine| matches!(engine, Engine::Redis(_))),
            graph: most(|engine| matches!(engine, Engine::Graph(_))),
            named_reads: self.connections.values().any(|own| own.named.values().any(|named| !named.own.writes)),
            named_writes: self.connections.values().any(|own| own.named.values().any(|named| named.own.writes)),
        }
    }

    /// All there are, for the server itself.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &Connection)> {
        self.connections.iter().map(|(name, connection)| (name.as_str(), connection))
    }

    /// All that the caller may know of.
    pub(crate) fn visible(&self, call: &Call) -> impl Iterator<Item = (&str, &Connection)> {
        self.connections
            .iter()
            .filter(|(_, connection)| connection.rules.is_visible(call))
            .map(|(name, connection)| (name.as_str(), connection))
    }

    /// One, if the caller may do this on it with the tool that was called.
    pub(crate) fn permitted(&self, call: &Call, name: &str, need: Need) -> Result<&Connection, ToolError> {
        self.permitted_as(call, name, (need, call.tool()))
    }

    /// One, for what is no tool (a resource, a prompt) and gives what this tool would give.
    pub(crate) fn permitted_as(&self, call: &Call, name: &str, what: (Need, &str)) -> Result<&Connection, ToolError> {
        let connection = self.connections.get(name).ok_or_else(|| access::unknown(name))?;
        connection.rules.permit(call, name, what)?;
        Ok(connection)
    }

    /// One that speaks SQL.
    pub(crate) fn sql(&self, call: &Call, name: &str, need: Need) -> Result<Arc<dyn Sql>, ToolError> {
        match &self.permitted(call, name, need)?.engine {
            Engine::Sql(sql) => Ok(Arc::clone(sql)),
            other => Err(wrong_kind(call, name, other)),
        }
    }

    /// One that is Redis.
    pub(crate) fn redis(&self, call: &Call, name: &str, need: Need) -> Result<Arc<Redis>, ToolError> {
        match &self.permitted(call, name, need)?.engine {
            Engine::Redis(redis) => Ok(Arc::clone(redis)),
            other => Err(wrong_kind(call, name, other)),
        }
    }

    /// One that is a graph.
    pub(crate) fn graph(&self, call: &Call, name: &str, need: Need) -> Result<Arc<Graph>, ToolError> {
        match &self.permitted(call, name, need)?.engine {
            Engine::Graph(graph) => Ok(Arc::clone(graph)),
            other => Err(wrong_kind(call, name, other)),
        }
    }

    /// Waits for work on a connection, and counts how long it took and how it ended.
    pub(crate) async fn observe<T>(
        &self,
        name: &str,
        call: &Call,
        work: impl Future<Output = Result<T, ToolError>>,
    ) -> Result<T, ToolError> {
        let engine = self.connections.get(name).map_or("", |connection| connection.engine.kind());
        let span = tracing::info_span!("database", connection = name, engine, tool = call.tool());
        let about = || {
            let about = vec![
                ("db.system.name", system(engine).into()),
                ("db.namespace", name.to_owned().into()),
                ("db.operation.name", call.tool().to_owned().into()),
            ];
            (format!("{} {name}", call.tool()).into(), about)
        };
        let start = Instant::now();
        // In a box: each layer around it would carry its room again.
        let work = backend(about, |error: &ToolError| error.code().to_owned().into(), Box::pin(work));
        let outcome = work.instrument(span).await;
        let labels = [
            ("connection", name.to_owned()),
            ("engine", engine.to_owned()),
            ("tool", call.tool().to_owned()),
            ("error_type", outcome.as_ref().err().map(|error| error.code().to_owned()).unwrap_or_default()),
        ];
        metrics::histogram!(names::DATABASE_OPERATION_DURATION.name, &labels).record(start.elapsed().as_secs_f64());
        outcome
    }

    /// Closes all when the server ends.
    pub(crate) async fn end(&self, stop: CancellationToken) {
        stop.cancelled().await;
        for connection in self.connections.values() {
            match &connection.engine {
                Engine::Sql(sql) => sql.close().await,
                Engine::Redis(redis) => redis.close(),
                Engine::Graph(graph) => graph.close().await,
            }
        }
    }
}

/// The engine as traces call it (OpenTelemetry, `db.system.name`).
fn system(engine: &'static str) -> &'static str {
    if engine == "postgres" { "postgresql" } else { engine }
}

/// What a tool says to a connection of another kind than its own.
fn wrong_kind(call: &Call, name: &str, engine: &Engine) -> ToolError {
    ToolError::invalid(format!("{} is not for {} connections such as {name:?}", call.tool(), engine.kind())).hint(
        "list_connections tells the engine of each; tools for Redis begin with redis_, those for graphs with graph_",
    )
}
