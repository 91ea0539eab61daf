//! The Python SDK in a virtual environment of its own, every package at the version of `requirements.txt`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::debian;
use super::place::{Cache, Folder};
use crate::command;

const PYTHON: &str = "venv/bin/python";

/// Installs what is missing and gives the variables of this set.
pub(crate) fn ensure(cache: &Cache, pins: &Path) -> Result<Vec<(&'static str, PathBuf)>> {
    let folder = folder(cache, pins)?;
    folder.fill(|path| install(path, &pins.join("requirements.txt")))?;
    Ok(variables(&folder.path))
}

/// The variables when everything is there already.
pub(crate) fn installed(cache: &Cache, pins: &Path) -> Result<Option<Vec<(&'static str, PathBuf)>>> {
    let folder = folder(cache, pins)?;
    Ok(folder.is_complete().then(|| variables(&folder.path)))
}

fn folder(cache: &Cache, pins: &Path) -> Result<Folder> {
    let requirements = fs::read_to_string(pins.join("requirements.txt")).context("cannot read requirements.txt")?;
    Ok(cache.folder("python", &requirements))
}

fn variables(folder: &Path) -> Vec<(&'static str, PathBuf)> {
    vec![("WEFT_PYTHON", folder.join(PYTHON))]
}

fn install(folder: &Path, requirements: &Path) -> Result<()> {
    // Debian ships python3 without the parts that make an environment.
    if !command::works(Command::new("python3").args(["-c", "import venv, ensurepip"])) {
        debian::install(&["python3", "python3-venv"])?;
    }
    command::run(Command::new("python3").args(["-m", "venv"]).arg(folder.join("venv")))?;
    let mut pip = Command::new(folder.join(PYTHON));
    pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--no-deps", "-r"]);
    command::run(pip.arg(requirements))?;
    let mut proof = Command::new(folder.join(PYTHON));
    let version = command::output(proof.args(["-c", "import mcp, importlib.metadata as m; print(m.version('mcp'))"]))?;
    println!("{}: mcp {}", folder.join(PYTHON).display(), version.trim());
    Ok(())
}
