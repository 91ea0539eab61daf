//! The registry: who offers which MCP service where. The only crate that knows how instances are announced and found.
//!
//! Two traits and their sources: [`Local`] inside one process, [`StaticFile`] from a file. A source never makes a caller
//! wait: it hands out [`Snapshot`]s, and when it is away the last one stays in use, marked stale.

use std::{collections::BTreeMap, fmt, net::SocketAddr, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

mod consul;
mod dns;
mod file;
#[cfg(feature = "kubernetes")]
mod kubernetes;
mod latest;
mod local;
mod source;
mod uri;

pub use consul::{Consul, ConsulClient, ConsulError, ConsulOptions, ConsulRead};
pub use dns::{Dns, DnsError, DnsTarget};
pub use file::{FileError, StaticFile};
#[cfg(feature = "kubernetes")]
pub use kubernetes::{Kubernetes, KubernetesError, KubernetesOptions, Namespaces};
pub use local::Local;
pub use source::Registry;
pub use uri::{InvalidSource, SourceUri};

/// A future in a trait object's method.
pub type BoxFuture<'a, T> = futures_util::future::BoxFuture<'a, T>;

/// The name of a service: 1 to 16 of `a-z`, `0-9` and `-`. Without underscores, so that `<service>_<tool>` is one pair only.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServiceId(Arc<str>);

impl ServiceId {
    /// The name under which gateways register; no service can have it.
    pub const GATEWAY: &'static str = "gateway";

    /// The gateways themselves.
    pub fn gateway() -> Self {
        Self(Self::GATEWAY.into())
    }
}

/// Not a name of a service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a service name; use 1 to 16 of a-z, 0-9 and -")]
pub struct InvalidServiceId(pub String);

impl FromStr for ServiceId {
    type Err = InvalidServiceId;

    fn from_str(text: &str) -> Result<Self, InvalidServiceId> {
        let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=16).contains(&text.len()) && text.bytes().all(known) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidServiceId(text.to_owned()))
        }
    }
}

impl TryFrom<String> for ServiceId {
    type Error = InvalidServiceId;

    fn try_from(text: String) -> Result<Self, InvalidServiceId> {
        text.parse()
    }
}

impl From<ServiceId> for String {
    fn from(id: ServiceId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl fmt::Display for ServiceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl AsRef<str> for ServiceId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Which protocol eras a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerEra {
    /// Up to 2025-11-25 and from 2026-07-28.
    Dual,
    /// Up to 2025-11-25.
    Session,
    /// From 2026-07-28.
    Stateless,
    /// Not said.
    #[default]
    Unknown,
}

/// One process of a service, as the registry knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Unique in the registry: `mcp-<service>-<n>`.
    pub id: String,
    /// The service.
    pub service: ServiceId,
    /// Where it listens.
    pub address: SocketAddr,
    /// The path of its MCP endpoint.
    pub path: String,
    /// The SPIFFE URI that it proves in the TLS handshake; none means plain HTTP.
    pub identity: Option<String>,
    /// Its own version.
    pub version: String,
    /// Its share of the calls, relative to others; 0 takes none.
    pub weight: u32,
    /// Where it runs, for zone preference.
    pub zone: Option<String>,
    /// The registry's opinion.
    pub healthy: bool,
    /// Which eras it speaks.
    pub era: PeerEra,
    /// True when it keeps sessions of the session era (`Mcp-Session-Id`).
    pub sessions: bool,
    /// URI schemes that the service owns in the mesh.
    pub schemes: Vec<String>,
    /// The balancing policy that the service asks for.
    pub policy: Option<String>,
    /// Where it answers about its health over plain HTTP (`/ready`) and gRPC (`grpc.health.v1`), for registries that ask.
    pub health: Option<SocketAddr>,
    /// How it is known outside of the mesh, when it is no member of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Whatever else was announced.
    pub meta: BTreeMap<String, String>,
}

/// The name of a server that is no member of the mesh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Host and, if it is not the usual one, port: what goes into `Host`.
    pub authority: String,
    /// Whether it is spoken to over TLS, and proves this name.
    pub tls: bool,
}

impl Instance {
    /// An instance with the usual values: path `/mcp`, weight 1, healthy, plain HTTP, nothing known of its eras.
    pub fn new(service: ServiceId, number: u32, address: SocketAddr) -> Self {
        Self {
            id: format!("mcp-{service}-{number}"),
            service,
            address,
            path: "/mcp".into(),
            identity: None,
            version: String::new(),
            weight: 1,
            zone: None,
            healthy: true,
            era: PeerEra::Unknown,
            sessions: true,
            schemes: Vec::new(),
            policy: None,
            health: None,
            origin: None,
            meta: BTreeMap::new(),
        }
    }
}

/// All that is registered, at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Instances by service, in the order of their ids.
    pub services: BTreeMap<ServiceId, Vec<Instance>>,
    /// The source is away: this is what was known last.
    pub stale: bool,
    /// Grows with every change.
    pub revision: u64,
}

/// Why an instance could not be announced or withdrawn.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Another instance has this id.
    #[error("an instance with the id {0:?} is registered at another address; give each instance its own number")]
    Taken(String),
    /// What was said about the registry cannot be used, or it refuses us for good.
    #[error("the registry cannot be used: {0}")]
    Settings(String),
    /// The registry did not answer as it should.
    #[error("the registry is away: {0}")]
    Away(String),
}

impl From<InvalidSource> for RegistryError {
    fn from(error: InvalidSource) -> Self {
        Self::Settings(error.to_string())
    }
}

/// Tells the registry of an instance.
pub trait Register: Send + Sync {
    /// Announces an instance that is ready; announcing it again replaces what was said.
    fn announce(&self, instance: Instance) -> BoxFuture<'_, Result<(), RegistryError>>;
    /// Withdraws an instance; one that is not known is no error.
    fn withdraw<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), RegistryError>>;
}

/// Tells what is registered.
pub trait Watch: Send + Sync {
    /// The present snapshot, and every later one.
    fn watch(&self) -> watch::Receiver<Arc<Snapshot>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_id_is_what_can_stand_in_front_of_a_tool() {
        for good in ["a", "filesystem", "a-1", "1234567890123456"] {
            assert_eq!(good.parse::<ServiceId>().unwrap().as_ref(), good);
        }
        for bad in ["", "A", "a_b", "a.b", "12345678901234567", "ä", "a b"] {
            assert!(bad.parse::<ServiceId>().unwrap_err().to_string().contains("a-z"), "{bad}");
        }
    }
}
