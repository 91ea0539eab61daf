//! The reference of the settings, from the JSON Schemas that the gateway and each server print: one section for each table of the
//! file, one row for each key.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Map, Value};

use super::banner;
use crate::command;

const HEAD: &str = "# Configuration

A file in TOML, given with `--config`, and over it variables: `WEFT_GATEWAY_LIMITS__BODY_BYTES` is `body_bytes` in `[limits]` of the
gateway, `WEFT_SERVICE__HALF_LIFE_DAYS` is `half_life_days` in `[service]` of a server; two underscores go one table deeper. A key that nobody
knows is an error that says where it stands. A *reference* is `env:NAME`, `file:PATH`, or `text:VALUE` for what is no secret.
";

/// `docs/reference/configuration.md`.
pub(crate) fn page(weft: &Path) -> Result<Option<String>> {
    let mut text = banner("`weft gateway --settings-schema` and `weft serve <service> --settings-schema`");
    text.push_str(HEAD);
    let gateway = schema(weft, &["gateway"])?;
    text.push_str("\n## The gateway\n");
    Tables::of(&gateway, &mut text).table("", &gateway);
    let listing = command::output(Command::new(weft).args(["tools", "--json"]).env_clear().env("HOME", "~"))?;
    let services: BTreeMap<String, Value> =
        serde_json::from_str(&listing).context("cannot read `weft tools --json`")?;
    for (at, name) in services.keys().enumerate() {
        let service = schema(weft, &["serve", name])?;
        if at == 0 {
            text.push_str("\n## Every server\n");
            each(&service, &mut text, |key| key != "service");
        }
        let _ = writeln!(text, "\n## The {name} server");
        each(&service, &mut text, |key| key == "service");
    }
    Ok(Some(text))
}

fn schema(weft: &Path, words: &[&str]) -> Result<Value> {
    let text = command::output(Command::new(weft).args(words).arg("--settings-schema").env_clear().env("HOME", "~"))?;
    serde_json::from_str(&text).with_context(|| format!("cannot read the schema of {words:?}"))
}

/// The tables below the top that `wanted` says.
fn each(schema: &Value, text: &mut String, wanted: impl Fn(&str) -> bool) {
    for (key, below) in schema["properties"].as_object().into_iter().flatten().filter(|(key, _)| wanted(key)) {
        let mut tables = Tables::of(schema, text);
        let (resolved, _) = tables.resolved(below);
        tables.section(key, &format!("[{key}]"), resolved);
    }
}

/// The tables of one schema, as they are written.
struct Tables<'a> {
    defs: &'a Value,
    text: &'a mut String,
}

/// What a key holds.
enum Holds<'a> {
    /// A value, in words.
    Value(String),
    /// A table: its path in the file, and what is in it.
    Table(String, &'a Value),
}

impl<'a> Tables<'a> {
    fn of(schema: &'a Value, text: &'a mut String) -> Self {
        Self { defs: &schema["$defs"], text }
    }

    fn section(&mut self, path: &str, title: &str, schema: &'a Value) {
        let _ = writeln!(self.text, "\n### `{title}`");
        if let Some(says) = schema["description"].as_str() {
            let _ = writeln!(self.text, "\n{}", flat(says));
        }
        self.table(path, schema);
    }

    /// The rows of one table, and then the tables in it.
    fn table(&mut self, path: &str, schema: &'a Value) {
        let properties = properties(schema);
        if properties.is_empty() {
            return;
        }
        let mut below = Vec::new();
        self.text.push_str("\n| key | holds | without it | says |\n|---|---|---|---|\n");
        for (key, property) in properties {
            let (resolved, says) = self.resolved(property);
            let (holds, default) = match self.holds(path, key, resolved) {
                Holds::Value(words) => (choices(schema, key).unwrap_or(words), default(property)),
                Holds::Table(title, schema) => {
                    let holds = format!("`{title}`");
                    below.push((join(path, key), title, schema));
                    (holds, String::new())
                }
            };
            let _ = writeln!(self.text, "| `{key}` | {holds} | {default} | {} |", flat(says));
        }
        for (path, title, schema) in below {
            self.section(&path, &title, schema);
        }
    }

    fn holds(&self, path: &str, key: &str, schema: &'a Value) -> Holds<'a> {
        let own = join(path, key);
        if !properties(schema).is_empty() {
            return Holds::Table(format!("[{own}]"), schema);
        }
        let (items, _) = self.resolved(&schema["items"]);
        if !properties(items).is_empty() {
            return Holds::Table(format!("[[{own}]]"), items);
        }
        let (each, _) = self.resolved(&schema["additionalProperties"]);
        if !properties(each).is_empty() {
            return Holds::Table(format!("[{own}.<name>]"), each);
        }
        Holds::Value(match (items.is_object(), each.is_object()) {
            (true, _) => format!("list of {}", kind(items)),
            (_, true) => format!("table of {}", kind(each)),
            _ => kind(schema),
        })
    }

    /// What a schema refers to, and what is said of it where it stands.
    fn resolved(&self, schema: &'a Value) -> (&'a Value, &'a str) {
        let says = schema["description"].as_str();
        let named = schema["anyOf"].as_array().into_iter().flatten().chain([schema]).find_map(|it| it["$ref"].as_str());
        let found = named.and_then(|name| name.rsplit('/').next()).map(|name| &self.defs[name]);
        let found = found.unwrap_or(schema);
        (found, says.or(found["description"].as_str()).unwrap_or_default())
    }
}

/// The keys of a table; of one that has several forms, those of all.
fn properties(schema: &Value) -> Vec<(&String, &Value)> {
    let of = |schema: &'_ Value| schema["properties"].as_object().map(Map::len).unwrap_or_default();
    if of(schema) > 0 {
        return schema["properties"].as_object().into_iter().flatten().collect();
    }
    let mut all: Vec<(&String, &Value)> = Vec::new();
    let forms = schema["oneOf"].as_array().into_iter().flatten();
    for (key, property) in forms.filter_map(|form| form["properties"].as_object()).flatten() {
        if !all.iter().any(|(known, _)| *known == key) {
            all.push((key, property));
        }
    }
    all
}

/// The words that tell the forms of a table apart, where this key does.
fn choices(schema: &Value, key: &str) -> Option<String> {
    let forms = schema["oneOf"].as_array()?;
    let words: Vec<String> =
        forms.iter().filter_map(|form| form["properties"][key]["const"].as_str()).map(|it| format!("`{it}`")).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// The type of a value, in words.
fn kind(schema: &Value) -> String {
    let words = schema["enum"].as_array().into_iter().flatten();
    let forms = schema["oneOf"].as_array().into_iter().flatten().map(|form| &form["const"]);
    let words: Vec<String> = words.chain(forms).filter_map(Value::as_str).map(|word| format!("`{word}`")).collect();
    if !words.is_empty() {
        return words.join(", ");
    }
    if schema["pattern"].as_str().is_some_and(|pattern| pattern.starts_with("^(env:")) {
        return "reference".to_owned();
    }
    match &schema["type"] {
        Value::String(kind) => kind.clone(),
        Value::Array(kinds) => {
            kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null").collect::<Vec<_>>().join(" or ")
        }
        _ => schema["const"].as_str().map_or_else(String::new, |word| format!("`{word}`")),
    }
}

fn default(property: &Value) -> String {
    match property.get("default") {
        None | Some(Value::Null) => String::new(),
        Some(Value::Array(all)) if all.is_empty() => String::new(),
        Some(Value::Object(all)) if all.is_empty() => String::new(),
        Some(value) => format!("`{value}`").replace('|', "\\|"),
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// One line that does not end its cell.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_lists_of_tables_and_words_are_told_apart() {
        let schema = serde_json::json!({
            "$defs": {
                "Limits": { "description": "Bounds.", "properties": { "bytes": { "type": "integer", "default": 5, "description": "a | b" } } },
                "One": { "properties": { "name": { "type": ["string", "null"], "default": null } } },
                "Kind": { "oneOf": [{ "const": "ask" }, { "const": "deny" }] },
            },
            "properties": {
                "limits": { "$ref": "#/$defs/Limits" },
                "service": { "type": "array", "items": { "$ref": "#/$defs/One" } },
                "virtual": { "type": "object", "additionalProperties": { "$ref": "#/$defs/One" } },
                "confirm": { "anyOf": [{ "$ref": "#/$defs/Kind" }, { "type": "null" }] },
            },
        });
        let mut text = String::new();
        Tables::of(&schema, &mut text).table("", &schema);
        for expected in [
            "| `limits` | `[limits]` |  | Bounds. |\n",
            "| `service` | `[[service]]` |",
            "| `virtual` | `[virtual.<name>]` |",
            "| `confirm` | `ask`, `deny` |",
            "\n### `[limits]`\n\nBounds.\n",
            "| `bytes` | integer | `5` | a \\| b |",
            "| `name` | string |  |  |",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
    }
}
