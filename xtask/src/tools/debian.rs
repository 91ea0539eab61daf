//! Packages of the Debian machine we run on: installed with root's or sudo's rights, or, for a single program, unpacked
//! beside the other tools without any rights. On another system the error says what to install by hand.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

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

/// Unpacks one package of another Debian release, by a view of its own of the machine's sources: the system's package state
/// is not touched.
pub(crate) fn unpack_from(suite: &str, package: &str, folder: &Path, program: &Path, proof: &str) -> Result<()> {
    let by_hand =
        || format!("cannot get {package} of Debian {suite}: put `{package}` on the PATH, then run this again");
    if find_program("apt-get").is_none() {
        bail!("this is no Debian machine; {}", by_hand());
    }
    let view = folder.join("apt");
    for part in ["etc", "lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(view.join(part))?;
    }
    fs::write(view.join("etc/suite.sources"), sources_of(suite).with_context(by_hand)?)?;
    let options = [
        format!("Dir::State::Lists={}", view.join("lists").display()),
        "Dir::Etc::SourceList=/dev/null".to_owned(),
        format!("Dir::Etc::SourceParts={}", view.join("etc").display()),
        format!("Dir::Cache={}", view.join("cache").display()),
        "Acquire::Check-Valid-Until=false".to_owned(),
        "Acquire::Languages=none".to_owned(),
        "APT::Sandbox::User=".to_owned() + command::output(Command::new("id").arg("-un"))?.trim(),
    ];
    let apt = |arguments: &[&str]| {
        let mut apt = Command::new("apt-get");
        apt.args(options.iter().flat_map(|option| ["-o", option])).args(arguments).current_dir(folder);
        command::run(&mut apt).with_context(by_hand)
    };
    apt(&["update", "--quiet"])?;
    apt(&["download", "--quiet", package])?;
    let archive = downloaded(folder)?;
    command::run(Command::new("dpkg").arg("-x").arg(&archive).arg(folder))?;
    fs::remove_file(archive)?;
    fs::remove_dir_all(view)?;
    command::output(Command::new(folder.join(program)).arg(proof)).with_context(by_hand)?;
    Ok(())
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
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            return Ok(path);
        }
    }
    bail!("apt-get left no package in {}", folder.display())
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
