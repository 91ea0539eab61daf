//! Step 1: sockets become requests. Accepts, keeps count of connections, and ends them politely on drain.
//!
//! It knows nothing of MCP: each request goes to [`crate::path::serve`] with the [`Peer`] it came from.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::{Gateway, path};

/// The other end of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// Where it connects from.
    pub(crate) address: SocketAddr,
}

/// A client that has sent no complete header after this long is cut: idle half-open sockets are cheap to make.
const HEADER_WAIT: Duration = Duration::from_secs(15);

/// How long connections are taken after the end has begun.
const LINGER: Duration = Duration::from_millis(250);

/// Serves until `stop`, then lets every connection finish what it began; returns when all are gone or `grace` is over.
pub(crate) async fn run(gateway: Arc<Gateway>, listener: TcpListener, stop: CancellationToken, grace: Duration) {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_WAIT).pipeline_flush(true);
    http.http2().timer(TokioTimer::new()).max_concurrent_streams(1024);
    let connections = GracefulShutdown::new();
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
        serve_connection(&gateway, &http, &connections, socket, Peer { address });
    }
    // Whoever was told of this gateway a moment ago still comes, and whom the system has let in already must be answered: the
    // port closes when nobody has come for a while.
    let mut linger = std::pin::pin!(tokio::time::sleep(LINGER));
    loop {
        let accepted = tokio::select! {
            biased;
            accepted = listener.accept() => accepted,
            () = &mut linger => break,
        };
        if let Ok((socket, address)) = accepted {
            serve_connection(&gateway, &http, &connections, socket, Peer { address });
        }
    }
    drop(listener);
    if tokio::time::timeout(grace, connections.shutdown()).await.is_err() {
        tracing::warn!("connections were still busy at the end of the grace period");
    }
}

fn serve_connection(
    gateway: &Arc<Gateway>,
    http: &auto::Builder<TokioExecutor>,
    connections: &GracefulShutdown,
    socket: TcpStream,
    peer: Peer,
) {
    // Small replies must not wait for an acknowledgement (Nagle); failing to set it is harmless.
    let _ = socket.set_nodelay(true);
    let owner = Arc::clone(gateway);
    let service = service_fn(move |request| {
        let gateway = Arc::clone(&owner);
        let peer = peer.clone();
        // In a box that ends with the answer: a connection that only waits does not keep the room of a call.
        Box::pin(async move { Ok::<_, Infallible>(path::serve(gateway, peer, request).await) })
    });
    let connection = connections.watch(http.serve_connection(TokioIo::new(socket), service).into_owned());
    gateway.tasks.spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "connection ended");
        }
    });
}
