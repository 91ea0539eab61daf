//! The data plane of Weft: one MCP endpoint in front of many servers.
//!
//! [`start`] turns settings, an identity and a registry into a running gateway. The life of a call is the order of the
//! steps in `path.rs`; each step is a file, and its product is what the next one needs, so that none can be left out.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use weft_identity::{Identity, Served};
use weft_mesh::{Register, Snapshot};
use weft_telemetry::Recorder;

use crate::{keys::live::Keys, settings::auth::Mode, upstream::connection::Proof};

mod admin;
mod admit;
mod announce;
mod authenticate;
mod authorize;
mod background;
mod call;
mod catalogue;
mod configured;
mod door;
mod embedded;
mod envelope;
mod forward;
mod front;
mod handover;
pub mod keys;
mod lean;
mod listen;
mod local;
mod path;
mod program;
mod record;
mod refusal;
mod reply;
mod route;
mod sampling;
mod seal;
mod session;
pub mod settings;
mod status;
mod subscribe;
mod told;
mod trace;
mod upstream;
mod uri;

pub use program::main_with;
pub use seal::{Seal, SealError};
pub use settings::Settings;
pub use status::{ServiceStatus, Status};

/// Everything the steps share.
pub(crate) struct Gateway {
    pub(crate) settings: Settings,
    pub(crate) seal: Arc<Seal>,
    pub(crate) authenticator: authenticate::Authenticator,
    pub(crate) keys: Option<Arc<Keys>>,
    /// TLS for clients.
    pub(crate) tls: Option<Served>,
    pub(crate) admission: admit::Admission,
    pub(crate) upstreams: Arc<upstream::Upstreams>,
    pub(crate) catalogue: Arc<catalogue::Catalogue>,
    pub(crate) sessions: session::Sessions,
    /// Open streams of the HTTP+SSE transport.
    pub(crate) pipes: front::pipe::Pipes,
    /// Calls that wait for an answer of their client.
    pub(crate) held: forward::held::Held,
    /// Tells this replica from others, in what clients carry.
    pub(crate) replica: String,
    /// Cancelled when the gateway begins to end: long streams complete.
    pub(crate) drain: CancellationToken,
    pub(crate) tasks: TaskTracker,
    pub(crate) began: Instant,
}

impl Gateway {
    /// What other replicas, which are set up like this one, must prove.
    pub(crate) fn replicas(&self) -> Proof {
        self.tls.clone().map_or(Proof::None, Proof::Replica)
    }

    /// What clients may call us.
    pub(crate) fn known(&self) -> door::Known<'_> {
        door::Known { doors: &self.settings.doors, listen: self.settings.listen.ip(), tls: self.tls.as_ref() }
    }
}

/// What a gateway is made of, besides its settings.
pub struct Parts {
    /// The key of session tokens; replicas share it.
    pub seal: Seal,
    /// Who the gateway is towards servers; without one only servers without mutual TLS can be reached.
    pub identity: Option<Identity>,
    /// The registry.
    pub registry: watch::Receiver<Arc<Snapshot>>,
    /// Where the gateway announces itself as `mcp-gateway`; nowhere without it.
    pub register: Option<Arc<dyn Register>>,
    /// The process's metrics, shown on the administration address.
    pub recorder: Recorder,
}

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings cannot be used.
    #[error("the gateway's settings cannot be used: {}", .0.join("; "))]
    Settings(Vec<String>),
    /// The keys of callers cannot be used.
    #[error(transparent)]
    Keys(#[from] keys::KeysError),
    /// The certificate for clients cannot be used.
    #[error("TLS for clients cannot be set up: {0}")]
    Tls(weft_identity::IdentityError),
    /// The registry refused the gateway.
    #[error("the gateway cannot be announced: {0}")]
    Announce(#[from] weft_mesh::RegistryError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address} for {purpose}; is another program using it? choose another with {flag}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What for.
        purpose: &'static str,
        /// The flag that changes it.
        flag: &'static str,
        /// Why.
        source: std::io::Error,
    },
}

/// A running gateway.
pub struct Running {
    gateway: Arc<Gateway>,
    listen: SocketAddr,
    admin: SocketAddr,
    stop: CancellationToken,
    data: JoinHandle<()>,
    background: Vec<JoinHandle<()>>,
    registered: Option<(Arc<dyn Register>, String)>,
    embedded: embedded::Embedded,
}

/// Starts listening; returns as soon as clients can connect.
pub async fn start(settings: Settings, parts: Parts) -> Result<Running, StartError> {
    let wrong = settings.check();
    if !wrong.is_empty() {
        return Err(StartError::Settings(wrong));
    }
    let keys = open_keys(&settings)?;
    let tls = listen::open_tls(&settings.tls, parts.identity.clone()).map_err(StartError::Tls)?;
    let seal = Arc::new(parts.seal);
    let data = bind(settings.listen, "MCP clients", "--listen").await?;
    let operators = bind(settings.admin, "administration", "--admin").await?;
    let (listen, admin) = (local(&data, settings.listen), local(&operators, settings.admin));
    let tasks = TaskTracker::new();
    let idle = Duration::from_secs(settings.timeouts.session_idle_seconds);
    let upstreams = upstream::Upstreams::new(parts.identity, &settings).map_err(StartError::Settings)?;
    let announced = announce::announcement(&settings, (listen, admin));
    let gateway = Arc::new(Gateway {
        authenticator: authenticate::Authenticator::new(&settings, keys.as_ref(), &seal),
        seal,
        keys,
        tls,
        admission: admit::Admission::new(&settings.limits),
        upstreams: Arc::new(upstreams),
        catalogue: Arc::new(catalogue::Catalogue::new(&settings).map_err(StartError::Settings)?),
        sessions: session::Sessions::new(settings.limits.sessions, idle),
        pipes: front::pipe::Pipes::default(),
        held: forward::held::Held::default(),
        replica: format!("{}-{:08x}", announced.id, fastrand::u32(..)),
        drain: CancellationToken::new(),
        tasks,
        began: Instant::now(),
        settings,
    });
    let stop = CancellationToken::new();
    let mut embedded = embedded::Embedded::start(&gateway.settings, &stop).await.map_err(StartError::Settings)?;
    let known = (parts.registry, std::mem::take(&mut embedded.instances));
    let background = background::start(&gateway, known, parts.recorder, operators, &stop);
    let grace = Duration::from_secs(gateway.settings.timeouts.drain_seconds);
    let data = tokio::spawn(listen::run(Arc::clone(&gateway), data, stop.clone(), grace));
    let registered = match parts.register {
        Some(register) => {
            let id = announced.id.clone();
            register.announce(announced).await?;
            Some((register, id))
        }
        None => None,
    };
    Ok(Running { gateway, listen, admin, stop, data, background, registered, embedded })
}

/// The keys of callers, where they need any.
fn open_keys(settings: &Settings) -> Result<Option<Arc<Keys>>, StartError> {
    if settings.auth.mode == Mode::None {
        return Ok(None);
    }
    let path =
        settings.auth.keys.clone().ok_or_else(|| StartError::Settings(vec!["auth.keys names no file".into()]))?;
    let keys = Keys::open(keys::KeyFile::at(path))?;
    if keys.len() == 0 && settings.auth.certificate.is_empty() {
        tracing::warn!(file = ?keys.path(), "there is no key in use: make one with `weft keys create`");
    }
    Ok(Some(Arc::new(keys)))
}

async fn bind(address: SocketAddr, purpose: &'static str, flag: &'static str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, purpose, flag, source })
}

fn local(listener: &TcpListener, asked: SocketAddr) -> SocketAddr {
    listener.local_addr().unwrap_or(asked)
}

impl Running {
    /// Where operators connect.
    pub const fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// The address for clients: with a host that we are known by, and that the certificate is for where there is one.
    pub fn endpoint(&self) -> String {
        let scheme = if self.gateway.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/mcp", self.gateway.known().address(self.listen.port()))
    }

    /// What the gateway knows now.
    pub fn status(&self) -> Status {
        status::of(&self.gateway)
    }

    /// Waits until the entries of all named services are known, or the time is over; true when they are.
    pub async fn ready(&self, services: &[weft_mesh::ServiceId], within: Duration) -> bool {
        let known = || services.iter().all(|service| self.gateway.catalogue.knows(service));
        let waiting = async {
            while !known() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(within, waiting).await.is_ok()
    }

    /// Completes long streams, finishes what is in flight within the grace period, and ends.
    pub async fn shutdown(self) {
        if let Some((register, id)) = &self.registered {
            let withdrawn = tokio::time::timeout(Duration::from_secs(2), register.withdraw(id)).await;
            if !matches!(withdrawn, Ok(Ok(()))) {
                tracing::warn!(id, "the gateway could not be withdrawn from the registry");
            }
        }
        self.gateway.drain.cancel();
        self.stop.cancel();
        for task in self.background {
            join(task).await;
        }
        join(self.data).await;
        for service in self.gateway.upstreams.all().values() {
            for instance in &service.group().instances {
                instance.connections.close();
            }
        }
        self.embedded.shutdown().await;
        self.gateway.tasks.close();
        let left = Duration::from_millis(500);
        if tokio::time::timeout(left, self.gateway.tasks.wait()).await.is_err() {
            tracing::debug!(tasks = self.gateway.tasks.len(), "ending with work left");
        }
    }
}

async fn join(task: JoinHandle<()>) {
    if let Err(error) = task.await {
        tracing::error!(%error, "a task of the gateway failed");
    }
}
