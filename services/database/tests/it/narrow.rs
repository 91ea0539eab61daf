//! Connections that may use some tables only: what is theirs works, what is not theirs is not to be had.

use serde_json::json;
use weft_database::{Rights, Settings};

use crate::desk::{Admin, Desk, fresh, ok, postgres, refused, sqlite};

/// A migration, its undoing, and what callers may not do to the list of them.
async fn migrations_work(desk: &Desk, table: &str) {
    assert_eq!(ok(desk.call("list_migrations", json!({})).await).data(), &json!([]));
    let (up, down) = (format!("CREATE TABLE {table} (id integer)"), format!("DROP TABLE {table}"));
    let made = json!({"name": "made", "up": up, "down": down});
    assert_eq!(ok(desk.call("migrate", made.clone()).await).data()["applied"], true);
    assert_eq!(ok(desk.call("migrate", made).await).data()["result"]["already"], true);
    assert_eq!(ok(desk.call("list_migrations", json!({})).await).data()[0]["name"], "made");
    for (tool, sql) in [
        ("query", "SELECT * FROM weft_migrations"),
        ("query", "SELECT * FROM \"weft_migrations\""),
        ("query", "WITH m AS (SELECT down FROM weft_migrations) SELECT * FROM m"),
        ("execute", "UPDATE weft_migrations SET down = 'DROP TABLE orders' WHERE name = 'made'"),
        ("execute", "DELETE FROM weft_migrations WHERE name = 'made'"),
        ("execute", "INSERT INTO weft_migrations (name, checksum, up, down, number) VALUES ('x', '', '', '', 9)"),
    ] {
        refused(&desk.call(tool, json!({ "sql": sql })).await, &["refused"]);
    }
    for up in ["DROP TABLE weft_migrations", "ALTER TABLE weft_migrations RENAME TO mine"] {
        refused(&desk.call("migrate", json!({"name": "evil", "up": up})).await, &["refused"]);
    }
    let shown = ok(desk.call("rollback_migration", json!({"name": "made"})).await);
    let approved = json!({"name": "made", "plan_id": shown.data()["plan"]["plan_id"]});
    ok(desk.call("rollback_migration", approved).await);
    assert_eq!(ok(desk.call("list_migrations", json!({})).await).data(), &json!([]));
}

#[tokio::test]
async fn migrations_work_in_a_schema_that_was_named() {
    let Some(url) = fresh().await else { return };
    for tables in [vec![], vec!["public.no*".to_owned()]] {
        let mut settings = postgres(&url, Rights::Migrate);
        settings.schemas = vec!["public".to_owned()];
        settings.tables = tables;
        migrations_work(&Desk::of(Settings { postgres: vec![settings], ..Settings::default() }), "notes").await;
    }
}

#[tokio::test]
async fn migrations_work_beside_a_list_of_tables() {
    let folder = tempfile::tempdir().unwrap();
    for tables in [vec!["notes".to_owned()], vec![]] {
        let mut settings = sqlite(&folder.path().join("narrow.db"), Rights::Migrate);
        settings.tables = tables;
        migrations_work(&Desk::of(Settings { sqlite: vec![settings], ..Settings::default() }), "notes").await;
    }
}

#[tokio::test]
async fn a_table_is_not_let_in_for_the_end_of_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shadows.db");
    let made = rusqlite::Connection::open(&path).unwrap();
    made.execute_batch(
        "CREATE TABLE app_config (a); CREATE TABLE app_data (a); CREATE TABLE plain (a); CREATE TABLE plain_data (a); \
         CREATE VIRTUAL TABLE notes USING fts5(text); CREATE VIRTUAL TABLE other USING fts5(text); CREATE VIEW seen AS SELECT 1 AS a; \
         CREATE VIEW names AS SELECT sql AS a FROM sqlite_schema",
    )
    .unwrap();
    drop(made);
    let mut settings = sqlite(&path, Rights::Migrate);
    settings.tables = ["notes", "notes2", "plain", "plain2", "names"].map(str::to_owned).into();
    let desk = Desk::of(Settings { sqlite: vec![settings], ..Settings::default() });
    for sql in [
        "INSERT INTO app_config VALUES (1)",
        "INSERT INTO app_data VALUES (1)",
        "INSERT INTO plain_data VALUES (1)",
        "DELETE FROM plain_data",
        "INSERT INTO other VALUES ('x')",
        "INSERT INTO other_content VALUES (1, 'x')",
        "DELETE FROM notes_data",
        "UPDATE notes_config SET v = 3",
        "PRAGMA data_version",
    ] {
        let called = desk.call("execute", json!({ "sql": sql })).await;
        assert!(called.is_error, "{sql}: {}", called.structured);
    }
    for sql in ["SELECT * FROM app_config", "SELECT * FROM plain_data", "SELECT * FROM other_content"] {
        refused(&desk.call("query", json!({ "sql": sql })).await, &["refused"]);
    }
    ok(desk
        .call("migrate", json!({"name": "fine", "up": "CREATE TABLE plain2 AS SELECT a FROM plain; DROP TABLE plain2"}))
        .await);
    for up in [
        "DROP VIEW seen",
        "CREATE VIEW mine AS SELECT 1 AS a",
        "DROP TABLE other",
        "DROP TABLE app_config",
        "CREATE TABLE plain2 AS SELECT sql FROM sqlite_schema",
        "CREATE TABLE notes2 AS SELECT * FROM names",
    ] {
        refused(&desk.call("migrate", json!({"name": up, "up": up})).await, &["refused"]);
    }
    // The index that may be used works, with all that it keeps.
    ok(desk.call("execute", json!({"sql": "INSERT INTO notes VALUES ('a word'), ('another')"})).await);
    assert_eq!(desk.rows("SELECT text FROM notes WHERE notes MATCH 'word'").await, json!([["a word"]]));
    ok(desk.call("execute", json!({"sql": "INSERT INTO plain VALUES (1)"})).await);
}

#[tokio::test]
async fn a_change_of_tables_reaches_no_other_table() {
    let Some(url) = fresh().await else { return };
    let admin = Admin::of(&url).await;
    admin
        .run(
            "CREATE TABLE notes (id integer PRIMARY KEY); CREATE INDEX notes_by_id ON notes (id); CREATE SCHEMA other; \
             CREATE TABLE secret (id integer PRIMARY KEY); CREATE INDEX secret_by_id ON secret (id); CREATE VIEW secrets AS SELECT * FROM secret",
        )
        .await;
    let mut settings = postgres(&url, Rights::Migrate);
    settings.tables = vec!["public.note*".to_owned()];
    let desk = Desk::of(Settings { postgres: vec![settings], ..Settings::default() });
    for up in [
        "DROP TABLE secret",
        "DROP TABLE IF EXISTS public.secret CASCADE",
        "DROP VIEW secrets",
        "DROP INDEX secret_by_id",
        "ALTER INDEX secret_by_id RENAME TO mine",
        "TRUNCATE secret",
        "CREATE TABLE notes2 (a integer REFERENCES secret (id))",
        "CREATE TABLE notes2 (a integer, FOREIGN KEY (a) REFERENCES secret (id))",
        "ALTER TABLE notes ADD CONSTRAINT c FOREIGN KEY (id) REFERENCES secret (id)",
        "ALTER TABLE notes ADD COLUMN b integer REFERENCES secret (id)",
        "CREATE TABLE notes2 () INHERITS (secret)",
        "CREATE TABLE notes2 (LIKE secret)",
        "ALTER TABLE secret RENAME TO notes2",
        "ALTER TABLE notes RENAME TO mine",
        "COMMENT ON TABLE secret IS 'x'",
        "COMMENT ON COLUMN public.secret.id IS 'x'",
        "CREATE SEQUENCE other.s",
        "DROP SCHEMA other",
        "CREATE SCHEMA another",
    ] {
        let called = desk.call("migrate", json!({"name": "evil", "up": up})).await;
        assert!(called.is_error, "{up}: {}", called.structured);
        assert!(["refused", "invalid_arguments"].contains(&called.code()), "{up}: {}", called.structured);
    }
    let fine = "COMMENT ON COLUMN public.notes.id IS 'x'; DROP INDEX notes_by_id; CREATE TABLE note_lines (id integer REFERENCES notes (id)); \
        ALTER TABLE note_lines RENAME TO note_rows; DROP TABLE note_rows";
    ok(desk.call("migrate", json!({"name": "fine", "up": fine, "down": "SELECT 1"})).await);
}
