//! Bytes in and out: Redis stores bytes, JSON has only text, so what is no UTF-8 travels as `{"base64": …}`.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use redis::Value;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use weft_kit::ToolError;

/// A key, a field or a value: text, a number, or bytes.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Bytes {
    Text(String),
    Number(serde_json::Number),
    Encoded(Encoded),
}

/// Bytes that are no text.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Encoded {
    base64: String,
}

impl Bytes {
    /// The bytes themselves.
    pub(crate) fn get(&self) -> Result<Vec<u8>, ToolError> {
        match self {
            Self::Text(text) => Ok(text.clone().into_bytes()),
            Self::Number(number) => Ok(number.to_string().into_bytes()),
            Self::Encoded(encoded) => STANDARD
                .decode(&encoded.base64)
                .map_err(|_| ToolError::invalid("base64 is not standard base64 with padding")),
        }
    }
}

/// Lists of tools are paid for by the token and hold these dozens of times, so their schemas say the types alone; the
/// descriptions of the tools say the rest.
impl JsonSchema for Bytes {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Bytes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "number", "object"]})
    }
}

impl Bytes {
    /// Any bytes, as an argument would hold them.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Encoded(Encoded { base64: STANDARD.encode(bytes) }),
        }
    }
}

impl From<&str> for Bytes {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// Bytes as they are shown: plain text, or what is binary or cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Shown {
    Text(String),
    Part(Part),
}

/// Bytes that are no text, or not all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Part {
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    /// Bytes of the whole.
    bytes: u64,
    /// Only the beginning is here.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cut: bool,
}

impl JsonSchema for Shown {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Shown".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "object"]})
    }
}

impl Shown {
    /// All of it.
    pub(crate) fn whole(bytes: &[u8]) -> Self {
        Self::of(bytes, usize::MAX)
    }

    /// At most `limit` bytes of it.
    pub(crate) fn of(bytes: &[u8], limit: usize) -> Self {
        let size = bytes.len() as u64;
        match std::str::from_utf8(bytes) {
            Ok(text) if text.len() <= limit => Self::Text(text.to_owned()),
            Ok(text) => {
                let end = (0..=limit).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
                let part = text[..end].to_owned();
                Self::Part(Part { text: Some(part), bytes: size, cut: true, ..Part::default() })
            }
            Err(_) => {
                let part = &bytes[..limit.min(bytes.len())];
                let base64 = Some(STANDARD.encode(part));
                Self::Part(Part { base64, bytes: size, cut: part.len() < bytes.len(), ..Part::default() })
            }
        }
    }

    /// Whether something is missing.
    pub(crate) fn is_cut(&self) -> bool {
        matches!(self, Self::Part(part) if part.cut)
    }
}

/// Replies → JSON of a bounded size: long strings are cut, long lists end early.
#[derive(Debug)]
pub(crate) struct Render {
    longest: usize,
    left: usize,
    cut: bool,
}

impl Render {
    /// At most about `bytes` of strings, and no more than an eighth of it for one unless it is alone.
    pub(crate) fn new(bytes: usize) -> Self {
        Self { longest: bytes / 8, left: bytes, cut: false }
    }

    /// Whether something is missing.
    pub(crate) fn cut(&self) -> bool {
        self.cut
    }

    /// A reply. Errors inside of it are told by their code alone.
    pub(crate) fn json(&mut self, value: Value) -> serde_json::Value {
        match value {
            Value::BulkString(text) => {
                let alone = self.left;
                self.bytes(&text, alone)
            }
            other => self.part(other),
        }
    }

    fn part(&mut self, value: Value) -> serde_json::Value {
        self.left = self.left.saturating_sub(8);
        match value {
            Value::Int(number) => number.into(),
            Value::BulkString(text) | Value::BigNumber(text) => self.bytes(&text, self.longest),
            Value::Array(items) | Value::Set(items) | Value::Push { data: items, .. } => self.list(items),
            Value::SimpleString(text) | Value::VerbatimString { text, .. } => self.bytes(text.as_bytes(), self.longest),
            Value::Okay => "OK".into(),
            Value::Map(pairs) => self.list(pairs.into_iter().flat_map(|(name, value)| [name, value]).collect()),
            Value::Attribute { data, .. } => self.part(*data),
            Value::Double(number) => number.into(),
            Value::Boolean(flag) => flag.into(),
            Value::ServerError(error) => serde_json::json!({"error": error.code()}),
            _ => serde_json::Value::Null,
        }
    }

    fn list(&mut self, items: Vec<Value>) -> serde_json::Value {
        let mut shown = Vec::new();
        for item in items {
            if self.left == 0 {
                self.cut = true;
                break;
            }
            shown.push(self.part(item));
        }
        shown.into()
    }

    fn bytes(&mut self, bytes: &[u8], most: usize) -> serde_json::Value {
        let shown = Shown::of(bytes, most.min(self.left));
        self.left = self.left.saturating_sub(bytes.len());
        self.cut |= shown.is_cut();
        serde_json::to_value(shown).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text_and_other_bytes_are_tagged() {
        assert_eq!(Shown::whole("a\r\n\0ß".as_bytes()), Shown::Text("a\r\n\0ß".to_owned()));
        let shown = serde_json::to_value(Shown::whole(&[0xff, 0])).unwrap();
        assert_eq!(shown, serde_json::json!({"base64": "/wA=", "bytes": 2}));
    }

    #[test]
    fn a_cut_never_splits_a_character_and_tells_the_whole_size() {
        let shown = serde_json::to_value(Shown::of("aßß".as_bytes(), 4)).unwrap();
        assert_eq!(shown, serde_json::json!({"text": "aß", "bytes": 5, "cut": true}));
    }

    #[test]
    fn a_long_reply_ends_early_and_says_so() {
        let items = |count, size| Value::Array(vec![Value::BulkString(vec![b'x'; size]); count]);
        let mut small = Render::new(1_024);
        assert_eq!(small.json(items(3, 10)).as_array().map(Vec::len), Some(3));
        assert!(!small.cut());
        let mut large = Render::new(1_024);
        let shown = large.json(items(1_000, 1_000));
        assert!(large.cut() && shown.to_string().len() < 3_000, "{shown}");
        assert_eq!(Render::new(1_024).json(Value::BulkString(vec![b'x'; 900])).as_str().map(str::len), Some(900));
    }

    #[test]
    fn numbers_and_base64_are_bytes_too() {
        let read = |text: &str| serde_json::from_str::<Bytes>(text).unwrap().get();
        assert_eq!(read("12").unwrap(), b"12");
        assert_eq!(read("{\"base64\":\"/wA=\"}").unwrap(), [0xff, 0]);
        assert!(read("{\"base64\":\"%\"}").is_err());
        assert!(serde_json::from_str::<Bytes>("{\"base64\":\"\",\"x\":1}").is_err());
    }
}
