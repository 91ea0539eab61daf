//! What becomes of each kind of value, and of too many of them.

use weft_bolt::{Point, Temporal};

use super::*;

fn node(id: &str) -> Node {
    let properties = Map::from([("name".to_owned(), id.into())]);
    Node { id: 1, element_id: id.to_owned(), labels: vec!["Person".to_owned()], properties }
}

fn link(id: &str, start: &str, end: &str) -> Relationship {
    Relationship {
        element_id: id.to_owned(),
        start_element_id: start.to_owned(),
        end_element_id: end.to_owned(),
        kind: "KNOWS".to_owned(),
        ..Relationship::default()
    }
}

fn taken(values: Vec<Value>) -> Sheet {
    let mut sheet = Sheet::new(10, 1 << 20);
    assert!(sheet.take(&values));
    sheet
}

#[test]
fn a_node_that_is_met_twice_is_told_once() {
    let mut sheet = taken(vec![node("a").into(), link("r", "a", "b").into(), node("b").into()]);
    assert!(sheet.take(&[node("a").into(), Value::Null, vec![Value::from(node("b"))].into()]));
    let ids: Vec<&str> = sheet.rows.nodes.iter().map(|node| node.id.as_str()).collect();
    assert_eq!((ids.as_slice(), sheet.rows.relationships.len()), (&["a", "b"][..], 1));
    assert_eq!(sheet.rows.rows[0], [json!({"node": "a"}), json!({"relationship": "r"}), json!({"node": "b"})]);
    assert_eq!(sheet.rows.rows[1], [json!({"node": "a"}), Json::Null, json!([{"node": "b"}])]);
}

#[test]
fn embeddings_and_long_texts_are_cut_and_counted() {
    let embedding: Value = vec![0.5; 1536].into();
    let sheet = taken(vec![embedding, "x".repeat(5000).into(), vec!["v"; 300].into(), vec![1; 32].into()]);
    let row = &sheet.rows.rows[0];
    assert_eq!(row[0], json!({"cut": "1536 numbers", "first": [0.5, 0.5, 0.5, 0.5]}));
    assert!(row[1].as_str().unwrap().ends_with("x… (5000 bytes)"));
    assert_eq!(row[2]["cut"], "300 values");
    assert_eq!(row[3].as_array().unwrap().len(), 32);
    assert_eq!(sheet.cut, 3);
}

#[test]
fn values_that_json_has_not_become_what_can_be_read_back() {
    let date = Temporal::Date { days: 1 };
    let point = Point { srid: 7203, x: 1.0, y: 2.0, z: None };
    let bytes = Value::Bytes(vec![1; 9]);
    let sheet = taken(vec![i64::MAX.into(), f64::NAN.into(), date.into(), point.into(), bytes]);
    let expected = [
        json!("9223372036854775807"),
        json!("NaN"),
        json!("1970-01-02"),
        json!({"srid": 7203, "x": 1.0, "y": 2.0, "z": null}),
        json!({"bytes": 9}),
    ];
    assert_eq!(sheet.rows.rows[0], expected);
}

#[test]
fn a_row_too_many_and_a_byte_too_many_end_it_and_say_why() {
    let mut sheet = Sheet::new(2, 1 << 20);
    assert!(sheet.take(&[1.into()]) && sheet.take(&[2.into()]) && sheet.truncated().is_none());
    assert!(!sheet.take(&[3.into()]));
    assert_eq!(sheet.truncated(), Some(Truncated::new("rows", 2)));
    let mut sheet = Sheet::new(10, 100);
    assert!(sheet.take(&["x".repeat(50).into()]));
    assert!(!sheet.take(&[node(&"y".repeat(90)).into()]));
    assert_eq!(sheet.truncated().unwrap().reason, "budget");
    assert_eq!((sheet.rows.rows.len(), sheet.rows.nodes.len()), (1, 0), "no node without its row");
}
