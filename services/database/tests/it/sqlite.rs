//! The embedded database, tool by tool.

use serde_json::json;
use weft_database::{Rights, Settings};
use weft_kit::{Completing, CompletionOf};

use crate::desk::{Desk, ok, refused, sqlite};

#[tokio::test]
async fn a_query_gives_typed_rows_and_pages_follow_each_other() {
    let desk = Desk::sqlite().await;
    let first = json!({"sql": "SELECT id, name, city, rating FROM customers ORDER BY id", "limit": 2});
    let page = ok(desk.call("query", first.clone()).await);
    assert_eq!(page.data()["columns"][0], json!({"name": "id", "type": "integer"}));
    assert_eq!(page.data()["rows"], json!([[1, "Ada", "London", 4.5], [2, "Bob", null, 3.0]]));
    let mut next = first;
    next["cursor"] = page.structured["page"]["cursor"].clone();
    let page = ok(desk.call("query", next).await);
    assert_eq!(page.data()["rows"], json!([[3, "Cyd", "Paris", null]]));
    assert_eq!(page.structured["page"]["has_more"], false);
    let bound = ok(desk
        .call(
            "query",
            json!({"sql": "SELECT name FROM customers WHERE id = ? AND name <> ?", "params": [1, "x' OR 1=1"]}),
        )
        .await);
    assert_eq!(bound.data()["rows"], json!([["Ada"]]));
    refused(&desk.call("query", json!({"sql": "SELECT ?", "params": []})).await, &["invalid_arguments"]);
    assert_eq!(
        desk.rows("SELECT 9007199254740993, x'00ff', 'ä', 1.5").await,
        json!([["9007199254740993", "AP8=", "ä", 1.5]])
    );
}

#[tokio::test]
async fn the_schema_can_be_found_and_described() {
    let desk = Desk::sqlite().await;
    let found = ok(desk.call("search_objects", json!({"pattern": "order"})).await);
    let names: Vec<_> = found.data().as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["orders", "big_orders"]);
    let columns = ok(desk.call("search_objects", json!({"pattern": "cust", "kind": "column"})).await);
    assert_eq!(columns.data()[0]["table"], "big_orders");
    let described = ok(desk.call("describe_object", json!({"name": "orders", "sample": 1})).await);
    let data = described.data();
    assert_eq!((&data["rows"], &data["columns"][0]["key"]), (&json!(3), &json!(1)));
    assert_eq!(data["references"][0]["to"], "customers");
    assert_eq!(data["references"][0]["on_delete"], "cascade");
    assert_eq!(data["indexes"][0]["columns"], json!(["customer"]));
    assert_eq!(data["sample"]["rows"].as_array().unwrap().len(), 1);
    let graph = ok(desk.call("list_relations", json!({})).await);
    assert_eq!(graph.data()["tables"], json!(["customers", "orders"]));
    refused(&desk.call("describe_object", json!({"name": "x'; DROP TABLE orders; --"})).await, &["not_found"]);
}

#[tokio::test]
async fn a_plan_shows_the_index_and_hints_at_a_missing_one() {
    let desk = Desk::sqlite().await;
    let with = ok(desk.call("explain", json!({"sql": "SELECT * FROM orders WHERE customer = ?", "params": [1]})).await);
    assert_eq!(with.data()["plan"]["steps"][0]["index"], "orders_by_customer");
    let without =
        ok(desk.call("explain", json!({"sql": "SELECT * FROM orders WHERE total = 1", "analyze": true})).await);
    assert!(!without.data()["hints"].as_array().unwrap().is_empty() && without.data()["execution_ms"].is_number());
    let tried =
        json!({"sql": "SELECT * FROM orders WHERE total = 1", "indexes": ["CREATE INDEX try ON orders (total)"]});
    let tried = ok(desk.call("explain", tried).await);
    assert_eq!(tried.data()["plan"]["steps"][0]["index"], "try");
    assert_eq!(desk.rows("SELECT count(*) FROM sqlite_schema WHERE name = 'try'").await, json!([[0]]), "only tried");
    refused(&desk.call("explain", json!({"sql": "DELETE FROM orders", "analyze": true})).await, &["refused"]);
}

#[tokio::test]
async fn rows_change_as_approved_or_not_at_all() {
    let desk = Desk::sqlite().await;
    let added =
        json!({"sql": "INSERT INTO customers (id, name) VALUES (?, ?) RETURNING id, name", "params": [4, "Dee"]});
    let added = ok(desk.call("execute", added).await);
    assert_eq!(added.data()["result"]["statements"][0]["returned"]["rows"], json!([[4, "Dee"]]));
    let narrow = ok(desk.call("execute", json!({"sql": "UPDATE customers SET city = 'Rome' WHERE id = 4"})).await);
    assert_eq!(narrow.data()["result"]["affected"], 1);
    // Without a condition it is only shown.
    let all = json!({"sql": "DELETE FROM orders"});
    let shown = ok(desk.call("execute", all.clone()).await);
    assert_eq!(shown.data()["applied"], false);
    assert_eq!(shown.data()["plan"]["effects"]["affected"], 3);
    assert_eq!(shown.data()["plan"]["effects"]["statements"][0]["every_row"], true);
    assert_eq!(desk.rows("SELECT count(*) FROM orders").await, json!([[3]]));
    let mut approved = all.clone();
    approved["plan_id"] = shown.data()["plan"]["plan_id"].clone();
    // Something else happened meanwhile: the plan is stale.
    ok(desk.call("execute", json!({"sql": "INSERT INTO orders VALUES (9, 1, '2026-02-01', 1.0)"})).await);
    refused(&desk.call("execute", approved).await, &["stale_plan"]);
    assert_eq!(desk.rows("SELECT count(*) FROM orders").await, json!([[4]]));
    let shown = ok(desk.call("execute", all.clone()).await);
    let mut approved = all;
    approved["plan_id"] = shown.data()["plan"]["plan_id"].clone();
    assert_eq!(ok(desk.call("execute", approved).await).data()["result"]["affected"], 4);
    assert_eq!(desk.rows("SELECT count(*) FROM orders").await, json!([[0]]));
}

#[tokio::test]
async fn several_statements_are_one_or_none() {
    let desk = Desk::sqlite().await;
    let fails = json!({"statements": [
        {"sql": "INSERT INTO customers (id, name) VALUES (10, 'Eve')"},
        {"sql": "INSERT INTO customers (id, name) VALUES (1, 'again')"}]});
    let called = desk.call("transaction", fails).await;
    refused(&called, &["conflict"]);
    assert!(called.structured["error"]["hint"].as_str().unwrap().contains("statement 2 of 2"), "{}", called.structured);
    assert_eq!(desk.rows("SELECT count(*) FROM customers").await, json!([[3]]));
    let works = json!({"statements": [
        {"sql": "INSERT INTO customers (id, name) VALUES (10, 'Eve')"},
        {"sql": "INSERT INTO orders VALUES (10, 10, '2026-03-01', 5)"},
        {"sql": "SELECT count(*) AS n FROM orders"}]});
    let done = ok(desk.call("transaction", works).await);
    assert_eq!(done.data()["result"]["statements"][2]["returned"]["rows"], json!([[4]]));
}

#[tokio::test]
async fn many_rows_go_in_and_out() {
    let desk = Desk::sqlite().await;
    let rows: String = (100..2_100).map(|id| format!("{id},\"Name, {id}\",\n")).collect();
    let given = json!({"table": "customers", "data": format!("id,name,city\n{rows}")});
    let mut tried = given.clone();
    tried["dry_run"] = json!(true);
    assert_eq!(ok(desk.call("import_rows", tried).await).data()["added"], 2000);
    assert_eq!(desk.rows("SELECT count(*) FROM customers").await, json!([[3]]));
    assert_eq!(ok(desk.call("import_rows", given.clone()).await).data()["added"], 2000);
    refused(&desk.call("import_rows", given.clone()).await, &["conflict"]);
    let mut again = given;
    again["skip_conflicts"] = json!(true);
    assert_eq!(ok(desk.call("import_rows", again).await).data()["added"], 0);
    let lines = json!({"table": "orders", "format": "jsonl", "data": "{\"id\":50,\"customer\":1}\n\n{\"id\":51,\"customer\":2,\"total\":7.5}"});
    assert_eq!(ok(desk.call("import_rows", lines).await).data()["added"], 2);
    let mut content = String::new();
    let mut ask = json!({"sql": "SELECT id, name, printf('%.200c', 'x') AS pad FROM customers ORDER BY id"});
    loop {
        let part = ok(desk.call("export_rows", ask.clone()).await);
        content.push_str(part.data()["content"].as_str().unwrap());
        match part.structured["page"]["cursor"].as_str() {
            Some(cursor) => ask["cursor"] = json!(cursor),
            None => break,
        }
    }
    let mut reader = csv::Reader::from_reader(content.as_bytes());
    assert_eq!(reader.headers().unwrap(), vec!["id", "name", "pad"]);
    assert_eq!(reader.records().filter(|row| row.as_ref().unwrap().len() == 3).count(), 2003);
}

#[tokio::test]
async fn migrations_are_applied_once_and_undone_in_order() {
    let desk = Desk::sqlite().await;
    let tags = json!({"name": "tags", "up": "CREATE TABLE tags (id integer PRIMARY KEY, word text); CREATE INDEX tags_word ON tags (word)", "down": "DROP TABLE tags"});
    assert_eq!(ok(desk.call("migrate", tags.clone()).await).data()["result"]["statements"], 2);
    assert_eq!(ok(desk.call("migrate", tags.clone()).await).data()["result"]["already"], true);
    let mut other = tags;
    other["up"] = json!("CREATE TABLE tags2 (id integer)");
    refused(&desk.call("migrate", other).await, &["conflict"]);
    // Whole tables are not rewritten without being shown first, whatever the script is called.
    let rewrite = json!({"name": "rewrite", "up": "UPDATE customers SET city = 'x'"});
    assert_eq!(ok(desk.call("migrate", rewrite).await).data()["applied"], false);
    let upsert = json!({"sql": "INSERT INTO customers (id, name) SELECT id, 'x' FROM customers WHERE true ON CONFLICT (id) DO UPDATE SET name = 'x'"});
    assert_eq!(ok(desk.call("execute", upsert).await).data()["applied"], true, "three rows are few");
    let broken = json!({"name": "broken", "up": "CREATE TABLE half (id integer); CREATE TABLE tags (id integer)"});
    assert!(desk.call("migrate", broken).await.is_error);
    refused(&desk.call("describe_object", json!({"name": "half"})).await, &["not_found"]);
    refused(&desk.call("rollback_migration", json!({"name": "shop"})).await, &["conflict"]);
    let shown = ok(desk.call("rollback_migration", json!({"name": "tags"})).await);
    let approved = json!({"name": "tags", "plan_id": shown.data()["plan"]["plan_id"]});
    ok(desk.call("rollback_migration", approved).await);
    let left = ok(desk.call("list_migrations", json!({})).await);
    assert_eq!(left.data().as_array().unwrap().len(), 1);
    for up in
        ["CREATE VIRTUAL TABLE x USING csv(filename='/etc/passwd')", "ATTACH 'x' AS y", "PRAGMA writable_schema=1"]
    {
        assert!(desk.call("migrate", json!({"name": "evil", "up": up})).await.is_error, "{up}");
    }
}

#[tokio::test]
async fn a_profile_counts_what_is_missing_different_and_frequent() {
    let desk = Desk::sqlite().await;
    let profile = ok(desk.call("profile_table", json!({"table": "customers"})).await);
    let columns = profile.data()["columns"].as_array().unwrap();
    assert_eq!(
        (&profile.data()["rows"], &columns[2]["nulls"], &columns[2]["distinct"]),
        (&json!(3), &json!(1), &json!(2))
    );
    assert_eq!((&columns[0]["min"], &columns[0]["max"]), (&json!(1), &json!(3)));
    let bars = columns[0]["histogram"].as_array().unwrap();
    assert_eq!(bars.iter().map(|bar| bar["count"].as_u64().unwrap()).sum::<u64>(), 3);
    let health = ok(desk.call("check_health", json!({})).await);
    assert!(health.data().as_array().unwrap().iter().all(|one| one["status"] == "ok"), "{}", health.data());
}

#[tokio::test]
async fn what_a_connection_allows_is_what_happens() {
    let desk = Desk::sqlite().await;
    let path = desk.folder.path().join("main.db");
    let mut other = sqlite(&desk.folder.path().join("other.db"), Rights::Migrate);
    other.name = "other".to_owned();
    let reader = Desk::of(Settings { sqlite: vec![sqlite(&path, Rights::ReadOnly), other], ..Settings::default() });
    assert_eq!(reader.rows("SELECT count(*) FROM customers").await, json!([[3]]));
    for (tool, args) in [
        ("execute", json!({"sql": "DELETE FROM orders WHERE id = 1"})),
        ("migrate", json!({"name": "x", "up": "CREATE TABLE x (a)"})),
        ("import_rows", json!({"table": "orders", "data": "id\n1"})),
    ] {
        refused(&reader.call(tool, args).await, &["refused"]);
    }
    let mut narrow = sqlite(&path, Rights::ReadWrite);
    narrow.tables = vec!["cust*".to_owned()];
    let narrow = Desk::of(Settings { sqlite: vec![narrow], ..Settings::default() });
    assert_eq!(narrow.rows("SELECT count(*) FROM customers").await, json!([[3]]));
    for sql in [
        "SELECT * FROM orders",
        "SELECT * FROM big_orders",
        "SELECT sql FROM sqlite_schema",
        "SELECT (SELECT total FROM orders LIMIT 1)",
    ] {
        refused(&narrow.call("query", json!({ "sql": sql })).await, &["refused"]);
    }
    refused(&narrow.call("execute", json!({"sql": "DELETE FROM orders WHERE id = 1"})).await, &["refused"]);
    refused(&narrow.call("describe_object", json!({"name": "orders"})).await, &["not_found"]);
    let mut tenant = sqlite(&path, Rights::ReadOnly);
    tenant.access.tenants = vec!["team-*".to_owned()];
    let tenant = Desk::of(Settings { sqlite: vec![tenant], ..Settings::default() });
    refused(&tenant.call("query", json!({"sql": "SELECT 1"})).await, &["not_found"]);
    assert_eq!(ok(tenant.direct.call("list_connections", json!({})).await).data(), &json!([]));
}

#[tokio::test]
async fn tables_are_resources_with_completion() {
    let desk = Desk::sqlite().await;
    let listed = desk.direct.resources(None).await.unwrap();
    assert_eq!(listed.items[0].uri, "sqlite://main");
    let weft_kit::Body::Text(text) = &desk.direct.read("sqlite://main/orders").await.unwrap()[0].body else {
        panic!("no text")
    };
    assert!(text.contains("\"references\""), "{text}");
    let completing = |argument: &str, value: &str| Completing {
        of: CompletionOf::Template("sqlite://{connection}/{+table}".to_owned()),
        argument: argument.to_owned(),
        value: value.to_owned(),
        settled: [("connection".to_owned(), "main".to_owned())].into(),
    };
    assert_eq!(desk.direct.complete(completing("connection", "m")).await.unwrap(), ["main"]);
    assert_eq!(desk.direct.complete(completing("table", "ord")).await.unwrap(), ["orders"]);
    assert!(desk.direct.read("postgres://main").await.is_err());
}
