//! What a collection is called while it is being filled: its name, a point, when that began, and a number of its own.
//!
//! No caller can say such a name, because no name of a collection has a point. Whoever fills one removes it when that fails; if it is
//! killed, the next one that makes a draft finds by the time that nobody fills this one any more.

use std::time::{SystemTime, UNIX_EPOCH};

use uuid::Uuid;

/// Seconds after which nobody can be filling a draft any more: twice the longest call.
const LEFT: u64 = 2 * 3_600;

/// A draft of the collection `name`.
pub(super) fn of(name: &str) -> String {
    format!("{name}.{:x}-{}", now(), Uuid::new_v4().simple())
}

/// Whether this names a draft.
pub(super) fn is(name: &str) -> bool {
    name.contains('.')
}

/// What the draft will be called.
pub(super) fn target(draft: &str) -> &str {
    draft.split('.').next().unwrap_or_default()
}

/// Whether a draft was left behind.
pub(super) fn is_left(draft: &str) -> bool {
    let began = draft.split(['.', '-']).rev().nth(1).and_then(|seconds| u64::from_str_radix(seconds, 16).ok());
    is(draft) && began.is_none_or(|began| began + LEFT < now())
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_is_left_when_it_is_old_and_never_while_it_is_young() {
        let young = of("my-docs_2");
        assert!(is(&young) && !is_left(&young) && target(&young) == "my-docs_2", "{young}");
        for old in ["my-docs.5f000000-0123", "docs.0-1", "docs.x", "docs."] {
            assert!(is_left(old), "{old}");
        }
        assert!(!is("my-docs_2") && !is_left("my-docs_2"));
    }
}
