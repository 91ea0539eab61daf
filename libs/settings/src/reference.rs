//! A value by reference: secrets are named in the settings, never written there.

use std::{borrow::Cow, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `env:NAME`, `file:PATH` (its text without white space around it), or `text:VALUE` for what is no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Reference {
    /// A variable of the environment.
    Env(String),
    /// A file.
    File(PathBuf),
    /// The value itself.
    Text(String),
}

/// Not a reference, or one that leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReference {
    /// Of no known form. The text is not shown: it may be the secret itself.
    #[error("a value must be a reference: env:NAME, file:PATH, or text:VALUE for what is no secret")]
    Form,
    /// The variable is not set.
    #[error("the variable {0} is not set")]
    Unset(String),
    /// The file cannot be read.
    #[error("cannot read {path}: {why}")]
    File {
        /// Its path.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

impl TryFrom<String> for Reference {
    type Error = InvalidReference;

    fn try_from(text: String) -> Result<Self, InvalidReference> {
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Ok(Self::Env(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("text", value)) => Ok(Self::Text(value.to_owned())),
            _ => Err(InvalidReference::Form),
        }
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        match reference {
            Reference::Env(name) => format!("env:{name}"),
            Reference::File(path) => format!("file:{}", path.display()),
            Reference::Text(value) => format!("text:{value}"),
        }
    }
}

impl JsonSchema for Reference {
    fn schema_name() -> Cow<'static, str> {
        "Reference".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^(env:.+|file:.+|text:.*)$",
            "description": "env:NAME, file:PATH, or text:VALUE for what is no secret",
        })
    }
}

impl Reference {
    /// The value, as it is now.
    pub fn value(&self) -> Result<String, InvalidReference> {
        match self {
            Self::Env(name) => std::env::var(name).map_err(|_| InvalidReference::Unset(name.clone())),
            Self::File(path) => match std::fs::read_to_string(path) {
                Ok(text) => Ok(text.trim().to_owned()),
                Err(error) => Err(InvalidReference::File { path: path.clone(), why: error.to_string() }),
            },
            Self::Text(value) => Ok(value.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_secret_is_refused_without_being_repeated() {
        let error = Reference::try_from("hunter2".to_owned()).unwrap_err().to_string();
        assert!(error.contains("env:NAME") && !error.contains("hunter2"), "{error}");
        let of = |text: &str| Reference::try_from(text.to_owned()).unwrap();
        assert_eq!(of("text:a:b").value().unwrap(), "a:b");
        assert!(matches!(of("env:WEFT_NOT_SET_ANYWHERE").value(), Err(InvalidReference::Unset(_))));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "secret\n").unwrap();
        assert_eq!(of(&format!("file:{}", file.path().display())).value().unwrap(), "secret");
    }
}
