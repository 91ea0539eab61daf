//! EndpointSlices (`discovery.k8s.io/v1`, Kubernetes API reference "EndpointSlice") into instances. Apart, because it is
//! all that is known of their shape and needs no cluster.
//!
//! What a slice says of MCP stands in annotations `weft.dev/<key>`; where there is none, in a label of the same name,
//! because Kubernetes copies the labels of a Service to its slices, but not its annotations. What cannot stand in a label is
//! written there in other signs: several schemes with `_` between them, which no scheme contains (RFC 3986, section 3.1), and
//! the keys `argument:NAME` and `header:NAME` with a dot.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};

use super::KubernetesOptions;
use crate::{Instance, PeerEra, ServiceId, latest::Services};

/// Namespace and name of a slice.
pub(super) type Key = (String, String);

pub(super) fn key(slice: &EndpointSlice) -> Key {
    let of = |text: &Option<String>| text.clone().unwrap_or_default();
    (of(&slice.metadata.namespace), of(&slice.metadata.name))
}

/// The instances of a slice; none when it says no service or no port, which is logged.
pub(super) fn instances(slice: &EndpointSlice, options: &KubernetesOptions) -> Vec<Instance> {
    match read(slice, options) {
        Ok(instances) => instances,
        Err(why) => {
            let (namespace, name) = key(slice);
            tracing::warn!(namespace, name, why, "an endpoint slice is left out");
            Vec::new()
        }
    }
}

/// The slices of a service joined. A pod with two kinds of address is in two slices, and one that moves between slices is
/// for a moment in both: it is one instance, at its IPv4 address if it has one, healthy if either says so.
pub(super) fn join<'a>(slices: impl Iterator<Item = &'a Vec<Instance>>) -> Services {
    let mut all: Vec<&Instance> = slices.flatten().collect();
    all.sort_by_key(|one| (&one.id, one.address.is_ipv6(), !one.healthy, one.address));
    all.dedup_by_key(|one| &one.id);
    let mut services = Services::new();
    for one in all {
        services.entry(one.service.clone()).or_default().push(one.clone());
    }
    services
}

fn read(slice: &EndpointSlice, options: &KubernetesOptions) -> Result<Vec<Instance>, String> {
    if !matches!(slice.address_type.as_str(), "IPv4" | "IPv6") {
        return Err(format!("its addresses are of the type {:?}", slice.address_type));
    }
    let port = port(slice).ok_or("it has no TCP port")?;
    let usual = usual(slice, options)?;
    let namespace = slice.metadata.namespace.as_deref().unwrap_or_default();
    Ok(slice.endpoints.iter().filter_map(|endpoint| instance(endpoint, &usual, namespace, port)).collect())
}

/// The port named `mcp`, or the first.
fn port(slice: &EndpointSlice) -> Option<u16> {
    let tcp = |port: &&k8s_openapi::api::discovery::v1::EndpointPort| {
        port.port.is_some() && port.protocol.as_deref().is_none_or(|protocol| protocol == "TCP")
    };
    let ports: Vec<_> = slice.ports.iter().flatten().filter(tcp).collect();
    let named = ports.iter().find(|port| port.name.as_deref() == Some("mcp"));
    named.or(ports.first()).and_then(|port| port.port).and_then(|port| u16::try_from(port).ok())
}

/// What all endpoints of a slice have in common.
fn usual(slice: &EndpointSlice, options: &KubernetesOptions) -> Result<Instance, String> {
    let (none, labels) = (BTreeMap::new(), slice.metadata.labels.as_ref());
    let labels = labels.unwrap_or(&none);
    let annotations = slice.metadata.annotations.as_ref().unwrap_or(&none);
    let said = |key: &str| {
        let key = format!("weft.dev/{key}");
        annotations.get(&key).or_else(|| labels.get(&key)).map(String::as_str)
    };
    let service = match (said("service"), labels.get("kubernetes.io/service-name")) {
        (Some(service), _) => service,
        (None, Some(name)) => name.strip_prefix("mcp-").unwrap_or(name),
        (None, None) => return Err("it says no service; label it weft.dev/service".into()),
    };
    let service: ServiceId = service.parse().map_err(|error| format!("{error}; label it weft.dev/service"))?;
    let path = said("path").unwrap_or(&options.path);
    if !path.starts_with('/') {
        return Err(format!("the path {path:?} does not begin with /"));
    }
    let number = |text: &str| text.parse::<u32>().map_err(|_| format!("weft.dev/weight: {text:?} is not a number"));
    let truth =
        |text: &str| text.parse::<bool>().map_err(|_| format!("weft.dev/sessions: {text:?}; say true or false"));
    let list =
        |text: &str| text.split([',', '_']).map(str::trim).filter(|one| !one.is_empty()).map(str::to_owned).collect();
    let key = |text: &str| match text.split_once('.') {
        Some((kind @ ("argument" | "header"), name)) => format!("{kind}:{name}"),
        _ => text.to_owned(),
    };
    Ok(Instance {
        path: path.to_owned(),
        identity: said("identity").map(str::to_owned).or_else(|| options.usual_identity(&service)),
        version: said("version").unwrap_or_default().to_owned(),
        weight: said("weight").map_or(Ok(1), number)?,
        era: said("era").map_or(Ok(PeerEra::Unknown), era)?,
        sessions: said("sessions").map_or(Ok(true), truth)?,
        schemes: said("schemes").map(list).unwrap_or_default(),
        policy: said("policy").map(str::to_owned),
        meta: said("key").map(|text| ("key".to_owned(), key(text))).into_iter().collect(),
        ..Instance::new(service, 0, SocketAddr::from(([0, 0, 0, 0], 0)))
    })
}

fn era(text: &str) -> Result<PeerEra, String> {
    match text {
        "dual" => Ok(PeerEra::Dual),
        "session" => Ok(PeerEra::Session),
        "stateless" => Ok(PeerEra::Stateless),
        "unknown" => Ok(PeerEra::Unknown),
        _ => Err(format!("weft.dev/era: {text:?}; say dual, session or stateless")),
    }
}

/// One endpoint: its first address, as the API says that the others have no meaning. Its pod tells it from others, because
/// addresses are given again.
fn instance(endpoint: &Endpoint, usual: &Instance, namespace: &str, port: u16) -> Option<Instance> {
    let ip: IpAddr = endpoint.addresses.first()?.parse().ok()?;
    let address = SocketAddr::new(ip, port);
    let pod = endpoint.target_ref.as_ref().filter(|target| target.kind.as_deref() == Some("Pod"));
    let pod = pod.and_then(|target| target.name.as_deref());
    let place = pod.map_or_else(|| address.to_string(), |pod| format!("{namespace}.{pod}"));
    let meta = [("namespace", Some(namespace)), ("pod", pod), ("node", endpoint.node_name.as_deref())];
    let meta = meta.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned())));
    let conditions = endpoint.conditions.as_ref();
    // Not said means ready, and not terminating. One that terminates may still be serving: it ends what it has begun.
    let ready = conditions.and_then(|known| known.ready).unwrap_or(true);
    let terminating = conditions.and_then(|known| known.terminating).unwrap_or(false);
    Some(Instance {
        id: format!("mcp-{}-{place}", usual.service),
        address,
        zone: endpoint.zone.clone(),
        healthy: ready && !terminating,
        meta: usual.meta.clone().into_iter().chain(meta).collect(),
        ..usual.clone()
    })
}

#[cfg(test)]
mod tests;
