//! What the gateway can be told: the wire form of its configuration (TOML and environment) and its defaults.
//!
//! Sizes are in bytes and times in seconds, as their names say. Checked once at start by [`Settings::check`].

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_mesh::ServiceId;
use weft_telemetry::TelemetrySettings;

pub use weft_settings::Reference;

pub mod auth;
pub mod balance;
pub(crate) mod globs;
pub mod sampling;
pub mod service;
pub mod shape;
pub mod virtuals;

pub use auth::{Auth, Tls};
pub use balance::Balance;
pub use sampling::Sampling;
pub use service::ServiceSettings;
pub use shape::Shape;
pub use virtuals::{VirtualSettings, Virtuals};

/// The configuration of one gateway.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where MCP clients connect.
    pub listen: SocketAddr,
    /// Where operators connect: health, metrics, console. Keep it private.
    pub admin: SocketAddr,
    /// How the gateway introduces itself to clients.
    pub name: String,
    /// What clients are told about the mesh as a whole, in front of the services' own instructions.
    pub instructions: Option<String>,
    /// Where servers are found: `consul://HOST:PORT` or `static:FILE`. `weft up` brings its own.
    pub registry: Option<String>,
    /// Who the gateway is towards servers: `dev:DIR` or `files:DIR`. `weft up` brings its own.
    pub identity: Option<String>,
    /// Where keys are kept; default: under the XDG state directory.
    pub state: Option<PathBuf>,
    /// The file of the key that seals session tokens (32 bytes); default: in the state directory. Replicas share it.
    pub session_key: Option<PathBuf>,
    /// Which replica this is: `mcp-gateway-<instance>` in the registry; default: its port.
    pub instance: Option<u32>,
    /// The pod that it runs in, `NAMESPACE.POD`: how other replicas find it where the registry is `k8s://`.
    pub pod: Option<String>,
    /// Where it runs: instances of the same zone are preferred.
    pub zone: Option<String>,
    /// The address to announce when `listen` is not one address.
    pub advertise: Option<IpAddr>,
    /// Log filter.
    pub log: String,
    /// Log lines as JSON instead of text.
    pub log_json: bool,
    /// Where traces go.
    pub telemetry: TelemetrySettings,
    /// Who may call.
    pub auth: Auth,
    /// TLS for MCP clients.
    pub tls: Tls,
    /// Bounds on what callers may ask for.
    pub limits: Limits,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// Which hosts and web origins are accepted.
    pub doors: Doors,
    /// How calls are spread, repeated and given up.
    pub balance: Balance,
    /// What is different for single services, and where those are that no registry knows.
    pub service: Vec<ServiceSettings>,
    /// Who answers when a server asks its client's model.
    pub sampling: Sampling,
    /// How the lists of tools, prompts and resources are kept.
    pub catalogue: CatalogueSettings,
    /// Endpoints that show a part of the mesh, by name.
    #[serde(rename = "virtual")]
    pub virtuals: Virtuals,
}

/// Bounds on what callers may ask for.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Largest request body, bytes.
    pub body_bytes: usize,
    /// Deepest nesting of a request body.
    pub depth: usize,
    /// Messages in one batch (2025-03-26 only).
    pub batch: usize,
    /// Calls in flight over all callers; more are shed.
    pub concurrency: usize,
    /// Open streams (`subscriptions/listen`, GET) over all callers.
    pub streams: usize,
    /// Requests per second of one caller.
    pub caller_rate: u32,
    /// Requests one caller may send at once after a pause.
    pub caller_burst: u32,
    /// Largest reply that is collected in memory where it cannot be streamed, bytes.
    pub reply_bytes: usize,
    /// Largest single event of a server's stream, bytes.
    pub event_bytes: usize,
    /// Calls that wait at once for their client to answer what a server asked.
    pub questions: usize,
    /// Sessions remembered at once; the one idle for longest makes room.
    pub sessions: usize,
}

/// How long things may take, in seconds.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// Connecting to an instance, TLS included.
    pub connect_seconds: u64,
    /// One call, from its first attempt to the last byte.
    pub call_seconds: u64,
    /// Reading a request body.
    pub body_seconds: u64,
    /// A session that is not used for this long is forgotten, and its sessions at servers are ended.
    pub session_idle_seconds: u64,
    /// How long a client may take to answer what a server asked.
    pub question_seconds: u64,
    /// What is in flight at shutdown may finish within this time.
    pub drain_seconds: u64,
}

/// Which hosts and web origins are accepted besides loopback.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Doors {
    /// Host names, without port.
    pub hosts: Vec<String>,
    /// Origins, as browsers send them (`https://app.example`); `*` allows every page and is not wise.
    pub origins: Vec<String>,
}

/// How the lists are kept.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CatalogueSettings {
    /// Lists are asked for again at least this often, whatever the server's own hint says.
    pub refresh_seconds: u64,
    /// A service that left the registry stays listed for this long, so that a restart is not seen by clients.
    pub forget_seconds: u64,
    /// Changes within this time are told to clients once.
    pub debounce_millis: u64,
    /// Entries of one list over all its pages.
    pub entries: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            admin: SocketAddr::from(([127, 0, 0, 1], 8081)),
            name: "weft".into(),
            instructions: None,
            registry: None,
            identity: None,
            state: None,
            session_key: None,
            instance: None,
            pod: None,
            zone: None,
            advertise: None,
            log: "info,rmcp=warn,weft::call=warn".into(),
            log_json: false,
            telemetry: TelemetrySettings::default(),
            auth: Auth::default(),
            tls: Tls::default(),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            doors: Doors::default(),
            balance: Balance::default(),
            service: Vec::new(),
            sampling: Sampling::default(),
            catalogue: CatalogueSettings::default(),
            virtuals: Virtuals::new(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 4 << 20,
            depth: 64,
            batch: 100,
            concurrency: 4096,
            streams: 16_384,
            caller_rate: 50_000,
            caller_burst: 50_000,
            reply_bytes: 64 << 20,
            event_bytes: 16 << 20,
            questions: 1024,
            sessions: 50_000,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect_seconds: 2,
            call_seconds: 600,
            body_seconds: 30,
            session_idle_seconds: 3600,
            question_seconds: 300,
            drain_seconds: 4,
        }
    }
}

impl Default for CatalogueSettings {
    fn default() -> Self {
        Self { refresh_seconds: 300, forget_seconds: 20, debounce_millis: 200, entries: 10_000 }
    }
}

impl Settings {
    /// What is said of a service.
    pub fn of(&self, service: &str) -> Option<&ServiceSettings> {
        self.service.iter().find(|own| own.name == service)
    }

    /// How the tools of services are shown, where settings say so.
    pub(crate) fn shapes(&self) -> impl Iterator<Item = (ServiceId, &Shape)> {
        self.service.iter().filter_map(|own| Some((own.name.parse().ok()?, &own.tools)))
    }

    /// Everything that is wrong with these settings, each with its key; empty when they can be used.
    pub fn check(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let limits = &self.limits;
        let positive = [
            ("limits.body_bytes", limits.body_bytes),
            ("limits.depth", limits.depth),
            ("limits.batch", limits.batch),
            ("limits.concurrency", limits.concurrency),
            ("limits.streams", limits.streams),
            ("limits.reply_bytes", limits.reply_bytes),
            ("limits.event_bytes", limits.event_bytes),
            ("limits.questions", limits.questions),
            ("limits.sessions", limits.sessions),
            ("limits.caller_rate", limits.caller_rate as usize),
            ("limits.caller_burst", limits.caller_burst as usize),
            ("catalogue.entries", self.catalogue.entries),
        ];
        for (key, value) in positive {
            if value == 0 {
                wrong.push(format!("{key} must be at least 1"));
            }
        }
        self.balance.check(&mut wrong);
        service::check(&self.service, &mut wrong);
        self.sampling.check(&mut wrong);
        auth::check(self, &mut wrong);
        wrong.extend(virtuals::lenses(&self.virtuals).err().into_iter().flatten());
        if self.pod.as_deref().is_some_and(|pod| !crate::announce::is_pod(pod)) {
            wrong.push("pod must be NAMESPACE.POD, as the cluster names this pod".to_owned());
        }
        if self.pod.is_some() && self.instance.is_some() {
            wrong.push(
                "pod and instance both say which replica this is; keep pod for k8s://, instance for Consul".to_owned(),
            );
        }
        if self.listen == self.admin && self.listen.port() != 0 {
            wrong.push(format!("listen and admin are both {}; give them different ports", self.listen));
        }
        wrong
    }
}
