//! SQLite through rusqlite: a few connections to one file, each call on a thread that may block.
//!
//! A read runs on a connection that was opened read-only, with an authorizer that SQLite asks for every table, column and function
//! while it compiles the statement: what is not allowed there does not run, whatever the parser thought of it. SQLite's own limits
//! bound what a value may hold, and its progress handler ends what nobody waits for.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use futures_util::future::BoxFuture;
use globset::GlobSet;
use rusqlite::{Connection, OpenFlags, config::DbConfig, limits::Limit};
use serde_json::Value;
use tokio::sync::Semaphore;
use weft_kit::{Call, ToolError};

mod alive;
mod authorizer;
mod catalogue;
mod errors;
mod functions;
mod lend;
mod plan;
mod run;

use super::{
    Answer, Ask, Checked, Described, Dialect, Done, Finding, Name, Object, Planned, Relation, Sql, Table, TopBy,
    Wanted, Write, shown,
};
use crate::{
    access::globs,
    settings::{Limits, Rights, SqliteSettings},
};

/// Instructions of SQLite's machine between two looks at the call.
const STEPS: i32 = 2_000;

/// One SQLite database.
#[derive(Debug)]
pub(crate) struct Sqlite {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    name: String,
    path: PathBuf,
    limits: Limits,
    tables: Arc<GlobSet>,
    writable: bool,
    /// Connections that only read and are free.
    readers: Mutex<Vec<Connection>>,
    places: Semaphore,
    /// The one that writes: SQLite has one writer at a time.
    writer: Arc<tokio::sync::Mutex<Option<Connection>>>,
}

impl Sqlite {
    /// Opens the file, or makes it where something may be written.
    pub(crate) fn open(settings: &SqliteSettings) -> Result<Self, anyhow::Error> {
        let limits = settings.limits;
        let writable = settings.access.rights > Rights::ReadOnly;
        let shared = Shared {
            name: settings.name.clone(),
            path: settings.path.clone(),
            limits,
            tables: Arc::new(globs(&settings.tables).context("tables")?),
            writable,
            readers: Mutex::default(),
            places: Semaphore::new(limits.pool as usize),
            writer: Arc::default(),
        };
        if writable {
            if let Some(folder) = settings.path.parent() {
                std::fs::create_dir_all(folder)
                    .with_context(|| format!("cannot make the folder of {}", settings.path.display()))?;
            }
            let made = shared.connect(true).with_context(|| format!("cannot open {}", settings.path.display()))?;
            // Readers and the writer do not wait for each other; an acknowledged write survives the loss of power.
            made.pragma_update(None, "journal_mode", "WAL").context("cannot turn on write-ahead logging")?;
        } else {
            anyhow::ensure!(settings.path.is_file(), "there is no file {}", settings.path.display());
        }
        Ok(Self { shared: Arc::new(shared) })
    }
}

impl Shared {
    fn connect(&self, write: bool) -> Result<Connection, rusqlite::Error> {
        let how = if write {
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE
        } else {
            OpenFlags::SQLITE_OPEN_READ_ONLY
        };
        let flags = how | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let path = resolved(&self.path);
        let connection = Connection::open_with_flags(&path, flags)?;
        connection.busy_timeout(Duration::from_millis(self.limits.acquire_ms))?;
        for (config, on) in [
            (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
            (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
            (DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, false),
            (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
            (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, true),
        ] {
            connection.set_db_config(config, on)?;
        }
        for (limit, most) in [
            (Limit::SQLITE_LIMIT_LENGTH, 16 << 20),
            (Limit::SQLITE_LIMIT_SQL_LENGTH, 256 << 10),
            (Limit::SQLITE_LIMIT_EXPR_DEPTH, 200),
            (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 100),
            (Limit::SQLITE_LIMIT_VDBE_OP, 1_000_000),
            (Limit::SQLITE_LIMIT_ATTACHED, 0),
            (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
        ] {
            connection.set_limit(limit, most)?;
        }
        if write {
            connection.pragma_update(None, "synchronous", "FULL")?;
        } else {
            connection.pragma_update(None, "query_only", true)?;
        }
        Ok(connection)
    }

    /// Whether a table is one that the connection allows.
    fn may_use(&self, table: &str) -> bool {
        self.tables.is_empty() || self.tables.is_match(table)
    }
}

/// The path without links in its folders: the file itself may be none (`NOFOLLOW`).
fn resolved(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    match (folder.canonicalize(), path.file_name()) {
        (Ok(folder), Some(file)) => folder.join(file),
        _ => path.to_owned(),
    }
}

impl Sql for Sqlite {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    fn select<'a>(&'a self, call: &'a Call, ask: Ask<'a>) -> Answer<'a, Table> {
        let page = run::Page::new(ask);
        Box::pin(async move {
            shown::tell(Dialect::Sqlite, [ask.checked]);
            self.shared.read(call, move |_, connection, shared| run::select(shared, connection, &page)).await
        })
    }

    fn write<'a>(&'a self, call: &'a Call, write: Write<'a>) -> Answer<'a, Vec<Done>> {
        let (acts, take, expected, commit) = (write.acts.to_vec(), write.take, write.expected, write.commit);
        let work = move |call: &Call, connection: &mut Connection, shared: &Shared| {
            let write = Write { acts: &acts, isolation: super::Isolation::Serializable, take, expected, commit };
            run::write(shared, call, connection, write)
        };
        Box::pin(async move {
            shown::tell(Dialect::Sqlite, write.acts.iter().map(|act| &act.checked));
            self.shared.write(call, work).await
        })
    }

    fn explain<'a>(
        &'a self,
        call: &'a Call,
        ask: Ask<'a>,
        analyze: bool,
        indexes: &'a [String],
    ) -> Answer<'a, Planned> {
        let (page, indexes) = (run::Page::new(ask), indexes.to_vec());
        if !indexes.is_empty() {
            return Box::pin(
                self.shared
                    .write(call, move |_, connection, shared| plan::with_indexes(shared, connection, &page, &indexes)),
            );
        }
        Box::pin(self.shared.read(call, move |_, connection, shared| plan::explain(shared, connection, &page, analyze)))
    }

    fn objects<'a>(&'a self, call: &'a Call, wanted: &'a Wanted) -> Answer<'a, Vec<Object>> {
        let wanted = wanted.clone();
        Box::pin(self.shared.read(call, move |_, connection, shared| catalogue::objects(shared, connection, &wanted)))
    }

    fn describe<'a>(&'a self, call: &'a Call, name: &'a Name) -> Answer<'a, Described> {
        let name = name.clone();
        Box::pin(self.shared.read(call, move |_, connection, shared| catalogue::describe(shared, connection, &name)))
    }

    fn relations<'a>(&'a self, call: &'a Call, _: Option<&'a str>) -> Answer<'a, Vec<Relation>> {
        Box::pin(self.shared.read(call, move |_, connection, shared| catalogue::relations(shared, connection)))
    }

    fn health<'a>(&'a self, call: &'a Call) -> Answer<'a, Vec<Finding>> {
        Box::pin(self.shared.read(call, move |_, connection, shared| catalogue::health(shared, connection)))
    }

    fn top<'a>(&'a self, _: &'a Call, _: TopBy, _: usize) -> Answer<'a, Vec<Value>> {
        Box::pin(async {
            Err(ToolError::new("unsupported", "SQLite keeps no statistics of statements")
                .hint("explain shows how one would be run"))
        })
    }

    fn prepares<'a>(&'a self, checked: &'a Checked) -> BoxFuture<'a, Result<(), String>> {
        let (shared, text) = (Arc::clone(&self.shared), checked.text.clone());
        Box::pin(async move {
            let work = move || alive::prepares(&shared, &text);
            tokio::task::spawn_blocking(work).await.unwrap_or(Ok(()))
        })
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), String>> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { tokio::task::spawn_blocking(move || alive::probe(&shared)).await.unwrap_or(Ok(())) })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.shared.writer.lock().await.take();
            self.shared.readers.lock().unwrap_or_else(PoisonError::into_inner).clear();
        })
    }
}
