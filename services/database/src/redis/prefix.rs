//! Whose keys: what a caller names → the key on the server, and back.
//!
//! The server puts the prefix before every key and takes it off every answer, so no argument can name another tenant's key.
//! Two tenants never share a prefix and none is the beginning of another's: the namespace is percent-encoded and followed by a
//! delimiter that the encoding cannot produce.

use super::{glob, settings::RedisFault};

const TENANT: &str = "{tenant}";
const DELIMITERS: &str = ":/|#!";

/// A prefix as it is configured.
#[derive(Debug, Clone)]
pub(crate) struct Rule(String);

impl Rule {
    /// Fails when `{tenant}` is not followed by a delimiter.
    pub(crate) fn new(text: &str) -> Result<Self, RedisFault> {
        let ends = text.split(TENANT).skip(1).all(|rest| rest.starts_with(|first| DELIMITERS.contains(first)));
        if ends { Ok(Self(text.to_owned())) } else { Err(RedisFault::Prefix) }
    }

    /// The prefix of a namespace.
    pub(crate) fn of(&self, namespace: &str) -> Prefix {
        Prefix(self.0.replace(TENANT, &encode(namespace)).into_bytes())
    }
}

/// Letters, digits, `_`, `.` and `-` stay; everything else becomes `%XX`, so that no delimiter and no brace is left.
fn encode(namespace: &str) -> String {
    let mut out = String::with_capacity(namespace.len());
    for byte in namespace.bytes() {
        if byte.is_ascii_alphanumeric() || b"_.-".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// What all keys of one caller begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prefix(Vec<u8>);

impl Prefix {
    /// It alone.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key on the server.
    pub(crate) fn key(&self, name: &[u8]) -> Vec<u8> {
        [&self.0, name].concat()
    }

    /// What the caller calls a key of the server, `None` for a key of someone else.
    pub(crate) fn strip<'k>(&self, key: &'k [u8]) -> Option<&'k [u8]> {
        key.strip_prefix(self.0.as_slice())
    }

    /// A pattern that matches only keys of this prefix, whatever the caller's pattern holds.
    pub(crate) fn pattern(&self, pattern: &[u8]) -> Vec<u8> {
        [glob::escape(&self.0).as_slice(), pattern].concat()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_tenant_must_end_somewhere() {
        assert!(Rule::new("").is_ok() && Rule::new("app:").is_ok() && Rule::new("app:{tenant}:").is_ok());
        for text in ["{tenant}", "app:{tenant}", "{tenant}x:", "{tenant}-", "{tenant}{tenant}:"] {
            assert!(Rule::new(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_namespace_cannot_forge_a_delimiter_a_hash_tag_or_a_glob() {
        let rule = Rule::new("{tenant}:").unwrap();
        assert_eq!(rule.of("a:b"), Prefix(b"a%3Ab:".to_vec()));
        assert_eq!(rule.of("{x}*"), Prefix(b"%7Bx%7D%2A:".to_vec()));
        assert_ne!(rule.of("a").key(b":x"), rule.of("a:").key(b"x"));
    }

    #[test]
    fn glob_characters_of_the_prefix_match_only_themselves() {
        let prefix = Rule::new("we*ird[?]\\:").unwrap().of("x");
        let pattern = prefix.pattern(b"*");
        assert!(glob::matches(&pattern, &prefix.key(b"a")));
        for other in [&b"wexird[?]\\:a"[..], b"we*ird?\\:a", b"we*irdx\\:a", b"we*ird[?]:a"] {
            assert!(!glob::matches(&pattern, other), "{other:?}");
        }
    }

    proptest! {
        #[test]
        fn no_pattern_of_one_tenant_matches_a_key_of_another(
            (one, other) in ("\\PC{0,6}", "\\PC{0,6}"),
            (key, pattern) in (proptest::collection::vec(any::<u8>(), 0..8), "[a-z*?\\[\\]^\\\\:{}-]{0,8}"),
        ) {
            let rule = Rule::new("ns[{tenant}:").unwrap();
            let (one_prefix, other_prefix) = (rule.of(&one), rule.of(&other));
            let full = other_prefix.key(&key);
            prop_assert_eq!(other_prefix.strip(&full), Some(key.as_slice()));
            if one != other {
                prop_assert_eq!(one_prefix.strip(&full), None);
                prop_assert!(!glob::matches(&one_prefix.pattern(pattern.as_bytes()), &full));
            }
        }
    }
}
