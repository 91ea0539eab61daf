//! Where and under which rules a service runs, and `serve`: service + host → a running instance.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use weft_identity::{Identity, Peers};
use weft_mesh::Register;

use crate::core::Rules;
use crate::seal::SealKey;

/// Renders the metrics of the process for `GET /metrics`.
pub type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

/// The place of one instance.
#[derive(Clone)]
pub struct Host {
    /// Where the mesh connects. Without an identity only a loopback address is accepted. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// A second, plain listener for health and metrics alone, for probes that hold no certificate.
    pub admin: Option<SocketAddr>,
    /// How the instance proves itself, and demands proof of its peers; plain HTTP on loopback without it.
    pub identity: Option<Identity>,
    /// Who may connect. Peers named here one by one are gateways: their `weft-*` headers are believed. Peers of
    /// [`Peers::TrustDomain`] may call, but only for themselves.
    pub gateway: Peers,
    /// Where others reach `listen` when it is not one address (`0.0.0.0`): the address that is announced.
    pub advertise: Option<IpAddr>,
    /// Where the instance is announced; nowhere without it.
    pub register: Option<Arc<dyn Register>>,
    /// Its share of the calls, relative to the service's other instances.
    pub weight: u32,
    /// Where it runs, for zone preference.
    pub zone: Option<String>,
    /// Seals cursors and plans. Instances of one service should share it.
    pub seal_key: SealKey,
    /// Which instance of the service this is: `mcp-<name>-<instance>` in the registry. The port it listens on without it,
    /// because that is unique on a machine.
    pub instance: Option<u32>,
    /// What the operator allows.
    pub rules: Rules,
    /// Bytes of a request's body.
    pub body_limit: usize,
    /// Origins of browsers that may connect without the gateway; none by default.
    pub origins: Vec<String>,
    /// Connections at once; more wait.
    pub connections: usize,
    /// What `GET /metrics` answers; 404 without it.
    pub metrics: Option<RenderMetrics>,
}

impl Host {
    /// A host with the defaults of a development machine.
    pub fn new(listen: SocketAddr, seal_key: SealKey) -> Self {
        Self {
            listen,
            admin: None,
            identity: None,
            gateway: Peers::Only(Vec::new()),
            advertise: None,
            register: None,
            weight: 1,
            zone: None,
            seal_key,
            instance: None,
            rules: Rules::default(),
            body_limit: 4 * 1024 * 1024,
            origins: Vec::new(),
            connections: 4_096,
            metrics: None,
        }
    }
}
