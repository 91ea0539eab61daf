//! The text of a JSON value → the value, with every number either kept exactly or given as its text.
//!
//! A parser that reads numbers as `f64` makes `1.2345678901234567e+19` of `12345678901234567890.123456789` and tells nobody. Here such a
//! number is the string that stood there, as `numeric` and long whole numbers are outside of JSON.

use std::collections::BTreeMap;

use serde_json::{Number, Value, value::RawValue};

use super::cells::whole;

/// How deep a value may be: each depth is read once more.
const DEEPEST: usize = 100;

/// `None` where the text is no JSON, or too deep.
pub(super) fn parse(text: &str) -> Option<Value> {
    value(text.trim(), 0)
}

fn value(text: &str, depth: usize) -> Option<Value> {
    if depth > DEEPEST {
        return None;
    }
    match text.as_bytes().first()? {
        b'{' => {
            let fields: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
            let fields = fields.into_iter().map(|(name, raw)| Some((name, value(raw.get(), depth + 1)?)));
            fields.collect::<Option<serde_json::Map<_, _>>>().map(Value::Object)
        }
        b'[' => {
            let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            items.into_iter().map(|raw| value(raw.get(), depth + 1)).collect::<Option<Vec<_>>>().map(Value::Array)
        }
        b'-' | b'0'..=b'9' => Some(number(text)),
        _ => serde_json::from_str(text).ok(),
    }
}

/// A number if it keeps its value as one.
fn number(text: &str) -> Value {
    if !text.contains(['.', 'e', 'E']) {
        return whole(text);
    }
    let kept = text
        .parse::<f64>()
        .ok()
        .filter(|float| decimal(text).is_some_and(|own| decimal(&format!("{float:e}")) == Some(own)));
    kept.and_then(Number::from_f64).map_or_else(|| text.into(), Value::Number)
}

/// What a decimal number says, however it is written: its sign, its digits, and where they end.
fn decimal(text: &str) -> Option<(bool, String, i64)> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok().filter(|size| size.abs() < 1_000_000)?),
        None => (text, 0),
    };
    let (negative, mantissa) = mantissa.strip_prefix('-').map_or((false, mantissa), |rest| (true, rest));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let kept = digits.trim_end_matches('0');
    let end = exponent - i64::try_from(fraction.len()).ok()? + i64::try_from(digits.len() - kept.len()).ok()?;
    let kept = kept.trim_start_matches('0');
    Some((negative, kept.to_owned(), if kept.is_empty() { 0 } else { end }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_number_keeps_its_value_or_is_its_text() {
        let kept = [
            ("1", json!(1)),
            ("-0", json!(0)),
            ("9007199254740992", json!(9_007_199_254_740_992_i64)),
            ("1.10", json!(1.1)),
            ("0.0", json!(0.0)),
            ("0.30000000000000004", json!(0.300_000_000_000_000_04)),
            ("1e5", json!(100_000.0)),
            ("-2.5E-3", json!(-0.0025)),
        ];
        for (text, expected) in kept {
            assert_eq!(parse(text), Some(expected), "{text}");
        }
        for text in [
            "9007199254740993",
            "-9007199254740993",
            "12345678901234567890.123456789",
            "0.1000000000000000055",
            "1e400",
            "1e-400",
            "1e99999999999999999999",
        ] {
            assert_eq!(parse(text), Some(json!(text)), "{text}");
        }
    }

    #[test]
    fn numbers_are_exact_wherever_they_stand() {
        let text =
            r#" {"a": [1, {"n": 12345678901234567890.5}], "b": "9007199254740993", "c": null, "d": [], "e\n": {}} "#;
        let expected =
            json!({"a": [1, {"n": "12345678901234567890.5"}], "b": "9007199254740993", "c": null, "d": [], "e\n": {}});
        assert_eq!(parse(text), Some(expected));
        assert_eq!(parse("{"), None);
        assert_eq!(parse(&"[".repeat(60_000)), None);
        assert_eq!(parse(&format!("{}{}", "[".repeat(60_000), "]".repeat(60_000))), None, "too deep, and no overflow");
    }

    proptest::proptest! {
        #[test]
        fn every_float_that_is_written_shortest_stays_a_number(float in proptest::num::f64::NORMAL) {
            let text = format!("{float:e}");
            proptest::prop_assert_eq!(number(&text).as_f64(), Some(float));
        }
    }
}
