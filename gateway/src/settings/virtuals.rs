//! Virtual servers: the wire form of `[virtual.<name>]`, each an endpoint `/mcp/v/<name>` that shows a part of the mesh.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_mesh::ServiceId;

use crate::catalogue::lens::Lens;

/// One virtual server. Patterns are globs over names as they are on `/mcp` (`filesystem_read_*`, `file:*`).
///
/// Without `services`, `tools`, `prompts` and `resources` it shows everything; as soon as one of them is given, only what is
/// named.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct VirtualSettings {
    /// What people call it.
    pub title: Option<String>,
    /// What clients are told about it, in front of its services' own instructions.
    pub instructions: Option<String>,
    /// Everything of these services.
    pub services: Option<Vec<String>>,
    /// Tools.
    pub tools: Option<Vec<String>>,
    /// Prompts.
    pub prompts: Option<Vec<String>>,
    /// Resources and templates, by URI.
    pub resources: Option<Vec<String>>,
    /// Three tools to find, describe and call the others, instead of all of them.
    pub lean: bool,
}

/// Virtual servers by name.
pub type Virtuals = BTreeMap<String, VirtualSettings>;

/// The one that is always there, unless the settings say otherwise: everything, lean.
pub const LEAN: &str = "lean";

/// The given ones and [`LEAN`], checked; or everything that is wrong with them.
pub(crate) fn lenses(virtuals: &Virtuals) -> Result<Vec<(String, Lens)>, Vec<String>> {
    let usual = VirtualSettings { lean: true, ..VirtualSettings::default() };
    let usual = (!virtuals.contains_key(LEAN)).then_some((LEAN, &usual));
    let mut wrong = Vec::new();
    let mut lenses = Vec::new();
    for (name, settings) in virtuals.iter().map(|(name, settings)| (name.as_str(), settings)).chain(usual) {
        if name.parse::<ServiceId>().is_err() {
            wrong.push(format!("virtual.{name}: use 1 to 16 of a-z, 0-9 and - as its name"));
        }
        lenses.push((name.to_owned(), Lens::new(name, settings, &mut wrong)));
    }
    if wrong.is_empty() { Ok(lenses) } else { Err(wrong) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let one = |key: &str, value: &str| (key.to_owned(), vec![value.to_owned()]);
        let mut virtuals = Virtuals::new();
        let (_, tools) = one("tools", "files_[");
        let (_, services) = one("services", "Not A Name");
        virtuals.insert(
            "ok".into(),
            VirtualSettings { tools: Some(tools), services: Some(services), ..VirtualSettings::default() },
        );
        virtuals.insert("Support Desk".into(), VirtualSettings::default());
        virtuals.insert("empty".into(), VirtualSettings { tools: Some(Vec::new()), ..VirtualSettings::default() });
        let wrong = lenses(&virtuals).unwrap_err().join("\n");
        for expected in ["virtual.Support Desk", "virtual.ok.tools", "virtual.ok.services", "virtual.empty"] {
            assert!(wrong.contains(expected), "{expected}: {wrong}");
        }
    }

    #[test]
    fn a_lean_one_is_always_there_and_can_be_redefined() {
        let names = |virtuals: &Virtuals| -> Vec<(String, bool)> {
            lenses(virtuals).unwrap().into_iter().map(|(name, lens)| (name, lens.is_lean())).collect()
        };
        assert_eq!(names(&Virtuals::new()), [("lean".to_owned(), true)]);
        let own = Virtuals::from([(LEAN.to_owned(), VirtualSettings::default())]);
        assert_eq!(names(&own), [("lean".to_owned(), false)]);
    }
}
