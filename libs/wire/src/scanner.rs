//! A scanner over JSON text (RFC 8259) that checks the whole and remembers only places.
//!
//! Every byte is looked at once. It does not recurse, so depth costs one flag per level and is limited by its caller;
//! strings are skipped at the speed of `memchr`. The input is known to be UTF-8.

use std::ops::Range;

/// Why the text is not acceptable JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Not JSON at this byte.
    Syntax(usize),
    /// Nested deeper than allowed.
    Deep,
}

/// A place in a text.
pub(crate) struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// Containers that may be open at once.
    most: usize,
    /// Containers that the reader has entered itself.
    entered: usize,
    /// Containers that are open inside the value that is being skipped; true for an object.
    stack: Vec<bool>,
}

impl<'a> Scanner<'a> {
    /// At the beginning of `text`, for at most `depth` levels of nesting.
    pub(crate) const fn new(text: &'a str, depth: usize) -> Self {
        Self { text, bytes: text.as_bytes(), at: 0, most: depth, entered: 0, stack: Vec::new() }
    }

    /// The text at a place that this scanner gave.
    pub(crate) fn raw(&self, place: Range<usize>) -> &'a str {
        self.text.get(place).unwrap_or_default()
    }

    /// The offset of what is next.
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    /// The next byte that is not white space.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    /// Nothing but white space may be left.
    pub(crate) fn end(&mut self) -> Result<(), Fault> {
        if self.peek().is_none() { Ok(()) } else { Err(self.fault()) }
    }

    const fn fault(&self) -> Fault {
        Fault::Syntax(self.at)
    }

    /// Takes `byte` if it is next.
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        if self.take(byte) { Ok(()) } else { Err(self.fault()) }
    }

    /// Goes into a container whose first byte is `open`; false when it has no members and is left again.
    pub(crate) fn enter(&mut self, open: u8, close: u8) -> Result<bool, Fault> {
        if self.entered >= self.most {
            return Err(Fault::Deep);
        }
        self.expect(open)?;
        let empty = self.take(close);
        self.entered += usize::from(!empty);
        Ok(!empty)
    }

    /// After a member: true when another follows, false when the container was closed and is left.
    pub(crate) fn more(&mut self, close: u8) -> Result<bool, Fault> {
        if self.take(b',') {
            return Ok(true);
        }
        self.expect(close)?;
        self.entered -= 1;
        Ok(false)
    }

    /// A key and its colon; gives the key's place, quotes included.
    pub(crate) fn key(&mut self) -> Result<Range<usize>, Fault> {
        if self.peek() != Some(b'"') {
            return Err(self.fault());
        }
        let key = self.string()?;
        self.expect(b':')?;
        Ok(key)
    }

    /// Skips one value of any kind; gives its place.
    pub(crate) fn value(&mut self) -> Result<Range<usize>, Fault> {
        self.peek();
        let start = self.at;
        self.stack.clear();
        loop {
            let opened = self.open()?;
            if opened {
                continue;
            }
            if self.close()? {
                return Ok(start..self.at);
            }
        }
    }

    /// Takes a scalar, or the beginning of a container that is not empty; true for the latter.
    fn open(&mut self) -> Result<bool, Fault> {
        match self.peek() {
            Some(b'"') => self.string().map(|_| false),
            Some(b'{') => {
                self.push(true)?;
                if self.take(b'}') {
                    self.stack.pop();
                    return Ok(false);
                }
                self.key().map(|_| true)
            }
            Some(b'[') => {
                self.push(false)?;
                if self.take(b']') {
                    self.stack.pop();
                    return Ok(false);
                }
                Ok(true)
            }
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.fault()),
        }
    }

    fn push(&mut self, object: bool) -> Result<(), Fault> {
        if self.entered + self.stack.len() >= self.most {
            return Err(Fault::Deep);
        }
        self.at += 1;
        self.stack.push(object);
        Ok(())
    }

    /// After a value: closes what ends here; true when nothing is open any more.
    fn close(&mut self) -> Result<bool, Fault> {
        loop {
            let Some(object) = self.stack.last().copied() else { return Ok(true) };
            match (self.peek(), object) {
                (Some(b','), true) => {
                    self.at += 1;
                    self.key()?;
                    return Ok(false);
                }
                (Some(b','), false) => {
                    self.at += 1;
                    return Ok(false);
                }
                (Some(b'}'), true) | (Some(b']'), false) => {
                    self.at += 1;
                    self.stack.pop();
                }
                _ => return Err(self.fault()),
            }
        }
    }

    /// Skips a string; the cursor stands on its first quote.
    fn string(&mut self) -> Result<Range<usize>, Fault> {
        let start = self.at;
        self.at += 1;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let Some(run) = memchr::memchr2(b'"', b'\\', rest) else { return Err(Fault::Syntax(self.bytes.len())) };
            // Folded, not searched: wide registers over the whole run beat a stop at the first bad byte.
            if rest[..run].iter().fold(u8::MAX, |least, byte| least.min(*byte)) < 0x20 {
                return Err(self.fault());
            }
            self.at += run + 1;
            if rest[run] == b'"' {
                return Ok(start..self.at);
            }
            match self.bytes.get(self.at) {
                Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
                Some(b'u') => {
                    let digits = self.bytes.get(self.at + 1..self.at + 5);
                    if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                        return Err(self.fault());
                    }
                    self.at += 5;
                }
                _ => return Err(self.fault()),
            }
        }
    }

    fn word(&mut self, word: &[u8]) -> Result<bool, Fault> {
        if self.bytes.get(self.at..self.at + word.len()) != Some(word) {
            return Err(self.fault());
        }
        self.at += word.len();
        Ok(false)
    }

    fn number(&mut self) -> Result<bool, Fault> {
        if self.bytes.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        match self.bytes.get(self.at) {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return Err(self.fault()),
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.bytes.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.bytes.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(false)
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return Err(self.fault());
        }
        self.at += count;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn accepts(text: &str) -> bool {
        let mut scanner = Scanner::new(text, 100);
        scanner.value().is_ok() && scanner.end().is_ok()
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(|number| serde_json::json!(number)),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(5, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
                prop::collection::btree_map(any::<String>(), inner, 0..8)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_json_text_is_accepted(value in json(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            prop_assert!(accepts(&text), "{}", text);
        }

        #[test]
        fn it_agrees_with_serde_json_on_damaged_text(value in json(), at in any::<prop::sample::Index>(), put in "[\\x00-\\x7f]{0,2}") {
            let text = serde_json::to_string(&value).unwrap();
            let mut bytes = text.into_bytes();
            let at = at.index(bytes.len());
            bytes.splice(at..=at, put.bytes());
            if let Ok(text) = String::from_utf8(bytes) {
                let theirs = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
                prop_assert_eq!(accepts(&text), theirs, "{}", text);
            }
        }
    }

    #[test]
    fn depth_is_limited_without_recursion() {
        let deep = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        let mut scanner = Scanner::new(&deep, 64);
        assert_eq!(scanner.value(), Err(Fault::Deep));
        let mut scanner = Scanner::new(&deep, 1_000_000);
        assert!(scanner.value().is_ok());
    }
}
