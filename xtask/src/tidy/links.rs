//! Dead ends in the documents: links that lead to no file or heading, and paths of the repository that are gone. The
//! Markdown is read line by line, as far as links, code spans and fences go; nothing more is needed.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use super::tree::{Tree, is_kind, resolve};

/// Folders whose names make a word in a document a path of this repository.
const TOPS: [&str; 11] =
    ["gateway/", "cli/", "libs/", "services/", "tests/", "infra/", "helm/", "docs/", "xtask/", ".ci/", ".github/"];

/// Rule: every relative link leads to a file, and to a heading where it names one.
pub(crate) fn link(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts(".md") {
        for (number, line) in prose(text) {
            for target in targets(&without_code(line)) {
                let dead = dead_link(tree, path, target);
                findings.extend(dead.map(|message| Finding::new(path, number, message)));
            }
        }
    }
    findings
}

/// Rule: every path of the repository in a code span or a plain map exists.
pub(crate) fn path(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts(".md") {
        let spans = prose(text)
            .into_iter()
            .flat_map(|(number, line)| line.split('`').skip(1).step_by(2).map(move |span| (number, span)));
        let maps =
            maps(text).into_iter().flat_map(|(number, line)| line.split_whitespace().map(move |word| (number, word)));
        for (number, word) in spans.chain(maps).filter(|(_, word)| is_path(word)) {
            let bare = word.split(':').next().unwrap_or(word);
            let near = resolve(path, bare).is_some_and(|near| tree.has(&near));
            if !tree.has(bare) && !near {
                findings.push(Finding::new(path, number, format!("{bare} does not exist")));
            }
        }
    }
    findings
}

/// A path of ours without pattern or gap: `libs/wire/src/sse.rs:12`, not `services/*`.
fn is_path(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:".contains(c);
    TOPS.iter().any(|top| word.starts_with(top)) && word.chars().all(plain) && !word.contains("..")
}

/// Numbered lines outside fences.
fn prose(text: &str) -> Vec<(usize, &str)> {
    fenced(text, |fence| fence.is_none())
}

/// Numbered lines inside fences that name no language: drawings and maps of the repository.
fn maps(text: &str) -> Vec<(usize, &str)> {
    fenced(text, |fence| matches!(fence, Some("" | "text")))
}

/// The numbered lines whose fence, known by its language, is wanted; the fences themselves are left out.
fn fenced(text: &str, wanted: impl Fn(Option<&str>) -> bool) -> Vec<(usize, &str)> {
    let mut fence = None;
    let mut found = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        match line.trim_start().strip_prefix("```") {
            Some(language) if fence.is_none() => fence = Some(language.trim()),
            Some(_) => fence = None,
            None if wanted(fence) => found.push((number, line)),
            None => {}
        }
    }
    found
}

fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("``")
}

/// What the links of a line lead to: `](target "title")` and `[name]: target`.
fn targets(line: &str) -> Vec<&str> {
    let inline = line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    let definition = line.strip_prefix('[').and_then(|rest| rest.split_once("]: ")).map(|(_, target)| target.trim());
    inline.chain(definition).filter(|target| !target.is_empty()).collect()
}

fn dead_link(tree: &Tree, from: &str, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (file, heading) = target.split_once('#').map_or((target, None), |(file, heading)| (file, Some(heading)));
    let to = if file.is_empty() { Some(from.to_owned()) } else { resolve(from, file) };
    let Some(to) = to.filter(|to| tree.has(to)) else { return Some(format!("the link leads nowhere: {target}")) };
    let text = tree.text(&to).filter(|_| is_kind(&to, "md"))?;
    heading.filter(|heading| !headings(text).contains(*heading)).map(|_| format!("no such heading: {target}"))
}

/// The anchors of a document's headings, as the common forges make them: a repeated one is numbered.
fn headings(text: &str) -> BTreeSet<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut anchors = BTreeSet::new();
    for (_, line) in prose(text) {
        let Some((hashes, title)) = line.split_once(' ') else { continue };
        if hashes.is_empty() || hashes.chars().any(|c| c != '#') {
            continue;
        }
        let dashed = title.trim().to_lowercase().replace(' ', "-");
        let anchor: String = dashed.chars().filter(|c| c.is_alphanumeric() || *c == '-' || *c == '_').collect();
        let times = seen.entry(anchor.clone()).or_default();
        anchors.insert(if *times == 0 { anchor } else { format!("{anchor}-{times}") });
        *times += 1;
    }
    anchors
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(rule: fn(&Tree) -> Vec<Finding>, text: &str) -> Vec<String> {
        let tree = Tree::of(&[
            ("docs/a.md", text),
            ("docs/b.md", "# One `two`, three\n## Again\n## Again\n"),
            ("libs/wire/src/sse.rs", ""),
        ]);
        rule(&tree).into_iter().map(|finding| format!("{}: {}", finding.line, finding.message)).collect()
    }

    #[test]
    fn links_to_files_folders_and_headings_are_followed() {
        let text = "[x](b.md) [y](../libs/wire) [z](b.md#one-two-three) [w](b.md#again-1) [v](https://example.org/b)\n\n[r]: b.md\n";
        assert_eq!(found(link, text), [] as [&str; 0]);
    }

    #[test]
    fn dead_links_are_reported_with_their_line() {
        let text = "\n[x](c.md)\n[y](b.md#two)\n[z](../../out.md)\n[r]: gone.md\n";
        let expected = [
            "2: the link leads nowhere: c.md",
            "3: no such heading: b.md#two",
            "4: the link leads nowhere: ../../out.md",
            "5: the link leads nowhere: gone.md",
        ];
        assert_eq!(found(link, text), expected);
    }

    #[test]
    fn code_is_no_link() {
        assert_eq!(found(link, "`[x](c.md)`\n```rust\nlet a = [1](c.md);\n```\n"), [] as [&str; 0]);
    }

    #[test]
    fn paths_in_spans_and_maps_exist() {
        let text = "`libs/wire/src/sse.rs:3`, `services/*`, `docs/`, `cargo test`\n```\nlibs/wire/   the wire\n```\n";
        assert_eq!(found(path, text), [] as [&str; 0]);
        let gone = "`libs/gone`\n```text\ngateway/src/gone.rs\n```\n```bash\ncat libs/other\n```\n";
        assert_eq!(found(path, gone), ["1: libs/gone does not exist", "3: gateway/src/gone.rs does not exist"]);
    }
}
