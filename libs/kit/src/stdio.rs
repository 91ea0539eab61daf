//! A service on one pair of streams, without the mesh: for clients that start their servers themselves.
//!
//! The caller is the local one, the era is the client's choice, and the session era can be notified here because the connection
//! is its session. The end of input ends the service after the calls in flight.

use std::sync::Arc;

use rmcp::ServiceExt;
use rmcp::service::ServerInitializeError;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use crate::beside::Beside;
use crate::core::{Core, Rules};
use crate::listen::Local;
use crate::seal::{SealKey, SealKeyError};
use crate::server::Server;
use crate::service::Service;
use crate::trace::Traced;

/// Why a conversation on streams failed.
#[derive(Debug, thiserror::Error)]
pub enum StdioError {
    /// No key for cursors and plans.
    #[error(transparent)]
    SealKey(#[from] SealKeyError),
    /// The client broke off or spoke no MCP.
    #[error("the conversation did not begin: {0}")]
    Begin(Box<ServerInitializeError>),
    /// The conversation's task failed.
    #[error("the conversation broke: {0}")]
    Broken(#[from] tokio::task::JoinError),
}

/// Serves `service` on a pair of streams until the input ends or `stop` fires.
pub async fn serve_streams<R, W>(
    mut service: Service,
    rules: Rules,
    streams: (R, W),
    stop: CancellationToken,
) -> Result<(), StdioError>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let beside = Beside::start(std::mem::take(&mut service.tasks));
    let core = Arc::new(Core::new(service, rules, &SealKey::random()?)?);
    let server = Traced(Server { core: Arc::clone(&core), local: Some(Arc::new(Local::default())) });
    let end = stop.child_token();
    let outcome = match server.serve_with_ct(streams, end).await {
        Ok(running) => running.waiting().await.map(drop).map_err(StdioError::from),
        Err(ServerInitializeError::ConnectionClosed(_) | ServerInitializeError::Cancelled) => Ok(()),
        Err(error) => Err(StdioError::Begin(Box::new(error))),
    };
    core.drain.cancel();
    core.halt.cancel();
    beside.end().await;
    outcome
}
