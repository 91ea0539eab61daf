//! What one call leaves behind on a pooled connection: nothing that the next one could see.

use serde_json::json;
use weft_database::{Rights, Settings};

use crate::desk::{Admin, Desk, SHOP, fresh, ok, postgres, refused};

#[tokio::test]
async fn nobody_puts_a_temporary_table_before_a_real_one() {
    let Some(desk) = Desk::postgres().await else { return };
    for up in [
        "CREATE TEMP TABLE customers (name text)",
        "CREATE TEMPORARY TABLE customers AS SELECT 'forged' AS name",
        "CREATE LOCAL TEMPORARY TABLE customers (name text)",
        "CREATE GLOBAL TEMPORARY TABLE customers (name text)",
        "CREATE TABLE pg_temp.customers (name text)",
        "CREATE TABLE pg_temp_1.customers (name text)",
        "CREATE TABLE \"pg_temp\".customers AS SELECT 'forged' AS name",
        "CREATE TEMP VIEW customers AS SELECT 'forged' AS name",
        "CREATE OR REPLACE TEMP VIEW customers AS SELECT 'forged' AS name",
        "CREATE VIEW pg_temp.customers AS SELECT 'forged' AS name",
        "CREATE TEMP SEQUENCE customers",
        "CREATE SEQUENCE pg_temp.customers",
        "CREATE TYPE pg_temp.mood AS ENUM ('sad')",
        "CREATE DOMAIN pg_temp.word AS text",
        "DROP TABLE pg_temp.customers",
    ] {
        let called = desk.call("migrate", json!({"name": "evil", "up": up})).await;
        refused(&called, &["refused", "invalid_arguments"]);
    }
    for _ in 0..10 {
        assert_eq!(desk.rows("SELECT count(*) FROM customers").await, json!([[3]]));
    }
}

#[tokio::test]
async fn what_an_allowed_function_leaves_behind_is_gone_for_the_next_call() {
    let Some(url) = fresh().await else { return };
    let admin = Admin::of(&url).await;
    admin
        .run(
            "CREATE FUNCTION litter() RETURNS integer LANGUAGE plpgsql AS $$ BEGIN \
             PERFORM pg_advisory_lock(7); PERFORM set_config('search_path', 'pg_temp', false); \
             PERFORM set_config('my.note', 'left behind', false); LISTEN news; \
             IF current_setting('transaction_read_only') = 'off' THEN \
             CREATE TEMP TABLE customers AS SELECT 'forged' AS name; END IF; RETURN 9; END $$",
        )
        .await;
    let mut settings = postgres(&url, Rights::Migrate);
    settings.functions = vec!["public.litter".to_owned()];
    settings.limits.pool = 1;
    let desk = Desk::of(Settings { postgres: vec![settings], ..Settings::default() });
    ok(desk.call("migrate", json!({"name": "shop", "up": SHOP})).await);
    // Locks are those of the whole server: other tests take others than this one.
    let seen = "SELECT current_setting('my.note', true), current_setting('search_path'), \
        (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7), \
        (SELECT count(*) FROM customers), (SELECT count(*) FROM pg_class WHERE relpersistence = 't')";
    let clean = desk.rows(seen).await;
    assert_eq!(clean, json!([[null, "\"public\"", 0, 3, 0]]));
    let insert = json!({"sql": "INSERT INTO public.orders (id, customer) SELECT public.litter(), 1"});
    for (tool, arguments) in [("query", json!({"sql": "SELECT litter()"})), ("execute", insert)] {
        ok(desk.call(tool, arguments).await);
        let after = desk.rows(seen).await;
        // PostgreSQL keeps the name of a setting that is its user's own.
        let note = after[0][0].as_str().unwrap_or_default();
        assert!(
            note.is_empty() && after[0].as_array().unwrap()[1..] == clean[0].as_array().unwrap()[1..],
            "{tool}: {after}"
        );
    }
}

/// The most that a statement may make, and what the server's process then needs.
#[tokio::test]
async fn the_largest_values_that_are_let_through_need_little_memory() {
    let Some(url) = fresh().await else { return };
    let mut settings = postgres(&url, Rights::ReadOnly);
    settings.limits.pool = 1;
    let desk = Desk::of(Settings { postgres: vec![settings], ..Settings::default() });
    let process = desk.rows("SELECT pg_backend_pid()").await[0][0].as_u64().unwrap();
    for sql in [
        "SELECT length(repeat('x', 1000000))",
        "SELECT length(replace(repeat('x', 1000), 'x', repeat('y', 1000)))",
        "SELECT length(concat(repeat('x', 500000), repeat('y', 500000)))",
        "SELECT length(string_agg(lpad(g::text, 50), '')) FROM generate_series(1, 100000) g",
        "SELECT length(array_to_string(array_fill(1, ARRAY[100]), repeat('x', 100)))",
        "WITH RECURSIVE n(i, s) AS (SELECT 1, 'x' UNION ALL SELECT i + 1, s || 'y' FROM n WHERE i < 5000) SELECT max(length(s)) FROM n",
    ] {
        ok(desk.call("query", json!({ "sql": sql })).await);
    }
    for sql in [
        "SELECT length(replace(repeat('x',1000000),'x',repeat('y',900)))",
        "SELECT length(string_agg(repeat('x',1000000),'')) FROM generate_series(1,900)",
        "WITH RECURSIVE n(s) AS (SELECT 'x' UNION ALL SELECT s || s FROM n WHERE length(s) < 500000000) SELECT max(length(s)) FROM n",
    ] {
        refused(&desk.call("query", json!({ "sql": sql })).await, &["refused"]);
    }
    assert_eq!(desk.rows("SELECT pg_backend_pid()").await, json!([[process]]), "it was this process all along");
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    assert!(peak.unwrap() < 150_000, "{peak:?} kB at most");
}
