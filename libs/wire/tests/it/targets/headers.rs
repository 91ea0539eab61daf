//! Any text: as a header value it reads back, and arguments agree with the headers that a client would write for them.
//!
//! The input is a schema, arguments and a header value, one a line.

use std::collections::HashMap;

use serde_json::Value;
use weft_wire::headers::{PARAM_PREFIX, ParamHeader, agree_params, decode, encode, param_headers};

/// Panics when a property does not hold.
pub(crate) fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let encoded = encode(&text);
    assert!(encoded.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "not a header value");
    assert_eq!(decode(&encoded).as_deref(), Ok(&*text));
    let mut lines = text.splitn(3, '\n');
    let (schema, arguments, value) = (lines.next(), lines.next(), lines.next());
    let Ok(declared) = param_headers(schema.unwrap_or_default()) else { return };
    marks(&declared);
    let stranger = value.unwrap_or_default();
    if let Ok(read) = decode(stranger) {
        assert_eq!(decode(&encode(&read)).as_deref(), Ok(&*read));
    }
    let Some(arguments) = arguments else { return };
    let written = written(&declared, arguments);
    let lookup = |name: &str| written.get(name).map(String::as_str);
    let agreed = agree_params(&declared, lookup, Some(arguments));
    // A key that stands twice is refused, and a tree cannot show it; one that is written anew cannot have any.
    let Ok(tree) = serde_json::from_str::<Value>(arguments) else { return };
    let anew = tree.to_string();
    assert_eq!(agree_params(&declared, lookup, Some(&anew)), Ok(()), "a client's own headers");
    if agreed.is_ok() && declared.len() == 1 {
        let other = agree_params(&declared, |_| Some(stranger), Some(arguments));
        let same = written.values().next().is_some_and(|own| decode(own) == decode(stranger));
        assert!(!same || other.is_ok(), "the same value in another form");
        assert!(agree_params(&declared, |_| None, Some(arguments)).is_ok() == written.is_empty(), "a header left out");
    }
}

fn marks(declared: &[ParamHeader]) {
    let mut names: Vec<String> = declared.iter().map(|param| param.header.to_ascii_lowercase()).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), declared.len(), "a name stands twice");
    for param in declared {
        assert!(!param.path.is_empty());
        assert!(!param.header.is_empty() && param.header.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':'));
    }
}

/// The headers that a client writes.
fn written(declared: &[ParamHeader], arguments: &str) -> HashMap<String, String> {
    let tree: Value = serde_json::from_str(arguments).unwrap_or_default();
    let value = |param: &ParamHeader| {
        let value = param.path.iter().try_fold(&tree, |value, key| value.as_object()?.get(key))?;
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            _ => return None,
        };
        Some((format!("{PARAM_PREFIX}{}", param.header.to_ascii_lowercase()), encode(&text).into_owned()))
    };
    declared.iter().filter_map(value).collect()
}
