//! A service and its host → a running instance, and its orderly end.
//!
//! The end has an order: withdraw, so that no new call comes; let subscriptions finish with a result; stop accepting; let the
//! calls in flight finish; only then halt what is left. Every task is owned here and joined.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use weft_mesh::{RegistryError, ServiceId};

use crate::beside::Beside;
use crate::core::Core;
use crate::door::{Door, Guard};
use crate::host::Host;
use crate::http::Site;
use crate::registered::Registered;
use crate::seal::SealKeyError;
use crate::service::Service;

/// For handlers to answer and connections to close after they were halted.
const HALT: Duration = Duration::from_secs(1);

/// Why an instance cannot start.
#[derive(Debug, thiserror::Error)]
pub enum KitError {
    /// Somebody else has the port, or the address is not ours.
    #[error("cannot listen on {address}: stop what listens there or choose another address ({source})")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// An open port without TLS.
    #[error("{0} is not a loopback address: give the service an identity, or listen on 127.0.0.1")]
    Exposed(SocketAddr),
    /// The registry refused the instance or is away.
    #[error("the instance cannot be announced: {0}")]
    Announce(#[from] RegistryError),
    /// No key for cursors and plans.
    #[error(transparent)]
    SealKey(#[from] SealKeyError),
}

/// A running instance. Dropping it stops everything at once; [`shutdown`](Self::shutdown) does it in order.
pub struct Running {
    address: SocketAddr,
    admin: Option<SocketAddr>,
    registered: Registered,
    core: Arc<Core>,
    site: Arc<Site>,
    closing: CancellationToken,
    connections: TaskTracker,
    beside: Beside,
    ends: Ends,
}

/// What stops an instance that is dropped.
struct Ends {
    _closing: DropGuard,
    _halt: DropGuard,
    sever: DropGuard,
}

/// Starts an instance of `service` on `host`: it is announced when it can answer.
pub async fn serve(mut service: Service, host: Host) -> Result<Running, KitError> {
    if host.identity.is_none() && !host.listen.ip().is_loopback() {
        return Err(KitError::Exposed(host.listen));
    }
    let tasks = std::mem::take(&mut service.tasks);
    let core = Arc::new(Core::new(service, host.rules.clone(), &host.seal_key)?);
    let (listener, address) = bind(host.listen).await?;
    let (admin_listener, admin) = match host.admin {
        Some(admin) => bind(admin).await.map(|(listener, address)| (Some(listener), Some(address)))?,
        None => (None, None),
    };
    let (closing, sever) = (CancellationToken::new(), CancellationToken::new());
    let site = Arc::new(Site::new(&core, &host, sever.clone()));
    let guard = host.identity.as_ref().map_or(Guard::Open, |identity| Guard::mutual(identity, &host.gateway));
    let door = Door { site: Arc::clone(&site), guard, closing: closing.clone(), sever: sever.clone() };
    let connections = TaskTracker::new();
    let beside = Beside::start(tasks);
    if let Some(listener) = admin_listener {
        let door = Door { guard: Guard::HealthOnly, ..door.clone() };
        beside.spawn(accept(listener, door, host.connections, connections.clone()));
    }
    beside.spawn(accept(listener, door, host.connections, connections.clone()));
    let ends = Ends {
        _closing: closing.clone().drop_guard(),
        _halt: core.halt.clone().drop_guard(),
        sever: sever.drop_guard(),
    };
    site.set_ready(true);
    let registered = Registered::announce(&core.service, &host, (address, admin)).await?;
    tracing::info!(service = core.service.manifest.name(), %address, "serving");
    Ok(Running { address, admin, registered, core, site, closing, connections, beside, ends })
}

impl Running {
    /// The address that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of the health listener, if there is one.
    pub fn admin(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// The service.
    pub fn service(&self) -> &ServiceId {
        &self.registered.service
    }

    /// Ends the instance: calls in flight have `grace` to finish.
    pub async fn shutdown(self, grace: Duration) {
        let Self { registered, core, site, closing, connections, beside, ends, .. } = self;
        registered.withdraw().await;
        site.set_ready(false);
        core.drain.cancel();
        closing.cancel();
        connections.close();
        let calls = site.session_era.tasks.clone();
        calls.close();
        let finish = async { tokio::join!(connections.wait(), calls.wait()) };
        if tokio::time::timeout(grace, finish).await.is_err() {
            tracing::warn!(grace_ms = grace.as_millis(), "calls did not finish within the grace");
        }
        core.halt.cancel();
        let halted = async { tokio::join!(connections.wait(), calls.wait()) };
        let _ = tokio::time::timeout(HALT, halted).await;
        drop(ends.sever);
        beside.end().await;
        connections.wait().await;
        tracing::info!(service = core.service.manifest.name(), "stopped");
    }
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), KitError> {
    let listener = TcpListener::bind(address).await.map_err(|source| KitError::Listen { address, source })?;
    let address = listener.local_addr().map_err(|source| KitError::Listen { address, source })?;
    Ok((listener, address))
}

/// Lets connections in until the instance closes. The port is free as soon as this returns.
async fn accept(listener: TcpListener, door: Door, places: usize, connections: TaskTracker) {
    let places = Arc::new(Semaphore::new(places.clamp(1, Semaphore::MAX_PERMITS)));
    loop {
        let next = tokio::select! {
            () = door.closing.cancelled() => return,
            next = next(&listener, &places) => next,
        };
        let Some((place, stream)) = next else { return };
        let door = door.clone();
        connections.spawn(async move {
            let _place = place;
            door.enter(stream).await;
        });
    }
}

/// The next connection, once there is a place for it.
async fn next(listener: &TcpListener, places: &Arc<Semaphore>) -> Option<(OwnedSemaphorePermit, TcpStream)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return Some((place, stream)),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}
