//! PostgreSQL, tool by tool, and what only it has.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio_util::sync::CancellationToken;
use weft_database::{Rights, Settings};

use crate::desk::{Admin, Desk, SHOP, fresh, ok, postgres, refused};

#[tokio::test]
async fn every_type_arrives_without_loss() {
    let Some(desk) = Desk::postgres().await else { return };
    let sql = "SELECT true, 1::int2, 9007199254740993::int8, 12345678901234567890.123456789::numeric, 1.5::float8, 'NaN'::float8, 'ä'::text, \
        '\\x00ff'::bytea, '2026-01-02'::date, '2026-01-02 03:04:05+00'::timestamptz, interval '1 day 2 hours', \
        '6f9619ff-8b86-d011-b42d-00c04fc964ff'::uuid, '{\"a\": [1, null]}'::jsonb, ARRAY[1,2,NULL], ARRAY[1.10, 2]::numeric[], \
        ARRAY[9007199254740993], '[1,5)'::int4range, '10.0.0.1/8'::inet, ROW(1, 'x'), NULL::int, 'a'::char(3), B'101'";
    let rows = desk.rows(sql).await;
    let expected = json!([[true, 1, "9007199254740993", "12345678901234567890.123456789", 1.5, "NaN", "ä", "AP8=", "2026-01-02",
        "2026-01-02 03:04:05+00", "P1DT2H", "6f9619ff-8b86-d011-b42d-00c04fc964ff", {"a": [1, null]}, [1, 2, null], ["1.10", "2"],
        [1], "[1,5)", "10.0.0.1/8", {"f1": 1, "f2": "x"}, null, "a", "101"]]);
    for (place, value) in expected[0].as_array().unwrap().iter().enumerate() {
        // Whole numbers of 32 bits are the usual elements of an array; a longer one makes it bigint[], and text.
        let value = if place == 15 { &json!(["9007199254740993"]) } else { value };
        assert_eq!(&rows[0][place], value, "column {place}");
    }
}

#[tokio::test]
async fn numbers_inside_of_json_are_exact_too() {
    let Some(desk) = Desk::postgres().await else { return };
    let sql = "SELECT '{\"n\": 12345678901234567890.123456789, \"m\": [1.5, 9007199254740992]}'::jsonb, to_jsonb(9007199254740993), \
        '[1e400]'::json, ROW(9007199254740993, 0.1::numeric), ARRAY[1e300, 0.5]::float8[], to_jsonb(0.30000000000000004::float8)";
    let expected = json!([[{"n": "12345678901234567890.123456789", "m": [1.5, 9_007_199_254_740_992_i64]}, "9007199254740993",
        ["1e400"], {"f1": "9007199254740993", "f2": 0.1}, [1e300, 0.5], 0.300_000_000_000_000_04]]);
    assert_eq!(desk.rows(sql).await, expected);
}

#[tokio::test]
async fn parameters_take_the_type_that_the_statement_wants() {
    let Some(desk) = Desk::postgres().await else { return };
    let sql = "SELECT $1 + 1, $2::date + 1, name FROM customers WHERE id = ANY($3) AND name LIKE $4 AND ($5::jsonb)->>'a' = 'b' ORDER BY id LIMIT $6";
    let params = json!([41, "2026-01-31", [1, 2], "A%", {"a": "b"}, 5]);
    let called = ok(desk.call("query", json!({"sql": sql, "params": params})).await);
    assert_eq!(called.data()["rows"], json!([[42, "2026-02-01", "Ada"]]));
    let quoted = json!({"sql": "SELECT unnest($1::text[])", "params": [["a\"b", "c\\d", "e,f", null, ""]]});
    assert_eq!(ok(desk.call("query", quoted).await).data()["rows"], json!([["a\"b"], ["c\\d"], ["e,f"], [null], [""]]));
    refused(&desk.call("query", json!({"sql": "SELECT $1::int", "params": ["x"]})).await, &["invalid_arguments"]);
    refused(&desk.call("query", json!({"sql": "SELECT $1::int", "params": []})).await, &["invalid_arguments"]);
    assert_eq!(
        ok(desk
            .call("query", json!({"sql": "SELECT $1::text, $2::int", "params": ["'; DROP TABLE orders; --", null]}))
            .await)
        .data()["rows"],
        json!([["'; DROP TABLE orders; --", null]])
    );
}

#[tokio::test]
async fn parameters_of_types_with_a_length_keep_all_of_their_value() {
    let Some(desk) = Desk::postgres().await else { return };
    let up =
        "CREATE TABLE codes (id integer, c char(3), b bit(4), v varchar(5), t timestamp(3), cs char(3)[], bs bit(4)[])";
    ok(desk.call("migrate", json!({"name": "codes", "up": up})).await);
    let day = "2026-01-02 03:04:05.123";
    let insert = json!({"sql": "INSERT INTO codes VALUES ($1, $2, $3, $4, $5, $6, $7)",
        "params": [1, "abc", "1010", "abcde", day, ["abc", "d,e"], ["1010", "0101"]]});
    ok(desk.call("execute", insert).await);
    let imported = json!({"table": "codes", "data": "id,c,b,v\n2,xyz,0110,vwxyz\n"});
    ok(desk.call("import_rows", imported).await);
    let rows = desk.rows("SELECT c, b, v, t, cs, bs FROM codes ORDER BY id").await;
    let first = json!(["abc", "1010", "abcde", day, ["abc", "d,e"], ["1010", "0101"]]);
    assert_eq!(rows, json!([first, ["xyz", "0110", "vwxyz", null, null, null]]));
    for (condition, value) in [
        ("c = $1", json!("abc")),
        ("b = $1", json!("1010")),
        ("c = ANY($1)", json!(["abc", "zzz"])),
        ("cs = $1", json!(["abc", "d,e"])),
        ("bs = $1", json!(["1010", "0101"])),
    ] {
        let found = json!({"sql": format!("SELECT id FROM codes WHERE {condition}"), "params": [value]});
        assert_eq!(ok(desk.call("query", found).await).data()["rows"], json!([[1]]), "{condition}");
    }
    let long = json!({"sql": "INSERT INTO codes (id, c) VALUES (3, $1)", "params": ["abcd"]});
    refused(&desk.call("execute", long).await, &["invalid_arguments"]);
}

/// Waits until so many statements of `given_up` run for longer than that.
async fn running(admin: &Admin, count: &str, longer: &str) {
    let active = format!(
        "SELECT count(*)::text FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%given_up%' AND pid <> pg_backend_pid() \
         AND clock_timestamp() - query_start > interval '{longer}'"
    );
    let end = Instant::now() + Duration::from_secs(60);
    while admin.text(&active).await != count {
        assert!(Instant::now() < end, "there are never {count} statements");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_call_that_is_given_up_ends_in_the_server() {
    let Some(desk) = Desk::postgres().await else { return };
    let token = CancellationToken::new();
    let caller = desk.direct.until(token.clone());
    let sql = "SELECT count(*) FROM generate_series(1, 1000000000) AS given_up";
    let asked = tokio::spawn(async move { caller.call("query", json!({"connection": "main", "sql": sql})).await });
    let admin = Admin::of(&weft_testkit::postgres().unwrap().url("postgres")).await;
    // Not while it is only read and planned, which is over at once.
    running(&admin, "1", "200 milliseconds").await;
    token.cancel();
    refused(&asked.await.unwrap(), &["cancelled"]);
    running(&admin, "0", "0 milliseconds").await;
    assert_eq!(desk.rows("SELECT 1").await, json!([[1]]), "the connection is usable");
}

#[tokio::test]
async fn a_table_is_described_and_found_with_its_schema() {
    let Some(desk) = Desk::postgres().await else { return };
    let up = "CREATE SCHEMA sales; CREATE TYPE sales.mood AS ENUM ('sad', 'happy'); \
        CREATE TABLE sales.leads (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, who integer REFERENCES customers (id), mood sales.mood DEFAULT 'sad', \
        value numeric(10,2) CHECK (value > 0), notes jsonb); COMMENT ON TABLE sales.leads IS 'People who may buy'; CREATE INDEX leads_who ON sales.leads (who)";
    ok(desk.call("migrate", json!({"name": "sales", "up": up})).await);
    let found = ok(desk.call("search_objects", json!({"pattern": "lead"})).await);
    assert_eq!(found.data()[0]["schema"], "sales");
    let described = ok(desk.call("describe_object", json!({"name": "sales.leads"})).await);
    let data = described.data();
    assert_eq!((&data["comment"], &data["columns"][2]["type"]), (&json!("People who may buy"), &json!("sales.mood")));
    assert_eq!(data["references"][0]["to"], "public.customers");
    assert!(data["ddl"].as_str().unwrap().contains("PRIMARY KEY (id)"), "{}", data["ddl"]);
    let customers = ok(desk.call("describe_object", json!({"name": "customers"})).await);
    assert_eq!(customers.data()["referenced_by"].as_array().unwrap().len(), 2);
    for kind in ["schema", "view", "column", "index", "function"] {
        ok(desk.call("search_objects", json!({"kind": kind})).await);
    }
    ok(desk.call("execute", json!({"sql": "INSERT INTO sales.leads (who, mood, value, notes) VALUES ($1, $2, $3, $4)", "params": [1, "happy", "12.50", {"a": 1}]})).await);
    assert_eq!(desk.rows("SELECT mood, value, notes FROM sales.leads").await, json!([["happy", "12.50", {"a": 1}]]));
}

#[tokio::test]
async fn plans_health_and_profiles_come_from_the_server() {
    let Some(desk) = Desk::postgres().await else { return };
    let plan = ok(desk
        .call("explain", json!({"sql": "SELECT * FROM orders WHERE customer = $1", "params": [1], "analyze": true}))
        .await);
    assert!(
        plan.data()["plan"]["actual_rows"].is_number() && plan.data()["execution_ms"].is_number(),
        "{}",
        plan.data()
    );
    let write = ok(desk.call("explain", json!({"sql": "DELETE FROM orders WHERE id = 1"})).await);
    assert_eq!(write.data()["plan"]["operation"], "ModifyTable");
    let tried = desk
        .call("explain", json!({"sql": "SELECT 1 FROM orders", "indexes": ["CREATE INDEX ON orders (total)"]}))
        .await;
    refused(&tried, &["unsupported"]);
    let health = ok(desk.call("check_health", json!({})).await);
    assert!(health.data().as_array().unwrap().iter().all(|one| one["status"] != "unknown"), "{}", health.data());
    refused(&desk.call("top_queries", json!({})).await, &["unsupported"]);
    let profile = ok(desk.call("profile_table", json!({"table": "customers"})).await);
    assert_eq!(profile.data()["columns"][3]["nulls"], 1);
}

#[tokio::test]
async fn writes_are_tried_shown_and_made_in_one_transaction() {
    let Some(desk) = Desk::postgres().await else { return };
    let returning =
        json!({"sql": "UPDATE customers SET rating = rating + 1 WHERE rating IS NOT NULL RETURNING id, rating"});
    let done = ok(desk.call("execute", returning).await);
    assert_eq!(done.data()["result"]["affected"], 2);
    assert_eq!(done.data()["result"]["statements"][0]["returned"]["rows"].as_array().unwrap().len(), 2);
    let shown = ok(desk.call("execute", json!({"sql": "UPDATE customers SET city = 'x'"})).await);
    assert_eq!((&shown.data()["applied"], &shown.data()["plan"]["effects"]["affected"]), (&json!(false), &json!(3)));
    assert_eq!(desk.rows("SELECT count(*) FROM customers WHERE city = 'x'").await, json!([[0]]));
    let many = json!({"isolation": "serializable", "statements": [
        {"sql": "INSERT INTO customers (id, name) VALUES ($1, $2)", "params": [7, "Gus"]},
        {"sql": "INSERT INTO orders (id, customer, total) SELECT 100 + g, 7, g FROM generate_series(1, 5) g"}]});
    assert_eq!(ok(desk.call("transaction", many).await).data()["result"]["affected"], 6);
    let merge = "MERGE INTO customers c USING (VALUES (7, 'Gustav'), (8, 'Hal')) AS n(id, name) ON c.id = n.id \
        WHEN MATCHED THEN UPDATE SET name = n.name WHEN NOT MATCHED THEN INSERT (id, name) VALUES (n.id, n.name)";
    assert_eq!(ok(desk.call("execute", json!({ "sql": merge })).await).data()["result"]["affected"], 2);
    let rows: String = (200..1_700).map(|id| format!("{{\"id\":{id},\"name\":\"n{id}\",\"rating\":1.5}}\n")).collect();
    let imported = ok(desk.call("import_rows", json!({"table": "customers", "format": "jsonl", "data": rows})).await);
    assert_eq!(imported.data()["added"], 1500);
    let broken =
        desk.call("import_rows", json!({"table": "customers", "data": "id,name\n5000,a\n5001,b\nx,c\n"})).await;
    assert!(broken.is_error);
    assert_eq!(desk.rows("SELECT count(*) FROM customers WHERE id >= 5000").await, json!([[0]]), "all or none");
}

#[tokio::test]
async fn no_tool_runs_what_would_cost_too_much() {
    let Some(url) = fresh().await else { return };
    let mut settings = postgres(&url, Rights::Migrate);
    settings.max_cost = Some(1_000.0);
    let desk = Desk::of(Settings { postgres: vec![settings], ..Settings::default() });
    ok(desk.call("migrate", json!({"name": "shop", "up": SHOP})).await);
    let dear = "SELECT count(*) FROM customers a, customers b, customers c, customers d";
    refused(&desk.call("query", json!({"sql": dear})).await, &["refused"]);
    ok(desk.call("explain", json!({"sql": dear})).await);
    refused(&desk.call("explain", json!({"sql": dear, "analyze": true})).await, &["refused"]);
    let insert =
        "INSERT INTO orders (id, customer) SELECT 9, 1 FROM customers a, customers b, customers c, customers d";
    let deleted = format!("DELETE FROM orders WHERE id < ({dear}) RETURNING id");
    for statement in [dear, insert, deleted.as_str()] {
        let cheap = json!({"sql": "UPDATE customers SET city = 'Rome' WHERE id = $1", "params": [1]});
        let both = json!({"statements": [cheap, {"sql": statement}]});
        let called = desk.call("transaction", both).await;
        refused(&called, &["refused"]);
        assert!(called.text.contains("planner's estimate"), "{}", called.text);
    }
    let cheap =
        json!({"statements": [{"sql": "UPDATE customers SET city = 'Rome' WHERE id = 1"}, {"sql": "SELECT 1"}]});
    ok(desk.call("transaction", cheap).await);
}

#[tokio::test]
async fn what_references_and_triggers_change_is_counted_and_confirmed() {
    let Some(desk) = Desk::postgres().await else { return };
    let admin = desk.admin().await;
    admin
        .run(
            "CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (id int, p int REFERENCES parent ON DELETE CASCADE);\
             INSERT INTO parent VALUES (1), (2); INSERT INTO child SELECT g, 1 FROM generate_series(1, 5000) g; INSERT INTO child VALUES (0, 2);\
             CREATE TABLE journal (what text); CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN \
             INSERT INTO journal SELECT 'x' FROM generate_series(1, 3); RETURN NULL; END$$;\
             CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON parent DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note();\
             CREATE TRIGGER now AFTER INSERT ON parent FOR EACH ROW EXECUTE FUNCTION note(); \
             GRANT ALL ON parent, child, journal TO PUBLIC",
        )
        .await;
    let wide = json!({"sql": "DELETE FROM parent WHERE id = 1"});
    let shown = ok(desk.call("execute", wide.clone()).await);
    let effects = &shown.data()["plan"]["effects"];
    assert_eq!((&shown.data()["applied"], &effects["affected"]), (&json!(false), &json!(5001)), "{effects}");
    assert_eq!(effects["statements"][0]["cascaded"], 5000);
    assert_eq!(desk.rows("SELECT count(*) FROM child").await, json!([[5001]]));
    let mut approved = wide;
    approved["plan_id"] = shown.data()["plan"]["plan_id"].clone();
    assert_eq!(ok(desk.call("execute", approved).await).data()["result"]["affected"], 5001);
    let narrow = ok(desk.call("execute", json!({"sql": "DELETE FROM parent WHERE id = 2"})).await);
    assert_eq!(narrow.data()["result"]["affected"], 2);
    let imported = ok(desk.call("import_rows", json!({"table": "parent", "data": "id\n3\n4"})).await);
    assert_eq!(imported.data()["added"], 2, "not what triggers added");
    // A trigger that waits for the commit is counted as well.
    let late = ok(desk.call("execute", json!({"sql": "UPDATE parent SET id = 5 WHERE id = 3"})).await);
    let result = &late.data()["result"];
    assert_eq!((&result["affected"], &result["statements"][0]["cascaded"]), (&json!(4), &json!(3)));
    assert_eq!(desk.rows("SELECT count(*) FROM journal").await, json!([[9]]));
    let all = ok(desk.call("execute", json!({"sql": "DELETE FROM parent WHERE true"})).await);
    assert_eq!(all.data()["plan"]["effects"]["statements"][0]["every_row"], true);
}
