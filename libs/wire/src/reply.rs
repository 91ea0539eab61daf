//! What a message of a server is, read in passing: no tree, any chunks, text payloads at the speed of `memchr`.
//!
//! The scan trusts the server to send JSON and only finds its way in it; a message that is cut off or followed by something
//! gives a verdict that is not [`Verdict::complete`].

use crate::object::string;

/// What a message was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about one message, each asked for by itself")]
pub struct Verdict {
    /// A whole JSON object or array was seen, and nothing behind it.
    pub complete: bool,
    /// It is an object with a `result` or an `error`.
    pub is_response: bool,
    /// It has both, or one of the members named here twice: no two readers need agree on what it says.
    pub ambiguous: bool,
    /// The code of its error.
    pub error_code: Option<i64>,
    /// Its result says `isError: true`.
    pub is_error: bool,
    /// Its result asks for more input (`resultType: "input_required"`).
    pub input_required: bool,
    /// Its id, raw; none for `null`, and for one longer than 4 KiB.
    pub id_raw: Option<String>,
    /// Its method: it is a notification, or with an id a question.
    pub method: Option<String>,
}

/// The verdict on a message at hand.
pub fn scan(message: &[u8]) -> Verdict {
    let mut scan = Scan::new();
    scan.feed(message);
    scan.finish()
}

/// Members that are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    Other = 0,
    Id = 1,
    Method = 2,
    Result = 4,
    Error = 8,
    IsError = 16,
    ResultType = 32,
    Code = 64,
}

impl Slot {
    /// The member of this name, at the top or inside a section.
    fn named(section: Option<Self>, key: &str) -> Self {
        match (section, key) {
            (None, "id") => Self::Id,
            (None, "method") => Self::Method,
            (None, "result") => Self::Result,
            (None, "error") => Self::Error,
            (Some(Self::Result), "isError") => Self::IsError,
            (Some(Self::Result), "resultType") => Self::ResultType,
            (Some(Self::Error), "code") => Self::Code,
            _ => Self::Other,
        }
    }

    const fn is_scalar(self) -> bool {
        !matches!(self, Self::Other | Self::Result | Self::Error)
    }
}

/// Longest key or scalar that is looked at.
const HELD: usize = 4096;

/// A key or scalar while it comes in; what is too long is dropped whole.
#[derive(Debug)]
struct Held {
    bytes: Vec<u8>,
    fits: bool,
}

impl Held {
    fn add(&mut self, bytes: &[u8]) {
        self.fits &= self.bytes.len() + bytes.len() <= HELD;
        if self.fits {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// What was held, emptied for the next.
    fn take(&mut self) -> Option<String> {
        let (bytes, fits) = (std::mem::take(&mut self.bytes), std::mem::replace(&mut self.fits, true));
        String::from_utf8(bytes).ok().filter(|text| fits && !text.is_empty())
    }
}

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    Structure,
    Text,
    Escape,
}

/// What the next string is, as far as this is looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Key,
    KeyBegun,
    Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Open,
    Done,
    Broken,
}

/// A message under scan.
#[derive(Debug)]
pub struct Scan {
    depth: usize,
    /// Whether the containers at depth 1 and 2 are objects.
    object: [bool; 2],
    within: Within,
    turn: Turn,
    /// The member of the message that depth 2 is inside of.
    section: Slot,
    slot: Slot,
    /// Slots that were seen, as bits.
    seen: u8,
    held: Held,
    progress: Progress,
    verdict: Verdict,
}

impl Default for Scan {
    fn default() -> Self {
        Self::new()
    }
}

impl Scan {
    /// A scan that has seen nothing.
    pub fn new() -> Self {
        Self {
            depth: 0,
            object: [false; 2],
            within: Within::Structure,
            turn: Turn::Value,
            section: Slot::Other,
            slot: Slot::Other,
            seen: 0,
            held: Held { bytes: Vec::new(), fits: true },
            progress: Progress::Open,
            verdict: Verdict::default(),
        }
    }

    /// Takes a chunk.
    pub fn feed(&mut self, chunk: &[u8]) {
        let mut rest = chunk;
        while !rest.is_empty() {
            if self.within != Within::Structure {
                rest = self.text(rest);
                continue;
            }
            if self.depth > 2 {
                // Deep inside nothing is looked for: the next quote or bracket is all that counts.
                let skip = rest.iter().position(|byte| matches!(byte, b'"' | b'{' | b'[' | b'}' | b']'));
                let Some(skip) = skip else { return };
                rest = &rest[skip..];
            }
            self.structure(rest[0]);
            rest = &rest[1..];
        }
    }

    /// The verdict on what was fed.
    pub fn finish(self) -> Verdict {
        let seen = |slot: Slot| self.seen & slot as u8 != 0;
        let mut verdict = self.verdict;
        verdict.complete = self.progress == Progress::Done;
        verdict.is_response = seen(Slot::Result) || seen(Slot::Error);
        verdict.ambiguous |= seen(Slot::Result) && seen(Slot::Error);
        verdict
    }

    /// True where keys and scalars are kept.
    fn keeps(&self) -> bool {
        self.depth <= 2 && (self.turn == Turn::KeyBegun || self.slot.is_scalar())
    }

    /// Inside a string; gives what is behind the part that it took.
    fn text<'c>(&mut self, rest: &'c [u8]) -> &'c [u8] {
        let run = match self.within {
            Within::Escape => 0,
            _ => memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len()),
        };
        let taken = rest.len().min(run + 1);
        if self.keeps() {
            self.held.add(&rest[..taken]);
        }
        match (self.within, rest.get(run)) {
            (Within::Escape, _) => self.within = Within::Text,
            (_, Some(b'\\')) => self.within = Within::Escape,
            (_, Some(_)) => {
                self.within = Within::Structure;
                if self.turn == Turn::KeyBegun {
                    self.key_done();
                }
            }
            (_, None) => {}
        }
        &rest[taken..]
    }

    fn key_done(&mut self) {
        self.turn = Turn::Value;
        let raw = self.held.take().unwrap_or_default();
        let section = (self.depth == 2).then_some(self.section);
        self.slot = string(&raw).map_or(Slot::Other, |key| Slot::named(section, &key));
        let bit = self.slot as u8;
        self.verdict.ambiguous |= self.seen & bit != 0;
        self.seen |= bit;
    }

    fn structure(&mut self, byte: u8) {
        if self.progress == Progress::Done && !byte.is_ascii_whitespace() {
            self.progress = Progress::Broken;
        }
        match byte {
            b'"' => {
                self.within = Within::Text;
                if self.turn == Turn::Key {
                    self.turn = Turn::KeyBegun;
                }
                if self.keeps() {
                    self.held.add(b"\"");
                }
            }
            b'{' | b'[' => self.open(byte == b'{'),
            b'}' | b']' => self.close(byte == b'}'),
            b',' if self.depth <= 2 => {
                self.value_done();
                let object = self.depth.checked_sub(1).is_some_and(|level| self.object[level]);
                self.turn = if object { Turn::Key } else { Turn::Value };
            }
            byte if self.keeps() && byte != b':' && !byte.is_ascii_whitespace() => self.held.add(&[byte]),
            _ => {}
        }
    }

    fn open(&mut self, object: bool) {
        if self.depth == 1 {
            self.section = self.slot;
        }
        self.turn = Turn::Value;
        if let Some(kind) = self.object.get_mut(self.depth) {
            *kind = object;
            self.slot = Slot::Other;
            if object {
                self.turn = Turn::Key;
            }
        }
        self.held.take();
        self.depth += 1;
    }

    fn close(&mut self, object: bool) {
        if self.depth <= 2 {
            self.value_done();
        }
        let Some(outer) = self.depth.checked_sub(1) else { return self.progress = Progress::Broken };
        if self.object.get(outer).is_some_and(|kind| *kind != object) {
            self.progress = Progress::Broken;
        }
        (self.depth, self.turn) = (outer, Turn::Value);
        if outer == 0 && self.progress == Progress::Open {
            self.progress = Progress::Done;
        }
    }

    /// A member's value is over.
    fn value_done(&mut self) {
        let slot = std::mem::replace(&mut self.slot, Slot::Other);
        let Some(raw) = self.held.take() else { return };
        let verdict = &mut self.verdict;
        match slot {
            Slot::Id => verdict.id_raw = Some(raw).filter(|raw| raw != "null"),
            Slot::Method => verdict.method = string(&raw).map(Into::into),
            Slot::IsError => verdict.is_error = raw == "true",
            Slot::ResultType => verdict.input_required = string(&raw).as_deref() == Some("input_required"),
            Slot::Code => verdict.error_code = raw.parse().ok(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_kind_of_message_is_told() {
        let result = scan(br#"{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"\"isError\":true"}],"isError":true}}"#);
        assert!(result.complete && result.is_response && result.is_error && !result.input_required);
        assert_eq!(result.id_raw.as_deref(), Some("7"));
        let fine = scan(br#"{"result":{"structuredContent":{"isError":true,"code":1},"isError":false},"id":"a\"b","jsonrpc":"2.0"}"#);
        assert!(fine.complete && fine.is_response && !fine.is_error);
        assert_eq!(fine.id_raw.as_deref(), Some(r#""a\"b""#));
        let error = scan(br#" {"jsonrpc":"2.0","id":null,"error":{"data":{"code":1},"code":-32602,"message":"x"}} "#);
        assert_eq!((error.complete, error.error_code, error.id_raw), (true, Some(-32602), None));
        let asks = scan(br#"{"jsonrpc":"2.0","id":0,"method":"elicitation/create","params":{"result":{}}}"#);
        assert_eq!(
            (asks.is_response, asks.method.as_deref(), asks.id_raw.as_deref()),
            (false, Some("elicitation/create"), Some("0"))
        );
        let more =
            scan(br#"{"id":1,"result":{"resultType":"input_required","inputRequests":{"a":{"method":"roots/list"}}}}"#);
        assert!(more.input_required && more.method.is_none());
        for damaged in ["", "{", r#"{"id":1"#, r#"{"id":1}}"#, r#"{"id":1} x"#, "not json"] {
            assert!(!scan(damaged.as_bytes()).complete, "{damaged}");
        }
    }

    #[test]
    fn a_message_that_can_be_read_in_two_ways_is_told() {
        for doubtful in [
            r#"{"id":1,"result":{},"error":{"code":1,"message":""}}"#,
            r#"{"id":1,"result":{},"r\u0065sult":{}}"#,
            r#"{"id":1,"id":2,"result":{}}"#,
            r#"{"id":1,"result":{"isError":false,"isError":true}}"#,
        ] {
            let verdict = scan(doubtful.as_bytes());
            assert!(verdict.complete && verdict.is_response && verdict.ambiguous, "{doubtful}");
        }
        assert!(!scan(br#"{"id":1,"result":{"id":2,"result":3,"code":4},"x":{"isError":true,"code":5}}"#).ambiguous);
    }

    #[test]
    fn keys_count_as_they_read_and_long_ones_not_at_all() {
        let escaped = scan(br#"{"id":1,"r\u0065sult":{"is\u0045rror":true,"resultType":"input_\u0072equired"}}"#);
        assert!(escaped.is_response && escaped.is_error && escaped.input_required);
        // An escape cuts the key in two; its end alone looks like one that counts.
        for length in [0, 10, HELD - 8, HELD, 2 * HELD] {
            let message = format!(r#"{{"{}\result":{{"isError":true}}}}"#, "A".repeat(length.max(1)));
            assert!(!scan(message.as_bytes()).is_response, "{length}");
        }
        let id = format!("\"{}\"", "i".repeat(HELD - 2));
        let message = format!(r#"{{"id":{id},"result":{{}}}}"#);
        assert_eq!(scan(message.as_bytes()).id_raw, Some(id));
        let long = format!(r#"{{"id":"{}\n","result":{{}}}}"#, "i".repeat(HELD));
        let mut pieces = Scan::new();
        long.as_bytes().chunks(7).for_each(|chunk| pieces.feed(chunk));
        let verdict = pieces.finish();
        assert_eq!((verdict.id_raw.clone(), verdict.is_response), (None, true));
        assert_eq!(scan(long.as_bytes()), verdict);
    }

    #[test]
    fn brackets_that_do_not_match_are_damage() {
        for damaged in ["{]", r#"{"id":1]"#, r#"{"result":[}}"#, "}", "[]]", "{}{}"] {
            assert!(!scan(damaged.as_bytes()).complete, "{damaged}");
        }
        assert!(scan(b" [ {} , [ ] ] ").complete);
    }

    proptest! {
        #[test]
        fn chunks_do_not_matter(text in "[a-z\"\\\\\\[{}]{0,30}", flag in any::<bool>(), size in 1_usize..12) {
            let value = serde_json::json!({"jsonrpc": "2.0", "id": text, "result": {"a": [text, {"isError": !flag}], "isError": flag, "z": {"x": text}}});
            let bytes = serde_json::to_vec(&value).unwrap();
            let mut parts = Scan::new();
            bytes.chunks(size).for_each(|chunk| parts.feed(chunk));
            let verdict = parts.finish();
            prop_assert!(verdict.complete && verdict.is_response);
            prop_assert_eq!(verdict.is_error, flag);
            let id = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(verdict.id_raw.as_deref(), Some(id.as_str()));
            prop_assert_eq!(scan(&bytes), verdict);
        }
    }
}
