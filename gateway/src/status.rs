//! The state of the gateway as one value: what the console, `/api/v1/status` and `weft up` show.

use std::sync::Arc;

use serde::Serialize;

use crate::Gateway;

/// The state of a gateway.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// The version of this program.
    pub version: &'static str,
    /// Seconds since the start.
    pub uptime_seconds: u64,
    /// True while the registry is away and the last known set is used.
    pub registry_stale: bool,
    /// Calls in flight.
    pub calls_in_flight: usize,
    /// Open streams.
    pub streams: usize,
    /// Sessions in memory.
    pub sessions: usize,
    /// The services, by name.
    pub services: Vec<ServiceStatus>,
    /// Names that are not shown to clients, and why.
    pub refused: Vec<RefusedStatus>,
}

/// The state of a service.
#[derive(Debug, Clone, Serialize)]
pub struct ServiceStatus {
    /// Its id.
    pub service: String,
    /// True when its lists are what it offered last and cannot be asked for now.
    pub stale: bool,
    /// Its tools, by their own names.
    pub tools: Vec<ToolStatus>,
    /// Its instances.
    pub instances: Vec<InstanceStatus>,
}

/// A tool.
#[derive(Debug, Clone, Serialize)]
pub struct ToolStatus {
    /// Its name at the service.
    pub name: String,
    /// It changes nothing.
    pub read_only: bool,
    /// Repeating it changes nothing more.
    pub idempotent: bool,
}

/// The state of an instance.
#[derive(Debug, Clone, Serialize)]
pub struct InstanceStatus {
    /// Its id in the registry.
    pub id: String,
    /// Where it listens.
    pub address: String,
    /// Its own version.
    pub version: String,
    /// The registry's opinion.
    pub healthy: bool,
    /// The SPIFFE URI it proves; none for plain HTTP.
    pub identity: Option<String>,
    /// The eras that it speaks: `session`, `stateless` or `dual`; none while nobody has asked.
    pub eras: Option<&'static str>,
    /// The breaker: `admits`, `blocks` or `probes`.
    pub breaker: &'static str,
    /// Calls in flight there.
    pub in_flight: u64,
    /// Smoothed latency, milliseconds.
    pub latency_ms: f64,
    /// Open connections to it.
    pub connections: usize,
}

/// A refused name.
#[derive(Debug, Clone, Serialize)]
pub struct RefusedStatus {
    /// The service.
    pub service: String,
    /// The name at the service.
    pub name: String,
    /// Why it is not shown.
    pub why: String,
}

/// The present state.
pub(crate) fn of(gateway: &Arc<Gateway>) -> Status {
    let view = gateway.catalogue.view();
    let (calls_in_flight, streams) = gateway.admission.in_flight();
    let upstreams = gateway.upstreams.all();
    let mut names: Vec<_> = upstreams.keys().chain(view.services.keys()).cloned().collect();
    names.sort();
    names.dedup();
    let services = names
        .iter()
        .map(|id| ServiceStatus {
            service: id.to_string(),
            stale: view.stale.iter().any(|name| name == id.as_ref()),
            tools: view.services.get(id).map(|tools| tools.iter().map(tool).collect()).unwrap_or_default(),
            instances: upstreams.get(id).map(|service| instances(gateway, service)).unwrap_or_default(),
        })
        .collect();
    let refused = view.refused.iter().map(|refused| RefusedStatus {
        service: refused.service.to_string(),
        name: refused.name.clone(),
        why: refused.why.clone(),
    });
    Status {
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: gateway.began.elapsed().as_secs(),
        registry_stale: gateway.upstreams.is_stale(),
        calls_in_flight,
        streams,
        sessions: gateway.sessions.len(),
        services,
        refused: refused.collect(),
    }
}

fn tool((name, hints): &(Arc<str>, crate::catalogue::shelf::Hints)) -> ToolStatus {
    ToolStatus { name: name.to_string(), read_only: hints.read_only, idempotent: hints.idempotent }
}

fn instances(gateway: &Gateway, service: &crate::upstream::Service) -> Vec<InstanceStatus> {
    let states = gateway.upstreams.states(service);
    states
        .into_iter()
        .map(|(instance, state)| InstanceStatus {
            id: instance.info.id.clone(),
            address: instance.info.address.to_string(),
            version: instance.info.version.clone(),
            healthy: instance.info.healthy,
            identity: instance.info.identity.clone(),
            eras: instance.spoken.eras().map(crate::upstream::spoken::Eras::label),
            breaker: state.breaker.label(),
            in_flight: state.in_flight,
            latency_ms: state.ewma.as_secs_f64() * 1e3,
            connections: instance.connections.open(),
        })
        .collect()
}
