//! An object of JSON → its members one by one, keys decoded, and the first thing that makes it ambiguous.
//!
//! Readers differ in which of two equal keys counts, and in what half of a surrogate pair becomes. An object with either can
//! mean one thing to the gateway and another to a server behind it, so both are reported wherever the mesh looks inside.

use std::{borrow::Cow, collections::HashSet};

use crate::scanner::{Fault, Scanner};

/// Why the keys of an object are not clear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unclear {
    /// This key stands twice.
    Duplicate(String),
    /// A key holds half of a surrogate pair.
    Torn,
}

/// Hands each decoded key of the object that is next to `each`, which must take the value; gives the first unclear key.
///
/// The whole object is read even then, so that bad syntax further on is still found.
pub(crate) fn walk<'a>(
    scanner: &mut Scanner<'a>,
    mut each: impl FnMut(&mut Scanner<'a>, &str) -> Result<(), Fault>,
) -> Result<Option<Unclear>, Fault> {
    let mut unclear = None;
    let mut keys = Keys::default();
    let mut more = scanner.enter(b'{', b'}')?;
    while more {
        let place = scanner.key()?;
        let Some(key) = string(scanner.raw(place)) else {
            scanner.value()?;
            unclear.get_or_insert(Unclear::Torn);
            more = scanner.more(b'}')?;
            continue;
        };
        each(scanner, &key)?;
        if let Some(twice) = keys.add(key) {
            unclear.get_or_insert(Unclear::Duplicate(shortened(&twice)));
        }
        more = scanner.more(b'}')?;
    }
    Ok(unclear)
}

/// The text of a valid JSON string; none when it is of another type or holds half of a surrogate pair.
pub(crate) fn string(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str::<String>(raw).ok().map(Cow::Owned)
}

/// A key as an error may show it: it came from a stranger and may be very long.
fn shortened(key: &str) -> String {
    const MOST: usize = 64;
    match key.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &key[..end]),
        None => key.to_owned(),
    }
}

/// The keys of one object: a list while they are few, because they almost always are.
#[derive(Default)]
struct Keys<'a> {
    few: Vec<Cow<'a, str>>,
    many: HashSet<Cow<'a, str>>,
}

impl<'a> Keys<'a> {
    const FEW: usize = 16;

    /// Gives the key back when it was there before.
    fn add(&mut self, key: Cow<'a, str>) -> Option<Cow<'a, str>> {
        if self.few.contains(&key) || self.many.contains(&key) {
            return Some(key);
        }
        if self.few.len() < Self::FEW {
            if self.few.is_empty() {
                self.few.reserve_exact(Self::FEW / 2);
            }
            self.few.push(key);
        } else {
            self.many.insert(key);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unclear(text: &str) -> Option<Unclear> {
        walk(&mut Scanner::new(text, 8), |scanner, _| scanner.value().map(|_| ())).unwrap()
    }

    #[test]
    fn equal_keys_are_found_however_they_are_written_and_however_many_there_are() {
        let twice = |key: &str| Some(Unclear::Duplicate(key.to_owned()));
        assert_eq!(unclear(r#"{"name":1,"na\u006de":2}"#), twice("name"));
        assert_eq!(unclear(r#"{"a":{"b":1},"b":{"b":1}}"#), None);
        assert_eq!(unclear("{}"), None);
        let many: Vec<String> = (0..1000).map(|n| format!("\"k{n}\":{n}")).collect();
        assert_eq!(unclear(&format!("{{{}}}", many.join(","))), None);
        for again in ["k3", "k999"] {
            assert_eq!(unclear(&format!("{{{},\"{again}\":0}}", many.join(","))), twice(again));
        }
    }

    #[test]
    fn a_torn_key_is_told_and_a_long_one_shortened() {
        assert_eq!(unclear(r#"{"\ud800":1}"#), Some(Unclear::Torn));
        assert_eq!(unclear(r#"{"\ud83d\ude00":1}"#), None);
        let long = "ü".repeat(1000);
        let Some(Unclear::Duplicate(told)) = unclear(&format!(r#"{{"{long}":1,"{long}":1}}"#)) else { panic!() };
        assert_eq!(told.chars().count(), 65);
    }
}
