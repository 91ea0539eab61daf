//! Debian's PostgreSQL with `hypopg` and `pg_stat_statements`, unpacked beside the other tools: nothing is installed and no cluster is
//! made. What it links to must be there already, so it may be missing: that is told in a line, and its tests are skipped.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::debian;
use super::place::{Cache, Folder};
use crate::command;

/// The caller's, or a private copy of Debian's; `None`, and a line about it, where it cannot be had.
pub(crate) fn ensure(cache: &Cache) -> Option<PathBuf> {
    let had = installed(cache).map_or_else(|| install(cache), Ok);
    had.inspect_err(|error| eprintln!("PostgreSQL with hypopg could not be had: {error:#}; its tests are skipped")).ok()
}

/// The same without unpacking anything.
pub(crate) fn installed(cache: &Cache) -> Option<PathBuf> {
    let given = std::env::var_os("WEFT_POSTGRES").map(PathBuf::from);
    given.or_else(|| Some(folder(cache)).filter(Folder::is_complete).and_then(|folder| program(&folder.path).ok()))
}

fn folder(cache: &Cache) -> Folder {
    cache.folder("postgres", "server client hypopg")
}

fn install(cache: &Cache) -> Result<PathBuf> {
    let version = version()?;
    let folder = folder(cache);
    folder.fill(|path| {
        let program = below(&version);
        // The server first: the others have no program of their own to prove.
        for part in ["", "client-", "hypopg"] {
            let package = match part {
                "hypopg" => format!("postgresql-{version}-hypopg"),
                part => format!("postgresql-{part}{version}"),
            };
            debian::unpack(&package, path, &program, "--version")?;
        }
        Ok(())
    })?;
    program(&folder.path)
}

fn below(version: &str) -> PathBuf {
    Path::new("usr/lib/postgresql").join(version).join("bin/postgres")
}

/// The program in an unpacked folder, whose version is the name of its folder.
fn program(folder: &Path) -> Result<PathBuf> {
    let versions = folder.join("usr/lib/postgresql");
    let first = std::fs::read_dir(&versions)?.next().context("no version of PostgreSQL was unpacked")??;
    Ok(folder.join(below(&first.file_name().to_string_lossy())))
}

/// The version of this Debian release: what its package without a version depends on.
fn version() -> Result<String> {
    let told = command::output(Command::new("apt-cache").args(["depends", "postgresql"]))?;
    let found = told.lines().find_map(|line| line.trim().strip_prefix("Depends: postgresql-").map(str::to_owned));
    found.context(
        "this system has no package postgresql: set WEFT_POSTGRES to …/usr/lib/postgresql/VERSION/bin/postgres",
    )
}
