//! Other names for the collections of an embedded store, so that what callers name can be exchanged at once.
//!
//! A file holds them all, and is written whole.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use super::fault::Fault;
use crate::file;

/// Tenant → alias → collection.
type All = BTreeMap<String, BTreeMap<String, String>>;

/// All aliases of a store.
#[derive(Debug)]
pub(super) struct Aliases {
    path: PathBuf,
    all: Mutex<All>,
}

impl Aliases {
    pub(super) fn open(folder: &Path) -> Result<Self, io::Error> {
        let path = folder.join("aliases.json");
        let all = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => All::new(),
            Err(error) => return Err(error),
        };
        Ok(Self { path, all: Mutex::new(all) })
    }

    /// Those of a tenant.
    pub(super) fn of(&self, tenant: &str) -> BTreeMap<String, String> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).get(tenant).cloned().unwrap_or_default()
    }

    /// Changes those of a tenant; on the disk when this returns.
    pub(super) fn change(&self, tenant: &str, change: impl FnOnce(&mut BTreeMap<String, String>)) -> Result<(), Fault> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = all.clone();
        change(next.entry(tenant.to_owned()).or_default());
        if next == *all {
            return Ok(());
        }
        next.retain(|_, own| !own.is_empty());
        file::replace(&self.path, |out| serde_json::to_writer(out, &next).map_err(io::Error::from))?;
        *all = next;
        Ok(())
    }
}
