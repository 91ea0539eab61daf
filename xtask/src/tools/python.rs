//! What the tests need from Python, each set in a virtual environment of its own, every package at the version of its list: the SDK,
//! foreign servers, and LiteLLM.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::debian;
use super::place::{Cache, Folder};
use crate::command;

const PYTHON: &str = "venv/bin/python";

/// One virtual environment.
struct Set {
    /// The variable that tells the tests of it.
    variable: &'static str,
    folder: &'static str,
    list: &'static str,
    /// The package whose import proves it.
    proof: (&'static str, &'static str),
}

const SETS: [Set; 3] = [
    Set { variable: "WEFT_PYTHON", folder: "python", list: "requirements.txt", proof: ("mcp", "mcp") },
    Set {
        variable: "WEFT_PYTHON_SERVERS",
        folder: "python-servers",
        list: "requirements-servers.txt",
        proof: ("fastmcp, mcp_server_fetch", "fastmcp"),
    },
    Set {
        variable: "WEFT_PYTHON_LITELLM",
        folder: "python-litellm",
        list: "requirements-litellm.txt",
        proof: ("litellm.proxy", "litellm"),
    },
];

/// Installs what is missing and gives the variables of these sets.
pub(crate) fn ensure(cache: &Cache, pins: &Path) -> Result<Vec<(&'static str, PathBuf)>> {
    let mut variables = Vec::new();
    for set in &SETS {
        let folder = set.folder(cache, pins)?;
        folder.fill(|path| set.install(path, &pins.join(set.list)))?;
        variables.push((set.variable, folder.path.join(PYTHON)));
    }
    Ok(variables)
}

/// The variables when everything is there already.
pub(crate) fn installed(cache: &Cache, pins: &Path) -> Result<Option<Vec<(&'static str, PathBuf)>>> {
    let mut variables = Vec::new();
    for set in &SETS {
        let folder = set.folder(cache, pins)?;
        if !folder.is_complete() {
            return Ok(None);
        }
        variables.push((set.variable, folder.path.join(PYTHON)));
    }
    Ok(Some(variables))
}

impl Set {
    fn folder(&self, cache: &Cache, pins: &Path) -> Result<Folder> {
        let list = fs::read_to_string(pins.join(self.list)).with_context(|| format!("cannot read {}", self.list))?;
        Ok(cache.folder(self.folder, &list))
    }

    fn install(&self, folder: &Path, list: &Path) -> Result<()> {
        // Debian ships python3 without the parts that make an environment.
        if !command::works(Command::new("python3").args(["-c", "import venv, ensurepip"])) {
            debian::install(&["python3", "python3-venv"])?;
        }
        command::run(Command::new("python3").args(["-m", "venv"]).arg(folder.join("venv")))?;
        let mut pip = Command::new(folder.join(PYTHON));
        pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--no-deps", "-r"]);
        command::run(pip.arg(list))?;
        let (import, package) = self.proof;
        let script = format!("import {import}, importlib.metadata as m; print(m.version('{package}'))");
        let version = command::output(Command::new(folder.join(PYTHON)).args(["-c", &script]))?;
        println!("{}: {package} {}", folder.join(PYTHON).display(), version.trim());
        Ok(())
    }
}
