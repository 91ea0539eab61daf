//! What a message of a server is, read in passing: no tree, any chunks, text payloads at the speed of `memchr`.
//!
//! The scan trusts the server to send JSON and only finds its way in it; a damaged message gives a verdict that is not
//! [`Verdict::complete`].

/// What a message was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// A whole JSON value was seen, and nothing behind it.
    pub complete: bool,
    /// It is an object with a `result` or an `error`.
    pub is_response: bool,
    /// The code of its error.
    pub error_code: Option<i64>,
    /// Its result says `isError: true`.
    pub is_error: bool,
    /// Its result asks for more input (`resultType: "input_required"`).
    pub input_required: bool,
    /// Its id, raw.
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
    Id,
    Method,
    Result,
    Error,
    IsError,
    ResultType,
    Code,
    Other,
}

impl Slot {
    fn top(key: &[u8]) -> Self {
        match key {
            b"\"id\"" => Self::Id,
            b"\"method\"" => Self::Method,
            b"\"result\"" => Self::Result,
            b"\"error\"" => Self::Error,
            _ => Self::Other,
        }
    }

    fn inner(section: Self, key: &[u8]) -> Self {
        match (section, key) {
            (Self::Result, b"\"isError\"") => Self::IsError,
            (Self::Result, b"\"resultType\"") => Self::ResultType,
            (Self::Error, b"\"code\"") => Self::Code,
            _ => Self::Other,
        }
    }

    const fn is_scalar(self) -> bool {
        !matches!(self, Self::Other | Self::Result | Self::Error)
    }
}

/// Longest scalar that is looked at: methods, ids and codes are short.
const SCALAR: usize = 512;

/// A message under scan.
#[derive(Debug)]
pub struct Scan {
    depth: usize,
    /// Whether the containers at depth 1 and 2 are objects.
    object: [bool; 2],
    in_string: bool,
    escaped: bool,
    /// The next string at this depth is a key.
    key_next: bool,
    in_key: bool,
    section: Slot,
    slot: Slot,
    held: Vec<u8>,
    broken: bool,
    done: bool,
    verdict: Verdict,
}

impl Default for Scan {
    fn default() -> Self {
        Self::new()
    }
}

impl Scan {
    /// A scan that has seen nothing.
    pub const fn new() -> Self {
        Self {
            depth: 0,
            object: [false; 2],
            in_string: false,
            escaped: false,
            key_next: false,
            in_key: false,
            section: Slot::Other,
            slot: Slot::Other,
            held: Vec::new(),
            broken: false,
            done: false,
            verdict: Verdict {
                complete: false,
                is_response: false,
                error_code: None,
                is_error: false,
                input_required: false,
                id_raw: None,
                method: None,
            },
        }
    }

    /// Takes a chunk.
    pub fn feed(&mut self, chunk: &[u8]) {
        let mut at = 0;
        while let Some(&byte) = chunk.get(at) {
            if self.in_string {
                at += self.string(&chunk[at..]);
                continue;
            }
            if self.depth > 2 {
                // Deep inside nothing is looked for: the next quote or bracket is all that counts.
                let skip = chunk[at..].iter().position(|byte| matches!(byte, b'"' | b'{' | b'[' | b'}' | b']'));
                let Some(skip) = skip else { return };
                at += skip;
                self.structure(chunk[at]);
            } else {
                self.structure(byte);
            }
            at += 1;
        }
    }

    /// The verdict on what was fed.
    pub fn finish(self) -> Verdict {
        let mut verdict = self.verdict;
        verdict.complete = self.done && !self.broken;
        verdict
    }

    /// Inside a string; gives how much of the chunk it took.
    fn string(&mut self, rest: &[u8]) -> usize {
        let keep = self.in_key || (self.slot.is_scalar() && self.depth <= 2);
        if self.escaped {
            self.escaped = false;
            self.hold(&rest[..1], keep);
            return 1;
        }
        let Some(run) = memchr::memchr2(b'"', b'\\', rest) else {
            self.hold(rest, keep);
            return rest.len();
        };
        self.hold(&rest[..=run], keep);
        if rest[run] == b'\\' {
            self.escaped = true;
        } else {
            self.in_string = false;
            if self.in_key {
                self.key_done();
            }
        }
        run + 1
    }

    fn hold(&mut self, bytes: &[u8], keep: bool) {
        if keep && self.held.len() + bytes.len() <= SCALAR {
            self.held.extend_from_slice(bytes);
        }
    }

    fn key_done(&mut self) {
        self.in_key = false;
        self.slot = match self.depth {
            1 => Slot::top(&self.held),
            _ => Slot::inner(self.section, &self.held),
        };
        self.held.clear();
    }

    fn structure(&mut self, byte: u8) {
        if self.done && !byte.is_ascii_whitespace() {
            self.broken = true;
        }
        match byte {
            b'"' => {
                self.in_string = true;
                if self.key_next && self.depth <= 2 {
                    (self.in_key, self.key_next) = (true, false);
                }
                let keep = self.in_key || (self.slot.is_scalar() && self.depth <= 2);
                self.hold(b"\"", keep);
            }
            b'{' | b'[' => self.open(byte == b'{'),
            b'}' | b']' => self.close(),
            b',' if self.depth <= 2 => {
                self.scalar_done();
                self.key_next = self.in_object();
            }
            b':' => {}
            byte if byte.is_ascii_whitespace() => {}
            byte => {
                let keep = self.slot.is_scalar() && self.depth <= 2;
                self.hold(&[byte], keep);
            }
        }
    }

    fn in_object(&self) -> bool {
        self.depth.checked_sub(1).and_then(|level| self.object.get(level)).copied().unwrap_or(false)
    }

    fn open(&mut self, object: bool) {
        if self.depth == 1 && matches!(self.slot, Slot::Result | Slot::Error) {
            self.section = self.slot;
            self.verdict.is_response = true;
        } else if self.depth == 1 {
            self.section = Slot::Other;
        }
        self.depth += 1;
        if let Some(kind) = self.object.get_mut(self.depth - 1) {
            *kind = object;
            self.key_next = object;
            self.slot = Slot::Other;
            self.held.clear();
        }
    }

    fn close(&mut self) {
        if self.depth <= 2 {
            self.scalar_done();
        }
        match self.depth.checked_sub(1) {
            Some(depth) => self.depth = depth,
            None => self.broken = true,
        }
        self.key_next = false;
        self.done |= self.depth == 0;
    }

    /// A member's value is over.
    fn scalar_done(&mut self) {
        let held = std::mem::take(&mut self.held);
        let slot = std::mem::replace(&mut self.slot, Slot::Other);
        let verdict = &mut self.verdict;
        match (self.depth, slot) {
            (1, Slot::Id) if !held.is_empty() && held != b"null" => verdict.id_raw = text(&held),
            (1, Slot::Method) => verdict.method = serde_json::from_slice(&held).ok(),
            // A result that is no object is still a result.
            (1, Slot::Result | Slot::Error) => verdict.is_response = true,
            (2, Slot::IsError) => verdict.is_error = held == b"true",
            (2, Slot::ResultType) => verdict.input_required = held == b"\"input_required\"",
            (2, Slot::Code) => verdict.error_code = text(&held).and_then(|digits| digits.parse().ok()),
            _ => {}
        }
    }
}

fn text(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(str::to_owned)
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
        assert_eq!((asks.is_response, asks.method.as_deref(), asks.id_raw.as_deref()), (false, Some("elicitation/create"), Some("0")));
        let more = scan(br#"{"id":1,"result":{"resultType":"input_required","inputRequests":{"a":{"method":"roots/list"}}}}"#);
        assert!(more.input_required && more.method.is_none());
        for damaged in ["", "{", r#"{"id":1"#, r#"{"id":1}}"#, r#"{"id":1} x"#, "not json"] {
            assert!(!scan(damaged.as_bytes()).complete, "{damaged}");
        }
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
