//! The reader and serde_json agree on what is JSON: on arbitrary values, laid out in any way, whole or damaged.

use proptest::{prelude::*, sample::Index};
use serde_json::Value;
use weft_wire::{
    envelope::{Limits, Malformed, read},
    reply::scan,
};

use crate::targets;

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(|number| serde_json::json!(number)),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map(any::<String>(), inner, 0..6).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

/// A message around any value, its members in any order.
fn message() -> impl Strategy<Value = String> {
    let members = (json(), "[a-z/]{1,12}", any::<String>(), any::<bool>()).prop_map(|(value, method, name, pretty)| {
        let show = |value: &Value| if pretty { format!("{value:#}") } else { value.to_string() };
        let params =
            serde_json::json!({"name": name, "arguments": value, "_meta": {"progressToken": name, "x": value}});
        vec![
            r#""jsonrpc":"2.0""#.to_owned(),
            format!(r#""id":{}"#, show(&name.clone().into())),
            format!(r#""method" : "{method}""#),
            format!("\"params\":\n{}", show(&params)),
        ]
    });
    members.prop_shuffle().prop_map(|members| format!("{{{}}}", members.join(",")))
}

proptest! {
    #[test]
    fn any_value_can_be_carried(text in message()) {
        prop_assert!(read(text.as_bytes(), &Limits::default()).is_ok(), "{}", text);
        targets::envelope::check(text.as_bytes());
    }

    #[test]
    fn damage_is_noticed_exactly_when_it_is_no_json_any_more(
        text in message(),
        cuts in prop::collection::vec((any::<Index>(), 0_usize..3, prop::collection::vec(any::<u8>(), 0..3)), 1..4),
    ) {
        let mut bytes = text.into_bytes();
        for (at, length, put) in cuts {
            let at = at.index(bytes.len() + 1);
            let end = (at + length).min(bytes.len());
            bytes.splice(at..end, put);
        }
        targets::envelope::check(&bytes);
    }

    #[test]
    fn every_value_alone_is_json_and_no_message(value in json()) {
        let text = value.to_string();
        let refused = read(text.as_bytes(), &Limits { batch: usize::MAX, ..Limits::default() });
        let not_json = matches!(refused, Err(Malformed::Syntax(_) | Malformed::Encoding(_)));
        prop_assert!(!not_json, "{}", text);
        prop_assert_eq!(scan(text.as_bytes()).complete, value.is_object() || value.is_array());
    }

    #[test]
    fn a_key_added_twice_is_always_found(value in json(), key in any::<String>(), inside in 0_usize..4) {
        let key = Value::from(key).to_string();
        let escaped: String = key[1..key.len() - 1].chars().map(|c| {
            if c.is_ascii_alphanumeric() { format!("\\u{:04x}", c as u32) } else { c.to_string() }
        }).collect();
        // An escape that stands in the key already would be torn apart by escaping its letters.
        let again = if key.contains('\\') { key.clone() } else { format!("\"{escaped}\"") };
        let twice = format!("{key}:{value},{again}:{value}");
        let text = match inside {
            0 => format!(r#"{{"jsonrpc":"2.0","method":"m",{twice}}}"#),
            1 => format!(r#"{{"jsonrpc":"2.0","method":"m","params":{{{twice}}}}}"#),
            2 => format!(r#"{{"jsonrpc":"2.0","method":"m","params":{{"_meta":{{{twice}}}}}}}"#),
            _ => format!(r#"{{"jsonrpc":"2.0","method":"m","params":{{"ref":{{{twice}}}}}}}"#),
        };
        let refused = read(text.as_bytes(), &Limits::default());
        prop_assert!(matches!(refused, Err(Malformed::Duplicate { .. } | Malformed::Params { .. })), "{}", text);
    }
}
