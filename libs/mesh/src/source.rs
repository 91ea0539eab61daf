//! The registries by the addresses that are written on a command line.

use std::{path::Path, sync::Arc};

use tokio::{sync::watch, task::JoinHandle};

use crate::{Consul, ConsulOptions, Dns, Kubernetes, Register, RegistryError, Snapshot, StaticFile, Watch as _};

/// A registry of any kind.
#[derive(Debug, Clone)]
pub enum Registry {
    /// `consul://HOST:PORT[?…]`, see [`ConsulOptions::parse`].
    Consul(Arc<Consul>),
    /// `k8s://[NAMESPACE][?…]`, see [`Kubernetes::parse`].
    Kubernetes(Arc<Kubernetes>),
    /// `dns://NAME[?…]`, see [`Dns::parse`].
    Dns(Arc<Dns>),
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
        if let Some(rest) = text.strip_prefix("k8s://") {
            return Ok(Self::Kubernetes(Kubernetes::parse(rest)?));
        }
        if let Some(rest) = text.strip_prefix("dns://") {
            return Ok(Self::Dns(Dns::parse(rest)?));
        }
        if let Some(path) = text.strip_prefix("static:") {
            let file = StaticFile::open(Path::new(path));
            return Ok(Self::Static(file.map_err(|error| RegistryError::Settings(error.to_string()))?));
        }
        Err(RegistryError::Settings(format!("{text:?} is no registry; write {FORMS}")))
    }

    /// Where instances can be announced; a file and DNS cannot be told, and Kubernetes finds out by itself.
    pub fn register(&self) -> Option<Arc<dyn Register>> {
        match self {
            Self::Consul(consul) => Some(Arc::clone(consul) as _),
            Self::Kubernetes(_) | Self::Dns(_) | Self::Static(_) => None,
        }
    }

    /// The snapshots, kept true for as long as the task runs.
    pub fn watch(&self) -> (watch::Receiver<Arc<Snapshot>>, JoinHandle<()>) {
        match self {
            Self::Consul(consul) => {
                let followed = Arc::clone(consul);
                (consul.watch(), tokio::spawn(async move { followed.follow().await }))
            }
            Self::Kubernetes(kubernetes) => {
                let followed = Arc::clone(kubernetes);
                (kubernetes.watch(), tokio::spawn(async move { followed.follow().await }))
            }
            Self::Dns(dns) => {
                let followed = Arc::clone(dns);
                (dns.watch(), tokio::spawn(async move { followed.follow().await }))
            }
            Self::Static(file) => {
                let followed = Arc::clone(file);
                (file.watch(), tokio::spawn(async move { followed.follow().await }))
            }
        }
    }
}

/// For the error that says how to write one.
const FORMS: &str = "consul://HOST:PORT, k8s://NAMESPACE, dns://NAME or static:FILE";
