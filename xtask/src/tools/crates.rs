//! Programs that are built from their package by cargo itself: a graph database that speaks Bolt, because Debian has none.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use super::place::Cache;
use crate::command;

/// Package, version, program.
const BOLT: (&str, &str, &str) = ("kglite-bolt-server", "0.21.5", "bin/kglite-bolt-server");

/// The graph database: built if it is missing and may be installed.
pub(crate) fn bolt(cache: &Cache, may_install: bool) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("WEFT_BOLT_SERVER") {
        return Ok(path.into());
    }
    let (package, version, program) = BOLT;
    let folder = cache.folder("bolt", version);
    let path = folder.path.join(program);
    if folder.is_complete() {
        return Ok(path);
    }
    if !may_install {
        bail!("{package} is not installed");
    }
    folder.fill(|root| install(root, package, version))?;
    Ok(path)
}

fn install(root: &Path, package: &str, version: &str) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut install = Command::new(cargo);
    // It has to answer, not to be fast, and it has to be there soon.
    install.args(["install", "--quiet", "--locked", "--debug", "--no-track", "--root"]).arg(root);
    install
        .arg(format!("{package}@{version}"))
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("CARGO_TARGET_DIR", root.join("target"));
    command::run(&mut install)?;
    std::fs::remove_dir_all(root.join("target"))?;
    Ok(())
}
