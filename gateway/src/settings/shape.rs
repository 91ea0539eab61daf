//! How a service's tools are shown: which of them, under which names, with which words.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::globs::globs;

/// What is changed about a service's tools, everywhere they are shown. Patterns and keys are the service's own names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Shape {
    /// Only these can be seen and called; all without any.
    pub allow: Vec<String>,
    /// These cannot, even if allowed.
    pub deny: Vec<String>,
    /// Another name for a tool, in place of its own.
    pub rename: BTreeMap<String, String>,
    /// Another description for a tool.
    pub describe: BTreeMap<String, String>,
}

/// The longest name of a tool (MCP 2025-11-25, tool names).
const LONGEST: usize = 128;

impl Shape {
    /// True when nothing is changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds what is wrong with it, under `key`.
    pub(crate) fn check(&self, key: &str, wrong: &mut Vec<String>) {
        globs(&format!("{key}.allow"), &self.allow, wrong);
        globs(&format!("{key}.deny"), &self.deny, wrong);
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        for (own, name) in &self.rename {
            if name.is_empty() || name.len() > LONGEST || !name.chars().all(known) {
                wrong.push(format!(
                    "{key}.rename.{own}: {name:?} is no name; use 1 to {LONGEST} of A-Z, a-z, 0-9, _ - ."
                ));
            }
        }
    }
}
