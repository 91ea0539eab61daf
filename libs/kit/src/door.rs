//! A socket → a peer that proved itself (or one that need not) → its conversation over HTTP.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use weft_identity::{Acceptor, Identity, PeerId, Peers};
use weft_telemetry::names;

use crate::http::{Peer, Site};
use crate::probe;

/// For a handshake, start to end.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// For a client that connects and then says nothing. Longer than any idle time of the gateway's pool, so that it is never the
/// instance that closes a connection just as a call is sent on it.
const IDLE: Duration = Duration::from_secs(120);

/// Between two looks whether a peer may still be connected.
const RECHECK: Duration = Duration::from_secs(5);

/// Returns when the mesh's intentions no longer allow a peer that was let in.
async fn revoked(acceptor: Acceptor, peer: PeerId) {
    loop {
        tokio::time::sleep(RECHECK).await;
        if let Err(error) = acceptor.still_admits(&peer).await {
            tracing::warn!(%error, "a peer is sent away");
            return;
        }
    }
}

/// Everything that a connection passes on its way in.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) site: Arc<Site>,
    pub(crate) guard: Guard,
    /// Fires when connections should end after what they are doing.
    pub(crate) closing: CancellationToken,
    /// Fires when they must end now.
    pub(crate) sever: CancellationToken,
}

/// Who is let in, and what for.
#[derive(Clone)]
pub(crate) enum Guard {
    /// Anyone who can connect, for anything: loopback without an identity.
    Open,
    /// Anyone who can connect, for health and metrics.
    HealthOnly,
    /// Peers with a certificate.
    Mutual {
        acceptor: Acceptor,
        /// Their headers are believed.
        gateways: Arc<[String]>,
    },
}

impl Guard {
    /// Mutual TLS as `identity`. Only peers that are named one by one are believed when they speak for others: being of the
    /// same trust domain makes nobody a gateway.
    pub(crate) fn mutual(identity: &Identity, allowed: &Peers) -> Self {
        let gateways = match allowed {
            Peers::Only(names) => names.as_slice(),
            Peers::TrustDomain => &[],
        };
        Self::Mutual { acceptor: identity.acceptor(allowed.clone()), gateways: gateways.into() }
    }
}

impl Door {
    /// Serves one connection to its end.
    pub(crate) async fn enter(self, stream: TcpStream) {
        let sever = self.sever.clone();
        tokio::select! {
            () = sever.cancelled() => {}
            () = self.admit(stream) => {}
        }
    }

    async fn admit(self, stream: TcpStream) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection broke before it began");
            return;
        }
        let Guard::Mutual { acceptor, gateways } = self.guard.clone() else {
            let peer = self.site.unproven();
            return self.converse(stream, peer, std::future::pending()).await;
        };
        let refused = match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
            Ok(Ok((stream, id))) => {
                let mut peer = self.site.unproven();
                peer.is_gateway = gateways.contains(&id.0);
                peer.caller.id.clone_from(&id.0);
                return self.converse(stream, peer, revoked(acceptor, id)).await;
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "a peer was turned away");
                error.label()
            }
            Err(_) => "timeout",
        };
        let service = self.site.name().to_owned();
        metrics::counter!(names::SERVICE_TLS_FAILURES.name, "service" => service, "reason" => refused).increment(1);
    }

    /// Serves the connection until it ends, the instance closes, or the peer's right is `revoked`.
    async fn converse<S>(self, stream: S, peer: Peer, revoked: impl Future<Output = ()>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let only_health = matches!(self.guard, Guard::HealthOnly);
        let (site, peer) = (self.site, Arc::new(peer));
        let answer = service_fn(move |request| {
            let (site, peer) = (Arc::clone(&site), Arc::clone(&peer));
            async move {
                let response = if probe::is_probe(&request) {
                    probe::answer(site, request).await
                } else if only_health {
                    site.health(&request)
                } else {
                    site.answer(&peer, request).await
                };
                Ok::<_, Infallible>(response)
            }
        });
        let mut server = auto::Builder::new(TokioExecutor::new());
        server.http1().timer(TokioTimer::new()).header_read_timeout(IDLE);
        server.http2().timer(TokioTimer::new());
        let connection = server.serve_connection(TokioIo::new(stream), answer);
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.closing.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
            () = revoked => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended badly");
        }
    }
}
