//! Where each key of a configuration was written: file and line, or the name of an environment variable.

use std::{collections::HashMap, path::Path};

use toml::de::{DeTable, DeValue};

/// Origins by key, with dots between levels.
#[derive(Debug, Default)]
pub(crate) struct Origins {
    file: String,
    of: HashMap<String, String>,
}

impl Origins {
    /// Notes the line of every key of a file; a file that is no TOML has none.
    pub(crate) fn read(&mut self, path: &Path, text: &str) {
        self.file = path.display().to_string();
        if let Ok(table) = DeTable::parse(text) {
            self.walk(text, table.get_ref(), "");
        }
    }

    fn walk(&mut self, text: &str, table: &DeTable<'_>, prefix: &str) {
        for (key, value) in table {
            let name = key.get_ref();
            let path = if prefix.is_empty() { name.to_string() } else { format!("{prefix}.{name}") };
            let line = text.get(..key.span().start).map_or(0, |before| before.matches('\n').count()) + 1;
            if let DeValue::Table(inner) = value.get_ref() {
                self.walk(text, inner, &path);
            }
            self.of.insert(path, format!("{}:{line}", self.file));
        }
    }

    pub(crate) fn set(&mut self, key: &str, origin: String) {
        self.of.insert(key.to_owned(), origin);
    }

    /// The origin of a key, or of the nearest one above it.
    pub(crate) fn get(&self, key: &str) -> &str {
        let mut key = key;
        loop {
            if let Some(origin) = self.of.get(key) {
                return origin;
            }
            match key.rsplit_once('.') {
                Some((above, _)) => key = above,
                None if self.file.is_empty() => return "configuration",
                None => return &self.file,
            }
        }
    }
}
