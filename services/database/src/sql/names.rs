//! Names and literals as they must stand in a statement.

use sqlparser::ast::{Ident, ObjectName, ObjectNamePart};
use weft_kit::ToolError;

/// The name of a table or function, with its schema if that was said.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name {
    pub(crate) schema: Option<String>,
    pub(crate) name: String,
}

impl Name {
    /// From two arguments, or from one that holds both (`schema.table`).
    pub(crate) fn of(schema: Option<&str>, name: &str) -> Self {
        match (schema, name.split_once('.')) {
            (None, Some((schema, name))) if !schema.is_empty() && !name.is_empty() => {
                Self { schema: Some(schema.to_owned()), name: name.to_owned() }
            }
            _ => Self { schema: schema.map(str::to_owned), name: name.to_owned() },
        }
    }

    /// From a parsed name. The database of a name of three parts may not be said: there is only one.
    pub(crate) fn parsed(parts: &ObjectName) -> Result<Self, ToolError> {
        let mut names = Vec::new();
        for part in &parts.0 {
            match part {
                ObjectNamePart::Identifier(ident) => names.push(folded(ident)),
                ObjectNamePart::Function(_) => {
                    return Err(ToolError::refused(format!("{parts} is not a name that can be checked")));
                }
            }
        }
        match (names.pop(), names.pop(), names.is_empty()) {
            (Some(name), schema, true) => Ok(Self { schema, name }),
            _ => Err(ToolError::refused(format!("{parts}: a name may have a schema in front and nothing else"))),
        }
    }

    /// As it stands in a statement.
    pub(crate) fn sql(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{}.{}", quoted(schema), quoted(&self.name)),
            None => quoted(&self.name),
        }
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.schema {
            Some(schema) => write!(formatter, "{schema}.{}", self.name),
            None => formatter.write_str(&self.name),
        }
    }
}

/// Unquoted names mean their lower case, in PostgreSQL as in our comparisons of SQLite's.
pub(crate) fn folded(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// An identifier in double quotes.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A string literal, for a database where a backslash means itself.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
