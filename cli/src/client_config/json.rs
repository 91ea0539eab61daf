//! A JSON document and one thing more → the same document with it, every other byte as it was.
//!
//! Parsing and printing again would lose the order, the numbers and the layout of a file that a person keeps. What is no plain
//! JSON (comments, commas too many) is refused: a guess could destroy it.

use std::ops::Range;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json, value::RawValue};
use weft_wire::{members::Members, splice::quote};

/// The document with `name: value` in the object under `key`, in the place of what has that name.
pub(super) fn with_member(old: &str, key: &str, (name, value): (&str, &str)) -> Result<String> {
    let old = begun(old);
    let (before, members) = parsed(&old)?;
    let mut expected = before.clone();
    let unit = unit(&old);
    let pair = format!("{}: {value}", quote(name));
    let new = match members.original(key) {
        None => append(&old, 0..old.len(), &format!("{}: {{\n  {}\n}}", quote(key), deeper(&pair)), (1, unit)),
        Some(raw) => {
            let inner = Members::parse(raw).with_context(|| format!("{key:?} is no object"))?;
            match inner.original(name) {
                Some(present) => splice(&old, span(&old, present), &laid_out(value, (2, unit))),
                None => append(&old, span(&old, raw), &pair, (2, unit)),
            }
        }
    };
    expected[key][name] = serde_json::from_str(value)?;
    if expected == before { Ok(old.clone()) } else { proven(new, &expected) }
}

/// The document with `item` in the array under `key`, in the place of the one whose `id` it has.
pub(super) fn with_item(old: &str, key: &str, (id, item): (&str, &str)) -> Result<String> {
    let (before, members) = parsed(old)?;
    let mut expected = before.clone();
    let unit = unit(old);
    let new = match members.original(key) {
        None => append(old, 0..old.len(), &format!("{}: [\n  {}\n]", quote(key), deeper(item)), (1, unit)),
        Some(raw) => {
            let items: Vec<&RawValue> = serde_json::from_str(raw).with_context(|| format!("{key:?} is no array"))?;
            let same = |raw: &&RawValue| serde_json::from_str::<Value>(raw.get()).is_ok_and(|value| value["id"] == id);
            match items.into_iter().find(same) {
                Some(present) => splice(old, span(old, present.get()), &laid_out(item, (2, unit))),
                None => append(old, span(old, raw), item, (2, unit)),
            }
        }
    };
    let item: Value = serde_json::from_str(item)?;
    if expected[key].is_null() {
        expected[key] = json!([]);
    }
    if let Some(all) = expected[key].as_array_mut() {
        match all.iter_mut().find(|known| known["id"] == id) {
            Some(known) => *known = item,
            None => all.push(item),
        }
    }
    if expected == before { Ok(old.to_owned()) } else { proven(new, &expected) }
}

/// An empty file is an empty object.
fn begun(old: &str) -> String {
    if old.trim().is_empty() { "{}\n".to_owned() } else { old.to_owned() }
}

fn parsed(text: &str) -> Result<(Value, Members<'_>)> {
    let value = serde_json::from_str(text).context("it is no plain JSON (it may have comments)")?;
    Ok((value, Members::parse(text).context("it is no object, or has a key twice")?))
}

/// The new text, if it says what it should.
fn proven(new: String, expected: &Value) -> Result<String> {
    let read: Value = serde_json::from_str(&new).context("the entry does not fit in")?;
    ensure!(read == *expected, "the entry does not fit in without changing something else");
    Ok(new)
}

/// One step of indentation, as the document has it.
fn unit(text: &str) -> &str {
    let indented = text.lines().find(|line| line.starts_with([' ', '\t']) && !line.trim().is_empty());
    indented.map_or("  ", |line| &line[..line.len() - line.trim_start().len()])
}

/// All lines but the first, moved one step to the right.
fn deeper(text: &str) -> String {
    text.replace('\n', "\n  ")
}

/// A text that is indented by twos, as it stands `depth` steps to the right in a document with steps of `unit`.
fn laid_out(text: &str, (depth, unit): (usize, &str)) -> String {
    let line = |(at, line): (usize, &str)| {
        let own = line.trim_start();
        let steps = depth + (line.len() - own.len()) / 2;
        if at == 0 { own.to_owned() } else { format!("{}{own}", unit.repeat(steps)) }
    };
    text.lines().enumerate().map(line).collect::<Vec<_>>().join("\n")
}

/// Where a part of `whole` stands in it.
fn span(whole: &str, part: &str) -> Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
    start..start + part.len()
}

fn splice(text: &str, place: Range<usize>, with: &str) -> String {
    format!("{}{with}{}", &text[..place.start], &text[place.end..])
}

/// Adds to the object or array that stands at `place`, whose contents are `depth` steps to the right.
fn append(text: &str, place: Range<usize>, with: &str, (depth, unit): (usize, &str)) -> String {
    let whole = text[place.clone()].trim_end();
    let inside = &whole[..whole.len() - 1];
    let filled = inside.trim_end();
    let (at, end) = (place.start + filled.len(), place.start + inside.len());
    let is_empty = filled.trim_start().len() == 1;
    let comma = if is_empty { "" } else { "," };
    let (own, outer) = (unit.repeat(depth), unit.repeat(depth - 1));
    let with = laid_out(with, (depth, unit));
    splice(text, at..end, &format!("{comma}\n{own}{with}\n{outer}"))
}
