//! The state directory of `weft up`: one process at a time, its keys and its development authority.

use std::{
    env,
    fs::{DirBuilder, File, OpenOptions},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use rustix::fs::{FlockOperation, flock};
use weft_gateway::{
    Seal,
    keys::{FILE, KeyFile},
};
use weft_identity::DevCa;
use weft_kit::SealKey;

/// The state directory, held.
pub(crate) struct State {
    path: PathBuf,
    /// Locked for as long as it is open.
    _lock: File,
}

impl State {
    /// Opens `asked`, or the usual place, and makes it ours.
    pub(crate) fn open(asked: Option<&Path>) -> Result<Self> {
        let path = match asked {
            Some(path) => path.to_owned(),
            None => usual()?,
        };
        DirBuilder::new().recursive(true).mode(0o700).create(&path).with_context(|| {
            format!("cannot make the state directory {}; choose another with --state", path.display())
        })?;
        let file = path.join("lock");
        let lock =
            OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&file).with_context(|| {
                format!("cannot write to the state directory {}; choose another with --state", path.display())
            })?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            bail!(
                "another `weft up` is running on the state directory {}; stop it, or give this one its own with --state",
                path.display()
            );
        }
        Ok(Self { path, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The development authority.
    pub(crate) fn authority(&self) -> Result<DevCa> {
        Ok(DevCa::open_or_create(&self.path.join("ca"))?)
    }

    /// The keys of callers.
    pub(crate) fn caller_keys(&self) -> KeyFile {
        KeyFile::at(self.path.join(FILE))
    }

    /// The key of session tokens.
    pub(crate) fn session_key(&self) -> Result<Seal> {
        Ok(Seal::open_or_create(&self.path.join("session.key"))?)
    }

    /// The key of the services' cursors and plans.
    pub(crate) fn service_key(&self) -> Result<SealKey> {
        Ok(SealKey::open_or_create(&self.path.join("service.key"))?)
    }
}

/// `$XDG_STATE_HOME/weft`, or `~/.local/state/weft` (XDG Base Directory Specification).
pub(crate) fn usual() -> Result<PathBuf> {
    let set = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    set("XDG_STATE_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".local/state")))
        .map(|base| base.join("weft"))
        .context("neither XDG_STATE_HOME nor HOME is set; say where to keep state with --state DIR")
}
