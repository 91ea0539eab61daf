//! Arguments as the text of a parameter, by the styles of OpenAPI (3.1, parameter object, style values).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// Everything but what RFC 3986 leaves alone (2.3): so nothing leaves its segment or its pair.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The text, safe in any part of an address.
pub(crate) fn encoded(text: &str) -> String {
    let out = utf8_percent_encode(text, KEPT).to_string();
    // A segment of dots alone would climb.
    if !out.is_empty() && out.bytes().all(|byte| byte == b'.') { out.replace('.', "%2E") } else { out }
}

/// The text of a value that is not a list or object.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// A value in one piece, as paths, headers and cookies have it.
pub(crate) fn simple(value: &Value, style: &str, explode: bool, name: &str, encode: fn(&str) -> String) -> String {
    let text = |value: &Value| encode(&plain(value));
    let (prefix, joint) = match style {
        "label" => (".", if explode { "." } else { "," }),
        "matrix" => (";", if explode { ";" } else { "," }),
        _ => ("", ","),
    };
    let matrix = style == "matrix";
    let named = |text: String| if matrix { format!("{name}={text}") } else { text };
    let body = match value {
        Value::Array(items) if matrix && explode => {
            items.iter().map(|it| named(text(it))).collect::<Vec<_>>().join(";")
        }
        Value::Array(items) => named(items.iter().map(text).collect::<Vec<_>>().join(joint)),
        Value::Object(fields) if explode => {
            fields.iter().map(|(key, it)| format!("{}={}", encode(key), text(it))).collect::<Vec<_>>().join(joint)
        }
        Value::Object(fields) => {
            named(fields.iter().flat_map(|(key, it)| [encode(key), text(it)]).collect::<Vec<_>>().join(","))
        }
        other => named(text(other)),
    };
    format!("{prefix}{body}")
}

/// The pairs that a value becomes in a query.
pub(crate) fn pairs(name: &str, value: &Value, style: &str, explode: bool) -> Vec<(String, String)> {
    let one = |text: String| vec![(encoded(name), text)];
    let list =
        |joint: &str, items: &[Value]| items.iter().map(|it| encoded(&plain(it))).collect::<Vec<_>>().join(joint);
    match value {
        Value::Array(items) => match style {
            "spaceDelimited" => one(list("%20", items)),
            "pipeDelimited" => one(list("%7C", items)),
            _ if explode => items.iter().map(|it| (encoded(name), encoded(&plain(it)))).collect(),
            _ => one(list(",", items)),
        },
        Value::Object(fields) => match style {
            "deepObject" => fields
                .iter()
                .map(|(key, it)| (format!("{}%5B{}%5D", encoded(name), encoded(key)), encoded(&plain(it))))
                .collect(),
            _ if explode => fields.iter().map(|(key, it)| (encoded(key), encoded(&plain(it)))).collect(),
            _ => one(fields
                .iter()
                .flat_map(|(key, it)| [encoded(key), encoded(&plain(it))])
                .collect::<Vec<_>>()
                .join(",")),
        },
        other => one(encoded(&plain(other))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// The examples of the specification: a string, a list and an object, in every style; fields in the order of their names.
    #[test]
    fn each_style_is_written_as_the_specification_shows_it() {
        let (text, list, object) = (json!("blue"), json!(["blue", "black"]), json!({ "R": 100, "G": 200 }));
        let one = |value: &Value, style: &str, explode: bool| simple(value, style, explode, "color", encoded);
        assert_eq!(one(&text, "simple", false), "blue");
        assert_eq!(one(&list, "simple", false), "blue,black");
        assert_eq!(one(&object, "simple", false), "G,200,R,100");
        assert_eq!(one(&object, "simple", true), "G=200,R=100");
        assert_eq!(one(&list, "label", true), ".blue.black");
        assert_eq!(one(&text, "matrix", false), ";color=blue");
        assert_eq!(one(&list, "matrix", false), ";color=blue,black");
        assert_eq!(one(&list, "matrix", true), ";color=blue;color=black");
        assert_eq!(one(&object, "matrix", true), ";G=200;R=100");
        let query = |value: &Value, style: &str, explode: bool| {
            let pairs = pairs("color", value, style, explode);
            pairs.into_iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join("&")
        };
        assert_eq!(query(&list, "form", true), "color=blue&color=black");
        assert_eq!(query(&list, "form", false), "color=blue,black");
        assert_eq!(query(&object, "form", true), "G=200&R=100");
        assert_eq!(query(&object, "form", false), "color=G,200,R,100");
        assert_eq!(query(&list, "spaceDelimited", false), "color=blue%20black");
        assert_eq!(query(&list, "pipeDelimited", false), "color=blue%7Cblack");
        assert_eq!(query(&object, "deepObject", true), "color%5BG%5D=200&color%5BR%5D=100");
    }

    proptest! {
        #[test]
        fn no_text_leaves_its_segment(text in any::<String>()) {
            let out = encoded(&text);
            prop_assert!(!out.contains(['/', '?', '#', '&', '=', ' ', '\r', '\n', '\\', '%']) || out.contains('%'));
            prop_assert!(!out.contains(['/', '?', '#', '&', '\r', '\n', '\\']));
            prop_assert!(out != "." && out != "..");
        }
    }
}
