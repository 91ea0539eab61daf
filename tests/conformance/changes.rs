//! Changes of lists and resources, from the tool that causes one to everybody who listens: streams of the stateless era
//! and sessions alike.

use rmcp::{
    RoleServer,
    model::ResourceUpdatedNotificationParam,
    service::{Peer, SubscriptionContext},
};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use crate::resources::WATCHED;

/// What changed.
#[derive(Clone, Copy)]
pub(crate) enum Change {
    Tools,
    Prompts,
    /// The text of [`WATCHED`].
    Watched,
}

/// Tells a stream of the stateless era until it ends; the stream's own filter holds back what was not asked for.
pub(crate) async fn tell_stream(stream: &SubscriptionContext, mut changes: Receiver<Change>) {
    loop {
        let change = tokio::select! {
            change = changes.recv() => change,
            () = stream.cancelled() => return,
        };
        let sink = stream.sink();
        let sent = match change {
            Ok(Change::Tools) => sink.notify_tool_list_changed().await,
            Ok(Change::Prompts) => sink.notify_prompt_list_changed().await,
            Ok(Change::Watched) => sink.notify_resource_updated(WATCHED).await,
            Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return,
        };
        // Not asked for, or the client is gone: the latter ends the loop by itself.
        drop(sent);
    }
}

/// Tells a client of the session era until its session ends.
pub(crate) async fn tell_session(peer: Peer<RoleServer>, mut changes: Receiver<Change>) {
    loop {
        let sent = match changes.recv().await {
            Ok(Change::Tools) => peer.notify_tool_list_changed().await,
            Ok(Change::Prompts) => peer.notify_prompt_list_changed().await,
            Ok(Change::Watched) => peer.notify_resource_updated(ResourceUpdatedNotificationParam::new(WATCHED)).await,
            Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return,
        };
        if sent.is_err() {
            return;
        }
    }
}
