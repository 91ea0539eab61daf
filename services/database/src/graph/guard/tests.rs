//! Statements that only read, statements that try to do more, and what becomes of each.

use super::*;

fn list() -> Procedures {
    Procedures::new(&["gds.pageRank.stream".to_owned(), "apoc.text.*".to_owned()])
}

fn read(text: &str) -> Result<&str, Forbidden> {
    check(text, May::Read, &list())
}

fn write(text: &str) -> Result<&str, Forbidden> {
    check(text, May::Write, &list())
}

#[test]
fn reading_is_allowed_whatever_its_names_are() {
    for text in [
        "MATCH (n) RETURN n",
        "match (start:Person)-[:KNOWS*1..3]->(b) where start.set = $create return b.delete, {merge: 1, drop: 2}",
        "MATCH (n:Create)-[:SET]->(m:`DETACH DELETE`) RETURN n.`REMOVE`",
        "UNWIND [1, 2] AS i WITH i WHERE i IN [1] RETURN date.truncate('day', date()) AS d, point.distance($a, $b)",
        "CALL db.labels() YIELD label RETURN label",
        "CALL `db`.`labels`",
        "CALL gds.pageRank.stream('g') YIELD nodeId RETURN nodeId",
        "MATCH (n) CALL { WITH n MATCH (n)--(m) RETURN m } RETURN m",
        "MATCH (n) CALL (n) { MATCH (n)--(m) RETURN m } RETURN m",
        "MATCH (n) WHERE EXISTS { (n)-[:OWNS]->() } RETURN COUNT { (n)--() }",
        "RETURN 'CREATE (n)' AS text // DELETE\n",
        "MATCH (load:Load) RETURN load.csv, apoc.text.join(load.names, ',')",
        "MATCH (n)-[:IN]->(transactions) WHERE n IN transactions RETURN n",
        "OPTIONAL MATCH (n) WHERE n.x IN (CASE WHEN true THEN [1] ELSE [2] END) RETURN n",
    ] {
        assert_eq!(read(text), Ok(text));
    }
}

#[test]
fn one_semicolon_at_the_end_is_taken_away() {
    assert_eq!(read("RETURN 1 ; "), Ok("RETURN 1 "));
    for text in ["RETURN 1; RETURN 2", "RETURN 1;;", ";", "RETURN 1; // there", "RETURN ';'; MATCH (n) RETURN n;"] {
        assert!(read(text).is_err(), "{text}");
    }
    assert_eq!(read("RETURN ';'"), Ok("RETURN ';'"));
}

// The attack corpus, E01.

#[test]
fn e01_procedures_that_read_files_or_the_network_are_refused() {
    let refused = |text: &str, name: &str| assert_eq!(read(text), Err(Forbidden::Procedure(name.to_owned())), "{text}");
    refused("CALL apoc.load.json('file:///etc/passwd')", "apoc.load.json");
    refused("CALL apoc.load.json('http://169.254.169.254/latest')", "apoc.load.json");
    refused("CALL apoc.load.jdbc('jdbc:x', 'y') YIELD row RETURN row", "apoc.load.jdbc");
    refused("CALL apoc.cypher.run('CREATE (n)', {})", "apoc.cypher.run");
    refused("MATCH (n) CALL { CALL apoc.load.json('x') YIELD value RETURN value } RETURN n", "apoc.load.json");
    refused("CALL dbms.listConfig()", "dbms.listconfig");
    refused("CALL apoc . load . json ('x')", "apoc.load.json");
    refused("OPTIONAL CALL apoc.load.json('x') YIELD value RETURN value", "apoc.load.json");
}

#[test]
fn e01_a_comment_or_backticks_do_not_hide_a_call() {
    for text in [
        "CALL /*x*/ apoc.load.json('x')",
        "CALL//\n apoc.load.json('x')",
        "CALL `apoc`.`load`.`json`('x')",
        "CALL `apoc.load.json`('x')",
        "CALL ApOc.LoAd.JsOn('x')",
        "cAlL apoc/**/.load/**/.json('x')",
        "CALL apoc.load.json",
    ] {
        assert_eq!(read(text), Err(Forbidden::Procedure("apoc.load.json".to_owned())), "{text}");
    }
    for text in ["CALL $p", "CALL 'x'", "CALL", "RETURN 1 CALL"] {
        assert_eq!(read(text), Err(Forbidden::Call), "{text}");
    }
}

#[test]
fn e01_functions_that_run_queries_are_refused_wherever_they_stand() {
    for text in [
        "RETURN apoc.cypher.runFirstColumnSingle('MATCH (n) RETURN n', {})",
        "MATCH (n) WHERE apoc . cypher /* */ . runFirstColumnSingle ('x') RETURN n",
        "RETURN `apoc`.cypher.`runFirstColumnSingle`('x')",
        "RETURN [x IN [1] | apoc.cypher.runFirstColumnSingle('x')]",
    ] {
        assert_eq!(read(text), Err(Forbidden::Function("apoc.cypher.runfirstcolumnsingle".to_owned())), "{text}");
    }
    assert!(read("RETURN genai.vector.encode('text', 'OpenAI', {})").is_err());
    assert!(read("RETURN `apoc.load`('x')").is_err());
}

#[test]
fn e01_load_csv_is_refused() {
    for text in [
        "LOAD CSV FROM 'http://169.254.169.254' AS line RETURN line",
        "MATCH (n) LOAD /**/ CSV FROM 'file:///x' AS l RETURN l",
        "CALL { LOAD CSV WITH HEADERS FROM 'x' AS l RETURN l } RETURN l",
    ] {
        assert!(matches!(read(text), Err(Forbidden::Clause(_) | Forbidden::Begins(_))), "{text}");
        assert!(write(text).is_err(), "{text}");
    }
}

#[test]
fn e01_clauses_that_write_are_refused_at_any_depth() {
    for text in [
        "CREATE (n)",
        "MATCH (n) SET n.x = 1",
        "MATCH (n) DETACH DELETE n",
        "MATCH (n) NODETACH DELETE n",
        "MATCH (n) REMOVE n:Label",
        "MERGE (n)",
        "INSERT (n:X)",
        "CALL { CREATE () }",
        "MATCH (n) CALL { WITH n SET n.x = 1 } RETURN n",
        "FOREACH (x IN [1] | CREATE (n))",
        "MATCH (n) FOREACH (x IN [1] | SET n.x = x)",
        "RETURN 1 UNION MATCH (n) DELETE n RETURN 2",
        "MATCH (n) RETURN 1. CREATE (m)",
        "MATCH (n) WITH n ſET n.x = 1",
        "RETURN [x IN [1] | x] CREATE (n)",
        "MATCH p = ()-[*1..]->() DELETE p",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
}

#[test]
fn e01_what_is_no_query_is_refused() {
    for text in [
        "PROFILE MATCH (n) DELETE n",
        "PROFILE MATCH (n) RETURN n",
        "EXPLAIN MATCH (n) RETURN n",
        "CYPHER 25 MATCH (n) RETURN n",
        "CYPHER runtime=slotted RETURN 1",
        "USE other MATCH (n) RETURN n",
        "CALL { USE other MATCH (n) RETURN n } RETURN n",
        "SHOW USERS",
        "SHOW TRANSACTIONS",
        "SHOW DATABASES YIELD name",
        "TERMINATE TRANSACTION 'x'",
        "STOP DATABASE neo4j",
        "START DATABASE neo4j",
        "ENABLE SERVER 'x'",
        "DEALLOCATE DATABASES FROM SERVER 'x'",
        "ALTER USER neo4j SET PASSWORD 'x'",
        "GRANT ROLE admin TO x",
        "DENY READ {*} ON GRAPH * TO x",
        "REVOKE ROLE admin FROM x",
        "RENAME USER a TO b",
        "DROP INDEX x",
        "MATCH (n) CALL { WITH n RETURN n AS m } IN TRANSACTIONS RETURN m",
        "MATCH (n) CALL { WITH n RETURN n AS m } IN 4 CONCURRENT TRANSACTIONS OF 10 ROWS RETURN m",
        "",
        "  // nothing\n",
        "'text'",
        "(n)",
    ] {
        assert!(read(text).is_err(), "{text}");
        assert!(write(text).is_err(), "{text}");
    }
}

#[test]
fn writing_may_change_data_and_nothing_else() {
    for text in [
        "CREATE (n:X {a: $a}) RETURN n",
        "CREATE p = (a)-[:R]->(b) RETURN p",
        "MERGE (n:X {k: 1}) ON CREATE SET n.made = 1 ON MATCH SET n.seen = 2",
        "MATCH (n) DETACH DELETE n",
        "FOREACH (x IN [1] | CREATE (:X {x: x}))",
        "MATCH (n) REMOVE n.x",
    ] {
        assert_eq!(write(text), Ok(text));
    }
    for text in [
        "CREATE INDEX x FOR (n:X) ON (n.a)",
        "CREATE CONSTRAINT x FOR (n:X) REQUIRE n.a IS UNIQUE",
        "CREATE USER x SET PASSWORD 'y'",
        "CREATE OR REPLACE DATABASE x",
        "CREATE (n) CREATE ALIAS a FOR DATABASE b",
        "MATCH (n) CALL { WITH n DELETE n } IN TRANSACTIONS",
        "MATCH (n) CALL { WITH n DELETE n } IN $n CONCURRENT TRANSACTIONS",
        "MATCH (n) CALL { WITH n DELETE n } IN (1 + 1) CONCURRENT TRANSACTIONS",
        "MATCH (n) CALL (n) { DELETE n } /* */ IN transactions OF 1 ROW",
        "MATCH (n) CALL apoc.periodic.iterate('x', 'y', {}) YIELD batches RETURN batches",
    ] {
        assert!(write(text).is_err(), "{text}");
    }
}
