//! The folder of an embedded store: who may open it, and where each tenant's collections are.
//!
//! A tenant is a folder of its own, named by a digest, so that no name of a tenant or collection can lead out of it or into
//! another's. A collection appears and disappears by one rename. One that is to take the place of another has a mark: `draft` while it
//! is filled, and `replaces`, with the other's folder in it, from the instant on that it is the collection. Until then the other one is.

use std::{
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The mark of a collection that is being filled.
const DRAFT: &str = "draft";
/// The mark of one that took the place of another.
const REPLACES: &str = "replaces";

/// A folder that this process holds.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    lock: File,
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Closing is not enough: a program that is being started may still share the handle for a moment.
        let _ = self.lock.unlock();
    }
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("the store in {0:?} is in use by another process; stop that one, or give this one another folder")]
    InUse(PathBuf),
    /// The folder cannot be used.
    #[error("cannot use the folder {path:?} for a store: {why}; choose another with --state")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

impl Folder {
    /// Takes the folder for this process alone, for as long as the value lives, and clears what an earlier end left half done.
    pub(crate) fn take(path: &Path) -> Result<Self, OpenError> {
        let fault = |error: io::Error| OpenError::Folder { path: path.to_owned(), why: error.to_string() };
        std::fs::create_dir_all(path).map_err(fault)?;
        let lock = File::options().create(true).truncate(false).write(true).open(path.join("lock")).map_err(fault)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => return Err(fault(error)),
        }
        let folder = Self { path: path.to_owned(), lock };
        folder.clear().map_err(fault)?;
        Ok(folder)
    }

    /// A tenant's collections: name and folder, by name.
    pub(crate) fn collections(&self, tenant: &str) -> io::Result<Vec<(String, PathBuf)>> {
        let (mut found, mut replaced) = (Vec::new(), Vec::new());
        for path in entries(&self.tenant(tenant))? {
            replaced.extend(replaces(&path)?);
            let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.split_once('@'));
            let name = name.filter(|_| !path.join(DRAFT).exists());
            found.extend(name.map(|(name, _)| (name.to_owned(), path.clone())));
        }
        found.retain(|(_, path)| !replaced.contains(path));
        found.sort();
        Ok(found)
    }

    /// The folder of a collection, or of a draft.
    pub(crate) fn find(&self, tenant: &str, name: &str) -> io::Result<Option<PathBuf>> {
        if let Some((name, rest)) = name.split_once('.') {
            let path = self.tenant(tenant).join(format!("{name}@{rest}"));
            return Ok(Some(path).filter(|path| path.join(DRAFT).exists()));
        }
        Ok(self.collections(tenant)?.into_iter().find(|(own, _)| own == name).map(|(_, path)| path))
    }

    /// Makes a prepared collection a draft of this name.
    pub(crate) fn hide(&self, tenant: &str, place: &Path, draft: &str) -> io::Result<()> {
        File::create_new(place.join(DRAFT))?.sync_all()?;
        sync(place)?;
        let tenant = self.tenant(tenant);
        std::fs::rename(place, tenant.join(draft.replacen('.', "@", 1)))?;
        sync(&tenant)
    }

    /// A place to prepare a collection in.
    pub(crate) fn place(&self, tenant: &str) -> io::Result<PathBuf> {
        let tenant = self.tenant(tenant);
        std::fs::create_dir_all(&tenant)?;
        sync(&self.path)?;
        Ok(tenant.join(format!(".new-{}", Uuid::new_v4().simple())))
    }

    /// Makes a prepared collection appear.
    pub(crate) fn publish(&self, tenant: &str, draft: &Path, name: &str) -> io::Result<()> {
        let tenant = self.tenant(tenant);
        // A folder's name is never used twice: an old one may still be mapped by someone who reads.
        std::fs::rename(draft, tenant.join(format!("{name}@{}", Uuid::new_v4().simple())))?;
        sync(&tenant)
    }

    /// Makes a collection disappear; what remains is to be removed.
    pub(crate) fn withdraw(&self, tenant: &str, folder: &Path) -> io::Result<PathBuf> {
        let tenant = self.tenant(tenant);
        let gone = tenant.join(format!(".gone-{}", Uuid::new_v4().simple()));
        std::fs::rename(folder, &gone)?;
        sync(&tenant)?;
        Ok(gone)
    }

    fn tenant(&self, tenant: &str) -> PathBuf {
        let digest: String = Sha256::digest(tenant).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        self.path.join(format!("t-{digest}"))
    }

    fn clear(&self) -> io::Result<()> {
        for tenant in entries(&self.path)?.into_iter().filter(|path| path.is_dir()) {
            let is_left = |path: &PathBuf| {
                let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
                is_hidden || path.join(DRAFT).exists()
            };
            entries(&tenant)?.iter().filter(|path| is_left(path)).try_for_each(std::fs::remove_dir_all)?;
            for path in entries(&tenant)? {
                let Some(old) = replaces(&path)? else { continue };
                if old.is_dir() {
                    std::fs::remove_dir_all(old)?;
                }
                settle(&path)?;
            }
        }
        Ok(())
    }
}

/// Makes a draft the collection, by one rename, in place of `old`.
pub(crate) fn succeed(draft: &Path, old: Option<&Path>) -> io::Result<()> {
    let old = old.and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
    let mark = draft.join(DRAFT);
    std::fs::write(&mark, old)?;
    File::open(&mark)?.sync_all()?;
    std::fs::rename(mark, draft.join(REPLACES))?;
    sync(draft)
}

/// Forgets what a collection replaced, once that is gone.
pub(crate) fn settle(folder: &Path) -> io::Result<()> {
    std::fs::remove_file(folder.join(REPLACES))
}

/// The folder that this one took the place of; a path that nothing has, if there was none.
fn replaces(folder: &Path) -> io::Result<Option<PathBuf>> {
    match std::fs::read_to_string(folder.join(REPLACES)) {
        Ok(old) => Ok(Some(folder.with_file_name(if old.is_empty() { ".none" } else { &old }))),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match std::fs::read_dir(folder) {
        Ok(list) => list.map(|entry| entry.map(|entry| entry.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// A rename is there after a crash only when the folder that it happened in was written out.
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
