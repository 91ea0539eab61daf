//! The id of a JSON-RPC message: a string or an integer, kept as it was written.
//!
//! An id travels out as it came in, so that a number beyond every machine type survives. Two ids are the same when they mean
//! the same: a server may answer `"ü"` with `"\u00fc"`.

use std::{
    borrow::Cow,
    fmt,
    hash::{Hash, Hasher},
};

use crate::{object::string, scanner::Scanner};

/// A JSON-RPC id. Equal are strings of the same text and numbers of the same digits; a string never equals a number.
#[derive(Debug, Clone)]
pub struct Id<'a>(Cow<'a, str>);

impl<'a> Id<'a> {
    /// What answers a message whose id could not be read.
    pub(super) const NULL: Id<'static> = Id(Cow::Borrowed("null"));

    /// The id as an integer.
    pub fn number(number: i64) -> Id<'static> {
        Id(number.to_string().into())
    }

    /// The id that is written so in JSON; none for anything else than a string or an integer.
    pub fn from_raw(raw: &'a str) -> Option<Self> {
        let mut scanner = Scanner::new(raw, 0);
        let whole = scanner.value().ok()? == (0..raw.len());
        if whole { Self::of(raw) } else { None }
    }

    /// The same, of text that is known to be a JSON value.
    pub(super) fn of(raw: &'a str) -> Option<Self> {
        let known = match raw.as_bytes().first() {
            Some(b'"') => string(raw).is_some(),
            Some(b'-' | b'0'..=b'9') => raw.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit()),
            _ => false,
        };
        known.then_some(Self(raw.into()))
    }

    /// The id as raw JSON, such as `"a"` or `7`.
    pub fn as_raw(&self) -> &str {
        &self.0
    }

    /// The text of a string id.
    pub fn as_text(&self) -> Option<Cow<'_, str>> {
        string(&self.0)
    }

    /// The same, owning its text.
    pub fn into_owned(self) -> Id<'static> {
        Id(self.0.into_owned().into())
    }
}

impl PartialEq for Id<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || matches!((self.as_text(), other.as_text()), (Some(own), Some(theirs)) if own == theirs)
    }
}

impl Eq for Id<'_> {}

impl Hash for Id<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self.as_text() {
            Some(text) => (true, text).hash(state),
            None => (false, &self.0).hash(state),
        }
    }
}

impl fmt::Display for Id<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn only_strings_and_integers_are_ids() {
        for good in ["0", "-0", "7", "-12", "123456789012345678901234567890", r#""""#, r#""a\"b""#, r#""\ud83d\ude00""#]
        {
            assert_eq!(Id::from_raw(good).unwrap().as_raw(), good);
        }
        for bad in [
            "",
            "null",
            "true",
            "1.0",
            "1e3",
            "01",
            "-",
            "1 ",
            " 1",
            "[1]",
            "{}",
            r#""a"b""#,
            r#""\ud800""#,
            "\"\n\"",
            "a",
        ] {
            assert!(Id::from_raw(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn ids_that_mean_the_same_are_the_same() {
        let id = |raw| Id::from_raw(raw).unwrap();
        let known = HashSet::from([id(r#""ü""#), id("7")]);
        assert!(known.contains(&id(r#""\u00fc""#)));
        assert!(known.contains(&Id::number(7)));
        assert!(!known.contains(&id(r#""7""#)));
        assert_eq!(id(r#""\u00fc""#).as_text().unwrap(), "ü");
        assert_eq!(id("7").as_text(), None);
    }
}
