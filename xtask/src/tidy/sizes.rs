//! Sizes and shapes of files: how long a source file may be, how it opens, and what it may be called. Lengths of
//! functions are clippy's.

use super::Finding;
use super::tree::Tree;

const SOURCE_LINES: usize = 300;
const TEST_LINES: usize = 400;
const BYTES: u64 = 1024 * 1024;
/// Documents that stay short enough to be read: the start of the path, lines.
const DOCUMENTS: [(&str, usize); 2] = [("ARCHITECTURE.md", 150), ("docs/adr/0", 60)];
/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 7] = ["common", "helper", "helpers", "manager", "misc", "util", "utils"];

/// Rule: no file is longer than one can hold in mind.
pub(crate) fn size(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files().values().filter(|file| file.bytes > BYTES) {
        findings.push(Finding::new(&file.path, 0, format!("{} bytes, at most {BYTES}", file.bytes)));
    }
    for (path, text) in tree.texts(".rs") {
        let (lines, most) =
            if is_test(path) { (text.lines().count(), TEST_LINES) } else { (lines_without_tests(text), SOURCE_LINES) };
        if lines > most {
            findings.push(Finding::new(path, 0, format!("{lines} lines, at most {most}: split it by what it does")));
        }
    }
    for (path, text) in tree.texts(".md") {
        let limit = DOCUMENTS.iter().find(|(start, _)| path.starts_with(start));
        let lines = text.lines().count();
        findings.extend(
            limit
                .filter(|(_, most)| lines > *most)
                .map(|(_, most)| Finding::new(path, 0, format!("{lines} lines, at most {most}"))),
        );
    }
    findings
}

fn is_test(path: &str) -> bool {
    path.starts_with("tests/") || path.contains("/tests/") || path.contains("/fuzz/") || path.ends_with("/tests.rs")
}

/// Lines up to the trailing module of unit tests.
fn lines_without_tests(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let opens = |pair: &[&str]| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{');
    lines.windows(2).position(opens).unwrap_or(lines.len())
}

/// Rule: every source file says first what it is for.
pub(crate) fn opening(tree: &Tree) -> Vec<Finding> {
    let silent = tree.texts(".rs").filter(|(_, text)| {
        let words = text.strip_prefix("//!").and_then(|rest| rest.lines().next());
        words.is_none_or(|line| line.trim().is_empty())
    });
    let message = "open with `//!`: what the file turns into what, and why it stands apart";
    silent.map(|(path, _)| Finding::new(path, 1, message)).collect()
}

/// Rule: a file's name says what is in it.
pub(crate) fn name(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, _) in tree.texts(".rs") {
        let stem = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".rs");
        if stem == "mod" {
            findings.push(Finding::new(path, 0, "call it after its module: `x.rs` beside `x/`"));
        } else if EMPTY_NAMES.contains(&stem) {
            findings.push(Finding::new(path, 0, "name the file by what it does"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(lines: usize) -> String {
        "//! x\n".to_owned() + &"fn a() {}\n".repeat(lines - 1)
    }

    #[test]
    fn unit_tests_do_not_count_and_test_files_may_be_longer() {
        let with_tests = source(300) + "#[cfg(test)]\nmod tests {\n" + &"    // x\n".repeat(300) + "}\n";
        let tree = Tree::of(&[("libs/wire/src/a.rs", &with_tests), ("libs/wire/tests/it/b.rs", &source(400))]);
        assert_eq!(size(&tree), []);
    }

    #[test]
    fn a_line_too_many_is_reported() {
        let declared = "#[cfg(test)]\nmod tests;\n".to_owned() + &source(299);
        let tree = Tree::of(&[("gateway/src/a.rs", &declared), ("tests/it/b.rs", &source(401))]);
        let found: Vec<String> = size(&tree).into_iter().map(|finding| finding.path).collect();
        assert_eq!(found, ["gateway/src/a.rs", "tests/it/b.rs"]);
    }

    #[test]
    fn the_map_and_the_decisions_stay_short() {
        let long = "x\n".repeat(151);
        let tree = Tree::of(&[("ARCHITECTURE.md", &long), ("docs/adr/0001-a.md", &long), ("docs/guide/a.md", &long)]);
        assert_eq!(size(&tree).len(), 2);
    }

    #[test]
    fn a_file_that_opens_with_code_or_an_empty_word_is_reported() {
        let tree = Tree::of(&[("a.rs", "use std::fs;\n"), ("b.rs", "//!\n//! x\n"), ("c.rs", "//! Says it.\n")]);
        assert_eq!(opening(&tree).len(), 2);
    }

    #[test]
    fn empty_names_are_reported() {
        let tree = Tree::of(&[("a/src/utils.rs", ""), ("a/src/x/mod.rs", ""), ("a/src/module.rs", "")]);
        assert_eq!(name(&tree).len(), 2);
    }
}
