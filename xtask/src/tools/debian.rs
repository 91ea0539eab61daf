//! Packages of the Debian machine we run on: installed with root's or sudo's rights, or, for a single program, unpacked
//! beside the other tools without any rights. On another system the error says what to install by hand.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use crate::command::{self, find_program};

/// Installs packages and starts none of their services.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    let by_hand = || format!("install by hand: {}", packages.join(" "));
    let mut install = as_root("apt-get").with_context(by_hand)?;
    install.args(["install", "--yes", "--quiet", "--no-install-recommends"]).args(packages);
    if command::run(&mut install).is_ok() {
        return Ok(());
    }
    // A fresh machine has no package lists yet, an old one has stale ones.
    update().with_context(by_hand)?;
    command::run(&mut install).with_context(by_hand)
}

/// Unpacks one package below `folder` and proves that its program starts.
pub(crate) fn unpack(package: &str, folder: &Path, program: &Path, proof: &str) -> Result<()> {
    let by_hand = || format!("cannot get {package}: install it by hand, then run this again");
    if find_program("apt-get").is_none() {
        bail!("this is no Debian machine; {}", by_hand());
    }
    let mut download = Command::new("apt-get");
    download.args(["download", "--quiet", package]).current_dir(folder);
    if command::run(&mut download).is_err() {
        update().with_context(by_hand)?;
        command::run(&mut download).with_context(by_hand)?;
    }
    let archive = downloaded(folder)?;
    command::run(Command::new("dpkg").arg("-x").arg(&archive).arg(folder))?;
    fs::remove_file(archive)?;
    command::output(Command::new(folder.join(program)).arg(proof)).with_context(by_hand)?;
    Ok(())
}

/// Unpacks one package of another Debian release: the system's package state is not touched.
pub(crate) fn unpack_from(suite: &str, package: &str, folder: &Path, program: &Path, proof: &str) -> Result<()> {
    let by_hand =
        || format!("cannot get {package} of Debian {suite}: put `{package}` on the PATH, then run this again");
    let view = View::of(suite, folder, Duration::ZERO).with_context(by_hand)?;
    view.apt(&["update", "--quiet"]).with_context(by_hand)?;
    view.apt(&["download", "--quiet", package]).with_context(by_hand)?;
    let archive = downloaded(folder)?;
    command::run(Command::new("dpkg").arg("-x").arg(&archive).arg(folder))?;
    fs::remove_file(archive)?;
    fs::remove_dir_all(view.state)?;
    command::output(Command::new(folder.join(program)).arg(proof)).with_context(by_hand)?;
    Ok(())
}

/// Unpacks one package of another Debian release and all that it needs, down to the C library, as if the system had nothing.
/// What runs from there must be started by the loader that lies in it. Each use of the network is ended after `patience`.
pub(crate) fn unpack_with_needs(suite: &str, package: &str, folder: &Path, patience: Duration) -> Result<()> {
    let view = View::of(suite, folder, patience)?;
    view.apt(&["update", "--quiet"])?;
    view.apt(&["install", "--quiet", "--yes", "--no-install-recommends", "--download-only", package])?;
    for archive in archives(&view.state.join("cache/archives"))? {
        command::output(Command::new("dpkg").arg("-x").arg(&archive).arg(folder))?;
    }
    fs::remove_dir_all(view.state)?;
    Ok(())
}

/// A view of our own of the machine's sources, for another release; in its eyes nothing is installed.
struct View {
    suite: String,
    state: PathBuf,
    options: Vec<String>,
    /// The longest that one command may take; zero is without end.
    patience: Duration,
}

impl View {
    fn of(suite: &str, folder: &Path, patience: Duration) -> Result<Self> {
        if find_program("apt-get").is_none() {
            bail!("this is no Debian machine");
        }
        let state = folder.join("apt");
        for part in ["etc", "lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(state.join(part))?;
        }
        fs::write(state.join("etc/suite.sources"), sources_of(suite)?)?;
        // apt-get takes its lock beside this file, so that the system's own is neither needed nor waited for.
        fs::write(state.join("status"), "")?;
        let options = vec![
            format!("Dir::State::Lists={}", state.join("lists").display()),
            format!("Dir::State::status={}", state.join("status").display()),
            "Dir::Etc::SourceList=/dev/null".to_owned(),
            format!("Dir::Etc::SourceParts={}", state.join("etc").display()),
            format!("Dir::Cache={}", state.join("cache").display()),
            "Acquire::Check-Valid-Until=false".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "APT::Sandbox::User=".to_owned() + command::output(Command::new("id").arg("-un"))?.trim(),
        ];
        Ok(Self { suite: suite.to_owned(), state, options, patience })
    }

    fn apt(&self, arguments: &[&str]) -> Result<()> {
        let mut apt = Command::new("timeout");
        apt.args(["--foreground", "--kill-after=5", &self.patience.as_secs().to_string(), "apt-get"]);
        apt.args(self.options.iter().flat_map(|option| ["-o", option]));
        apt.args(arguments).current_dir(self.state.parent().unwrap_or(&self.state));
        // The command with all its options was shown when it began, and would bury the reason.
        command::run(&mut apt)
            .map_err(|_| anyhow!("`apt-get {}` failed for Debian {}", arguments.join(" "), self.suite))
    }
}

/// The machine's main archive, for another suite.
fn sources_of(suite: &str) -> Result<String> {
    let path = "/etc/apt/sources.list.d/debian.sources";
    let own = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let first = own.split("\n\n").next().unwrap_or_default();
    let lines = first.lines().filter(|line| !line.starts_with('#'));
    Ok(lines
        .map(|line| if line.starts_with("Suites:") { format!("Suites: {suite}\n") } else { format!("{line}\n") })
        .collect())
}

fn update() -> Result<()> {
    command::run(as_root("apt-get")?.args(["update", "--quiet"]))
}

fn downloaded(folder: &Path) -> Result<PathBuf> {
    let first = archives(folder)?.into_iter().next();
    first.with_context(|| format!("apt-get left no package in {}", folder.display()))
}

fn archives(folder: &Path) -> Result<Vec<PathBuf>> {
    let paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    Ok(paths.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "deb")).collect())
}

/// The command with root's rights: ours, or sudo's where it asks for no password.
fn as_root(program: &str) -> Result<Command> {
    if find_program(program).is_none() {
        bail!("this is no Debian machine: {program} is missing");
    }
    let is_root = command::output(Command::new("id").arg("-u"))?.trim() == "0";
    let mut command = if is_root {
        Command::new(program)
    } else if command::works(Command::new("sudo").args(["-n", "true"])) {
        let mut sudo = Command::new("sudo");
        sudo.args(["-n", "--preserve-env=DEBIAN_FRONTEND,RUNLEVEL", program]);
        sudo
    } else {
        bail!("{program} needs root: run as root, or with a sudo that asks for no password");
    };
    command.envs([("DEBIAN_FRONTEND", "noninteractive"), ("RUNLEVEL", "1")]);
    Ok(command)
}
