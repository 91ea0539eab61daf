//! Who may depend on whom. The tables below are the architecture's dependency rules; they read the manifests alone, so a
//! forbidden edge is found before anything is compiled.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::Finding;
use super::tree::Tree;

/// Which of our crates a crate may use.
enum Ours {
    Only(&'static [&'static str]),
    AllBut(&'static [&'static str]),
}

/// By folder; `services/` stands for each service. What is for tests (`weft-testkit`) may be a dev-dependency anywhere.
const DIRECTION: [(&str, Ours); 18] = [
    ("libs/wire", Ours::Only(&[])),
    ("libs/balance", Ours::Only(&[])),
    ("libs/settings", Ours::Only(&[])),
    ("libs/telemetry", Ours::Only(&["weft-settings"])),
    ("libs/identity", Ours::Only(&["weft-mesh"])),
    ("libs/mesh", Ours::Only(&[])),
    ("libs/adapt", Ours::Only(&["weft-telemetry", "weft-wire"])),
    ("libs/openapi", Ours::Only(&["weft-wire"])),
    ("libs/kit", Ours::Only(&["weft-settings", "weft-telemetry", "weft-identity", "weft-mesh", "weft-wire"])),
    ("libs/testkit", Ours::Only(&["weft-settings", "weft-telemetry", "weft-identity", "weft-mesh", "weft-wire"])),
    ("libs/bolt", Ours::Only(&["weft-identity", "weft-telemetry"])),
    ("libs/embed", Ours::Only(&["weft-settings", "weft-telemetry", "weft-wire"])),
    ("libs/extract", Ours::Only(&["weft-kit"])),
    ("services/", Ours::Only(&["weft-kit", "weft-bolt", "weft-embed", "weft-extract"])),
    (
        "gateway",
        Ours::Only(&[
            "weft-wire",
            "weft-balance",
            "weft-mesh",
            "weft-settings",
            "weft-telemetry",
            "weft-identity",
            "weft-adapt",
            "weft-openapi",
        ]),
    ),
    ("cli", Ours::AllBut(&["weft-testkit", "weft-tests", "xtask"])),
    ("tests", Ours::AllBut(&["xtask"])),
    ("xtask", Ours::Only(&["weft-telemetry"])),
];

/// Outside crates that have one home: crate, the only folders that may name it, why.
const HOMES: [(&str, &[&str], &str); 8] = [
    ("rustls", &["libs/identity"], "TLS is configured in libs/identity alone: use what weft_identity offers"),
    ("tokio-rustls", &["libs/identity"], "TLS is configured in libs/identity alone: use what weft_identity offers"),
    ("hyper-rustls", &["libs/identity"], "TLS is configured in libs/identity alone: use what weft_identity offers"),
    ("rcgen", &["libs/identity"], "certificates are made in libs/identity alone"),
    ("x509-parser", &["libs/identity"], "certificates are read in libs/identity alone"),
    ("rmcp", &["libs/kit", "services/", "tests"], "the gateway reads envelopes with weft_wire, never SDK types"),
    ("openssl", &[], "TLS is rustls with aws-lc-rs"),
    ("native-tls", &[], "TLS is rustls with aws-lc-rs"),
];

/// Folders that stay free of I/O, and what would bring it in.
const PURE: [&str; 2] = ["libs/wire", "libs/balance"];
const IMPURE: [&str; 9] =
    ["tokio", "tokio-util", "hyper", "hyper-util", "http", "axum", "tower", "futures-util", "reqwest"];

struct Crate<'a> {
    folder: &'a str,
    manifest: &'a str,
    table: Table,
}

struct Dependency {
    name: String,
    for_tests: bool,
    from_workspace: bool,
}

impl Crate<'_> {
    fn name(&self) -> &str {
        self.table.get("package").and_then(|package| package.get("name")).and_then(Value::as_str).unwrap_or_default()
    }

    /// A fuzz crate is a workspace of its own, as its tool wants it.
    fn is_fuzz(&self) -> bool {
        self.folder.ends_with("/fuzz")
    }

    fn lies_in(&self, place: &str) -> bool {
        if place.ends_with('/') { self.folder.starts_with(place) } else { self.folder == place }
    }

    fn dependencies(&self) -> Vec<Dependency> {
        let targets = self.table.get("target").and_then(Value::as_table);
        let tables =
            std::iter::once(&self.table).chain(targets.into_iter().flat_map(Table::values).filter_map(Value::as_table));
        let mut found = Vec::new();
        for table in tables {
            for (section, for_tests) in
                [("dependencies", false), ("build-dependencies", false), ("dev-dependencies", true)]
            {
                let entries = table.get(section).and_then(Value::as_table);
                found.extend(entries.into_iter().flatten().map(|(key, value)| Dependency {
                    name: value.get("package").and_then(Value::as_str).unwrap_or(key).to_owned(),
                    for_tests,
                    from_workspace: value.get("workspace").and_then(Value::as_bool) == Some(true),
                }));
            }
        }
        found
    }
}

/// The workspace's crates; a manifest that cannot be read is cargo's to report.
fn crates(tree: &Tree) -> Vec<Crate<'_>> {
    let read =
        |manifest: &str, text: &str| Some((manifest.strip_suffix("/Cargo.toml")?.len(), toml::from_str(text).ok()?));
    let mut found = Vec::new();
    for (manifest, text) in tree.texts("/Cargo.toml") {
        found.extend(read(manifest, text).map(|(end, table)| Crate { folder: &manifest[..end], manifest, table }));
    }
    found
}

/// Rule: every edge between crates is one that the architecture allows.
pub(crate) fn direction(tree: &Tree) -> Vec<Finding> {
    let crates = crates(tree);
    let folders: BTreeMap<&str, &str> = crates.iter().map(|krate| (krate.name(), krate.folder)).collect();
    let mut findings = Vec::new();
    for krate in crates.iter().filter(|krate| !krate.is_fuzz()) {
        let Some((_, ours)) = DIRECTION.iter().find(|(place, _)| krate.lies_in(place)) else {
            let message = "this crate has no place in the architecture: give it one in xtask/src/tidy/crates.rs";
            findings.push(Finding::new(krate.manifest, 0, message));
            continue;
        };
        for dependency in krate.dependencies() {
            let message = if folders.contains_key(dependency.name.as_str()) {
                refused_ours(ours, &dependency)
            } else {
                refused_outside(krate, &dependency)
            };
            findings.extend(message.map(|message| Finding::new(krate.manifest, 0, message)));
        }
    }
    findings
}

fn refused_ours(ours: &Ours, dependency: &Dependency) -> Option<String> {
    let name = dependency.name.as_str();
    if name == "weft-testkit" && dependency.for_tests {
        return None;
    }
    match ours {
        Ours::Only(allowed) if !allowed.contains(&name) => {
            let allowed = if allowed.is_empty() { "none of our crates".to_owned() } else { allowed.join(", ") };
            Some(format!("must not depend on {name}; it may use {allowed}"))
        }
        Ours::AllBut(forbidden) if forbidden.contains(&name) => Some(format!("must not depend on {name}")),
        _ => None,
    }
}

fn refused_outside(krate: &Crate<'_>, dependency: &Dependency) -> Option<String> {
    let name = dependency.name.as_str();
    if PURE.contains(&krate.folder) && IMPURE.contains(&name) {
        return Some(format!("must not depend on {name}: this crate is pure and is handed what it needs"));
    }
    let (_, homes, why) = HOMES.iter().find(|(home, ..)| *home == name)?;
    let at_home = homes.iter().any(|place| krate.lies_in(place));
    (!at_home).then(|| format!("must not depend on {name}: {why}"))
}

/// Rule: every crate inherits the lints and the versions of the workspace and says what it is for.
pub(crate) fn manifest(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for krate in crates(tree).iter().filter(|krate| !krate.is_fuzz()) {
        let mut report = |message: String| findings.push(Finding::new(krate.manifest, 0, message));
        let inherits = krate.table.get("lints").and_then(|lints| lints.get("workspace")).and_then(Value::as_bool);
        if inherits != Some(true) {
            report("add `[lints] workspace = true`".to_owned());
        }
        let description = krate.table.get("package").and_then(|package| package.get("description"));
        if description.and_then(Value::as_str).is_none_or(|text| text.trim().is_empty()) {
            report("add a description: one sentence on what the crate is for".to_owned());
        }
        for dependency in krate.dependencies().iter().filter(|dependency| !dependency.from_workspace) {
            report(format!("take {} from [workspace.dependencies]", dependency.name));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "description = \"x\"\n[lints]\nworkspace = true\n";

    fn manifest_of(name: &str, rest: &str) -> String {
        format!("[package]\nname = \"{name}\"\n{HEAD}{rest}")
    }

    fn messages(files: &[(&str, String)], rule: fn(&Tree) -> Vec<Finding>) -> Vec<String> {
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        rule(&Tree::of(&files)).into_iter().map(|finding| format!("{}: {}", finding.path, finding.message)).collect()
    }

    #[test]
    fn a_service_may_use_the_kit_and_no_other_service() {
        let kit = ("libs/kit/Cargo.toml", manifest_of("weft-kit", ""));
        let echo = (
            "services/echo/Cargo.toml",
            manifest_of("weft-echo", "[dependencies]\nweft-kit.workspace = true\nrmcp.workspace = true\n"),
        );
        assert_eq!(messages(&[kit.clone(), echo.clone()], direction), [] as [&str; 0]);
        let other =
            ("services/other/Cargo.toml", manifest_of("weft-other", "[dependencies]\nweft-echo.workspace = true\n"));
        let found = messages(&[kit, echo, other], direction);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("services/other/Cargo.toml: must not depend on weft-echo; it may use weft-kit"));
    }

    #[test]
    fn a_renamed_or_target_bound_dependency_does_not_hide() {
        let rest = "[target.'cfg(unix)'.dependencies]\nfast = { package = \"tokio\", workspace = true }\n";
        let found = messages(&[("libs/wire/Cargo.toml", manifest_of("weft-wire", rest))], direction);
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("must not depend on tokio"), "{found:?}");
    }

    #[test]
    fn tls_and_the_sdk_stay_in_their_homes() {
        let rest = "[dependencies]\ntokio-rustls.workspace = true\nrmcp.workspace = true\n";
        assert_eq!(messages(&[("gateway/Cargo.toml", manifest_of("weft-gateway", rest))], direction).len(), 2);
        let home = "[dependencies]\ntokio-rustls.workspace = true\n";
        assert!(messages(&[("libs/identity/Cargo.toml", manifest_of("weft-identity", home))], direction).is_empty());
    }

    #[test]
    fn the_testkit_is_for_tests() {
        let kit = ("libs/testkit/Cargo.toml", manifest_of("weft-testkit", ""));
        let dev = manifest_of("weft-gateway", "[dev-dependencies]\nweft-testkit.workspace = true\n");
        assert!(messages(&[kit.clone(), ("gateway/Cargo.toml", dev)], direction).is_empty());
        let shipped = manifest_of("weft", "[dependencies]\nweft-testkit.workspace = true\n");
        assert_eq!(messages(&[kit, ("cli/Cargo.toml", shipped)], direction).len(), 1);
    }

    #[test]
    fn a_crate_in_an_unforeseen_place_is_asked_about() {
        assert_eq!(messages(&[("tools/x/Cargo.toml", manifest_of("x", ""))], direction).len(), 1);
    }

    #[test]
    fn a_manifest_without_lints_description_or_shared_versions_is_reported() {
        let bare = "[package]\nname = \"weft-wire\"\n[dependencies]\nserde = \"1\"\n".to_owned();
        let found = messages(&[("libs/wire/Cargo.toml", bare)], manifest);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(messages(&[("libs/wire/Cargo.toml", manifest_of("weft-wire", ""))], manifest).is_empty());
    }
}
