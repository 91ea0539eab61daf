//! What the database server can be told: its connections, and who may do what on each.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::Reference;

use crate::{graph::GraphSettings, named::NamedQuery, redis::RedisSettings};

/// What a connection allows at most, whoever calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rights {
    /// Reading.
    #[default]
    ReadOnly,
    /// Reading, and changing rows.
    ReadWrite,
    /// All of that, and changing tables.
    Migrate,
}

/// Who may use a connection, and for what.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Access {
    /// What is allowed at most.
    pub rights: Rights,
    /// Roles that may use it; everyone if empty.
    pub roles: Vec<String>,
    /// Roles that may change something, where `rights` allows it; everyone who may use it if empty.
    pub writers: Vec<String>,
    /// Namespaces (tenants) that may use it, as globs; all if empty.
    pub tenants: Vec<String>,
    /// Tools that may be used on it; all if empty.
    pub tools: Vec<String>,
}

/// How much one call may ask of a connection.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Rows of one answer.
    pub rows: usize,
    /// Bytes of one answer.
    pub bytes: usize,
    /// Bytes of one value; longer ones are cut and say so.
    pub cell_bytes: usize,
    /// Milliseconds that one statement may run.
    pub statement_ms: u64,
    /// Connections that are open at most.
    pub pool: u32,
    /// Milliseconds to wait for a free one.
    pub acquire_ms: u64,
    /// Rows that one write may change; more is rolled back.
    pub changed_rows: u64,
    /// A write that changes more rows than this is shown before it is made.
    pub confirm_rows: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rows: 5_000,
            bytes: 512 << 10,
            cell_bytes: 64 << 10,
            statement_ms: 30_000,
            pool: 8,
            acquire_ms: 5_000,
            changed_rows: 100_000,
            confirm_rows: 100,
        }
    }
}

/// A PostgreSQL database.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PostgresSettings {
    /// What callers name it.
    pub name: String,
    /// `postgres://user:password@host:port/database?sslmode=verify-full`.
    pub url: Reference,
    /// The password, when the URL should not hold it.
    #[serde(default)]
    pub password: Option<Reference>,
    /// PEM file of the authorities that its certificate is checked against; the system's if not said.
    #[serde(default)]
    pub authorities: Option<PathBuf>,
    /// Who may use it.
    #[serde(default)]
    pub access: Access,
    /// How much one call may ask.
    #[serde(default)]
    pub limits: Limits,
    /// The schemas that may be used, in the order of the search path; `public` alone, and no restriction, if empty.
    #[serde(default)]
    pub schemas: Vec<String>,
    /// The tables that may be used, as globs on `schema.table`; all of `schemas` if empty.
    #[serde(default)]
    pub tables: Vec<String>,
    /// Functions outside of `pg_catalog` that may be called, as globs on `schema.function`.
    #[serde(default)]
    pub functions: Vec<String>,
    /// The highest cost, by the planner's estimate, that a statement may have, whichever tool runs it.
    #[serde(default)]
    pub max_cost: Option<f64>,
    /// A setting that is given the caller's namespace in each transaction, for row security: `app.tenant`.
    #[serde(default)]
    pub tenant_setting: Option<String>,
    /// Serve a role that may do everything (a superuser, or one that reads the server's files).
    #[serde(default)]
    pub allow_privileged_role: bool,
    /// Queries that callers run by name.
    #[serde(default)]
    pub queries: Vec<NamedQuery>,
}

/// An SQLite database.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SqliteSettings {
    /// What callers name it.
    pub name: String,
    /// The file. It is made when something may be written.
    pub path: PathBuf,
    /// Who may use it.
    #[serde(default)]
    pub access: Access,
    /// How much one call may ask.
    #[serde(default)]
    pub limits: Limits,
    /// The tables that may be used, as globs; all if empty.
    #[serde(default)]
    pub tables: Vec<String>,
    /// Queries that callers run by name.
    #[serde(default)]
    pub queries: Vec<NamedQuery>,
}

impl SqliteSettings {
    /// A file with nothing else said about it: it may be read.
    pub fn new(name: String, path: PathBuf) -> Self {
        let (access, limits) = (Access::default(), Limits::default());
        Self { name, path, access, limits, tables: Vec::new(), queries: Vec::new() }
    }
}

/// The settings of the server. Without any connection there is one, `main`: an SQLite file in the state directory.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Serve the embedded database `main` beside the others; it is there anyway when no other is named.
    pub embedded: bool,
    /// PostgreSQL databases.
    pub postgres: Vec<PostgresSettings>,
    /// SQLite databases.
    pub sqlite: Vec<SqliteSettings>,
    /// Redis servers, clusters, and masters that Sentinels name.
    pub redis: Vec<RedisSettings>,
    /// Neo4j, and other graph databases that speak Bolt.
    pub neo4j: Vec<GraphSettings>,
}

impl Settings {
    /// Adds a connection written as `NAME=URL`: read-only, or with `write+` or `migrate+` in front of the URL. The URL may be a
    /// reference (`env:NAME`, `file:PATH`); its scheme says which engine it is.
    pub fn connect(&mut self, text: &str) -> Result<(), anyhow::Error> {
        let (name, place) = text.split_once('=').context("there is no name: write NAME=URL")?;
        let (rights, place) = match place.split_once('+') {
            Some(("write", place)) => (Rights::ReadWrite, place),
            Some(("migrate", place)) => (Rights::Migrate, place),
            _ => (Rights::ReadOnly, place),
        };
        let by_reference = place.starts_with("env:") || place.starts_with("file:");
        let url = if by_reference { Reference::try_from(place.to_owned())? } else { Reference::Text(place.to_owned()) };
        let value = url.value()?;
        let (name, access) = (name.to_owned(), Access { rights, ..Access::default() });
        match value.split(':').next().unwrap_or_default() {
            "postgres" | "postgresql" => self.postgres.push(PostgresSettings::new(name, url, access)),
            "sqlite" => {
                let path = value.trim_start_matches("sqlite:").trim_start_matches("//").into();
                self.sqlite.push(SqliteSettings { access, ..SqliteSettings::new(name, path) });
            }
            "redis" | "rediss" | "redis-cluster" | "rediss-cluster" | "redis-sentinel" | "rediss-sentinel" => {
                self.redis.push(RedisSettings { access, ..RedisSettings::new(name, value) });
            }
            "bolt" | "bolt+s" | "neo4j" | "neo4j+s" => {
                self.neo4j.push(GraphSettings { access, ..GraphSettings::new(name, value) });
            }
            other => {
                bail!("{other:?} is no database that is known: write postgres://…, sqlite:PATH, redis://… or bolt://…")
            }
        }
        Ok(())
    }
}

impl PostgresSettings {
    /// A database with nothing else said about it.
    pub fn new(name: String, url: Reference, access: Access) -> Self {
        Self {
            name,
            url,
            password: None,
            authorities: None,
            access,
            limits: Limits::default(),
            schemas: Vec::new(),
            tables: Vec::new(),
            functions: Vec::new(),
            max_cost: None,
            tenant_setting: None,
            allow_privileged_role: false,
            queries: Vec::new(),
        }
    }
}
