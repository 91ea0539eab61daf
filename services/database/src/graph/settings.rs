//! What one connection to a graph database can be told.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::Reference;

use crate::settings::Access;

/// A graph database that speaks Bolt: Neo4j, or one that is compatible.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GraphSettings {
    /// What callers name it.
    pub name: String,
    /// `bolt://HOST:7687` for one server, `neo4j://HOST:7687` for a cluster; with TLS `bolt+s://` and `neo4j+s://`.
    pub url: String,
    /// The user.
    #[serde(default)]
    pub user: Option<String>,
    /// The user's password.
    #[serde(default)]
    pub password: Option<Reference>,
    /// The database; the user's home database if not said.
    #[serde(default)]
    pub database: Option<String>,
    /// PEM file of authorities that are trusted besides the system's.
    #[serde(default)]
    pub authorities: Option<PathBuf>,
    /// Who may use it.
    #[serde(default)]
    pub access: Access,
    /// Nothing may be changed: follows from `access`.
    #[serde(skip, default = "yes")]
    pub(crate) read_only: bool,
    /// The labels that may be seen; all if empty. With labels, only the tools that look around answer: a query of free text
    /// cannot be confined to them.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Procedures and functions that may be called besides those that only look: `gds.pageRank.stream`, `apoc.text.*`.
    #[serde(default)]
    pub procedures: Vec<String>,
    /// Rows of one answer.
    #[serde(default = "rows")]
    pub max_rows: usize,
    /// Bytes of one answer.
    #[serde(default = "bytes")]
    pub max_bytes: usize,
    /// Milliseconds that one transaction may take.
    #[serde(default = "timeout")]
    pub timeout_ms: u64,
    /// Connections that are open at most, to each member.
    #[serde(default = "pool")]
    pub pool: usize,
}

impl GraphSettings {
    /// A connection of this name to this address, everything else as if it were not said.
    pub fn new(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            url: url.into(),
            user: None,
            password: None,
            database: None,
            authorities: None,
            access: Access::default(),
            read_only: true,
            labels: Vec::new(),
            procedures: Vec::new(),
            max_rows: rows(),
            max_bytes: bytes(),
            timeout_ms: timeout(),
            pool: pool(),
        }
    }
}

fn yes() -> bool {
    true
}

fn rows() -> usize {
    1_000
}

fn bytes() -> usize {
    256 << 10
}

fn timeout() -> u64 {
    30_000
}

fn pool() -> usize {
    8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_alone_is_a_connection_that_only_reads() {
        let settings: GraphSettings = serde_json::from_str(r#"{"name": "g", "url": "bolt://localhost"}"#).unwrap();
        assert!(settings.read_only);
        assert_eq!((settings.max_rows, settings.pool), (1_000, 8));
        assert!(
            serde_json::from_str::<GraphSettings>(r#"{"name": "g", "url": "bolt://x", "password": "hunter2"}"#)
                .is_err()
        );
        assert!(serde_json::from_str::<GraphSettings>(r#"{"name": "g", "url": "bolt://x", "extra": 1}"#).is_err());
    }
}
