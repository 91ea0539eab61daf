//! A registry in a Kubernetes cluster: the EndpointSlices of Services that are marked as MCP, into instances. Apart from
//! other sources, because the cluster itself says what is ready, where, and when it goes.
//!
//! A Service is marked by the label `weft.dev/mcp=true`, which Kubernetes copies to its slices. Which service it is says
//! the label `weft.dev/service`, else the Service's name without `mcp-`. The port is the one named `mcp`, else the first.
//! The role needs `list` and `watch` of `endpointslices` in `discovery.k8s.io`.

use std::sync::Arc;

use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{
    Api, Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use tokio::sync::watch;

use crate::{
    Snapshot, Watch,
    latest::{Latest, Services},
};

mod follow;
mod options;
mod slice;

pub use options::{KubernetesOptions, Namespaces};

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a cluster cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum KubernetesError {
    /// No kubeconfig and no service account, or one that cannot be used.
    #[error("no configuration for the cluster; run in a pod with a service account, or give ?kubeconfig=")]
    NoCluster(#[source] Cause),
    /// The address of the API server is none.
    #[error("{server:?} is not the address of an API server")]
    Server {
        /// As it was written.
        server: String,
        /// Why.
        source: Cause,
    },
    /// Its certificates or credentials make no sense.
    #[error("cannot prepare to talk to the cluster; look at its certificates and credentials")]
    Client(#[source] Cause),
}

/// A registry in a cluster.
pub struct Kubernetes {
    api: Api<EndpointSlice>,
    options: KubernetesOptions,
    latest: Latest,
}

impl Kubernetes {
    /// Prepares to ask; [`Self::follow`] asks. Until the first answer the snapshot is empty and stale.
    pub async fn connect(options: KubernetesOptions) -> Result<Arc<Self>, KubernetesError> {
        let mut config = config(&options).await?;
        // The loop has its own patience, and must know of every failure.
        config.default_retry = false;
        let client = Client::try_from(config).map_err(|error| KubernetesError::Client(error.into()))?;
        let api = match &options.namespaces {
            Namespaces::Own => Api::default_namespaced(client),
            Namespaces::All => Api::all(client),
            Namespaces::Named(namespace) => Api::namespaced(client, namespace),
        };
        Ok(Arc::new(Self { api, options, latest: Latest::new(Services::new(), true) }))
    }

    /// Lists and watches; never returns. Its owner aborts it.
    pub async fn follow(&self) {
        follow::follow(self).await;
    }
}

impl Watch for Kubernetes {
    fn watch(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.latest.watch()
    }
}

async fn config(options: &KubernetesOptions) -> Result<Config, KubernetesError> {
    if let Some(server) = &options.server {
        let wrong = |source| KubernetesError::Server { server: server.clone(), source };
        return Ok(Config::new(server.parse().map_err(|error| wrong(Cause::from(error)))?));
    }
    let chosen = KubeConfigOptions { context: options.context.clone(), ..KubeConfigOptions::default() };
    let none = |error: Cause| KubernetesError::NoCluster(error);
    match (&options.kubeconfig, &options.context) {
        (Some(path), _) => {
            let file = Kubeconfig::read_from(path).map_err(|error| none(error.into()))?;
            Config::from_custom_kubeconfig(file, &chosen).await.map_err(|error| none(error.into()))
        }
        (None, Some(_)) => Config::from_kubeconfig(&chosen).await.map_err(|error| none(error.into())),
        (None, None) => Config::infer().await.map_err(|error| none(error.into())),
    }
}
