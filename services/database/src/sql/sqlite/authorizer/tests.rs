//! Each depth alone: what was let past the gate meets the authorizer, and past that a file that was opened for reading.

use super::{super::Sqlite, Allowed, install, lift};
use crate::{
    settings::{Access, Rights, SqliteSettings},
    sql::{
        Dialect,
        gate::{self, Checked, Kind},
    },
};

const WRITES: [&str; 6] = [
    "INSERT INTO t VALUES (2)",
    "UPDATE t SET a = 2",
    "DELETE FROM t",
    "CREATE TABLE n (a)",
    "DROP TABLE t",
    "ALTER TABLE t ADD COLUMN b",
];

/// A database with one row, and what serves it.
fn open(rights: Rights) -> (tempfile::TempDir, Sqlite) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("depths.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (a); INSERT INTO t VALUES (1)").unwrap();
    let access = Access { rights, ..Access::default() };
    let settings = SqliteSettings { access, ..SqliteSettings::new("main".to_owned(), path) };
    let sqlite = Sqlite::open(&settings).unwrap();
    (folder, sqlite)
}

/// A write that the gate is made to take for a read.
fn forged(sql: &str) -> Checked {
    Checked { kind: Kind::Read, ..gate::check(Dialect::Sqlite, sql).unwrap() }
}

#[test]
fn the_authorizer_alone_refuses_a_write() {
    let (_folder, sqlite) = open(Rights::Migrate);
    let mut connection = sqlite.shared.connect(true).unwrap();
    for sql in WRITES {
        let checked = forged(sql);
        install(&mut connection, Allowed::Read, &sqlite.shared.tables, &checked).unwrap();
        let error = connection.prepare(&checked.text).unwrap_err();
        assert!(error.to_string().contains("not authorized"), "{sql}: {error}");
        lift(&mut connection).unwrap();
        assert!(connection.prepare(&checked.text).is_ok(), "{sql}: nothing else stands in its way");
    }
}

#[test]
fn the_connection_alone_refuses_a_write() {
    let (_folder, sqlite) = open(Rights::ReadOnly);
    let connection = sqlite.shared.connect(false).unwrap();
    for sql in WRITES {
        let error = connection.execute_batch(&forged(sql).text).unwrap_err();
        assert_eq!(error.sqlite_error_code(), Some(rusqlite::ErrorCode::ReadOnly), "{sql}: {error}");
    }
    let left: i64 = connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 1);
}
