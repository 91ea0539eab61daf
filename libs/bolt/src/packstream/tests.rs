//! The published examples byte for byte, values there and back, and bytes of anybody's choosing.

use proptest::{collection, prelude::*};

use super::*;
use crate::{
    graph::{Node, Path, Point, Relationship, UnboundRelationship},
    temporal::Temporal,
    value::Map,
};

fn hex(text: &str) -> Vec<u8> {
    text.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

fn map<const N: usize>(entries: [(&str, Value); N]) -> Map {
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// Both directions.
fn stands_for(value: &Value, bytes: &str) {
    assert_eq!(encode(value, true).unwrap(), hex(bytes), "{value:?}");
    assert_eq!(decode(&hex(bytes), &Limits::default()).unwrap(), *value);
}

#[test]
fn the_examples_of_the_specification_are_these_bytes() {
    stands_for(&Value::Null, "C0");
    stands_for(&true.into(), "C3");
    stands_for(&false.into(), "C2");
    stands_for(&1.into(), "01");
    stands_for(&42.into(), "2A");
    stands_for(&1234.into(), "C9 04 D2");
    stands_for(&(-16).into(), "F0");
    stands_for(&(-17).into(), "C8 EF");
    stands_for(&i64::MIN.into(), "CB 80 00 00 00 00 00 00 00");
    stands_for(&i64::MAX.into(), "CB 7F FF FF FF FF FF FF FF");
    stands_for(&1.23.into(), "C1 3F F3 AE 14 7A E1 47 AE");
    stands_for(&(-1.1).into(), "C1 BF F1 99 99 99 99 99 9A");
    stands_for(&Value::Bytes(vec![]), "CC 00");
    stands_for(&Value::Bytes(vec![1, 2, 3]), "CC 03 01 02 03");
    stands_for(&"".into(), "80");
    stands_for(&"A".into(), "81 41");
    stands_for(
        &"ABCDEFGHIJKLMNOPQRSTUVWXYZ".into(),
        "D0 1A 41 42 43 44 45 46 47 48 49 4A 4B 4C 4D 4E 4F 50 51 52 53 54 55 56 57 58 59 5A",
    );
    stands_for(&"Größenmaßstäbe".into(), "D0 12 47 72 C3 B6 C3 9F 65 6E 6D 61 C3 9F 73 74 C3 A4 62 65");
    stands_for(&Value::List(vec![]), "90");
    stands_for(
        &Value::List(vec![1.into(), 2.0.into(), "three".into()]),
        "93 01 C1 40 00 00 00 00 00 00 00 85 74 68 72 65 65",
    );
    stands_for(&map([]).into(), "A0");
    stands_for(&map([("one", "eins".into())]).into(), "A1 83 6F 6E 65 84 65 69 6E 73");
}

#[test]
fn the_example_of_a_node_is_read_as_bolt_4_and_as_bolt_5_send_it() {
    let fields = "03 92 87 45 78 61 6D 70 6C 65 84 4E 6F 64 65 A1 84 6E 61 6D 65 87 65 78 61 6D 70 6C 65";
    let labels = vec!["Example".to_owned(), "Node".to_owned()];
    let properties = map([("name", "example".into())]);
    let node = Node { id: 3, element_id: "3".to_owned(), labels, properties };
    let old = decode(&hex(&format!("B3 4E {fields}")), &Limits::default()).unwrap();
    assert_eq!(old, node.clone().into());
    stands_for(&Node { element_id: "ab".to_owned(), ..node }.into(), &format!("B4 4E {fields} 82 61 62"));
}

#[test]
fn a_moment_is_the_same_in_the_old_form_and_in_utc() {
    let moment: Value = Temporal::DateTime { seconds: 7200, nanoseconds: 5, offset: 3600 }.into();
    let (old, new) = (encode(&moment, false).unwrap(), encode(&moment, true).unwrap());
    assert_eq!(old, hex("B3 46 C9 2A 30 05 C9 0E 10"));
    assert_eq!(new, hex("B3 49 C9 1C 20 05 C9 0E 10"));
    for bytes in [old, new] {
        assert_eq!(decode(&bytes, &Limits::default()).unwrap(), moment);
    }
}

#[test]
fn what_is_not_packstream_is_refused_by_its_reason() {
    let refused = |bytes: &str| decode(&hex(bytes), &Limits::default()).unwrap_err();
    assert_eq!(refused(""), Malformed::Short);
    assert_eq!(refused("D0 05 41"), Malformed::Short);
    assert_eq!(refused("CB 00 00"), Malformed::Short);
    assert_eq!(refused("01 01"), Malformed::Trailing);
    assert_eq!(refused("C7"), Malformed::Marker(0xC7));
    assert_eq!(refused("A1 01 01"), Malformed::Marker(0x01));
    assert_eq!(refused("81 FF"), Malformed::Text);
    assert_eq!(refused("B1 51 01"), Malformed::Structure(0x51));
    assert_eq!(refused("B2 44 01 01"), Malformed::Structure(b'D'));
    assert_eq!(refused("B1 44 81 41"), Malformed::Structure(b'D'));
}

#[test]
fn headers_that_promise_the_world_cost_nothing() {
    for header in ["D6 FF FF FF FF", "DA FF FF FF FF", "D2 FF FF FF FF", "CE FF FF FF FF"] {
        assert_eq!(decode(&hex(header), &Limits::default()), Err(Malformed::Short));
    }
}

#[test]
fn depth_number_and_size_are_bounded() {
    let limits = Limits { bytes: 1 << 20, values: 100, depth: 8 };
    let nested = |levels: usize| [vec![0x91; levels], vec![0xC0]].concat();
    assert!(decode(&nested(8), &limits).is_ok());
    assert_eq!(decode(&nested(9), &limits), Err(Malformed::Deep(8)));
    assert_eq!(decode(&nested(1 << 20), &Limits { bytes: usize::MAX, ..limits }), Err(Malformed::Deep(8)));
    let list = |items: u8| [vec![0xD4, items], vec![0xC0; usize::from(items)]].concat();
    assert!(decode(&list(99), &limits).is_ok());
    assert_eq!(decode(&list(100), &limits), Err(Malformed::Large(100)));
    assert_eq!(decode(&[0xC0; 9], &Limits { bytes: 8, ..limits }), Err(Malformed::Large(8)));
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![".{0,20}", "[a-z]{250,300}"]
}

fn properties() -> impl Strategy<Value = Map> {
    collection::btree_map(".{0,5}", any::<i64>().prop_map(Value::Int), 0..4)
}

fn node() -> impl Strategy<Value = Node> {
    (any::<i64>(), text(), collection::vec(text(), 0..3), properties())
        .prop_map(|(id, element_id, labels, properties)| Node { id, element_id, labels, properties })
}

fn unbound() -> impl Strategy<Value = UnboundRelationship> {
    (any::<i64>(), text(), text(), properties()).prop_map(|(id, element_id, kind, properties)| UnboundRelationship {
        id,
        element_id,
        kind,
        properties,
    })
}

fn path() -> impl Strategy<Value = Value> {
    (collection::vec(node(), 1..4), collection::vec(unbound(), 1..3)).prop_flat_map(|(nodes, links)| {
        let (last, size) = (nodes.len(), i64::try_from(links.len()).unwrap());
        let step = ((1..=size, any::<bool>()), 0..last);
        collection::vec(step, 0..5).prop_map(move |steps| {
            let steps = steps.into_iter().map(|((link, back), node)| (if back { -link } else { link }, node)).collect();
            Value::Path(Box::new(Path { nodes: nodes.clone(), relationships: links.clone(), steps }))
        })
    })
}

fn temporal() -> impl Strategy<Value = Temporal> {
    let (any, offset) = (any::<i64>, -64_800_i64..=64_800);
    let seconds = -(1_i64 << 55)..(1_i64 << 55);
    prop_oneof![
        any().prop_map(|days| Temporal::Date { days }),
        (any(), offset.clone()).prop_map(|(nanoseconds, offset)| Temporal::Time { nanoseconds, offset }),
        any().prop_map(|nanoseconds| Temporal::LocalTime { nanoseconds }),
        (any(), any()).prop_map(|(seconds, nanoseconds)| Temporal::LocalDateTime { seconds, nanoseconds }),
        (seconds, any(), offset).prop_map(|(seconds, nanoseconds, offset)| Temporal::DateTime {
            seconds,
            nanoseconds,
            offset
        }),
        (any(), any(), text(), proptest::bool::ANY).prop_map(|(seconds, nanoseconds, zone, local)| {
            Temporal::ZonedDateTime { seconds, nanoseconds, zone, local }
        }),
        (any(), any(), any(), any()).prop_map(|(months, days, seconds, nanoseconds)| Temporal::Duration {
            months,
            days,
            seconds,
            nanoseconds
        }),
    ]
}

fn relationship() -> impl Strategy<Value = Relationship> {
    (unbound(), any::<[i64; 2]>(), text(), text()).prop_map(|(link, [start, end], from, to)| Relationship {
        id: link.id,
        element_id: link.element_id,
        start,
        start_element_id: from,
        end,
        end_element_id: to,
        kind: link.kind,
        properties: link.properties,
    })
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (-70_000_i64..70_000).prop_map(Value::Int),
        proptest::num::f64::NORMAL.prop_map(Value::Float),
        collection::vec(any::<u8>(), 0..300).prop_map(Value::Bytes),
        text().prop_map(Value::String),
        node().prop_map(Value::from),
        relationship().prop_map(Value::from),
        unbound().prop_map(|link| Value::UnboundRelationship(Box::new(link))),
        path(),
        temporal().prop_map(Value::from),
        (any::<i64>(), -1e9..1e9, -1e9..1e9, proptest::option::of(-1e9..1e9)).prop_map(|(srid, x, y, z)| Point {
            srid,
            x,
            y,
            z
        }
        .into()),
    ];
    leaf.prop_recursive(4, 64, 20, |inner| {
        prop_oneof![
            collection::vec(inner.clone(), 0..20).prop_map(Value::List),
            collection::btree_map(text(), inner, 0..20).prop_map(Value::Map),
        ]
    })
}

proptest! {
    #[test]
    fn a_value_comes_back_as_it_went(value in value(), utc in any::<bool>()) {
        let bytes = encode(&value, utc).unwrap();
        prop_assert_eq!(decode(&bytes, &Limits::default()).unwrap(), value);
    }

    #[test]
    fn any_bytes_are_a_value_or_an_error(bytes in collection::vec(any::<u8>(), 0..200)) {
        if let Ok(value) = decode(&bytes, &Limits::default()) {
            let again = encode(&value, true).unwrap();
            prop_assert!(again.len() <= bytes.len() * 2 + 64, "{:?}", value);
        }
    }

    #[test]
    fn a_value_cut_short_is_never_a_value(value in value(), share in 0.0..1.0_f64) {
        let bytes = encode(&value, true).unwrap();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place in a small buffer")]
        let cut = (bytes.len() as f64 * share) as usize;
        prop_assert!(decode(&bytes[..cut], &Limits::default()).is_err());
    }
}
