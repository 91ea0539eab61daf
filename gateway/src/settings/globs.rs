//! Patterns of names in settings → one matcher; bad ones are told with the key they stand under.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// Builds the matcher of `patterns`. `*` matches anything, `/` and `:` too: names and URIs are no paths here.
pub(crate) fn globs(key: &str, patterns: &[String], wrong: &mut Vec<String>) -> GlobSet {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        match GlobBuilder::new(pattern).literal_separator(false).backslash_escape(true).build() {
            Ok(glob) => {
                set.add(glob);
            }
            Err(error) => wrong.push(format!("{key}: {pattern:?} is no pattern: {}", error.kind())),
        }
    }
    set.build().unwrap_or_else(|error| {
        wrong.push(format!("{key}: {error}; use fewer or simpler patterns"));
        GlobSet::empty()
    })
}
