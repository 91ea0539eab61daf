//! A YAML document and one entry more → the same document with it, comments and all.
//!
//! The lines of the entry are put in as text, and then both documents are read: unless they differ by the entry and nothing
//! else, the file is left alone. So the little that is known here of YAML's layout cannot do harm.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

/// A document that is all ours: made where there is none, kept where it says the same.
pub(super) fn whole(old: &str, document: &str) -> Result<String> {
    if old.trim().is_empty() {
        return Ok(document.to_owned());
    }
    ensure!(read(old)? == read(document)?, "there is another file of this name");
    Ok(old.to_owned())
}

/// The document with `name` and the lines of `value` in the mapping under `key`.
pub(super) fn with_member(old: &str, key: &str, (name, value): (&str, &str)) -> Result<String> {
    let before = if old.trim().is_empty() { json!({}) } else { read(old)? };
    ensure!(before.is_object(), "it is no mapping");
    let entry = read(value)?;
    if before[key][name] == entry {
        return Ok(old.to_owned());
    }
    if !before[key][name].is_null() {
        bail!("it has another {name:?} already");
    }
    let new = placed(old, key, name, value)?;
    let mut expected = before;
    if !expected[key].is_object() {
        expected[key] = json!({});
    }
    expected[key][name] = entry;
    ensure!(read(&new)? == expected, "the entry does not fit in without changing something else");
    Ok(new)
}

fn read(text: &str) -> Result<Value> {
    serde_saphyr::from_str(text).context("it is no YAML that can be read")
}

/// The text with the entry below the line of its key, or behind everything.
fn placed(old: &str, key: &str, name: &str, value: &str) -> Result<String> {
    let head = format!("{key}:");
    let mut at = 0;
    for line in old.split_inclusive('\n') {
        at += line.len();
        let Some(rest) = line.strip_prefix(&head) else { continue };
        let rest = rest.trim();
        ensure!(rest.is_empty() || rest.starts_with('#'), "{key:?} does not begin a block");
        let below = old[at..].lines().find(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
        let own = below.map_or(0, |line| line.len() - line.trim_start().len());
        let indent = " ".repeat(if own == 0 { 2 } else { own });
        let break_before = if line.ends_with('\n') { "" } else { "\n" };
        return Ok(format!("{}{break_before}{}{}", &old[..at], lines(&indent, name, value), &old[at..]));
    }
    let break_before = if old.is_empty() || old.ends_with('\n') { "" } else { "\n" };
    Ok(format!("{old}{break_before}{head}\n{}", lines("  ", name, value)))
}

fn lines(indent: &str, name: &str, value: &str) -> String {
    let below: String = value.lines().map(|line| format!("{indent}  {line}\n")).collect();
    format!("{indent}{name}:\n{below}")
}
