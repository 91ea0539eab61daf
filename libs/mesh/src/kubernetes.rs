//! A registry in Kubernetes: the endpoint slices (`discovery.k8s.io/v1`) of services that carry a label, watched.
//!
//! | slice | instance |
//! |---|---|
//! | label `weft.dev/service`, else `kubernetes.io/service-name` without `mcp-` | `service` |
//! | port named `mcp`, else the first | the port of `address` |
//! | endpoint's `conditions`: ready, or serving, and not terminating | `healthy` |
//! | endpoint's `zone`, its pod's name | `zone`, `id` |
//! | annotations `weft.dev/path`, `/identity`, `/weight`, `/era`, `/sessions`, `/schemes`, `/policy`, `/version` | the same |
//!
//! The watch is kube's: a list, then changes from its version on, bookmarks, and a new list when the version is too old. While
//! the API server is away the last set stays, marked stale. Nothing is announced here: Kubernetes does that from pods.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use futures_util::StreamExt as _;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use kube::{
    Api, Client, ResourceExt as _,
    runtime::{WatchStreamExt as _, watcher},
};
use tokio::sync::watch;

use crate::{Instance, PeerEra, Query, RegistryError, ServiceId, Snapshot, Watch, shown::Shown};

/// The label that makes a service a member of the mesh.
const SELECTOR: &str = "weft.dev/mcp=true";
/// What the keys of annotations begin with.
const PREFIX: &str = "weft.dev/";
const SERVICE_LABEL: &str = "weft.dev/service";
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// A registry in Kubernetes.
#[derive(Debug)]
pub struct Kubernetes {
    namespace: Option<String>,
    selector: String,
    shown: Shown,
}

impl Kubernetes {
    /// Reads `[NAMESPACE][?selector=LABELS]`: one namespace, that of the pod or of the kubeconfig without one, all with `*`.
    pub fn parse(text: &str) -> Result<Arc<Self>, RegistryError> {
        let mut query = Query::parse(text)?;
        let selector = query.take("selector").unwrap_or_else(|| SELECTOR.to_owned());
        let namespace = Some(query.base.clone()).filter(|base| !base.is_empty());
        query.end()?;
        Ok(Arc::new(Self { namespace, selector, shown: Shown::nothing() }))
    }

    /// Watches with the client that the pod's service account or the kubeconfig gives; never returns. Its owner aborts it.
    pub async fn follow(&self) {
        let mut said = false;
        loop {
            match Client::try_default().await {
                Ok(client) => return self.follow_with(client).await,
                Err(error) => {
                    self.shown.mark_stale(&error);
                    if !said {
                        tracing::error!(%error, "there is no Kubernetes to find servers in; is this a pod, or is there a kubeconfig?");
                    }
                    said = true;
                }
            }
            tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        }
    }

    async fn follow_with(&self, client: Client) {
        let api: Api<EndpointSlice> = match self.namespace.as_deref() {
            Some("*") => Api::all(client),
            Some(namespace) => Api::namespaced(client, namespace),
            None => Api::default_namespaced(client),
        };
        let config = watcher::Config::default().labels(&self.selector);
        let mut events = std::pin::pin!(watcher(api, config).default_backoff());
        let mut slices: BTreeMap<String, EndpointSlice> = BTreeMap::new();
        let mut listed: BTreeMap<String, EndpointSlice> = BTreeMap::new();
        while let Some(event) = events.next().await {
            let key = |slice: &EndpointSlice| format!("{}/{}", slice.namespace().unwrap_or_default(), slice.name_any());
            match event {
                Ok(watcher::Event::Init) => listed.clear(),
                Ok(watcher::Event::InitApply(slice)) => drop(listed.insert(key(&slice), slice)),
                Ok(watcher::Event::InitDone) => {
                    slices = std::mem::take(&mut listed);
                    self.shown.set(services(slices.values()));
                }
                Ok(watcher::Event::Apply(slice)) => {
                    slices.insert(key(&slice), slice);
                    self.shown.set(services(slices.values()));
                }
                Ok(watcher::Event::Delete(slice)) => {
                    slices.remove(&key(&slice));
                    self.shown.set(services(slices.values()));
                }
                Err(error) => self.shown.mark_stale(&error),
            }
        }
    }
}

impl Watch for Kubernetes {
    fn watch(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.shown.watch()
    }
}

/// A service may have several slices; an endpoint may stand in two of them while it moves.
fn services<'a>(slices: impl Iterator<Item = &'a EndpointSlice>) -> BTreeMap<ServiceId, Vec<Instance>> {
    let mut services: BTreeMap<ServiceId, BTreeMap<String, Instance>> = BTreeMap::new();
    for slice in slices {
        let Some(service) = service_of(slice) else {
            tracing::warn!(
                slice = slice.name_any(),
                "an endpoint slice has no usable service name; label it {SERVICE_LABEL}"
            );
            continue;
        };
        let all = services.entry(service.clone()).or_default();
        for instance in slice.endpoints.iter().filter_map(|endpoint| instance(slice, endpoint, &service)) {
            let known = all.entry(instance.id.clone()).or_insert_with(|| instance.clone());
            if instance.healthy {
                *known = instance;
            }
        }
    }
    services.into_iter().map(|(service, all)| (service, all.into_values().collect())).collect()
}

fn service_of(slice: &EndpointSlice) -> Option<ServiceId> {
    let labels = slice.labels();
    let name = labels.get(SERVICE_LABEL).or_else(|| labels.get(SERVICE_NAME))?;
    name.strip_prefix("mcp-").unwrap_or(name).parse().ok()
}

fn instance(slice: &EndpointSlice, endpoint: &Endpoint, service: &ServiceId) -> Option<Instance> {
    let ports = slice.ports.as_deref().unwrap_or_default();
    let port = ports.iter().find(|port| port.name.as_deref() == Some("mcp")).or_else(|| ports.first())?.port?;
    let ip: IpAddr = endpoint.addresses.first()?.parse().ok()?;
    let mut instance = Instance::new(service.clone(), 0, SocketAddr::new(ip, u16::try_from(port).ok()?));
    let pod = endpoint.target_ref.as_ref().and_then(|target| target.name.clone());
    instance.id = pod.unwrap_or_else(|| format!("mcp-{service}-{}", instance.address));
    let conditions = endpoint.conditions.clone().unwrap_or_default();
    // Absent means yes for ready, and for serving whatever ready says (EndpointConditions).
    let ready = conditions.ready.unwrap_or(true);
    instance.healthy = conditions.serving.unwrap_or(ready) && conditions.terminating != Some(true);
    instance.zone.clone_from(&endpoint.zone);
    let said = |key: &str| slice.annotations().get(&format!("{PREFIX}{key}")).cloned();
    instance.path = said("path").unwrap_or(instance.path);
    instance.identity = said("identity");
    instance.version = said("version").unwrap_or_default();
    instance.weight = said("weight").and_then(|text| text.parse().ok()).unwrap_or(1);
    instance.sessions = said("sessions").is_none_or(|text| text != "false");
    instance.schemes = said("schemes").map(|text| text.split(',').map(str::to_owned).collect()).unwrap_or_default();
    instance.policy = said("policy");
    let era = said("era").and_then(|text| serde_json::from_value(serde_json::Value::String(text)).ok());
    instance.era = era.unwrap_or(PeerEra::Unknown);
    Some(instance)
}

#[cfg(test)]
mod tests;
