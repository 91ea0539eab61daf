//! Words that must not stand in the tree: unfinished work, silenced lints, addresses of package registries and paths of
//! somebody's machine. They are written in pieces here, so that this file passes its own rule.

use super::Finding;
use super::tree::{Tree, is_kind};

/// Where a word counts.
#[derive(Clone, Copy)]
enum Kind {
    /// As a word of its own.
    Word,
    /// Wherever it stands, in Rust only.
    Rust,
    /// Wherever it stands.
    Anywhere,
    /// Where a path begins.
    Path,
}

const FORBIDDEN: [(Kind, &str, &str); 17] = [
    (Kind::Word, concat!("TO", "DO"), "finish it, or write it down as an issue"),
    (Kind::Word, concat!("FIX", "ME"), "finish it, or write it down as an issue"),
    (Kind::Word, concat!("XX", "X"), "finish it, or write it down as an issue"),
    (Kind::Rust, concat!("to", "do!("), "finish it"),
    (Kind::Rust, concat!("unimpl", "emented!("), "finish it"),
    (Kind::Rust, concat!("#[", "allow("), "use #[expect(.., reason = \"..\")]"),
    (Kind::Rust, concat!("#![", "allow("), "use #![expect(.., reason = \"..\")]"),
    (Kind::Rust, concat!("#[", "ignore"), "a test that does not run is no test"),
    (Kind::Anywhere, concat!("registry.", "npmjs"), "name no package registry: mirrors differ"),
    (Kind::Anywhere, concat!("registry.", "yarnpkg"), "name no package registry: mirrors differ"),
    (Kind::Anywhere, concat!("pypi", ".org"), "name no package registry: mirrors differ"),
    (Kind::Anywhere, concat!("python", "hosted"), "name no package registry: mirrors differ"),
    (Kind::Anywhere, concat!("deb.", "debian"), "name no package registry: mirrors differ"),
    (Kind::Anywhere, concat!("crates", ".io/"), "name no package registry: mirrors differ"),
    (Kind::Anywhere, concat!("index.crates", ".io"), "name no package registry: mirrors differ"),
    (Kind::Path, concat!("/wo", "rk/"), "a path of one machine: derive it or make it relative"),
    (Kind::Path, concat!("/ro", "ot/"), "a path of one machine: derive it or make it relative"),
];

/// Cargo writes its own registry's name into its lock file.
const NOT_OURS: [&str; 2] = ["Cargo.lock", "LICENSE"];

/// Rule: none of these words in any text file.
pub(crate) fn word(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts("") {
        if NOT_OURS.iter().any(|name| path.rsplit('/').next() == Some(name)) {
            continue;
        }
        let is_rust = is_kind(path, "rs");
        let here = FORBIDDEN.iter().filter(|(kind, ..)| is_rust || !matches!(kind, Kind::Rust));
        // Most files have none of the words: look for places only where there is one.
        for (kind, word, advice) in here.filter(|(_, word, _)| text.contains(word)) {
            let hits = text.lines().zip(1..).filter(|(line, _)| stands_in(line, *kind, word));
            findings.extend(hits.map(|(_, number)| Finding::new(path, number, format!("`{word}`: {advice}"))));
        }
    }
    findings
}

fn stands_in(line: &str, kind: Kind, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        match kind {
            Kind::Rust | Kind::Anywhere => true,
            Kind::Word => !joins(before) && !joins(after),
            Kind::Path => !joins(before) && !before.is_some_and(|c| "./-~}*".contains(c)),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [usize; 0] = [];

    fn lines(path: &str, text: &str) -> Vec<usize> {
        word(&Tree::of(&[(path, text)])).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn unfinished_work_is_found_as_a_word() {
        let text = format!("fine\n// {}: later\nlet m{}S = 1;\n", concat!("TO", "DO"), concat!("TO", "DO"));
        assert_eq!(lines("a.rs", &text), [2]);
        assert_eq!(lines("a.md", &text), [2]);
    }

    #[test]
    fn silenced_lints_count_in_rust_only() {
        let text = concat!("#[", "allow(dead_code)]\n");
        assert_eq!(lines("a.rs", text), [1]);
        assert_eq!(lines("a.md", text), NONE);
    }

    #[test]
    fn paths_of_a_machine_are_found_and_look_alikes_are_not() {
        let root = concat!("/ro", "ot/");
        assert_eq!(lines("a.sh", &format!("cd {root}x\n")), [1]);
        assert_eq!(
            lines("a.sh", &format!("cd \"{root}x\"\ncd target{root}x\ncd ..{root}x\ncd ${{HOME}}{root}x\n")),
            [1]
        );
    }

    #[test]
    fn registries_are_found_except_in_cargos_lock_file() {
        let text = concat!("\"resolved\": \"https://registry.", "npmjs.org/x\"\n");
        assert_eq!(lines("infra/test/package-lock.json", text), [1]);
        assert_eq!(lines("Cargo.lock", text), NONE);
    }
}
