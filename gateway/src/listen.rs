//! Step 1: sockets become requests. Accepts, keeps count of connections, and ends them politely on drain.
//!
//! It knows nothing of MCP: each request goes to [`crate::path::serve`] with the [`Peer`] it came from. With TLS the handshake is
//! made in the connection's own task, so that a slow one holds up nobody.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use weft_identity::{Guest, Identity, IdentityError, Proven, Served, ServedFiles, TlsStream};

use crate::{
    Gateway, path,
    settings::auth::{ClientAuth, Tls},
};

mod close;

/// The other end of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// Where it connects from.
    pub(crate) address: SocketAddr,
    /// What its certificate proved, where it showed one.
    pub(crate) certificate: Option<Arc<Proven>>,
    /// It has proved to be another replica of this gateway.
    pub(crate) replica: bool,
    /// Cancelled when its certificate is not taken any more: what it has open ends then.
    pub(crate) over: CancellationToken,
}

impl Peer {
    /// One that has proved nothing.
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, certificate: None, replica: false, over: CancellationToken::new() }
    }

    fn of(address: SocketAddr, guest: Guest) -> Self {
        match guest {
            Guest::Client(proven) => Self { certificate: proven.map(Arc::new), ..Self::new(address) },
            Guest::Replica => Self { replica: true, ..Self::new(address) },
        }
    }

    /// True for one on this machine.
    pub(crate) fn is_local(&self) -> bool {
        self.address.ip().to_canonical().is_loopback()
    }
}

/// A client that has sent no complete header after this long is cut: idle half-open sockets are cheap to make.
const HEADER_WAIT: Duration = Duration::from_secs(15);

/// The certificate for clients, where there is one; the identity is for other replicas.
pub(crate) fn open_tls(settings: &Tls, identity: Option<Identity>) -> Result<Option<Served>, IdentityError> {
    let (Some(certificate), Some(key)) = (settings.cert.clone(), settings.key.clone()) else { return Ok(None) };
    let required = settings.client_auth == ClientAuth::Required;
    let (clients, revoked) = (settings.client_ca.clone(), settings.client_crl.clone());
    Served::open(ServedFiles { certificate, key, clients, revoked, required }, identity).map(Some)
}

/// Serves until `stop`, then lets every connection finish what it began; returns when all are gone or `grace` is over.
pub(crate) async fn run(gateway: Arc<Gateway>, listener: TcpListener, stop: CancellationToken, grace: Duration) {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_WAIT).pipeline_flush(true);
    http.http2().timer(TokioTimer::new()).max_concurrent_streams(1024);
    let connections = Connections::default();
    loop {
        let (socket, address) = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors, mostly: going on at once would spin.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        take(&gateway, &http, &connections, (socket, address));
    }
    close::close(listener, |accepted| take(&gateway, &http, &connections, accepted)).await;
    if tokio::time::timeout(grace, connections.end()).await.is_err() {
        tracing::warn!("connections were still busy at the end of the grace period");
    }
}

/// The connections that are open.
#[derive(Default)]
struct Connections {
    open: TaskTracker,
    /// Each ends when it has answered what was asked.
    ending: CancellationToken,
}

impl Connections {
    /// Returns when all of them have ended.
    async fn end(&self) {
        self.ending.cancel();
        self.open.close();
        self.open.wait().await;
    }
}

fn take(
    gateway: &Arc<Gateway>,
    http: &auto::Builder<TokioExecutor>,
    connections: &Connections,
    (socket, address): (TcpStream, SocketAddr),
) {
    // Small replies must not wait for an acknowledgement (Nagle); failing to set it is harmless.
    let _ = socket.set_nodelay(true);
    let (owner, http, ending) = (Arc::clone(gateway), http.clone(), connections.ending.clone());
    gateway.tasks.spawn(connections.open.track_future(async move {
        match &owner.tls {
            None => serve(&owner, &http, &ending, (socket, Peer::new(address))).await,
            Some(tls) => match shake_hands(tls, socket).await {
                Ok((stream, guest)) => serve(&owner, &http, &ending, (stream, Peer::of(address, guest))).await,
                Err(error) => refused(&error, address, "handshake"),
            },
        }
    }));
}

async fn shake_hands(tls: &Served, socket: TcpStream) -> Result<(TlsStream<TcpStream>, Guest), IdentityError> {
    // In a box that ends with the handshake, which needs more room than the connection after it.
    let shaken = tokio::time::timeout(HEADER_WAIT, Box::pin(tls.accept(socket))).await;
    shaken.unwrap_or_else(|_| Err(IdentityError::Handshake("it took too long".into())))
}

/// Tells of a peer that is not, or not any more, let in. Whoever scans the port must not fill the log.
fn refused(error: &IdentityError, address: SocketAddr, at: &'static str) {
    let reason = error.label();
    metrics::counter!(weft_telemetry::names::GATEWAY_TLS_FAILURES.name, "reason" => reason).increment(1);
    match error {
        // Whoever comes this far shows a certificate that the authority has signed.
        IdentityError::Revoked | IdentityError::Uncertain(_) => {
            tracing::warn!(%error, reason, %address, at, "a client was refused");
        }
        _ => tracing::debug!(%error, reason, %address, at, "a client was refused"),
    }
}

/// Waits until the certificate that a peer showed is not taken any more.
async fn distrusted(gateway: &Gateway, peer: &Peer) -> IdentityError {
    match (&gateway.tls, &peer.certificate) {
        (Some(tls), Some(proven)) => tls.distrusted(&proven.chain).await,
        _ => std::future::pending().await,
    }
}

/// One connection, to its end.
async fn serve<S>(
    gateway: &Arc<Gateway>,
    http: &auto::Builder<TokioExecutor>,
    ending: &CancellationToken,
    (stream, peer): (S, Peer),
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (owner, caller) = (Arc::clone(gateway), peer.clone());
    let service = service_fn(move |request| {
        let gateway = Arc::clone(&owner);
        let peer = caller.clone();
        // In a box that ends with the answer: a connection that only waits does not keep the room of a call.
        Box::pin(async move { Ok::<_, Infallible>(path::serve(gateway, peer, request).await) })
    });
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
    let mut distrusted = std::pin::pin!(distrusted(gateway, &peer));
    let mut is_ending = false;
    loop {
        tokio::select! {
            biased;
            error = &mut distrusted => {
                peer.over.cancel();
                return refused(&error, peer.address, "open connection");
            }
            // Before the end, so that a request that has come already is read, and answered.
            ended = &mut connection => {
                return ended.map_or_else(|error| tracing::debug!(%error, "connection ended"), drop);
            }
            () = ending.cancelled(), if !is_ending => {
                is_ending = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}
