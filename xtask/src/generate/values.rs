//! The manifests of the services -> what the chart's values say of each server: its name, port, policy, key and schemes.
//!
//! Apart from the other pages because only these lines are written: the rest of the file, and of each server, is its own.

use std::fs;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::repo::Repo;

/// What a `service.toml` says, as far as the chart repeats it.
#[derive(Deserialize)]
struct Manifest {
    name: String,
    port: u16,
    policy: String,
    key: Option<String>,
    #[serde(default)]
    schemes: Vec<String>,
}

/// The line that opens the servers, and how deep a server and its settings stand.
const OPENS: &str = "servers:\n";
const SERVER: &str = "  ";
const SETTING: &str = "    ";
const TOLD: [&str; 4] = ["port:", "policy:", "key:", "schemes:"];
/// For tests alone: not in the chart.
const NOT_SHIPPED: &str = "echo";

/// `helm/weft/values.yaml` as it is, with the servers as they are.
pub(super) fn page(repo: &Repo, old: &str) -> Result<String> {
    let mut manifests = Vec::new();
    let paths =
        repo.files()?.into_iter().filter(|path| path.starts_with("services/") && path.ends_with("/service.toml"));
    for path in paths {
        let text = fs::read_to_string(repo.root.join(&path)).with_context(|| format!("cannot read {path}"))?;
        manifests.push(toml::from_str(&text).with_context(|| format!("{path} is no manifest of a service"))?);
    }
    manifests.retain(|manifest: &Manifest| manifest.name != NOT_SHIPPED);
    manifests.sort_by_key(|manifest| manifest.port);
    renewed(old, &manifests).context("helm/weft/values.yaml has no line `servers:`: put it back")
}

fn renewed(old: &str, manifests: &[Manifest]) -> Option<String> {
    let (before, rest) = old.split_once(&format!("\n{OPENS}"))?;
    let end: usize = rest.split_inclusive('\n').take_while(|line| line.starts_with(SERVER)).map(str::len).sum();
    let (servers, after) = rest.split_at(end);
    let written: String = manifests.iter().map(|manifest| told(manifest) + &own(servers, &manifest.name)).collect();
    Some(format!("{before}\n{OPENS}{written}{after}"))
}

/// The lines that come from the manifest.
fn told(manifest: &Manifest) -> String {
    let Manifest { name, port, policy, key, schemes } = manifest;
    let mut lines = format!("{SERVER}{name}:\n{SETTING}port: {port}\n{SETTING}policy: {policy}\n");
    lines.extend(key.iter().map(|key| format!("{SETTING}key: {key}\n")));
    if !schemes.is_empty() {
        lines += &format!("{SETTING}schemes: [{}]\n", schemes.join(", "));
    }
    lines
}

/// The lines of a server that are written by hand.
fn own(servers: &str, name: &str) -> String {
    let lines = servers.split_inclusive('\n').skip_while(|line| line.trim_end() != format!("{SERVER}{name}:")).skip(1);
    let settings = lines.take_while(|line| line.starts_with(SETTING));
    let is_told = |line: &&str| TOLD.iter().any(|key| line[SETTING.len()..].starts_with(key));
    settings.filter(|line| !is_told(line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(text: &str) -> Manifest {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn servers_follow_their_manifests_and_keep_what_is_their_own() {
        let old = "# x\nservers:\n  gone:\n    port: 1\n  memory:\n    port: 2\n    schemes: [old]\n    # why\n    state:\n      size: 1Gi\n\nafter: 1\n";
        let manifests = [
            manifest("name = \"new\"\nport = 7\npolicy = \"round_robin\""),
            manifest(
                "name = \"memory\"\nport = 8\npolicy = \"consistent_hash\"\nkey = \"caller\"\nschemes = [\"a\", \"b\"]",
            ),
        ];
        let new = "# x\nservers:\n  new:\n    port: 7\n    policy: round_robin\n  memory:\n    port: 8\n    policy: consistent_hash\n    \
                   key: caller\n    schemes: [a, b]\n    # why\n    state:\n      size: 1Gi\n\nafter: 1\n";
        assert_eq!(renewed(old, &manifests).as_deref(), Some(new));
        assert_eq!(renewed(new, &manifests).as_deref(), Some(new));
        assert_eq!(renewed("nothing: 1\n", &manifests), None);
    }
}
