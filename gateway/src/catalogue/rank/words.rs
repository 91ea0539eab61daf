//! Text → the words that are searched: split at case and punctuation, lower case, without endings, without empty words.
//!
//! The stemmer is a light one for English (plural, -ed, -ing, a silent e): names of tools are short words, and the full
//! algorithm of Porter gains nothing on them. Words of other languages pass as they are.

use std::sync::LazyLock;

/// Words that say nothing about what is wanted.
const EMPTY: [&str; 44] = [
    "a", "an", "and", "are", "as", "at", "be", "by", "can", "do", "does", "for", "from", "i", "in", "into", "is", "it",
    "its", "me", "my", "of", "on", "or", "our", "please", "some", "that", "the", "their", "them", "there", "these",
    "this", "those", "to", "us", "want", "was", "we", "what", "which", "with", "you",
];

/// Words that tools and people use for one thing.
const KIN: [&[&str]; 21] = [
    &["create", "make", "add", "new", "open", "insert", "write", "store", "save", "remember"],
    &["delete", "remove", "erase", "drop", "destroy", "forget", "discard"],
    &["read", "get", "show", "view", "fetch", "retrieve", "display", "print", "recall"],
    &["list", "show", "enumerate", "all"],
    &["find", "search", "look", "locate", "query", "grep", "where"],
    &["edit", "update", "change", "modify", "set", "patch", "replace", "rewrite"],
    &["directory", "folder", "dir"],
    &["move", "rename", "relocate"],
    &["copy", "duplicate", "clone"],
    &["restore", "undelete", "recover", "undo"],
    &["compare", "diff", "difference"],
    &["send", "post", "write"],
    &["run", "execute", "invoke", "start"],
    &["stop", "cancel", "abort", "kill", "end", "close"],
    &["mail", "email", "message"],
    &["issue", "ticket", "bug"],
    &["meeting", "event", "appointment"],
    &["picture", "image", "photo", "screenshot"],
    &["repository", "repo"],
    &["person", "user", "member", "people"],
    &["size", "large", "big"],
];

/// [`KIN`] as stems.
static FAMILIES: LazyLock<Vec<Vec<String>>> =
    LazyLock::new(|| KIN.iter().map(|family| family.iter().map(|word| stem(word)).collect()).collect());

/// The words of a text, in lower case: `readTextFile`, `read_text_file` and `Read text-file` are the same three.
pub(super) fn parts(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut letters = text.chars().peekable();
    let mut before = ' ';
    while let Some(letter) = letters.next() {
        let ends_capitals =
            before.is_uppercase() && letter.is_uppercase() && letters.peek().is_some_and(|next| next.is_lowercase());
        let begins = (before.is_lowercase() && letter.is_uppercase()) || ends_capitals;
        if begins || !letter.is_alphanumeric() {
            flush(&mut word, &mut words);
        }
        if letter.is_alphanumeric() {
            word.extend(letter.to_lowercase());
        }
        before = letter;
    }
    flush(&mut word, &mut words);
    words
}

fn flush(word: &mut String, words: &mut Vec<String>) {
    if !word.is_empty() {
        words.push(std::mem::take(word));
    }
}

/// A word that counts.
#[derive(Debug)]
pub(super) struct Word {
    pub(super) stem: String,
    /// The word as it stands, marked so that no stem is mistaken for it.
    pub(super) form: String,
}

/// The words that count.
pub(super) fn stems(text: &str) -> Vec<Word> {
    let words = parts(text).into_iter().filter(|word| !EMPTY.contains(&word.as_str()));
    words.map(|word| Word { stem: stem(&word), form: format!("={word}") }).collect()
}

/// Other stems of the same meaning.
pub(super) fn kin(stem: &str) -> impl Iterator<Item = &'static str> {
    let families = FAMILIES.iter().filter(move |family| family.iter().any(|word| word == stem));
    families.flatten().map(String::as_str)
}

/// A word without its ending.
fn stem(word: &str) -> String {
    if word.len() <= 3 || !word.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return double(word).to_owned();
    }
    let base = plural(word);
    let base =
        ["ing", "ed"].iter().find_map(|ending| base.strip_suffix(ending).filter(|rest| is_word(rest))).map_or_else(
            || base.clone(),
            // "copied" lost its y with the ending.
            |rest| rest.strip_suffix('i').map_or_else(|| rest.to_owned(), |rest| format!("{rest}y")),
        );
    let base = base.strip_suffix('e').filter(|rest| is_word(rest)).unwrap_or(&base);
    double(base).to_owned()
}

fn plural(word: &str) -> String {
    if let Some(rest) = word.strip_suffix("ies").filter(|rest| rest.len() > 1) {
        return format!("{rest}y");
    }
    let sibilant = ["sses", "xes", "ches", "shes", "zes"].iter().any(|ending| word.ends_with(ending));
    if sibilant {
        return word[..word.len() - 2].to_owned();
    }
    let plain = word.ends_with('s') && !["ss", "us", "is"].iter().any(|ending| word.ends_with(ending));
    word[..word.len() - usize::from(plain)].to_owned()
}

/// What is left must still be a word: "thing" has no ending.
fn is_word(rest: &str) -> bool {
    rest.len() >= 2 && rest.bytes().any(|byte| b"aeiouy".contains(&byte))
}

/// "getting" and "get" meet where a doubled last letter counts once.
fn double(word: &str) -> &str {
    let bytes = word.as_bytes();
    match bytes {
        [.., a, b] if a == b && b.is_ascii_lowercase() && bytes.len() > 2 => &word[..word.len() - 1],
        _ => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_the_same_however_they_are_joined() {
        for text in ["readTextFile", "read_text_file", "Read text-file", "read.textFile", "READ/Text file"] {
            assert_eq!(parts(text), ["read", "text", "file"], "{text}");
        }
        assert_eq!(parts("HTTPServer v2 getURL"), ["http", "server", "v2", "get", "url"]);
        assert_eq!(parts("Größe_ändern"), ["größe", "ändern"]);
        assert!(parts(" _-. ").is_empty());
    }

    #[test]
    fn forms_of_a_word_meet() {
        let families: [&[&str]; 12] = [
            &["file", "files"],
            &["directory", "directories"],
            &["copy", "copies", "copied", "copying"],
            &["delete", "deletes", "deleted", "deleting"],
            &["create", "creating", "created"],
            &["move", "moves", "moving"],
            &["get", "gets", "getting"],
            &["search", "searches", "searched", "searching"],
            &["add", "adds", "adding", "added"],
            &["branch", "branches"],
            &["process", "processes", "processed"],
            &["issue", "issues"],
        ];
        for family in families {
            let stems: std::collections::HashSet<String> = family.iter().map(|word| stem(word)).collect();
            assert_eq!(stems.len(), 1, "{family:?} → {stems:?}");
        }
        for (a, b) in [("status", "state"), ("thing", "th"), ("string", "str"), ("address", "add"), ("news", "newest")]
        {
            assert_ne!(stem(a), stem(b), "{a} {b}");
        }
    }

    #[test]
    fn kin_are_found_by_any_form() {
        for (word, other) in [("folders", "directory"), ("deleting", "remove"), ("emails", "message")] {
            assert!(kin(&stem(word)).any(|kin| kin == stem(other)), "{word} {other}");
        }
        assert_eq!(kin("xyzzy").count(), 0);
    }
}
