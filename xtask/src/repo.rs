//! Where the repository is and which files belong to it: everything git knows or would add, so that build folders and
//! caches are never looked at and a file that is not committed yet is.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command;

/// The checkout that the current folder lies in.
pub(crate) struct Repo {
    /// Folder of the workspace's `Cargo.toml`.
    pub(crate) root: PathBuf,
}

impl Repo {
    /// Walks up from the current folder, so that a clone that was moved after building still finds itself.
    pub(crate) fn find() -> Result<Self> {
        let here = std::env::current_dir().context("cannot read the current folder")?;
        let is_root = |folder: &&Path| folder.join("xtask/Cargo.toml").is_file() && folder.join("Cargo.lock").is_file();
        match here.ancestors().find(is_root) {
            Some(root) => Ok(Self { root: root.to_owned() }),
            None => bail!("{} is not inside the Weft repository: run this in a clone of it", here.display()),
        }
    }

    /// A command that runs at the root.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        command
    }

    /// The cargo that runs us, at the root.
    ///
    /// It is not told what `cargo run` tells us of our own package: build scripts that look at it (ring's does) would run again,
    /// and everything above them would be compiled again, after every change between `cargo xtask` and cargo alone.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = self.command("cargo");
        let ours = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
        for (name, _) in std::env::vars().filter(|(name, _)| ours(name)) {
            cargo.env_remove(name);
        }
        cargo
    }

    /// Paths relative to the root, with `/`, sorted; ignored files are left out.
    pub(crate) fn files(&self) -> Result<Vec<String>> {
        let listing =
            command::output(self.command("git").args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]))
                .context("cannot list the repository's files")?;
        let mut files: Vec<String> = listing.split_terminator('\0').map(str::to_owned).collect();
        files.sort_unstable();
        files.dedup();
        files.retain(|path| self.root.join(path).is_file());
        Ok(files)
    }
}
