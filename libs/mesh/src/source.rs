//! The registries by the addresses that are written on a command line.

use std::{path::Path, sync::Arc};

use tokio::{sync::watch, task::JoinHandle};

use crate::{Consul, ConsulOptions, Register, RegistryError, Snapshot, StaticFile, Watch as _};

/// A registry of any kind.
#[derive(Debug, Clone)]
pub enum Registry {
    /// `consul://HOST:PORT[?…]`, see [`ConsulOptions::parse`].
    Consul(Arc<Consul>),
    /// `static:FILE`.
    Static(Arc<StaticFile>),
}

impl Registry {
    /// Opens what `text` names; asks nothing over the network yet.
    pub fn open(text: &str) -> Result<Self, RegistryError> {
        let variable = |name: &str| std::env::var(name).ok();
        if let Some(rest) = text.strip_prefix("consul://") {
            return Ok(Self::Consul(Consul::new(ConsulOptions::parse(rest, variable)?)?));
        }
        if let Some(path) = text.strip_prefix("static:") {
            let file = StaticFile::open(Path::new(path));
            return Ok(Self::Static(file.map_err(|error| RegistryError::Settings(error.to_string()))?));
        }
        Err(RegistryError::Settings(format!("{text:?} is no registry; write {FORMS}")))
    }

    /// Where instances can be announced; a file cannot be told.
    pub fn register(&self) -> Option<Arc<dyn Register>> {
        match self {
            Self::Consul(consul) => Some(Arc::clone(consul) as _),
            Self::Static(_) => None,
        }
    }

    /// The snapshots, kept true for as long as the task runs.
    pub fn watch(&self) -> (watch::Receiver<Arc<Snapshot>>, JoinHandle<()>) {
        match self {
            Self::Consul(consul) => {
                let followed = Arc::clone(consul);
                (consul.watch(), tokio::spawn(async move { followed.follow().await }))
            }
            Self::Static(file) => {
                let followed = Arc::clone(file);
                (file.watch(), tokio::spawn(async move { followed.follow().await }))
            }
        }
    }
}

/// For the error that says how to write one.
const FORMS: &str = "consul://HOST:PORT or static:FILE";
