//! Configuration: a TOML file and environment variables → one value, or everything that is wrong with them at once.
//!
//! The environment wins over the file: `WEFT_LIMITS__BODY_BYTES=1048576` sets `limits.body_bytes` (the prefix, then the keys in
//! capitals with two underscores between). Every error names the file and line, or the variable, it came from.

use std::{
    collections::BTreeSet,
    fmt,
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

mod origin;
mod reference;

use origin::Origins;
pub use reference::{InvalidReference, Reference};

/// All that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsErrors(pub Vec<String>);

impl fmt::Display for SettingsErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the configuration cannot be used:")?;
        self.0.iter().try_for_each(|error| write!(formatter, "\n  {error}"))
    }
}

impl std::error::Error for SettingsErrors {}

/// Reads `file`, if given, and lays the variables of `env` that begin with `prefix` over it.
pub fn load<T: DeserializeOwned + JsonSchema>(
    file: Option<&Path>,
    prefix: &str,
    env: impl IntoIterator<Item = (String, String)>,
) -> Result<T, SettingsErrors> {
    let mut origins = Origins::default();
    let mut table = match file {
        Some(path) => read(path, &mut origins)?,
        None => Table::new(),
    };
    let known = keys(&schema_value::<T>());
    for (name, text) in env {
        let Some(path) = path_of(&name, prefix) else { continue };
        // Variables of other parts of the system share the prefix: only keys that exist here are ours.
        if known.contains(&path.join(".")) {
            put(&mut table, &path, &text);
            origins.set(&path.join("."), format!("environment variable {name}"));
        }
    }
    deserialize(table, &origins, &known)
}

/// The JSON schema of a configuration, for the reference.
pub fn schema<T: JsonSchema>() -> String {
    serde_json::to_string_pretty(&schema_value::<T>()).unwrap_or_default()
}

fn schema_value<T: JsonSchema>() -> serde_json::Value {
    schemars::schema_for!(T).to_value()
}

fn read(path: &Path, origins: &mut Origins) -> Result<Table, SettingsErrors> {
    let one = |error: String| SettingsErrors(vec![error]);
    let text =
        std::fs::read_to_string(path).map_err(|error| one(format!("{}: cannot be read: {error}", path.display())))?;
    origins.read(&PathBuf::from(path), &text);
    text.parse::<Table>().map_err(|error| one(format!("{}: {}", path.display(), error.to_string().trim_end())))
}

/// Deserializes; each error's key is taken away and the rest tried again, so that all errors are found.
fn deserialize<T: DeserializeOwned>(
    mut table: Table,
    origins: &Origins,
    known: &BTreeSet<String>,
) -> Result<T, SettingsErrors> {
    let mut errors = Vec::new();
    loop {
        match serde_path_to_error::deserialize::<_, T>(Value::Table(table.clone())) {
            Ok(value) if errors.is_empty() => return Ok(value),
            Ok(_) => return Err(SettingsErrors(errors)),
            Err(error) => {
                let mut path: Vec<String> = error.path().iter().map(ToString::to_string).collect();
                let why = error.inner().to_string().lines().next().unwrap_or_default().to_owned();
                if let Some(field) = why.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next())
                    && path.last().map(String::as_str) != Some(field)
                {
                    path.push(field.to_owned());
                }
                let key = path.join(".");
                errors.push(format!("{}: {key}: {}{}", origins.get(&key), why, hint(&key, &why, known)));
                if path.is_empty() || !take(&mut table, &path) {
                    return Err(SettingsErrors(errors));
                }
            }
        }
    }
}

fn path_of(name: &str, prefix: &str) -> Option<Vec<String>> {
    let rest = name.strip_prefix(prefix).filter(|rest| !rest.is_empty())?;
    Some(rest.split("__").map(str::to_ascii_lowercase).collect())
}

/// Sets a key from text: as TOML where it is TOML (numbers, booleans, lists), otherwise as the text itself.
fn put(table: &mut Table, path: &[String], text: &str) {
    let Some((last, parents)) = path.split_last() else { return };
    let mut place = table;
    for parent in parents {
        let entry = place.entry(parent.clone()).or_insert_with(|| Value::Table(Table::new()));
        let Value::Table(inner) = entry else { return };
        place = inner;
    }
    let parsed = format!("v = {text}").parse::<Table>().ok().and_then(|mut table| table.remove("v"));
    place.insert(last.clone(), parsed.unwrap_or_else(|| Value::String(text.to_owned())));
}

fn take(table: &mut Table, path: &[String]) -> bool {
    let Some((last, parents)) = path.split_last() else { return false };
    let mut place = table;
    for parent in parents {
        if !matches!(place.get(parent), Some(Value::Table(_))) {
            // Inside a list: the whole list is taken away, its first error has been told.
            return place.remove(parent).is_some();
        }
        let Some(Value::Table(inner)) = place.get_mut(parent) else { return false };
        place = inner;
    }
    place.remove(last).is_some()
}

/// All keys that a schema knows, with dots between levels.
fn keys(schema: &serde_json::Value) -> BTreeSet<String> {
    fn walk(
        root: &serde_json::Value,
        at: &serde_json::Value,
        prefix: &str,
        depth: usize,
        found: &mut BTreeSet<String>,
    ) {
        let at = at
            .get("$ref")
            .and_then(serde_json::Value::as_str)
            .and_then(|reference| root.pointer(reference.trim_start_matches('#')))
            .unwrap_or(at);
        let Some(properties) = at.get("properties").and_then(serde_json::Value::as_object) else { return };
        for (name, property) in properties {
            let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            if depth < 8 {
                walk(root, property, &key, depth + 1, found);
            }
            found.insert(key);
        }
    }
    let mut found = BTreeSet::new();
    walk(schema, schema, "", 0, &mut found);
    found
}

/// The nearest key to one that does not exist.
fn hint(key: &str, why: &str, known: &BTreeSet<String>) -> String {
    if !why.starts_with("unknown field") {
        return String::new();
    }
    let nearest = known.iter().map(|candidate| (distance(key, candidate), candidate)).min();
    match nearest {
        Some((steps, candidate)) if steps <= 3 => format!("; did you mean {candidate}?"),
        _ => String::new(),
    }
}

/// Levenshtein.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, JsonSchema, PartialEq)]
    #[serde(deny_unknown_fields, default)]
    struct Outer {
        name: String,
        limits: Inner,
    }

    #[derive(Debug, Deserialize, JsonSchema, PartialEq)]
    #[serde(deny_unknown_fields, default)]
    struct Inner {
        body: usize,
        doors: Vec<String>,
    }

    impl Default for Outer {
        fn default() -> Self {
            Self { name: "weft".into(), limits: Inner::default() }
        }
    }

    impl Default for Inner {
        fn default() -> Self {
            Self { body: 10, doors: Vec::new() }
        }
    }

    fn with(text: &str, env: &[(&str, &str)]) -> Result<Outer, SettingsErrors> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gateway.toml");
        std::fs::write(&path, text).unwrap();
        load(Some(&path), "WEFT_", env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn the_environment_wins_and_defaults_fill_the_rest() {
        assert_eq!(with("", &[]).unwrap(), Outer::default());
        let env = [
            ("WEFT_LIMITS__BODY", "7"),
            ("WEFT_LIMITS__DOORS", "[\"a\"]"),
            ("WEFT_NAME", "n w"),
            ("WEFT_OTHER", "x"),
            ("HOME", "y"),
        ];
        let loaded = with("name = \"file\"\n[limits]\nbody = 3\n", &env).unwrap();
        assert_eq!(loaded, Outer { name: "n w".into(), limits: Inner { body: 7, doors: vec!["a".into()] } });
    }

    #[test]
    fn all_errors_come_at_once_with_their_places() {
        let error =
            with("nmae = \"x\"\n\n[limits]\nbody = \"many\"\nboddy = 1\n", &[("WEFT_LIMITS__DOORS", "3")]).unwrap_err();
        let text = error.to_string();
        assert_eq!(error.0.len(), 4, "{text}");
        assert!(text.contains("gateway.toml:1: nmae: unknown field") && text.contains("did you mean name?"), "{text}");
        assert!(text.contains("gateway.toml:4: limits.body: invalid type"), "{text}");
        assert!(text.contains("gateway.toml:5: limits.boddy") && text.contains("did you mean limits.body?"), "{text}");
        assert!(text.contains("environment variable WEFT_LIMITS__DOORS: limits.doors"), "{text}");
        assert!(with("a = ", &[]).unwrap_err().to_string().contains("line 1"));
        let missing = load::<Outer>(Some(Path::new("/nowhere/x.toml")), "WEFT_", []).unwrap_err().to_string();
        assert!(missing.contains("/nowhere/x.toml: cannot be read"), "{missing}");
    }
}
