//! What a model wrote → the JSON in it: models wrap it in fences and say something before and after.

use serde_json::Value;

/// Levels of nesting that are followed.
const DEPTH: usize = 64;

/// The JSON that a text is, or the first object or list in it.
pub(crate) fn json_in(text: &str) -> Option<Value> {
    let text = text.trim();
    if let Ok(value) = serde_json::from_str(text) {
        return Some(value);
    }
    let mut from = 0;
    while let Some(at) = text[from..].find(['{', '[']) {
        let start = from + at;
        if let Some(end) = end_of(&text[start..])
            && let Ok(value) = serde_json::from_str(&text[start..start + end])
        {
            return Some(value);
        }
        from = start + 1;
    }
    None
}

/// Where the object or list that a text begins with ends.
fn end_of(text: &str) -> Option<usize> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth > DEPTH {
            return None;
        }
        if depth == 0 {
            return Some(at + 1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn json_is_found_in_fences_and_between_words() {
        assert_eq!(json_in(" {\"a\": 1} "), Some(json!({"a": 1})));
        assert_eq!(json_in("Sure!\n```json\n{\"a\": \"}\\\"\"}\n```\nDone."), Some(json!({"a": "}\""})));
        assert_eq!(json_in("see [this] or {that}: [1, 2]"), Some(json!([1, 2])));
        assert_eq!(json_in("\"text\""), Some(json!("text")));
        assert_eq!(json_in("{\"a\": 1"), None);
        assert_eq!(json_in(""), None);
    }

    proptest! {
        #[test]
        fn any_text_is_looked_through_without_harm(text in "[\\[\\]{}\"\\\\a1é ]{0,60}") {
            let _ = json_in(&text);
        }
    }
}
