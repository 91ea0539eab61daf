//! The exceptions from the rules, each once, with its reason: `xtask/exceptions.toml`. One that nothing needs any more is
//! a finding itself, so that the list only ever shrinks back.

use anyhow::{Context, Result};
use serde::Deserialize;

use super::tree::Tree;

/// Where they are listed.
pub(crate) const FILE: &str = "xtask/exceptions.toml";

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Listing {
    #[serde(default)]
    exception: Vec<Exception>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    rule: String,
    path: String,
    reason: String,
    #[serde(skip)]
    used: bool,
}

/// The list, and which of it was needed.
#[derive(Default)]
pub(crate) struct Exceptions {
    list: Vec<Exception>,
}

impl Exceptions {
    pub(crate) fn read(tree: &Tree) -> Result<Self> {
        let Some(text) = tree.text(FILE) else { return Ok(Self::default()) };
        let listing: Listing = toml::from_str(text).with_context(|| format!("cannot read {FILE}"))?;
        Ok(Self { list: listing.exception })
    }

    /// Whether this finding is excused; remembers that the exception was needed. One without a reason excuses nothing.
    pub(crate) fn covers(&mut self, rule: &str, path: &str) -> bool {
        let fits = |exception: &&mut Exception| exception.rule == rule && exception.path == path;
        match self.list.iter_mut().find(fits) {
            Some(exception) if !exception.reason.trim().is_empty() => {
                exception.used = true;
                true
            }
            _ => false,
        }
    }

    /// A line for each exception that excused nothing.
    pub(crate) fn unused(&self) -> impl Iterator<Item = String> {
        let idle = self.list.iter().filter(|exception| !exception.used);
        idle.map(|Exception { rule, path, .. }| {
            format!("the exception for {path} from `{rule}` is not needed: remove it")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Exceptions {
        Exceptions::read(&Tree::of(&[(FILE, text)])).unwrap()
    }

    #[test]
    fn an_exception_excuses_its_rule_and_path_only() {
        let mut list = list("[[exception]]\nrule = \"size\"\npath = \"a.rs\"\nreason = \"one table\"\n");
        assert!(!list.covers("size", "b.rs") && !list.covers("word", "a.rs"));
        assert_eq!(list.unused().count(), 1);
        assert!(list.covers("size", "a.rs"));
        assert_eq!(list.unused().count(), 0);
    }

    #[test]
    fn an_exception_without_a_reason_excuses_nothing() {
        let mut list = list("[[exception]]\nrule = \"size\"\npath = \"a.rs\"\nreason = \" \"\n");
        assert!(!list.covers("size", "a.rs"));
    }
}
