//! The settings of a service's own binary, as they are written: where it runs, what is allowed, and the service's own table.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use weft_telemetry::TelemetrySettings;

use crate::core::Rules;

/// The whole file. `C` is the service's own part.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings<C: Default> {
    /// Where the instance runs.
    #[serde(default)]
    pub(crate) host: HostSettings,
    /// What the operator allows.
    #[serde(default)]
    pub(crate) rules: Rules,
    /// Where traces go.
    #[serde(default)]
    pub(crate) telemetry: TelemetrySettings,
    /// The service's own settings.
    #[serde(default)]
    pub(crate) service: C,
}

/// The settings of a service that has none of its own.
#[derive(Debug, Default, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoSettings {}

/// Where an instance runs.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct HostSettings {
    /// Address for the mesh; default: loopback and the port of the service's manifest.
    pub(crate) listen: Option<SocketAddr>,
    /// Address of a plain listener for health and metrics.
    pub(crate) admin: Option<SocketAddr>,
    /// The address to announce when `listen` is not one address.
    pub(crate) advertise: Option<IpAddr>,
    /// Directory for state; default: under the XDG state directory.
    pub(crate) state: Option<PathBuf>,
    /// File of the key that seals cursors and plans (32 bytes); default: in the state directory. Share it between instances.
    pub(crate) seal_key: Option<PathBuf>,
    /// How the instance proves itself: `dev:DIR` or `files:DIR`. Without it only loopback is served, in plain HTTP.
    pub(crate) identity: Option<String>,
    /// SPIFFE URIs of the gateways that may connect and speak for callers; default: `gateway` of the same mesh.
    pub(crate) gateways: Vec<String>,
    /// Where the instance is announced: `consul://HOST:PORT`.
    pub(crate) registry: Option<String>,
    /// Which instance of the service this is; default: its port.
    pub(crate) instance: Option<u32>,
    /// Its share of the calls, relative to the service's other instances.
    pub(crate) weight: u32,
    /// Where it runs, for zone preference.
    pub(crate) zone: Option<String>,
    /// Log filter.
    pub(crate) log: String,
    /// Log lines as JSON instead of text.
    pub(crate) log_json: bool,
    /// Seconds that calls in flight have to finish when the instance stops.
    pub(crate) grace_s: u64,
}

impl Default for HostSettings {
    fn default() -> Self {
        Self {
            listen: None,
            admin: None,
            advertise: None,
            state: None,
            seal_key: None,
            identity: None,
            gateways: Vec::new(),
            registry: None,
            instance: None,
            weight: 1,
            zone: None,
            // The SDK tells of every request at `info`.
            log: "info,rmcp=warn".to_owned(),
            log_json: false,
            grace_s: 4,
        }
    }
}
