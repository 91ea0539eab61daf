//! The registries by the addresses that are written on a command line.

use std::{path::Path, sync::Arc};

use tokio::{sync::watch, task::JoinHandle};

#[cfg(feature = "kubernetes")]
use crate::Kubernetes;
use crate::{Consul, ConsulOptions, Dns, Register, RegistryError, Snapshot, StaticFile, Watch as _};

/// A registry of any kind.
#[derive(Clone)]
pub enum Registry {
    /// `consul://HOST:PORT[?…]`, see [`ConsulOptions::parse`].
    Consul(Arc<Consul>),
    /// `k8s://[NAMESPACE][?…]`, see [`crate::KubernetesOptions`].
    #[cfg(feature = "kubernetes")]
    Kubernetes(Arc<Kubernetes>),
    /// `dns://NAME[?…]`, several with commas between them; see [`crate::DnsTarget`].
    Dns(Arc<Dns>),
    /// `static:FILE`.
    Static(Arc<StaticFile>),
}

impl Registry {
    /// Opens what `text` names; asks for no instances yet.
    #[cfg_attr(not(feature = "kubernetes"), expect(clippy::unused_async, reason = "only a cluster makes one wait"))]
    pub async fn open(text: &str) -> Result<Self, RegistryError> {
        let variable = |name: &str| std::env::var(name).ok();
        let told = |error: &dyn std::error::Error| {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            RegistryError::Settings(format!("{error}{cause}"))
        };
        match text.split_once(':').map_or("", |(scheme, _)| scheme) {
            "consul" => Ok(Self::Consul(Consul::new(ConsulOptions::parse(text, variable)?)?)),
            #[cfg(feature = "kubernetes")]
            "k8s" => {
                let kubernetes = Kubernetes::connect(text.parse()?).await;
                Ok(Self::Kubernetes(kubernetes.map_err(|error| told(&error))?))
            }
            "dns" => {
                let targets = text.split(',').map(str::parse).collect::<Result<Vec<_>, _>>()?;
                Ok(Self::Dns(Dns::open(targets).map_err(|error| told(&error))?))
            }
            "static" => {
                let path = text.trim_start_matches("static:");
                Ok(Self::Static(StaticFile::open(Path::new(path)).map_err(|error| told(&error))?))
            }
            _ => Err(RegistryError::Settings(format!("{text:?} is no registry; write {FORMS}"))),
        }
    }

    /// Where instances can be announced; a file and DNS cannot be told, and Kubernetes finds out by itself.
    pub fn register(&self) -> Option<Arc<dyn Register>> {
        match self {
            Self::Consul(consul) => Some(Arc::clone(consul) as _),
            #[cfg(feature = "kubernetes")]
            Self::Kubernetes(_) => None,
            Self::Dns(_) | Self::Static(_) => None,
        }
    }

    /// The snapshots, kept true for as long as the task runs.
    pub fn watch(&self) -> (watch::Receiver<Arc<Snapshot>>, JoinHandle<()>) {
        match self {
            Self::Consul(consul) => {
                let followed = Arc::clone(consul);
                (consul.watch(), tokio::spawn(async move { followed.follow().await }))
            }
            #[cfg(feature = "kubernetes")]
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
#[cfg(feature = "kubernetes")]
const FORMS: &str = "consul://HOST:PORT, k8s://NAMESPACE, dns://NAME or static:FILE";
/// The same, built without the client of Kubernetes.
#[cfg(not(feature = "kubernetes"))]
const FORMS: &str = "consul://HOST:PORT, dns://NAME or static:FILE";
