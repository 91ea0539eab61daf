//! What the gate lets through and what it refuses, before any database is asked.

use super::*;

fn postgres(sql: &str) -> Result<Checked, ToolError> {
    check_read(Dialect::Postgres, sql)
}

#[track_caller]
fn refused(dialect: Dialect, sql: &str) {
    let outcome = check_read(dialect, sql);
    let error = outcome.err().unwrap_or_else(|| panic!("let through: {sql}"));
    assert!(["refused", "invalid_arguments", "too_large"].contains(&error.code()), "{sql}: {error}");
}

#[test]
fn reads_are_let_through_and_say_what_they_use() {
    let checked = postgres(
        "WITH recent AS (SELECT * FROM shop.orders WHERE day > now() - interval '1 day') \
         SELECT c.name, count(*) FILTER (WHERE r.total > 10), lower(c.city) FROM recent r JOIN customers c USING (id) \
         GROUP BY 1, 3 ORDER BY 2 DESC LIMIT 10",
    )
    .unwrap();
    let relations: Vec<String> = checked.relations.iter().map(ToString::to_string).collect();
    assert_eq!(relations, ["customers", "recent", "shop.orders"]);
    assert!(checked.common.contains("recent") && checked.ordered);
    let functions: Vec<String> = checked.functions.iter().map(ToString::to_string).collect();
    assert_eq!(functions, ["count", "lower", "now"]);
    for sql in [
        "VALUES (1, 'a'), (2, 'b')",
        "SELECT 1 UNION ALL SELECT 2",
        "SELECT * FROM generate_series(1, 3) g",
        "SELECT a->>'x', b[1], c::numeric(10,2) FROM t WHERE d = ANY($1) AND e ILIKE '%x%'",
        "SELECT row_number() OVER (PARTITION BY a ORDER BY b) FROM t",
        "SELECT 'COMMIT; DROP TABLE t' AS harmless",
        "SELECT DISTINCT ON (a) a, b FROM t ORDER BY a, b DESC",
        "SELECT * FROM a LEFT JOIN LATERAL (SELECT * FROM b WHERE b.a = a.id LIMIT 1) x ON true",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT * FROM n",
        "SELECT CASE WHEN a > 1 THEN 'x' ELSE 'y' END, coalesce(a, 0), extract(year FROM d) FROM t",
        "SELECT embedding <=> '[1,2,3]' FROM items ORDER BY 1 LIMIT 3",
    ] {
        if let Err(error) = postgres(sql) {
            panic!("{sql}: {error}");
        }
    }
}

#[test]
fn one_statement_and_nothing_behind_it() {
    for sql in [
        "COMMIT; DROP SCHEMA public CASCADE;",
        "SELECT 1; COMMIT; DROP TABLE t",
        "SELECT E'\\''; COMMIT; DROP TABLE t; --'",
        "SHOW x; DROP TABLE t",
        "SELECT 1; DELETE FROM t",
        "",
        ";",
        "-- nothing",
    ] {
        refused(Dialect::Postgres, sql);
        refused(Dialect::Sqlite, sql);
    }
    assert!(postgres("SELECT 1;").is_ok(), "a semicolon at the end is no second statement");
}

#[test]
fn nothing_that_writes_hides_in_a_read() {
    for sql in [
        "WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d",
        "SELECT * FROM (WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d) x",
        "WITH x AS (SELECT 1) DELETE FROM t",
        "WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x",
        "WITH x AS (UPDATE t SET a = 1 RETURNING *) SELECT * FROM x",
        "WITH x AS (MERGE INTO t USING s ON true WHEN MATCHED THEN DELETE RETURNING *) SELECT * FROM x",
        "SELECT * INTO n FROM t",
        "SELECT 1 INTO TEMP x",
        "CREATE TABLE n AS SELECT 1",
        "SELECT * FROM t FOR UPDATE",
        "SELECT * FROM (SELECT * FROM t FOR SHARE) x",
        "EXPLAIN ANALYZE DELETE FROM t",
        "EXPLAIN (ANALYZE true, FORMAT JSON) UPDATE t SET a = 1",
        "EXPLAIN ANALYZE EXECUTE p",
        "COPY t TO '/tmp/x'",
        "COPY (SELECT 1) TO PROGRAM 'id'",
        "COPY t FROM PROGRAM 'id'",
        "COPY t TO STDOUT",
        "DO $$ BEGIN DELETE FROM t; END $$",
        "CALL p()",
        "LOAD '/x.so'",
        "CREATE EXTENSION dblink",
        "ALTER SYSTEM SET fsync = off",
        "SET TRANSACTION READ WRITE",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
        "SET ROLE postgres",
        "RESET ALL",
        "DISCARD ALL",
        "BEGIN READ WRITE",
        "TABLE t",
        "SELECT * FROM a UNION TABLE pg_authid",
        "GRANT ALL ON t TO public",
        "VACUUM",
        "LISTEN x",
        "NOTIFY x",
        "LOCK TABLE t",
        "PREPARE p AS DELETE FROM t",
        "SELECT 1 OPERATOR(public.+) 2",
        // Names in escapes: read as a name of its own, or not at all, and never as what they spell.
        "SELECT U&\"d\\0061t!+000061\" UESCAPE '!'",
        "SELECT * FROM U&\"\\0070g_authid\"",
        "SELECT U&'\\0061' UESCAPE '!'",
    ] {
        refused(Dialect::Postgres, sql);
    }
}

#[test]
fn sqlites_own_ways_out_are_closed() {
    for sql in [
        "ATTACH '/tmp/x.db' AS y",
        "VACUUM INTO '/tmp/v.db'",
        "PRAGMA query_only=0",
        "PRAGMA query_only(0)",
        "PRAGMA writable_schema(1)",
        "PRAGMA journal_mode=delete",
        "PRAGMA temp_store_directory='/x'",
        "PRAGMA user_version(5)",
        "INSERT INTO sqlite_master VALUES (1)",
        "CREATE TEMP TABLE x (a)",
        "SELECT 1; DELETE FROM t",
        "REINDEX",
        "SAVEPOINT x",
        "DETACH main",
    ] {
        refused(Dialect::Sqlite, sql);
    }
}

#[test]
fn what_people_cannot_see_is_refused_or_gone() {
    for sql in [
        "SELECT lo\u{2060}_unlink(1)",
        "SELECT\u{a0}1",
        "SELECT a\u{200b}b FROM t",
        "SELECT 1 FROM t\u{e0041}",
        "SELECT \u{202e}a FROM t",
        "SELECT \"pg_\u{200d}read_file\"('x')",
    ] {
        refused(Dialect::Postgres, sql);
    }
    assert!(postgres("SELECT 'zero\u{200b}width in a text is data'").is_ok());
    for sql in ["SELECT /* /* */ nested */ 1", "SELECT 1 --\r, pg_read_file('x')", "SELECT $a$ -- $a$"] {
        if let Ok(checked) = postgres(sql) {
            assert!(!checked.text.contains("/*") && !checked.text.contains("--\r"), "{}", checked.text);
        }
    }
    let comments = postgres("SELECT pg_catalog /* x */ . /* y */ lower /* z */ ('A')").unwrap();
    assert!(comments.functions.contains(&Name { schema: Some("pg_catalog".to_owned()), name: "lower".to_owned() }));
}

#[test]
fn every_place_where_a_function_can_stand_is_seen() {
    let bad = "pg_read_file('x')";
    for sql in [
        format!("SELECT * FROM {bad}"),
        format!("SELECT * FROM LATERAL {bad} AS f"),
        format!("SELECT count(*) FILTER (WHERE {bad} = '') FROM t"),
        format!("SELECT sum(a) OVER (ORDER BY {bad}) FROM t"),
        format!("SELECT ARRAY[{bad}]"),
        format!("SELECT 1 ORDER BY {bad}"),
        format!("SELECT 1 FROM t GROUP BY {bad}"),
        format!("SELECT 1 FROM t HAVING {bad} = ''"),
        format!("VALUES ({bad})"),
        format!("SELECT 1 LIMIT length({bad})"),
        format!("SELECT CASE WHEN {bad} = '' THEN 1 END"),
        format!("SELECT (SELECT {bad})"),
        format!("SELECT * FROM t WHERE EXISTS (SELECT {bad})"),
        format!("SELECT * FROM a JOIN b ON {bad} = ''"),
        format!("SELECT {bad}::text || 'x'"),
        format!("SELECT row({bad})"),
        format!("SELECT coalesce({bad}, 'x')"),
        format!("SELECT (f({bad})).x FROM t"),
        format!("SELECT * FROM ROWS FROM ({bad}, generate_series(1, 2)) t(a, b)"),
        format!("SELECT * FROM t TABLESAMPLE BERNOULLI (length({bad}))"),
        format!("SELECT * FROM t TABLESAMPLE SYSTEM (1) REPEATABLE (length({bad}))"),
        format!("SELECT * FROM XMLTABLE('/a' PASSING {bad} COLUMNS b text)"),
        format!("SELECT * FROM XMLTABLE({bad} PASSING x COLUMNS b text)"),
        format!("SELECT * FROM XMLTABLE('/a' PASSING x COLUMNS b text PATH {bad})"),
        format!("SELECT * FROM XMLTABLE('/a' PASSING x COLUMNS b text DEFAULT {bad})"),
        format!("SELECT * FROM JSON_TABLE({bad}, '$' COLUMNS (a text PATH '$'))"),
        format!("SELECT * FROM JSON_TABLE('[]'::jsonb, '$' COLUMNS (a text PATH '$' DEFAULT {bad} ON EMPTY))"),
        format!("SELECT * FROM JSON_TABLE('[]'::jsonb, '$' PASSING {bad} AS x COLUMNS (a text PATH '$'))"),
        format!("SELECT GROUPING({bad}) FROM t GROUP BY GROUPING SETS (({bad}), ())"),
        format!("SELECT sum(a) OVER w FROM t WINDOW w AS (PARTITION BY {bad})"),
        format!("SELECT sum(a) OVER (ROWS length({bad}) PRECEDING) FROM t"),
        format!("SELECT DISTINCT ON ({bad}) a FROM t"),
        format!("SELECT 1 OFFSET length({bad})"),
        format!("SELECT 1 FETCH FIRST (length({bad})) ROWS ONLY"),
        format!("SELECT a[length({bad})] FROM t"),
        format!("SELECT array_agg(a ORDER BY {bad}) FROM t"),
        format!("SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY {bad}) FROM t"),
        format!("SELECT substring({bad} FROM 1 FOR 2), position({bad} IN 'x'), overlay('a' PLACING {bad} FROM 1)"),
        format!("SELECT trim({bad} FROM 'x'), extract(year FROM {bad}), {bad} AT TIME ZONE 'UTC'"),
        format!("WITH x AS MATERIALIZED (SELECT {bad}) SELECT 1"),
        format!("WITH RECURSIVE x AS (SELECT 1 UNION SELECT 1) SEARCH DEPTH FIRST BY {bad} SET y SELECT 1"),
        "SELECT \"pg_read_file\"('x')".to_owned(),
        "SELECT pg_catalog.pg_read_file('x')".to_owned(),
    ] {
        let Ok(checked) = postgres(&sql) else { continue };
        assert!(checked.functions.iter().any(|name| name.name == "pg_read_file"), "{sql}");
    }
    let spelt = postgres("SELECT U&\"\\0070g_read_file\"('x')").map(|checked| checked.text);
    assert!(spelt.is_err() || spelt.as_deref() == Ok("SELECT U & \"\\0070g_read_file\"('x')"), "{spelt:?}");
    // A function of FROM is no table, but a table of the same name still is.
    let both = postgres("SELECT * FROM unnest(ARRAY[1]) x, lower('A') y, lower").unwrap();
    assert!(both.relations.iter().any(|name| name.name == "lower"), "{:?}", both.relations);
    let call = postgres("SELECT * FROM lower('A') y").unwrap();
    assert!(call.relations.is_empty(), "{:?}", call.relations);
}

#[test]
fn depth_and_length_end_in_a_clear_error() {
    let parentheses = format!("SELECT {}1{}", "(".repeat(50_000), ")".repeat(50_000));
    let nested = (0..65).fold("SELECT 1".to_owned(), |inner, _| format!("SELECT * FROM ({inner}) x"));
    let deep = format!("SELECT {}1{}", "(".repeat(2_000), ")".repeat(2_000));
    for sql in [parentheses, nested, deep] {
        refused(Dialect::Postgres, &sql);
        refused(Dialect::Sqlite, &sql);
    }
}

#[test]
fn a_chain_of_operators_is_as_deep_as_it_is_long() {
    for (first, part, operators) in [
        ("SELECT 1", "+1", 1),
        ("SELECT a", "||a", 1),
        ("SELECT a", "::text", 1),
        ("SELECT a", " IS NULL", 1),
        ("SELECT a", " AT TIME ZONE 'UTC'", 1),
        ("SELECT 1 WHERE a = 1", " OR a = 1", 1),
        ("SELECT 1 WHERE a", " NOT IN (1)", 2),
        ("SELECT 1", " UNION ALL SELECT 1", 4),
        ("SELECT a", "->'x'", 1),
    ] {
        refused(Dialect::Postgres, &format!("{first}{}", part.repeat(3_000)));
        refused(Dialect::Sqlite, &format!("{first}{}", part.repeat(3_000)));
        // What is not too long is understood, copied, compared and dropped on any stack.
        let fits = check(Dialect::Postgres, &format!("{first}{}", part.repeat(chains::LONGEST / operators - 2)));
        assert!(fits.is_ok_and(|checked| checked.clone().statement == checked.statement), "{part}");
    }
    refused(Dialect::Postgres, &format!("SELECT a{}", " COLLATE x".repeat(5_000)));
    let many = (0..1_500).map(|id| id.to_string()).collect::<Vec<_>>().join(",");
    assert!(postgres(&format!("SELECT * FROM t WHERE a IN ({many})")).is_ok());
    assert!(postgres(&format!("SELECT 1{}", ", a + b".repeat(1_500))).is_ok());
}

#[test]
fn writes_say_what_they_change_and_whether_they_change_everything() {
    let of = |sql: &str| check(Dialect::Postgres, sql).unwrap();
    let delete = of("DELETE FROM shop.orders");
    assert_eq!(
        (delete.kind, delete.whole, target(&delete.statement).as_deref()),
        (Kind::Delete, true, Some("shop.orders"))
    );
    assert!(!of("DELETE FROM t WHERE a = 1").whole && of("UPDATE t SET a = 1").whole);
    let insert = of("WITH x AS (SELECT 1 AS a) INSERT INTO t (a) SELECT a FROM x RETURNING a");
    assert_eq!((insert.kind, insert.returning), (Kind::Insert, true));
    let nested = check(Dialect::Postgres, "WITH d AS (DELETE FROM t RETURNING *) INSERT INTO u SELECT * FROM d");
    assert!(nested.is_err(), "a second write inside of the first is refused");
    assert_eq!(of("ALTER TABLE t ADD COLUMN b int").kind, Kind::Schema);
    for sql in [
        "CREATE ROLE x",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'select 1'",
        "CREATE EXTENSION x",
        "DROP ROLE x",
        "CREATE TRIGGER t AFTER INSERT ON a EXECUTE FUNCTION f()",
        "ALTER TABLE t OWNER TO x",
        "CREATE DATABASE x",
        "DROP DATABASE x",
        "CREATE INDEX CONCURRENTLY i ON t (a)",
    ] {
        assert!(check(Dialect::Postgres, sql).is_err(), "{sql}");
    }
}

#[test]
fn what_overwrites_or_loses_something_is_told_from_what_adds() {
    let of = |dialect, sql: &str| check(dialect, sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    for (dialect, sql) in [
        (Dialect::Postgres, "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 2"),
        (Dialect::Sqlite, "INSERT OR REPLACE INTO t VALUES (1)"),
        (Dialect::Sqlite, "REPLACE INTO t VALUES (1)"),
        (Dialect::Postgres, "UPDATE t SET a = 1"),
        (Dialect::Postgres, "WITH x AS (SELECT 1) DELETE FROM t"),
        (Dialect::Postgres, "TRUNCATE t"),
        (Dialect::Postgres, "DROP TABLE t"),
        (Dialect::Postgres, "ALTER TABLE t DROP COLUMN a"),
        (Dialect::Postgres, "ALTER TABLE t ALTER COLUMN a TYPE int"),
    ] {
        let checked = of(dialect, sql);
        assert!(checked.destroys() && !checked.only_adds(), "{sql}");
    }
    for sql in [
        "INSERT INTO t VALUES (1)",
        "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING",
        "WITH x AS (SELECT 1 AS a) INSERT INTO t SELECT a FROM x",
        "CREATE TABLE t (a text DEFAULT 'DROP TABLE')",
        "ALTER TABLE t ADD COLUMN b int",
        "CREATE INDEX i ON t (a)",
    ] {
        assert!(!of(Dialect::Postgres, sql).destroys(), "{sql}");
    }
}

proptest::proptest! {
    /// Whatever is let through is the same statement when it is read again, and reading never panics.
    #[test]
    fn the_text_that_is_run_says_what_was_checked(sql in "(SELECT|WITH|VALUES|DELETE FROM|\\$1|'a'|\"b\"|\\(|\\)|,|;|--|/\\*|\\*/|FROM t|E'\\\\''|U&|[a-z]{1,3}| |\n){0,14}") {
        for dialect in [Dialect::Postgres, Dialect::Sqlite] {
            if let Ok(checked) = check(dialect, &sql) {
                let again = check(dialect, &checked.text).unwrap();
                proptest::prop_assert_eq!(again.text, checked.text);
                proptest::prop_assert_eq!(again.kind, checked.kind);
            }
        }
    }
}
