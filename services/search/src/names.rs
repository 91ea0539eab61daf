//! Names of indexes and fields: what a caller may write, and what it becomes below.
//!
//! A name is checked here once and can then mean nothing but itself: no pattern, list, date math, cluster prefix or path. The
//! namespace is never part of what a caller writes.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};
use weft_kit::ToolError;

/// The longest name.
const LONGEST: usize = 64;

/// Whether `name` is `[a-z0-9][a-z0-9_-]{0,63}`.
pub(crate) fn is_plain(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
    (1..=LONGEST).contains(&name.len()) && name.bytes().all(fits) && !name.starts_with(['_', '-'])
}

/// The name of an index or alias.
pub(crate) fn index(name: &str) -> Result<(), ToolError> {
    if is_plain(name) {
        return Ok(());
    }
    let shown: String = name.chars().take(80).collect();
    Err(ToolError::invalid(format!("{shown:?} is no name of an index: a-z, 0-9, _ and -, at most {LONGEST}"))
        .hint("patterns and lists are not names: list_indices shows what there is, and indices takes several"))
}

/// The name of a field.
pub(crate) fn field(name: &str) -> Result<(), ToolError> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
    if first && name.len() <= LONGEST && name.bytes().all(fits) {
        return Ok(());
    }
    let shown: String = name.chars().take(80).collect();
    Err(ToolError::invalid(format!("{shown:?} is no name of a field: a letter, then letters, digits and _")))
}

/// The id of a document: 1 to 512 bytes without control characters.
pub(crate) fn id(id: &str) -> Result<(), String> {
    if id.is_empty() || id.len() > 512 {
        return Err("an id has 1 to 512 bytes".to_owned());
    }
    if id.chars().any(char::is_control) {
        return Err("an id holds no control characters".to_owned());
    }
    Ok(())
}

/// A namespace as a part of a file or index name: readable when it is plain, and never that of another.
pub(crate) fn tenant(namespace: &str) -> String {
    let digest = Sha256::digest(namespace.as_bytes());
    let mut name: String =
        namespace.chars().filter(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit()).take(24).collect();
    name.push('.');
    name.push_str(&hex(&digest[..12]));
    name
}

/// Bytes as text.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_would_mean_more_than_one_index_is_no_name() {
        for bad in [
            "*",
            ".security",
            ".security*",
            "-*,secret",
            "cluster:secret",
            "<logs-{now/d}>",
            "a,b",
            "a/_delete_by_query",
            "%2e%2e",
            "..",
            "",
            "_all",
            "A",
            "a b",
            "a?b",
            "a#b",
            "a\\b",
            "é",
        ] {
            assert!(index(bad).is_err(), "{bad}");
        }
        for good in ["a", "logs-2026", "a_b", "9"] {
            assert!(index(good).is_ok(), "{good}");
        }
        assert!(index(&"a".repeat(65)).is_err());
    }

    #[test]
    fn fields_hold_no_dots_stars_or_leading_underscores() {
        for bad in ["_id", "a.b", "a*", "", "1a", "_source"] {
            assert!(field(bad).is_err(), "{bad}");
        }
        assert!(field("title_2").is_ok());
    }

    proptest! {
        #[test]
        fn different_namespaces_never_share_a_name(one in ".{0,40}", other in ".{0,40}") {
            prop_assert_eq!(one == other, tenant(&one) == tenant(&other));
            prop_assert!(tenant(&one).bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'.'));
        }
    }
}
