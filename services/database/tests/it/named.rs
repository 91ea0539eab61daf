//! Queries that the operator has prepared, on both engines, where no SQL of a caller is run.

use serde_json::{Value, json};
use weft_database::{NamedQuery, Rights, Settings, service};

use crate::desk::{Desk, ok, refused, sqlite};

fn queries(postgres: bool) -> Vec<NamedQuery> {
    let sql = |text: &str| if postgres { text.replacen('?', "$1", 1).replacen('?', "$2", 1) } else { text.to_owned() };
    let ids = if postgres { "id = ANY($1)" } else { "id IN (SELECT value FROM json_each(?))" };
    let wire = json!([
        {"name": "orders_of", "description": "The orders of one customer, from a total on.",
         "sql": sql("SELECT id, total FROM orders WHERE customer = ? AND total >= ? ORDER BY id"),
         "parameters": [{"name": "customer", "type": "integer", "minimum": 1}, {"name": "from", "type": "number", "default": 0}]},
        {"name": "customers", "description": "Some customers.", "sql": format!("SELECT name FROM customers WHERE {ids} ORDER BY id"),
         "parameters": [{"name": "ids", "type": "integer", "list": true}]},
        {"name": "move", "description": "A customer moves.", "writes": true,
         "sql": sql("UPDATE customers SET city = ? WHERE name = ?"),
         "parameters": [{"name": "city", "type": "string", "max_length": 20}, {"name": "name", "type": "string"}]},
        {"name": "forget", "description": "All orders go.", "writes": true, "sql": "DELETE FROM orders"}]);
    serde_json::from_value(wire).unwrap()
}

fn only_named() -> Vec<String> {
    ["list_named", "run_named", "change_named"].map(str::to_owned).to_vec()
}

async fn serves_names_alone(desk: &Desk) {
    let listed = ok(desk.call("list_named", json!({})).await);
    let names: Vec<&str> = listed.data().as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["customers", "forget", "move", "orders_of"]);
    assert_eq!(listed.data()[3]["arguments"]["required"], json!(["customer"]));
    let run = |name: &str, arguments: Value| json!({"name": name, "arguments": arguments});
    let first =
        ok(desk.call("run_named", json!({"name": "orders_of", "arguments": {"customer": 1}, "limit": 1})).await);
    assert_eq!(first.data()["rows"], json!([[1, 20.5]]));
    let cursor = &first.structured["page"]["cursor"];
    let rest = json!({"name": "orders_of", "arguments": {"customer": 1}, "limit": 1, "cursor": cursor});
    assert_eq!(ok(desk.call("run_named", rest).await).data()["rows"], json!([[2, 120.0]]));
    let large = ok(desk.call("run_named", run("orders_of", json!({"customer": 1, "from": 100}))).await);
    assert_eq!(large.data()["rows"], json!([[2, 120.0]]));
    let some = ok(desk.call("run_named", run("customers", json!({"ids": [3, 1]}))).await);
    assert_eq!(some.data()["rows"], json!([["Ada"], ["Cyd"]]));
    for wrong in
        [json!({}), json!({"customer": "1 OR 1=1"}), json!({"customer": 0}), json!({"customer": 1, "sql": "x"})]
    {
        refused(&desk.call("run_named", run("orders_of", wrong)).await, &["invalid_arguments"]);
    }
    refused(&desk.call("run_named", run("absent", json!({}))).await, &["not_found"]);
    refused(&desk.call("run_named", run("forget", json!({}))).await, &["invalid_arguments"]);
    refused(&desk.call("change_named", run("customers", json!({"ids": [1]}))).await, &["invalid_arguments"]);
    let moved = ok(desk.call("change_named", run("move", json!({"city": "Rom'; --", "name": "Ada"}))).await);
    assert_eq!(moved.data()["result"]["affected"], 1);
    let shown = ok(desk.call("change_named", run("forget", json!({}))).await);
    assert_eq!((&shown.data()["applied"], &shown.data()["plan"]["effects"]["affected"]), (&json!(false), &json!(3)));
    let approved = json!({"name": "forget", "arguments": {}, "plan_id": shown.data()["plan"]["plan_id"]});
    assert_eq!(ok(desk.call("change_named", approved).await).data()["result"]["affected"], 3);
    refused(&desk.call("query", json!({"sql": "SELECT 1"})).await, &["refused"]);
    refused(&desk.call("execute", json!({"sql": "DELETE FROM customers"})).await, &["refused"]);
}

#[tokio::test]
async fn named_queries_run_where_no_other_sql_does() {
    let desk = Desk::sqlite().await;
    let mut own = sqlite(&desk.folder.path().join("main.db"), Rights::ReadWrite);
    (own.access.tools, own.queries) = (only_named(), queries(false));
    serves_names_alone(&Desk::of(Settings { sqlite: vec![own], ..Settings::default() })).await;
    assert_eq!(desk.rows("SELECT city FROM customers WHERE id = 1").await, json!([["Rom'; --"]]));
}

#[tokio::test]
async fn named_queries_run_where_no_other_sql_does_in_postgres() {
    let Some(desk) = Desk::postgres().await else { return };
    let named = desk.again(|own| (own.access.tools, own.queries) = (only_named(), queries(true)));
    serves_names_alone(&named).await;
    assert_eq!(desk.rows("SELECT city FROM customers WHERE id = 1").await, json!([["Rom'; --"]]));
}

#[tokio::test]
async fn a_server_with_a_query_that_cannot_work_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let start = |queries: Vec<NamedQuery>, rights: Rights| {
        let mut own = sqlite(&folder.path().join("x.db"), rights);
        own.queries = queries;
        service(Settings { sqlite: vec![own], ..Settings::default() }, folder.path())
            .err()
            .map(|error| format!("{error:#}"))
    };
    assert_eq!(start(queries(false), Rights::ReadWrite), None);
    let refused = start(queries(false), Rights::ReadOnly).unwrap();
    assert!(refused.contains("\"move\" writes, but the connection \"main\" only reads"), "{refused}");
    let twice = [queries(false), queries(false)].concat();
    assert!(start(twice, Rights::ReadWrite).unwrap().contains("two queries"));
    let mut wrong = queries(false);
    wrong[0].sql = "SELECT pg_sleep(?)".to_owned();
    assert!(start(wrong, Rights::ReadWrite).unwrap().contains("has 1 parameters, but 2 are described"));
}

#[tokio::test]
async fn without_named_queries_no_tool_for_them_is_offered() {
    let desk = Desk::sqlite().await;
    assert!(desk.call("list_named", json!({})).await.is_error);
}
