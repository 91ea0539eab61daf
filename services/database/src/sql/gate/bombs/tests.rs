//! Statements that would make a gigabyte, and their harmless neighbours.

use super::super::{Dialect, check_read};

#[track_caller]
fn bomb(dialect: Dialect, sql: &str) {
    let error = check_read(dialect, sql).err().unwrap_or_else(|| panic!("let through: {sql}"));
    assert_eq!(error.code(), "refused", "{sql}: {error}");
    let about = ["would make more than", "would gather values", "grow with each step"];
    assert!(about.iter().any(|words| error.to_string().contains(words)), "{sql}: {error}");
}

#[track_caller]
fn harmless(dialect: Dialect, sql: &str) {
    if let Err(error) = check_read(dialect, sql) {
        panic!("{sql}: {error}");
    }
}

#[test]
fn short_statements_with_huge_results_are_refused() {
    for sql in [
        "SELECT repeat(repeat(repeat('x',1000),1000),1000)",
        "SELECT lpad('x',500000000)",
        "SELECT repeat('x',10000*10000)",
        "SELECT repeat('x', n) FROM t",
        "SELECT repeat('x', -(-1000000000))",
        "SELECT repeat('x', 0 - -1000000000)",
        "SELECT repeat('x', (1.9*1.9*1.9*1.9*1.9*1.9*1.9*1.9*1.9*1.9*1.9*1.9*1.9*1.9*1.9*1.9*1.9*1.9*1.9*1.9*1.9*1.9*1.9*1.9)::int)",
        "SELECT length(r) FROM repeat('x', 1000000000) AS r",
        "SELECT length(r) FROM LATERAL repeat('x', 1000000000) AS r",
        "SELECT array_fill(0, ARRAY[100000, 100000])",
        "SELECT array_fill(repeat('x', 1000000), ARRAY[1000])",
        "SELECT format('%1000000000s', 'x')",
        "SELECT format('%99999999999999999999999999999999999999999999s', 'x')",
        "SELECT format('%*s', 1000000000, 'x')",
    ] {
        bomb(Dialect::Postgres, sql);
    }
    for sql in ["SELECT zeroblob(1000000000)", "SELECT printf('%.*c', 1000000000, 'x')", "SELECT randomblob(1e9)"] {
        bomb(Dialect::Sqlite, sql);
    }
    harmless(Dialect::Postgres, "SELECT repeat('=', 40), lpad(name, 10), format('%s-%s', a, b) FROM t");
}

#[test]
fn what_multiplies_a_made_value_is_refused_wherever_that_was_made() {
    let (many, wide) = ("repeat('x',1000000)", "repeat('y',900)");
    for sql in [
        format!("SELECT length(replace({many},'x',{wide}))"),
        format!("SELECT length(regexp_replace({many},'x',{wide},'g'))"),
        format!("SELECT length(replace(lower(trim({many})),'x',coalesce({wide},'')))"),
        format!("SELECT length(replace((SELECT {many}),'x',(SELECT {wide})))"),
        format!("SELECT length(replace(a,'x',b)) FROM (SELECT {many} AS a, {wide} AS b) q"),
        format!("WITH q AS (SELECT {many} AS a, {wide} AS b) SELECT length(replace(a,'x',b)) FROM q"),
        format!("WITH q(a, b) AS (VALUES ({many}, {wide})) SELECT length(replace(a,'x',b)) FROM q"),
        format!("SELECT length(replace(a,'x',{wide})) FROM unnest(ARRAY[{many}]) AS a"),
        format!("SELECT length(replace(a,'x',{wide})) FROM lower({many}) AS a"),
        format!("SELECT length(array_to_string(array_fill(1, ARRAY[100000]), {wide}))"),
        format!("SELECT length(replace(CASE WHEN true THEN {many} END,'x',{wide}))"),
        format!("SELECT length(replace(string_agg('x',''),'x',{wide})) FROM generate_series(1,1000000)"),
        format!("SELECT length(concat({}))", [many; 9].join(",")),
        format!("SELECT length({})", [many; 9].join("||")),
        format!("SELECT {}", [many; 9].join(",")),
        format!("SELECT * FROM t WHERE a = replace({many},'x',{wide})"),
        format!("SELECT length(replace({many},'x',$1))"),
        "SELECT length(replace(b,'x',b)) FROM (SELECT replace(a,'x',a) AS b FROM (SELECT repeat('x',1000) AS a) q) r"
            .to_owned(),
        format!("SELECT length(to_json(translate({many}, 'x', 'ä'))::text)"),
    ] {
        bomb(Dialect::Postgres, &sql);
    }
    bomb(Dialect::Sqlite, "SELECT length(replace(printf('%1000000d',1),' ',printf('%900d',1)))");
    for sql in [
        "SELECT replace(name, ',', ';'), replace(name, $1, $2), regexp_replace(name, '\\s+', ' ', 'g') FROM t",
        "SELECT replace(a, b, c) FROM t",
        "SELECT replace(string_agg(name, ','), ',', ', ') FROM t",
        "SELECT concat(first, ' ', last), concat_ws(', ', a, b, c), first || ' ' || last FROM t",
        "SELECT replace(a, ' ', '_') FROM (SELECT upper(name) AS a FROM (SELECT name FROM t) x) y",
        "SELECT array_to_string(ARRAY[a, b, c], ', '), array_to_string(tags, '; ') FROM t",
        "SELECT translate(name, 'äöü', 'aou'), to_jsonb(t), quote_literal(name) FROM t",
        "SELECT to_jsonb(jsonb_build_object('a', to_jsonb(a))) FROM t",
    ] {
        harmless(Dialect::Postgres, sql);
    }
}

#[test]
fn many_rows_gather_columns_and_no_made_values() {
    for sql in [
        "SELECT length(string_agg(repeat('x',1000000),'')) FROM generate_series(1,1000)",
        "SELECT length(string_agg(repeat('x',10000) || g,'')) FROM generate_series(1,100000) g",
        "SELECT length(string_agg('x', repeat('y',100000))) FROM generate_series(1,10000)",
        "SELECT array_agg(repeat('x',1000000)) FROM generate_series(1,1000)",
        "SELECT jsonb_agg(jsonb_build_object('a', repeat('x',1000000))) FROM generate_series(1,1000)",
        "SELECT json_object_agg(g, repeat('x',1000000)) FROM generate_series(1,1000) g",
        "SELECT string_agg(a,'') FROM (SELECT repeat('x',1000000) AS a FROM generate_series(1,1000)) q",
        "SELECT string_agg((SELECT repeat('x',1000000)),'') FROM generate_series(1,1000)",
        "SELECT array_length(ARRAY(SELECT repeat('x',1000000) FROM generate_series(1,1000)), 1)",
    ] {
        bomb(Dialect::Postgres, sql);
    }
    bomb(Dialect::Sqlite, "SELECT group_concat(printf('%1000000d',1)) FROM t");
    for sql in [
        "SELECT string_agg(name, ', ' ORDER BY name), array_agg(id), jsonb_agg(t) FROM t",
        "SELECT jsonb_agg(jsonb_build_object('id', id, 'lines', (SELECT jsonb_agg(jsonb_build_object('day', day, 'total', total)) FROM orders))) FROM t",
        "SELECT string_agg(lpad(id::text, 8, '0'), ' ') FROM t",
        "SELECT ARRAY(SELECT name FROM t)",
        "SELECT string_agg(replace(name, ',', ';'), ',') FROM t",
    ] {
        harmless(Dialect::Postgres, sql);
    }
}

#[test]
fn a_recursive_query_may_add_and_not_multiply() {
    for sql in [
        "WITH RECURSIVE n(s) AS (SELECT 'x' UNION ALL SELECT s || s FROM n WHERE length(s) < 500000000) SELECT max(length(s)) FROM n",
        "WITH RECURSIVE n AS (SELECT 'x' AS s UNION ALL SELECT concat(n.s, n.s) FROM n) SELECT s FROM n",
        "WITH RECURSIVE n AS (SELECT 'x' AS s UNION ALL SELECT replace(m.s, 'x', 'xx') FROM n AS m) SELECT s FROM n",
        "WITH RECURSIVE n AS (SELECT 'x' AS s UNION ALL SELECT format('%s%s', s, s) FROM n) SELECT s FROM n",
        "WITH RECURSIVE n(a, b) AS (SELECT 'x', 'y' UNION ALL SELECT a || b, a FROM n) SELECT a FROM n",
        "SELECT * FROM (WITH RECURSIVE n(s) AS (SELECT ARRAY[1] UNION ALL SELECT s || s FROM n) SELECT s FROM n) q",
    ] {
        bomb(Dialect::Postgres, sql);
    }
    for sql in [
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT * FROM n",
        "WITH RECURSIVE t AS (SELECT id, name, name AS path FROM c WHERE parent IS NULL \
         UNION ALL SELECT c.id, c.name, t.path || ' > ' || c.name FROM c JOIN t ON c.parent = t.id) SELECT path FROM t",
        "WITH RECURSIVE t AS (SELECT id, ARRAY[id] AS seen FROM c UNION ALL SELECT c.id, t.seen || c.id FROM c JOIN t ON c.parent = t.id) SELECT * FROM t",
        "WITH RECURSIVE t AS (SELECT id, id::text AS path FROM c UNION ALL SELECT c.id, concat(t.path, '/', t.id) FROM c JOIN t ON c.parent = t.id) SELECT * FROM t",
        "WITH RECURSIVE t AS (SELECT id, 1 AS depth FROM c UNION SELECT c.id, depth + 1 FROM c, t WHERE c.parent = t.id) SELECT * FROM t",
    ] {
        harmless(Dialect::Postgres, sql);
    }
}

#[test]
fn texts_that_are_made_one_after_the_other_are_added() {
    let made = ["repeat('x', 1000)"; 150].join("||");
    bomb(Dialect::Postgres, &format!("SELECT replace({made}, 'x', 'yyyyyyyy')"));
    harmless(Dialect::Postgres, &format!("SELECT replace({made}, 'x', 'y')"));
}
