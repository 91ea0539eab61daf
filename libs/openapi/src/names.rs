//! Names of tools: from operation ids and paths, safe, short and stable.

use sha2::{Digest as _, Sha256};

/// The longest name; with a service's name before it, it stays below what clients take.
const LONGEST: usize = 46;

/// `getPetById` and `GET /pets/{id}` alike → `get_pet_by_id`, `get_pets_id`.
pub(crate) fn snake(text: &str) -> String {
    let mut out = String::new();
    let mut before = ' ';
    for letter in text.chars() {
        let starts = letter.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit());
        if letter.is_ascii_alphanumeric() {
            if starts || (!before.is_ascii_alphanumeric() && !out.is_empty()) {
                out.push('_');
            }
            out.push(letter.to_ascii_lowercase());
        }
        before = letter;
    }
    if out.is_empty() { "operation".to_owned() } else { out }
}

/// The name, cut and marked where it is too long or `taken`; the mark is of `key`, so that it is the same each time.
pub(crate) fn unique(name: &str, key: &str, taken: impl Fn(&str) -> bool) -> String {
    if name.len() <= LONGEST && !taken(name) {
        return name.to_owned();
    }
    let digest = Sha256::digest(key.as_bytes());
    let mark = format!("_{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2]);
    let cut = &name[..name.len().min(LONGEST - mark.len())];
    format!("{}{mark}", cut.trim_end_matches('_'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_read_like_words() {
        for (text, name) in [
            ("getPetById", "get_pet_by_id"),
            ("GET /pets/{petId}/toys", "get_pets_pet_id_toys"),
            ("list-HTTPServers.v2", "list_httpservers_v2"),
            ("äöü", "operation"),
        ] {
            assert_eq!(snake(text), name);
        }
    }

    proptest! {
        #[test]
        fn every_name_can_stand_in_the_mesh(text in any::<String>()) {
            let name = unique(&snake(&text), &text, |_| false);
            prop_assert!(!name.is_empty() && name.len() <= LONGEST);
            prop_assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{}", name);
            prop_assert_ne!(unique(&name, &text, |taken| taken == name), name.clone());
        }
    }
}
