//! Edits of a text: exact, all or none, and shown as a diff.
//!
//! Bytes that are not touched stay as they are: line ends, byte order mark, bytes that are no UTF-8. An old text that does
//! not stand exactly as often as expected is an error that says where it stands, never a guess.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use similar::{ChangeTag, TextDiff};
use weft_kit::ToolError;

/// One edit.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Edit {
    /// What stands there now, exactly.
    #[serde(alias = "oldText")]
    pub(crate) old_text: String,
    /// What shall stand there.
    #[serde(alias = "newText")]
    pub(crate) new_text: String,
    /// How often the old text must stand there; all are replaced.
    #[serde(default = "one")]
    pub(crate) expected_count: usize,
}

const fn one() -> usize {
    1
}

/// Applies edits one after the other.
pub(crate) fn apply(shown: &str, before: &[u8], edits: &[Edit]) -> Result<Vec<u8>, ToolError> {
    let mut bytes = before.to_vec();
    for (number, edit) in edits.iter().enumerate() {
        let place = format!("edit {} of {shown}", number + 1);
        if edit.old_text.is_empty() {
            return Err(ToolError::invalid(format!("{place}: old_text is empty")).hint("use write_file to make a file"));
        }
        let (old, new, found) = locate(&bytes, edit);
        if found.is_empty() {
            return Err(ToolError::not_found(format!("{place}: old_text does not stand in the file"))
                .hint("it must match exactly, white space included; read the file again"));
        }
        if found.len() != edit.expected_count {
            let lines: Vec<String> = found.iter().take(10).map(|at| line_of(&bytes, *at).to_string()).collect();
            let message = format!(
                "{place}: old_text stands {} times, at lines {}, not {}",
                found.len(),
                lines.join(", "),
                edit.expected_count
            );
            return Err(ToolError::new("ambiguous", message)
                .hint("give more of the text around it, or set expected_count to replace all"));
        }
        bytes = replace(&bytes, &old, &new, &found);
    }
    Ok(bytes)
}

/// Where the old text stands. Callers write `\n`; in a file with `\r\n` the same text with its line ends is meant.
fn locate(bytes: &[u8], edit: &Edit) -> (Vec<u8>, Vec<u8>, Vec<usize>) {
    let (old, new) = (edit.old_text.as_bytes().to_vec(), edit.new_text.as_bytes().to_vec());
    let found = positions(bytes, &old);
    if !found.is_empty() || edit.old_text.contains('\r') || !edit.old_text.contains('\n') {
        return (old, new, found);
    }
    let wide = |text: &str| text.replace("\r\n", "\n").replace('\n', "\r\n").into_bytes();
    let (old, new) = (wide(&edit.old_text), wide(&edit.new_text));
    let found = positions(bytes, &old);
    (old, new, found)
}

fn positions(bytes: &[u8], needle: &[u8]) -> Vec<usize> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) =
        bytes.get(from..).and_then(|rest| rest.windows(needle.len()).position(|window| window == needle))
    {
        found.push(from + at);
        from += at + needle.len();
    }
    found
}

fn replace(bytes: &[u8], old: &[u8], new: &[u8], found: &[usize]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + new.len() * found.len());
    let mut copied = 0;
    for at in found {
        out.extend_from_slice(&bytes[copied..*at]);
        out.extend_from_slice(new);
        copied = at + old.len();
    }
    out.extend_from_slice(&bytes[copied..]);
    out
}

fn line_of(bytes: &[u8], at: usize) -> usize {
    bytes[..at].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// One place where two texts differ.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Hunk {
    /// First line in the old text, from 1.
    pub(crate) old_start: usize,
    /// First line in the new text, from 1.
    pub(crate) new_start: usize,
    /// Lines with a leading ` `, `-` or `+`.
    pub(crate) lines: Vec<String>,
}

/// The difference of two texts.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub(crate) struct Diff {
    /// In the unified form.
    pub(crate) unified: String,
    /// The same, in parts.
    pub(crate) hunks: Vec<Hunk>,
    /// The texts are too large for a diff, or no texts.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) omitted: bool,
}

/// Texts above this are not compared line by line.
const COMPARED: usize = 2 << 20;
/// Lines of a diff that are given in parts.
const LINES: usize = 400;

/// Compares two texts.
pub(crate) fn diff(name: &str, before: &[u8], after: &[u8]) -> Diff {
    if before == after {
        return Diff::default();
    }
    if before.len() + after.len() > COMPARED {
        return Diff { omitted: true, ..Diff::default() };
    }
    let (old, new) = (String::from_utf8_lossy(before), String::from_utf8_lossy(after));
    let text = TextDiff::from_lines(old.as_ref(), new.as_ref());
    let unified = text.unified_diff().context_radius(3).header(name, name).to_string();
    let mut left = LINES;
    let hunks = text
        .grouped_ops(3)
        .iter()
        .map(|group| {
            let start = group.first().map_or((0, 0), |op| (op.old_range().start, op.new_range().start));
            let lines = group.iter().flat_map(|op| text.iter_changes(op)).map(|change| {
                let sign = match change.tag() {
                    ChangeTag::Equal => ' ',
                    ChangeTag::Delete => '-',
                    ChangeTag::Insert => '+',
                };
                format!("{sign}{}", change.value().trim_end_matches('\n'))
            });
            let lines: Vec<String> = lines.take(left).collect();
            left -= lines.len();
            Hunk { old_start: start.0 + 1, new_start: start.1 + 1, lines }
        })
        .filter(|hunk| !hunk.lines.is_empty())
        .collect();
    Diff { unified, hunks, omitted: false }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn edit(old: &str, new: &str) -> Edit {
        Edit { old_text: old.into(), new_text: new.into(), expected_count: 1 }
    }

    /// A23.
    #[test]
    fn bytes_that_are_not_touched_stay_as_they_are() {
        let kept = b"\xef\xbb\xbfone\r\ntwo\rthree\n\xff\xfe four";
        let out = apply("f", kept, &[edit("three", "$& $1 \\0")]).unwrap();
        assert_eq!(out, b"\xef\xbb\xbfone\r\ntwo\r$& $1 \\0\n\xff\xfe four");
        let wide = apply("f", b"a\r\nb\r\nc\r\n", &[edit("a\nb\n", "x\ny\nz\n")]).unwrap();
        assert_eq!(wide, b"x\r\ny\r\nz\r\nc\r\n");
    }

    #[test]
    fn what_is_not_certain_is_not_done() {
        let twice = apply("f", b"a\nb\na\n", &[edit("a", "x")]).unwrap_err();
        assert_eq!(twice.code(), "ambiguous");
        assert!(twice.message().contains("lines 1, 3"), "{}", twice.message());
        assert_eq!(apply("f", b"a", &[edit("", "x")]).unwrap_err().code(), "invalid_arguments");
        assert_eq!(apply("f", b"a", &[edit("b", "x")]).unwrap_err().code(), "not_found");
        let all = Edit { expected_count: 2, ..edit("a", "x") };
        assert_eq!(apply("f", b"a\nb\na\n", &[all]).unwrap(), b"x\nb\nx\n");
    }

    #[test]
    fn a_diff_says_what_changed() {
        let diff = diff("f", b"a\nb\nc\n", b"a\nB\nc\n");
        assert!(diff.unified.contains("-b\n+B\n"), "{}", diff.unified);
        assert_eq!(diff.hunks[0].lines, [" a", "-b", "+B", " c"]);
    }

    proptest! {
        #[test]
        fn an_edit_and_its_reverse_give_the_same_bytes(
            head in prop::collection::vec(any::<u8>(), 0..50),
            tail in prop::collection::vec(any::<u8>(), 0..50),
        ) {
            let before = [head.as_slice(), b"<<OLD MARK>>", tail.as_slice()].concat();
            let after = apply("f", &before, &[edit("<<OLD MARK>>", "<<NEW MARK>>")]).unwrap();
            prop_assert_eq!(apply("f", &after, &[edit("<<NEW MARK>>", "<<OLD MARK>>")]).unwrap(), before);
        }
    }
}
