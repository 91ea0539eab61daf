//! A real server: rows, batches, transactions, failures.

use weft_bolt::{Client, Kind, Map, Options, Value};

use crate::{live, map};

async fn rows(client: &Client, query: &str, parameters: &Map) -> Vec<Vec<Value>> {
    let mut transaction = client.begin(&Options::default()).await.unwrap();
    let mut records = transaction.run(query, parameters).await.unwrap();
    let mut rows = Vec::new();
    while let Some(row) = records.next().await.unwrap() {
        rows.push(row);
    }
    records.finish().await.unwrap();
    transaction.commit().await.unwrap();
    rows
}

#[tokio::test]
async fn rows_come_in_batches_and_in_order() {
    let Some(client) = live() else { return };
    let rows = rows(&client, "UNWIND range(1, $n) AS i RETURN i", &map([("n", 100.into())])).await;
    let expected: Vec<Vec<Value>> = (1..=100).map(|number| vec![Value::Int(number)]).collect();
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn parameters_come_back_as_they_went() {
    let Some(client) = live() else { return };
    let sent = map([
        ("text", "Größe ' \" \\ `".into()),
        ("list", Value::List(vec![1.into(), 2.5.into(), Value::Null, true.into()])),
        ("map", map([("k", "v".into())]).into()),
        ("big", i64::MIN.into()),
    ]);
    let rows = rows(&client, "RETURN $text AS a, $list AS b, $map AS c, $big AS d", &sent).await;
    let expected = vec![sent["text"].clone(), sent["list"].clone(), sent["map"].clone(), sent["big"].clone()];
    assert_eq!(rows, [expected]);
}

#[tokio::test]
async fn nodes_relationships_and_paths_are_read() {
    let Some(client) = live() else { return };
    let query = "CREATE (a:Reads {name: 'a'})-[r:TO {w: 1}]->(b:Reads {name: 'b'}) RETURN a, r, b";
    let made = rows(&client, query, &Map::new()).await;
    let [Value::Node(a), Value::Relationship(r), Value::Node(b)] = made[0].as_slice() else { panic!("{made:?}") };
    assert_eq!((a.labels.as_slice(), &a.properties["name"]), (&["Reads".to_owned()][..], &"a".into()));
    assert_eq!((r.kind.as_str(), &r.properties["w"]), ("TO", &1.into()));
    assert_eq!((&r.start_element_id, &r.end_element_id), (&a.element_id, &b.element_id));
    let walked =
        rows(&client, "MATCH p = (:Reads {name: 'a'})-[:TO]->(:Reads {name: 'b'}) RETURN p", &Map::new()).await;
    let Value::Path(path) = &walked[0][0] else { panic!("{walked:?}") };
    assert_eq!((path.length(), path.relationships()[0].kind.as_str()), (1, "TO"));
    rows(&client, "MATCH (n:Reads) DETACH DELETE n", &Map::new()).await;
}

#[tokio::test]
async fn what_is_rolled_back_or_dropped_did_not_happen_and_what_is_committed_did() {
    let Some(client) = live() else { return };
    let count = async || rows(&client, "MATCH (n:Undone) RETURN n", &Map::new()).await.len();
    let begun = async || {
        let mut transaction = client.begin(&Options::default()).await.unwrap();
        let records = transaction.run("CREATE (n:Undone)", &Map::new()).await.unwrap();
        let summary = records.finish().await.unwrap();
        assert_eq!(summary.counters.nodes_created, 1, "{summary:?}");
        transaction
    };
    begun().await.rollback().await.unwrap();
    assert_eq!(count().await, 0);
    drop(begun().await);
    assert_eq!(count().await, 0);
    begun().await.commit().await.unwrap();
    assert_eq!(count().await, 1);
    rows(&client, "MATCH (n:Undone) DETACH DELETE n", &Map::new()).await;
}

#[tokio::test]
async fn a_failure_has_a_code_and_leaves_the_connection_usable() {
    let Some(client) = live() else { return };
    let mut lent = client.lend(&Options::read()).await.unwrap();
    let error = lent.run("THIS IS NOT CYPHER", &Map::new(), &Options::read()).await.unwrap_err();
    let failure = error.failure().unwrap();
    assert!(failure.code.starts_with("Neo.ClientError.Statement."), "{failure:?}");
    let mut records = lent.run("RETURN 1 AS one", &Map::new(), &Options::read()).await.unwrap();
    assert_eq!(records.fields(), ["one"]);
    assert_eq!(records.next().await.unwrap(), Some(vec![1.into()]));
    assert_eq!(records.next().await.unwrap(), None);
}

#[tokio::test]
async fn rows_that_nobody_reads_are_skipped() {
    let Some(client) = live() else { return };
    let mut transaction = client.begin(&Options::read()).await.unwrap();
    let mut records = transaction.run("UNWIND range(1, 1000) AS i RETURN i", &Map::new()).await.unwrap();
    assert_eq!(records.next().await.unwrap(), Some(vec![1.into()]));
    drop(records);
    let mut records = transaction.run("RETURN 'next' AS n", &Map::new()).await.unwrap();
    assert_eq!(records.next().await.unwrap(), Some(vec!["next".into()]));
    drop(records);
    transaction.rollback().await.unwrap();
    assert!(client.server(&Options::read()).await.is_ok());
}

#[tokio::test]
async fn a_plan_tells_the_kind_of_query() {
    let Some(client) = live() else { return };
    let mut transaction = client.begin(&Options::read()).await.unwrap();
    let summary = transaction.run("EXPLAIN MATCH (n) RETURN n", &Map::new()).await.unwrap().finish().await.unwrap();
    // Not every server tells it: what is told must be right.
    assert!(matches!(summary.kind, None | Some(Kind::Read)), "{summary:?}");
    eprintln!("{:?}: {summary:?}", transaction.server());
}
