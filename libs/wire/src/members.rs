//! An object of JSON as a list of members that can be taken, set and removed, while all others keep their bytes.
//!
//! Between a tree, which would change numbers and drop what it does not know, and a splice, which must know every place.

use std::borrow::Cow;

use crate::{object::walk, scanner::Scanner, splice::quote};

/// The members of one object, in their order; values are raw JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members<'a>(Vec<(String, Cow<'a, str>)>);

impl<'a> Members<'a> {
    /// The members of `raw`; none when it is no object, or one whose keys two readers could take differently.
    pub fn parse(raw: &'a str) -> Option<Self> {
        let mut scanner = Scanner::new(raw, usize::MAX);
        if scanner.peek() != Some(b'{') {
            return None;
        }
        let mut members = Vec::new();
        let unclear = walk(&mut scanner, |scanner, key| {
            let place = scanner.value()?;
            members.push((key.to_owned(), Cow::Borrowed(scanner.raw(place))));
            Ok(())
        });
        let clear = matches!(unclear, Ok(None)) && scanner.end().is_ok();
        clear.then_some(Self(members))
    }

    /// The raw value of a member.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, raw)| &**raw)
    }

    /// The raw value of a member that nobody has set, for as long as the text that it was parsed from.
    pub fn original(&self, key: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| known == key).and_then(|(_, raw)| match raw {
            Cow::Borrowed(raw) => Some(*raw),
            Cow::Owned(_) => None,
        })
    }

    /// The text of a member that is a string.
    pub fn text(&self, key: &str) -> Option<Cow<'_, str>> {
        crate::object::string(self.get(key)?)
    }

    /// Puts raw JSON in the place of a member, or behind all others.
    pub fn set(&mut self, key: &str, raw: impl Into<Cow<'a, str>>) {
        match self.0.iter_mut().find(|(known, _)| known == key) {
            Some((_, present)) => *present = raw.into(),
            None => self.0.push((key.to_owned(), raw.into())),
        }
    }

    /// Like [`Self::set`], for a member that is not there yet.
    pub fn set_default(&mut self, key: &str, raw: impl Into<Cow<'a, str>>) {
        if self.get(key).is_none() {
            self.set(key, raw);
        }
    }

    /// Takes a member out.
    pub fn remove(&mut self, key: &str) -> Option<Cow<'a, str>> {
        let at = self.0.iter().position(|(known, _)| known == key)?;
        Some(self.0.remove(at).1)
    }

    /// Keeps the members that `keep` says.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.0.retain(|(key, _)| keep(key));
    }

    /// Keys and raw values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, raw)| (key.as_str(), &**raw))
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The object as JSON.
    pub fn to_json(&self) -> String {
        let size: usize = self.0.iter().map(|(key, raw)| key.len() + raw.len() + 4).sum();
        let mut out = String::with_capacity(size + 2);
        out.push('{');
        for (key, raw) in &self.0 {
            if out.len() > 1 {
                out.push(',');
            }
            out.push_str(&quote(key));
            out.push(':');
            out.push_str(raw);
        }
        out.push('}');
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_touched_keeps_its_bytes() {
        let mut members = Members::parse(r#" {"a":1.50 , "b":{"x":[1,2]},"c":"\u00e4"} "#).unwrap();
        assert_eq!(members.to_json(), r#"{"a":1.50,"b":{"x":[1,2]},"c":"\u00e4"}"#);
        members.set("b", "null");
        members.set_default("a", "2");
        members.set_default("d", "true");
        assert_eq!(members.remove("c").as_deref(), Some(r#""\u00e4""#));
        assert_eq!(members.to_json(), r#"{"a":1.50,"b":null,"d":true}"#);
        members.retain(|key| key == "z");
        assert!(members.is_empty());
        assert_eq!(members.to_json(), "{}");
    }

    #[test]
    fn what_is_no_clear_object_is_none() {
        for bad in ["", "[]", "1", "{", r#"{"a":1,"a":2}"#, r#"{"a":1} x"#] {
            assert_eq!(Members::parse(bad), None, "{bad}");
        }
    }
}
