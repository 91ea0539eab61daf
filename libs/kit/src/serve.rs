//! A service and its host → a running instance, and its orderly end.
//!
//! The end has an order: withdraw, so that no new call comes; let subscriptions finish with a result; stop accepting; let the
//! calls in flight finish; only then halt what is left. Every task is owned here and joined.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::beside::Beside;
use crate::core::Core;
use crate::host::Host;
use crate::http::{Peer, Site};
use crate::seal::SealKeyError;
use crate::service::Service;

/// For a client that connects and then says nothing. Longer than any idle time of the gateway's pool, so that it is never the
/// instance that closes a connection just as a call is sent on it.
const IDLE: Duration = Duration::from_secs(120);
/// For handlers to notice that they are halted.
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
    /// No key for cursors and plans.
    #[error(transparent)]
    SealKey(#[from] SealKeyError),
}

/// A running instance. Dropping it stops everything at once; [`shutdown`](Self::shutdown) does it in order.
pub struct Running {
    address: SocketAddr,
    admin: Option<SocketAddr>,
    core: Arc<Core>,
    site: Arc<Site>,
    accepting: CancellationToken,
    closing: CancellationToken,
    connections: TaskTracker,
    beside: Beside,
    ends: Ends,
}

/// What ends the parts of an instance, latest when it is dropped.
struct Ends {
    _accepting: DropGuard,
    halt: DropGuard,
    sever: DropGuard,
}

/// What every connection needs.
#[derive(Clone)]
struct Doorway {
    site: Arc<Site>,
    closing: CancellationToken,
    sever: CancellationToken,
}

/// Starts an instance of `service` on `host`.
pub async fn serve(service: Service, host: Host) -> Result<Running, KitError> {
    if !host.listen.ip().is_loopback() {
        return Err(KitError::Exposed(host.listen));
    }
    let mut service = service;
    let tasks = std::mem::take(&mut service.tasks);
    let core = Arc::new(Core::new(service, host.rules.clone(), &host.seal_key)?);
    let (listener, address) = bind(host.listen).await?;
    let (admin, admin_address) = match host.admin {
        Some(admin) => bind(admin).await.map(|(listener, address)| (Some(listener), Some(address)))?,
        None => (None, None),
    };
    let (accepting, closing, sever) = (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
    let site = Arc::new(Site::new(&core, &host, false, sever.clone()));
    let connections = TaskTracker::new();
    let doorway = Doorway { site: Arc::clone(&site), closing: closing.clone(), sever: sever.clone() };
    let beside = Beside::start(tasks);
    let places = Arc::new(Semaphore::new(host.connections.clamp(1, Semaphore::MAX_PERMITS)));
    beside.spawn(accept(listener, doorway.clone(), (accepting.clone(), places.clone()), connections.clone(), false));
    if let Some(admin) = admin {
        beside.spawn(accept(admin, doorway, (accepting.clone(), places), connections.clone(), true));
    }
    site.set_ready(true);
    tracing::info!(service = core.service.manifest.name, %address, "serving");
    let ends = Ends {
        _accepting: accepting.clone().drop_guard(),
        halt: core.halt.clone().drop_guard(),
        sever: sever.drop_guard(),
    };
    Ok(Running { address, admin: admin_address, core, site, accepting, closing, connections, beside, ends })
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

    /// Ends the instance: calls in flight have `grace` to finish.
    pub async fn shutdown(self, grace: Duration) {
        let Self { core, site, accepting, closing, connections, beside, ends, .. } = self;
        site.set_ready(false);
        core.drain.cancel();
        accepting.cancel();
        closing.cancel();
        connections.close();
        let finish = async {
            connections.wait().await;
            site.session_era.tasks.close();
            site.session_era.tasks.wait().await;
        };
        if tokio::time::timeout(grace, finish).await.is_err() {
            tracing::warn!(grace_ms = grace.as_millis(), "calls did not finish within the grace");
        }
        drop(ends.halt.disarm());
        core.halt.cancel();
        let _ = tokio::time::timeout(HALT, connections.wait()).await;
        drop(ends.sever);
        beside.end().await;
        connections.wait().await;
        tracing::info!(service = core.service.manifest.name, "stopped");
    }
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), KitError> {
    let listener = TcpListener::bind(address).await.map_err(|source| KitError::Listen { address, source })?;
    let address = listener.local_addr().map_err(|source| KitError::Listen { address, source })?;
    Ok((listener, address))
}

async fn accept(
    listener: TcpListener,
    doorway: Doorway,
    (accepting, places): (CancellationToken, Arc<Semaphore>),
    connections: TaskTracker,
    only_health: bool,
) {
    loop {
        let accepted = tokio::select! {
            () = accepting.cancelled() => return,
            accepted = next(&listener, &places) => accepted,
        };
        let Some((place, stream)) = accepted else { return };
        let doorway = doorway.clone();
        connections.spawn(async move {
            let _place = place;
            let sever = doorway.sever.clone();
            tokio::select! {
                () = sever.cancelled() => {}
                () = enter(doorway, stream, only_health) => {}
            }
        });
    }
}

/// The next connection, once there is a place for it. `None` when the process can accept no more.
async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(tokio::sync::OwnedSemaphorePermit, TcpStream)> {
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

async fn enter(doorway: Doorway, stream: TcpStream, only_health: bool) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection broke before it began");
        return;
    }
    let peer = doorway.site.unproven();
    converse(doorway, stream, peer, only_health).await;
}

async fn converse<S>(doorway: Doorway, stream: S, peer: Peer, only_health: bool)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let site = Arc::clone(&doorway.site);
    let peer = Arc::new(peer);
    let answer = service_fn(move |request| {
        let (site, peer) = (Arc::clone(&site), Arc::clone(&peer));
        async move {
            let response = if only_health { site.health(&request) } else { site.answer(&peer, request).await };
            Ok::<_, Infallible>(response)
        }
    });
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(IDLE);
    server.http2().timer(TokioTimer::new());
    let connection = server.serve_connection(TokioIo::new(stream), answer).into_owned();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = doorway.closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended badly");
    }
}
