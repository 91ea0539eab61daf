//! The tools on a real server, where one is installed. Each test has labels of its own.

use serde_json::{Value, json};
use weft_kit::{Called, Direct, Rules};

use crate::Settings;

/// The service over one graph, with settings changed by `more`.
fn service(more: Value) -> Option<Direct> {
    Some(service_at(weft_testkit::bolt()?, more))
}

fn service_at(url: &str, more: Value) -> Direct {
    let mut settings = json!({"name": "movies", "url": url, "access": {"rights": "read_write"}});
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let neo4j = vec![serde_json::from_value(settings).unwrap()];
    let service = crate::service(Settings { neo4j, ..Settings::default() }, std::path::Path::new("/nowhere")).unwrap();
    Direct::new(service, Rules::default()).unwrap()
}

async fn call(direct: &Direct, tool: &str, mut arguments: Value) -> Called {
    arguments["connection"] = json!("movies");
    direct.call(tool, arguments).await
}

/// Writes: the plan, then the same again with it.
async fn write(direct: &Direct, cypher: &str) -> Called {
    let planned = call(direct, "graph_execute", json!({"cypher": cypher})).await;
    assert!(!planned.is_error, "{}", planned.text);
    let plan = planned.data()["plan"]["plan_id"].clone();
    call(direct, "graph_execute", json!({"cypher": cypher, "plan_id": plan})).await
}

/// Three people in a row, and one beside.
async fn people(direct: &Direct, label: &str) {
    write(direct, &format!("MATCH (n:{label}) DETACH DELETE n")).await;
    let cypher = format!(
        "CREATE (a:{label} {{name: 'a', born: 1970}})-[:{label}_KNOWS {{since: 1}}]->(b:{label} {{name: 'b', v: [0.1, 0.2]}})\
         -[:{label}_KNOWS]->(c:{label} {{name: 'c'}}), (d:{label} {{name: 'd'}})"
    );
    let done = write(direct, &cypher).await;
    assert_eq!(done.data()["result"]["changes"]["nodes_created"], 4, "{}", done.text);
}

fn at(label: &str, name: &str) -> Value {
    json!({"label": label, "property": "name", "value": name})
}

fn names(called: &Called) -> Vec<&str> {
    let nodes = called.data()["nodes"].as_array().unwrap();
    nodes.iter().map(|node| node["properties"]["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_query_gives_rows_and_each_node_once() {
    let Some(direct) = service(json!({})) else { return };
    people(&direct, "Asked").await;
    let cypher = "MATCH (a:Asked)-[r]->(b) WHERE a.name IN $names RETURN a, r, b.name AS name ORDER BY name;";
    let called = call(&direct, "graph_query", json!({"cypher": cypher, "params": {"names": ["a", "b"]}})).await;
    assert!(!called.is_error, "{}", called.text);
    assert_eq!(called.data()["columns"], json!(["a", "r", "name"]));
    assert_eq!(called.data()["rows"][1][2], "c");
    assert_eq!((names(&called), called.data()["relationships"].as_array().unwrap().len()), (vec!["a", "b"], 2));
}

#[tokio::test]
async fn a_row_more_than_the_limit_is_said_and_not_given() {
    let Some(direct) = service(json!({"max_rows": 20})) else { return };
    let cypher = "UNWIND range(1, 100) AS i RETURN i";
    let ten = call(&direct, "graph_query", json!({"cypher": cypher, "limit": 10})).await;
    assert_eq!(ten.data()["rows"].as_array().unwrap().len(), 10);
    assert_eq!(ten.structured["truncated"], json!({"reason": "rows", "limit": 10}));
    let most = call(&direct, "graph_query", json!({"cypher": cypher})).await;
    assert_eq!(most.data()["rows"].as_array().unwrap().len(), 20, "the connection allows no more");
    let all = call(&direct, "graph_query", json!({"cypher": "UNWIND range(1, 20) AS i RETURN i"})).await;
    assert_eq!(all.structured.get("truncated"), None);
}

#[tokio::test]
async fn the_server_too_refuses_to_write_in_a_query() {
    let Some(direct) = service(json!({})) else { return };
    // Past the first guard: the tokens. The plan and the access mode remain.
    let (text, none) = ("CREATE (n:Sneaked)", weft_bolt::Map::new());
    let settings = json!({"name": "movies", "url": weft_testkit::bolt().unwrap()});
    let graph = super::Graph::open("movies", &serde_json::from_value(settings).unwrap()).unwrap();
    let options = weft_bolt::Options::read();
    let mut transaction = graph.client.begin(&options).await.unwrap();
    let foreseen = graph.foresee(&mut transaction, text, &none, super::guard::May::Read).await.unwrap_err();
    assert_eq!(foreseen.code(), "refused");
    drop(transaction);
    let mut transaction = graph.client.begin(&options).await.unwrap();
    let refused = async { transaction.run(text, &none).await?.finish().await };
    assert!(refused.await.is_err(), "access mode read");
    drop(transaction);
    let found = call(&direct, "graph_query", json!({"cypher": "MATCH (n:Sneaked) RETURN n"})).await;
    assert_eq!(found.data()["rows"], json!([]));
}

#[tokio::test]
async fn the_attack_corpus_does_not_pass_the_tool() {
    let Some(direct) = service(json!({})) else { return };
    for cypher in [
        "CALL apoc.load.json('file:///etc/passwd')",
        "CALL /*x*/ apoc.load.json('x')",
        "LOAD CSV FROM 'http://169.254.169.254' AS l RETURN l",
        "CALL { CREATE () }",
        "FOREACH (x IN [1] | CREATE ())",
        "PROFILE MATCH (n) DELETE n",
        "USE other MATCH (n) RETURN n",
        "SHOW USERS",
        "RETURN 1; MATCH (n) DETACH DELETE n",
        "MATCH (n) SET n.x = 1",
    ] {
        let called = call(&direct, "graph_query", json!({"cypher": cypher})).await;
        assert!(["refused", "invalid_arguments"].contains(&called.code()), "{cypher}: {}", called.text);
    }
    let quoted = json!({"of": {"label": "X", "property": "x` = 1}) DETACH DELETE (n", "value": 1}});
    assert_eq!(call(&direct, "graph_neighbours", quoted).await.code(), "not_found");
}

#[tokio::test]
async fn a_plan_changes_nothing_and_its_application_what_it_said() {
    let Some(direct) = service(json!({})) else { return };
    people(&direct, "Planned").await;
    let cypher = "MATCH (n:Planned {name: 'a'}) DETACH DELETE n";
    let planned = call(&direct, "graph_execute", json!({"cypher": cypher})).await;
    assert_eq!(planned.data()["applied"], false, "{}", planned.text);
    let effects = &planned.data()["plan"]["effects"]["changes"];
    assert_eq!(*effects, json!({"nodes_deleted": 1, "relationships_deleted": 1}));
    let count = json!({"cypher": "MATCH (n:Planned) RETURN count(n) AS c"});
    assert_eq!(call(&direct, "graph_query", count.clone()).await.data()["rows"], json!([[4]]));
    let plan = planned.data()["plan"]["plan_id"].clone();
    let done = call(&direct, "graph_execute", json!({"cypher": cypher, "plan_id": plan})).await;
    assert_eq!(done.data()["result"]["changes"]["nodes_deleted"], 1, "{}", done.text);
    assert_eq!(call(&direct, "graph_query", count).await.data()["rows"], json!([[3]]));
}

#[tokio::test]
async fn a_plan_that_would_now_do_more_is_stale_and_does_nothing() {
    let Some(direct) = service(json!({})) else { return };
    people(&direct, "Stale").await;
    let cypher = "MATCH (n:Stale) DETACH DELETE n";
    let planned = call(&direct, "graph_execute", json!({"cypher": cypher})).await;
    write(&direct, "CREATE (n:Stale {name: 'e'})").await;
    let plan = planned.data()["plan"]["plan_id"].clone();
    let stale = call(&direct, "graph_execute", json!({"cypher": cypher, "plan_id": plan})).await;
    assert_eq!(stale.code(), "stale_plan", "{}", stale.text);
    let count = call(&direct, "graph_query", json!({"cypher": "MATCH (n:Stale) RETURN count(n) AS c"})).await;
    assert_eq!(count.data()["rows"], json!([[5]]));
}

#[tokio::test]
async fn the_schema_tells_labels_types_and_properties() {
    let Some(direct) = service(json!({})) else { return };
    people(&direct, "Told").await;
    let called = call(&direct, "graph_schema", json!({"label": "Told"})).await;
    assert!(!called.is_error, "{}", called.text);
    let label = &called.data()["labels"][0];
    assert_eq!((&label["label"], &label["count"]), (&json!("Told"), &json!(4)));
    assert!(
        label["properties"].as_array().unwrap().contains(&json!({"name": "born", "types": ["INTEGER"], "share": 25}))
    );
    let kind = &called.data()["relationship_types"][0];
    assert_eq!((&kind["type"], &kind["between"]), (&json!("Told_KNOWS"), &json!(["Told -> Told"])));
    let unknown = call(&direct, "graph_schema", json!({"label": "Nowhere"})).await;
    assert_eq!(unknown.code(), "not_found");
    let all = call(&direct, "graph_schema", json!({})).await;
    assert!(all.text.contains("(:Told {"), "{}", all.text);
}

#[tokio::test]
async fn the_shortest_path_is_found_or_said_not_to_be_there() {
    let Some(direct) = service(json!({})) else { return };
    people(&direct, "Walked").await;
    let ask = |to: &str, more: Value| {
        let mut arguments = json!({"from": at("Walked", "a"), "to": at("Walked", to)});
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        arguments
    };
    let found = call(&direct, "graph_path", ask("c", json!({}))).await;
    assert!(!found.is_error, "{}", found.text);
    assert_eq!(found.data()["rows"][0][0]["path"].as_array().unwrap().len(), 5);
    assert_eq!(names(&found), ["a", "b", "c"]);
    let typed = ask("c", json!({"types": ["Walked_KNOWS"], "direction": "out", "limit": 3}));
    assert_eq!(call(&direct, "graph_path", typed).await.data()["rows"].as_array().unwrap().len(), 1);
    for none in [ask("d", json!({})), ask("c", json!({"max_depth": 1})), ask("c", json!({"direction": "in"}))] {
        let called = call(&direct, "graph_path", none.clone()).await;
        assert_eq!(called.data()["rows"], json!([]), "{none}: {}", called.text);
        assert!(called.structured["warnings"][0].as_str().unwrap().starts_with("no path"), "{}", called.text);
    }
    assert_eq!(call(&direct, "graph_path", ask("nobody", json!({}))).await.code(), "not_found");
    assert_eq!(call(&direct, "graph_path", ask("a", json!({}))).await.code(), "invalid_arguments");
}

#[tokio::test]
async fn neighbours_are_given_nearest_first_and_by_id() {
    let Some(direct) = service(json!({})) else { return };
    people(&direct, "Near").await;
    let of = |of: Value, depth: usize, limit: usize| json!({"of": of, "depth": depth, "limit": limit});
    let near = call(&direct, "graph_neighbours", of(at("Near", "a"), 1, 50)).await;
    assert_eq!(names(&near), ["a", "b"], "{}", near.text);
    let id = near.data()["nodes"][0]["id"].clone();
    let far = call(&direct, "graph_neighbours", of(json!({"id": id}), 3, 50)).await;
    assert_eq!(names(&far), ["a", "b", "c"], "{}", far.text);
    assert_eq!(far.structured.get("truncated"), None);
    let cut = call(&direct, "graph_neighbours", of(at("Near", "a"), 3, 1)).await;
    assert_eq!((names(&cut), &cut.structured["truncated"]["reason"]), (vec!["a", "b"], &json!("nodes")));
    let alone = call(&direct, "graph_neighbours", of(at("Near", "d"), 3, 50)).await;
    assert_eq!(names(&alone), ["d"]);
}

#[tokio::test]
async fn a_connection_that_shows_some_labels_shows_no_others() {
    let Some(all) = service(json!({})) else { return };
    people(&all, "Shown").await;
    write(&all, "MATCH (b:Shown {name: 'b'}) CREATE (b)-[:Shown_HAS]->(:Hidden {name: 'secret'})").await;
    let some = service(json!({"labels": ["Shown"]})).unwrap();
    let around = call(&some, "graph_neighbours", json!({"of": at("Shown", "b"), "depth": 2})).await;
    assert!(!around.structured.to_string().contains("secret"), "{}", around.text);
    let mut near = names(&around);
    near[1..].sort_unstable();
    assert_eq!(near, ["b", "a", "c"]);
    let schema = call(&some, "graph_schema", json!({})).await.structured.to_string();
    assert!(schema.contains("Shown_KNOWS") && !schema.contains("Hidden") && !schema.contains("Shown_HAS"), "{schema}");
    assert_eq!(call(&some, "graph_neighbours", json!({"of": at("Hidden", "secret")})).await.code(), "not_found");
    for tool in ["graph_query", "graph_execute"] {
        assert_eq!(call(&some, tool, json!({"cypher": "MATCH (n) RETURN n"})).await.code(), "refused");
    }
    write(&all, "MATCH (n:Hidden) DETACH DELETE n").await;
}

#[tokio::test]
async fn a_connection_that_only_reads_does_not_write() {
    let Some(direct) = service(json!({"access": {"rights": "read_only"}})) else { return };
    let called = call(&direct, "graph_execute", json!({"cypher": "CREATE (n:Nope)"})).await;
    assert_eq!(called.code(), "not_found", "it is not even offered");
}

#[tokio::test]
async fn health_tells_who_answers() {
    let Some(direct) = service(json!({})) else { return };
    let called = call(&direct, "check_health", json!({})).await;
    assert!(called.data()[0]["details"][0]["protocol"].as_str().unwrap().starts_with(['4', '5']), "{}", called.text);
    assert!(called.data()[0]["details"][0]["nodes"].as_i64().is_some());
}

#[tokio::test]
async fn a_server_that_is_away_is_unavailable_and_not_named() {
    let called = call(&service_at("bolt://127.0.0.1:1", json!({})), "check_health", json!({})).await;
    assert_eq!(called.code(), "unavailable");
    assert!(!called.text.contains("127.0.0.1"), "{}", called.text);
}
