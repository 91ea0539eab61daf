//! Podman with a store of its own and a base image made of this system's packages, for the tests that run images: nothing is
//! pulled, and the machine's own images and settings are not touched. Optional like llama.cpp: it needs root and a system that
//! lets containers start, so whatever is missing is told in a line and the tests are skipped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::debian;
use super::place::Cache;
use crate::command::{self, find_program};
use crate::repo::Repo;

/// What must be there, each with its package. Of the two runtimes runc is the one that also starts on hybrid control groups.
const PROGRAMS: [(&str, &str); 2] = [("podman", "podman"), ("runc", "runc")];
/// What every Rust program links to; the C library comes with it.
const PACKAGE: &str = "libgcc-s1";
/// The longest that the lists, and then the packages (4 MB), may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// The base image's name in the store.
pub(crate) const BASE: &str = "localhost/weft-base:test";
/// The authorities of the public, as this system has them.
const AUTHORITIES: &str = "etc/ssl/certs/ca-certificates.crt";
const USERS: &str = "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n";
const GROUPS: &str = "root:x:0:\nnonroot:x:65532:\n";

/// An engine that has proved that it runs containers.
pub(crate) struct Containers {
    variables: Vec<(&'static str, PathBuf)>,
}

impl Containers {
    /// Installs what is missing and starts one container to see.
    pub(crate) fn ensure(repo: &Repo, may_install: bool) -> Result<Self> {
        let missing: Vec<&str> = PROGRAMS
            .iter()
            .filter(|(program, _)| find_program(program).is_none())
            .map(|(_, package)| *package)
            .collect();
        if !missing.is_empty() && !may_install {
            bail!("{} is not installed", missing.join(", "));
        }
        if !missing.is_empty() {
            debian::install(&missing)?;
        }
        let folder = repo.root.join("target/images");
        fs::create_dir_all(&folder)?;
        let containers = Self { variables: settings(&folder)? };
        if !command::works(containers.podman().args(["image", "exists", BASE])) {
            let archive = base(&Cache::open(&repo.root)?, may_install)?;
            command::output(containers.podman().args(["import", "--quiet"]).arg(archive).arg(BASE))?;
        }
        // What earlier builds left without a name.
        command::output(containers.podman().args(["image", "prune", "--force"]))?;
        // The loader itself, which every dynamic program needs.
        let mut proof = containers.podman();
        proof.args(["run", "--rm", "--network=host", "--read-only", BASE, LOADER, "--version"]);
        command::output(&mut proof).context("no container can be run here")?;
        Ok(containers)
    }

    /// For the environment of whatever calls podman.
    pub(crate) fn variables(&self) -> &[(&'static str, PathBuf)] {
        &self.variables
    }

    fn podman(&self) -> Command {
        let mut podman = Command::new("podman");
        podman.envs(self.variables.iter().map(|(name, path)| (name, path)));
        podman
    }
}

#[cfg(target_arch = "x86_64")]
const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";
#[cfg(not(target_arch = "x86_64"))]
const LOADER: &str = "/lib/ld-linux-aarch64.so.1";

/// Files that tell podman where its store is and what starts containers.
fn settings(folder: &Path) -> Result<Vec<(&'static str, PathBuf)>> {
    let runc = find_program("runc").context("runc is not installed")?;
    let quoted = |path: &Path| toml::Value::from(path.display().to_string());
    let (store, run) = (quoted(&folder.join("store")), quoted(&folder.join("run")));
    let storage = format!("[storage]\ndriver = \"overlay\"\ngraphroot = {store}\nrunroot = {run}\n");
    // Fewer files and processes than podman's own defaults, which a machine that is itself confined may not allow.
    let limits = "[containers]\ndefault_ulimits = [\"nofile=20000:20000\", \"nproc=4096:4096\"]\n";
    let engine = format!("{limits}[engine]\nruntime = \"runc\"\n[engine.runtimes]\nrunc = [{}]\n", quoted(&runc));
    let written =
        [("CONTAINERS_STORAGE_CONF", "storage.conf", storage), ("CONTAINERS_CONF", "containers.conf", engine)];
    let write = |(variable, name, text): (&'static str, &str, String)| {
        let path = folder.join(name);
        fs::write(&path, text)?;
        Ok((variable, path))
    };
    written.into_iter().map(write).collect()
}

/// The C library, the authorities and two users, as an archive.
fn base(cache: &Cache, may_install: bool) -> Result<PathBuf> {
    let suite = codename()?;
    let folder = cache.folder("image-base", &suite);
    let archive = folder.path.join("base.tar");
    if !folder.is_complete() && !may_install {
        bail!("the base image was not made");
    }
    folder.fill(|path| {
        let root = path.join("root");
        fs::create_dir_all(&root)?;
        debian::unpack_with_needs(&suite, PACKAGE, &root, PATIENCE)?;
        // Pages, and tables for character sets that no program of ours asks for.
        for part in ["usr/share", "usr/lib/x86_64-linux-gnu/gconv", "var"] {
            if root.join(part).exists() {
                fs::remove_dir_all(root.join(part))?;
            }
        }
        for made in ["etc/ssl/certs", "tmp", "proc", "sys", "dev", "run"] {
            fs::create_dir_all(root.join(made))?;
        }
        if Path::new("/").join(AUTHORITIES).exists() {
            fs::copy(Path::new("/").join(AUTHORITIES), root.join(AUTHORITIES))?;
        }
        fs::write(root.join("etc/passwd"), USERS)?;
        fs::write(root.join("etc/group"), GROUPS)?;
        command::output(Command::new("tar").arg("-cf").arg(path.join("base.tar")).arg("-C").arg(&root).arg("."))?;
        fs::remove_dir_all(root).map_err(Into::into)
    })?;
    Ok(archive)
}

/// The release of this system: an image must not have an older C library than what the programs were linked with.
fn codename() -> Result<String> {
    let text = fs::read_to_string("/etc/os-release").context("cannot tell which system this is")?;
    let named = text.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    named.map(|name| name.trim_matches('"').to_owned()).context("/etc/os-release has no VERSION_CODENAME")
}
