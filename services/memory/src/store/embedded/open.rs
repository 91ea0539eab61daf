//! A file → connections to it, with the tables made and the dangerous parts of SQLite turned off.

use std::{fs::OpenOptions, os::unix::fs::OpenOptionsExt as _, path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, config::DbConfig, limits::Limit};

/// How long a write waits for one of another process.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The tables. `rows` has every version; the others are about current ones, by the number of their row.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS rows (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, space TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL,
  recorded_at INTEGER NOT NULL, ended_at INTEGER, expires_at INTEGER, kind TEXT NOT NULL, doc TEXT NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS rows_version ON rows (space, id, version);
CREATE UNIQUE INDEX IF NOT EXISTS rows_current ON rows (space, id) WHERE ended_at IS NULL;
CREATE INDEX IF NOT EXISTS rows_newest ON rows (space, recorded_at, id) WHERE ended_at IS NULL;
CREATE INDEX IF NOT EXISTS rows_expiring ON rows (expires_at) WHERE expires_at IS NOT NULL AND ended_at IS NULL;
CREATE TABLE IF NOT EXISTS vectors (seq INTEGER PRIMARY KEY, space TEXT NOT NULL, vector BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS vectors_space ON vectors (space);
CREATE TABLE IF NOT EXISTS nodes (space TEXT NOT NULL, node TEXT NOT NULL, seq INTEGER NOT NULL,
  PRIMARY KEY (space, node, seq)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS nodes_seq ON nodes (seq);
CREATE TABLE IF NOT EXISTS uses (space TEXT NOT NULL, id TEXT NOT NULL, used INTEGER NOT NULL, misled INTEGER NOT NULL,
  last INTEGER NOT NULL, PRIMARY KEY (space, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS journal (seq INTEGER PRIMARY KEY AUTOINCREMENT, origin INTEGER NOT NULL, space TEXT NOT NULL, id TEXT NOT NULL);
CREATE VIRTUAL TABLE IF NOT EXISTS terms USING fts5(tokens, content='', contentless_delete=1, detail=none);
INSERT INTO terms (terms, rank) VALUES ('secure-delete', 1);
";

/// Whether recalls are counted already: the column came later, and programs that do not know it are not hindered by it.
const COUNTS_RECALLS: &str = "SELECT count(*) > 0 FROM pragma_table_info('uses') WHERE name = 'recalled'";

/// The version of these tables.
const VERSION: i64 = 1;

/// The connection that writes; it makes the file, for its owner alone, and the tables.
pub(super) fn writer(path: &Path) -> Result<Connection, anyhow::Error> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // An acknowledged write survives the loss of power, and what is deleted is overwritten.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "secure_delete", true)?;
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    anyhow::ensure!(version <= VERSION, "a newer version of this server wrote it: use that one");
    connection.execute_batch(&format!("BEGIN IMMEDIATE;{TABLES}"))?;
    let counts: bool = connection.query_row(COUNTS_RECALLS, [], |row| row.get(0))?;
    let add = if counts { "" } else { "ALTER TABLE uses ADD COLUMN recalled INTEGER NOT NULL DEFAULT 0;" };
    connection.execute_batch(&format!("{add}PRAGMA user_version = {VERSION};COMMIT;"))?;
    Ok(connection)
}

/// A connection that cannot write.
pub(super) fn reader(path: &Path) -> Result<Connection, rusqlite::Error> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

fn connect(path: &Path, how: OpenFlags) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open_with_flags(path, how | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(PATIENCE)?;
    for (config, on) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
    ] {
        connection.set_db_config(config, on)?;
    }
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}
