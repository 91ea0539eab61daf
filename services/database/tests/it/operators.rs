//! Operators and casts are functions in disguise: what may not be called by its name may not be called by a sign either.

use serde_json::json;
use weft_database::{Rights, Settings};

use crate::desk::{Admin, Desk, SHOP, fresh, postgres, refused};

/// A read-only connection over the shop, and what somebody made beside it.
async fn with(made: &str, functions: &[&str]) -> Option<(Desk, Admin)> {
    let url = fresh().await?;
    let admin = Admin::of(&url).await;
    admin.run(SHOP).await;
    admin
        .run(
            "CREATE FUNCTION bad(integer, integer) RETURNS integer LANGUAGE plpgsql AS 'BEGIN DELETE FROM orders; RETURN 1; END';\
             CREATE FUNCTION bad(integer, text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN DELETE FROM orders; RETURN true; END'",
        )
        .await;
    admin.run(made).await;
    let mut settings = postgres(&url, Rights::ReadOnly);
    settings.functions = functions.iter().map(|name| (*name).to_owned()).collect();
    Some((Desk::of(Settings { postgres: vec![settings], ..Settings::default() }), admin))
}

async fn refuses(desk: &Desk, sql: &str, word: &str) {
    let called = desk.call("query", json!({ "sql": sql })).await;
    refused(&called, &["refused"]);
    assert!(called.text.contains(word), "{sql}: {}", called.text);
}

#[tokio::test]
async fn a_made_operator_is_judged_as_the_function_it_is() {
    let made = "CREATE OPERATOR public.<=> (LEFTARG = integer, RIGHTARG = integer, FUNCTION = bad);\
        CREATE OPERATOR public.## (RIGHTARG = double precision, FUNCTION = pg_catalog.pg_sleep);\
        CREATE FUNCTION read_it(text, bigint) RETURNS text LANGUAGE sql AS 'SELECT $1';\
        CREATE OPERATOR public.<-> (LEFTARG = text, RIGHTARG = bigint, FUNCTION = read_it)";
    let Some((desk, admin)) = with(made, &[]).await else { return };
    refuses(&desk, "SELECT bad(1, 2)", "bad").await;
    for sql in [
        "SELECT 1 <=> 2",
        "SELECT id FROM customers ORDER BY id <=> 2",
        "SELECT count(*) FILTER (WHERE id <=> 2 = 1) FROM customers",
        "WITH x AS (SELECT 1 <=> 2 AS a) SELECT a FROM x",
    ] {
        refuses(&desk, sql, "operator <=>").await;
    }
    refuses(&desk, "SELECT 'x'::text <-> 1::bigint", "operator <->").await;
    for sql in ["SELECT ## 10", "SELECT 1 OPERATOR(public.<=>) 2", "SELECT 1 OPERATOR(public . <=>) 2"] {
        assert!(desk.call("query", json!({ "sql": sql })).await.is_error, "{sql}");
    }
    // The server's own of the same schema path go on.
    let fine = "SELECT 1 + 2, 'a' || 'b', 3 IN (1, 2), 'x' LIKE 'y', 2 BETWEEN 1 AND 3, NOT true, -(5), '{\"a\":1}'::jsonb ->> 'a'";
    assert_eq!(desk.rows(fine).await, json!([[3, "ab", false, false, true, false, -5, "1"]]));
    assert_eq!(admin.text("SELECT count(*)::text FROM orders").await, "3");
}

#[tokio::test]
async fn operators_that_nobody_writes_down_are_judged_too() {
    let made = "CREATE OPERATOR public.= (LEFTARG = integer, RIGHTARG = text, FUNCTION = bad);\
        CREATE OPERATOR public.~~ (LEFTARG = integer, RIGHTARG = text, FUNCTION = bad);\
        CREATE OPERATOR public.<= (LEFTARG = integer, RIGHTARG = text, FUNCTION = bad)";
    let Some((desk, admin)) = with(made, &[]).await else { return };
    for (sql, word) in [
        ("SELECT 1 = 'x'::text", "operator ="),
        ("SELECT 1 IN ('x'::text)", "operator ="),
        ("SELECT 1 IN (SELECT name FROM customers)", "operator ="),
        ("SELECT 1 = ANY(ARRAY['x'::text])", "operator ="),
        ("SELECT 1 IS DISTINCT FROM 'x'::text", "operator ="),
        ("SELECT CASE 1 WHEN 'x'::text THEN 1 END", "operator ="),
        ("SELECT nullif(1, 'x'::text)", "operator ="),
        ("SELECT * FROM (SELECT 1 AS a) x JOIN (SELECT 'x'::text AS a) y USING (a)", "operator ="),
        ("SELECT * FROM (SELECT 1 AS a) x NATURAL JOIN (SELECT 'x'::text AS a) y", "operator ="),
        ("SELECT 1 LIKE 'x'::text", "operator ~~"),
        ("SELECT 1 BETWEEN 0 AND 'x'::text", "operator <="),
    ] {
        refuses(&desk, sql, word).await;
    }
    assert_eq!(desk.rows("SELECT 1 < 2").await, json!([[true]]), "others are not touched");
    assert_eq!(admin.text("SELECT count(*)::text FROM orders").await, "3");
}

#[tokio::test]
async fn a_made_cast_is_judged_as_the_function_it_is() {
    let made = "CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE DOMAIN feeling AS mood; CREATE TABLE diary (id integer, m mood); INSERT INTO diary VALUES (1, 'sad');\
        CREATE FUNCTION felt(integer) RETURNS mood LANGUAGE plpgsql AS $$ BEGIN DELETE FROM orders; RETURN 'sad'; END $$;\
        CREATE FUNCTION felt(text) RETURNS mood LANGUAGE plpgsql AS $$ BEGIN DELETE FROM orders; RETURN 'sad'; END $$;\
        CREATE CAST (integer AS mood) WITH FUNCTION felt(integer); CREATE CAST (text AS mood) WITH FUNCTION felt(text)";
    let Some((desk, admin)) = with(made, &[]).await else { return };
    for sql in ["SELECT 1::mood", "SELECT CAST(1 AS public.mood)", "SELECT ARRAY[1]::mood[]", "SELECT 1::feeling"] {
        refuses(&desk, sql, "not called here").await;
    }
    let bound = json!({"sql": "SELECT id FROM diary WHERE m = $1", "params": ["sad"]});
    refused(&desk.call("query", bound).await, &["refused"]);
    assert_eq!(desk.rows("SELECT m, 2::text, '3'::integer FROM diary WHERE m = 'sad'").await, json!([["sad", "2", 3]]));
    assert_eq!(admin.text("SELECT count(*)::text FROM orders").await, "3");
}

#[tokio::test]
async fn allowed_functions_and_extensions_bring_their_operators() {
    let made = "CREATE FUNCTION near(integer, integer) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT abs($1 - $2) < 3';\
        CREATE OPERATOR public.<=> (LEFTARG = integer, RIGHTARG = integer, FUNCTION = near)";
    let Some((desk, _)) = with(made, &["public.near"]).await else { return };
    assert_eq!(desk.rows("SELECT 1 <=> 2, near(1, 9)").await, json!([[true, false]]));
    let Some((desk, admin)) = with("SELECT 1", &[]).await else { return };
    let name = admin.text("SELECT current_database()::text").await;
    Admin::of(&weft_testkit::postgres().unwrap().url(&name)).await.run("CREATE EXTENSION vector").await;
    let vectors = "SELECT '[1,2]'::vector <-> '[1,2]'::vector, '[1,2]'::vector = '[1,2]'::vector, ARRAY[1,2]::real[]::vector::text";
    assert_eq!(desk.rows(vectors).await, json!([[0.0, true, "[1,2]"]]));
}
