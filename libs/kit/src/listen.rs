//! Changes of a service → the clients that listen, in the way of their era.
//!
//! The stateless era holds a `subscriptions/listen` request open; it ends with a result when the service stops, so that clients
//! come back instead of giving up. The session era has a connection to be notified on only over stdio; over HTTP our
//! instances keep no sessions, and the gateway listens for its clients in the stateless way.

use std::sync::{Mutex, PoisonError};

use rmcp::RoleServer;
use rmcp::model::{ResourceUpdatedNotificationParam, ServerCapabilities, SubscriptionFilter};
use rmcp::service::{Peer, SubscriptionContext, SubscriptionSendError};
use tokio::task::JoinHandle;

use crate::changes::{Change, Changes, Listening};
use crate::core::Core;
use crate::service::Service;

/// URIs of one listener.
const MAX_URIS: usize = 1_000;

/// What of a request for notifications this service can honour: list changes, and resources of the schemes that it owns.
pub(crate) fn accepted(service: &Service, requested: &SubscriptionFilter) -> SubscriptionFilter {
    let owned = |uri: &&String| {
        let scheme = uri.split_once(':').map(|(scheme, _)| scheme);
        scheme.is_some_and(|scheme| service.manifest.schemes.iter().any(|own| own == scheme))
    };
    let mut filter = SubscriptionFilter::new();
    filter.prompts_list_changed = requested.prompts_list_changed;
    filter.resources_list_changed = requested.resources_list_changed;
    filter.resource_subscriptions = requested
        .resource_subscriptions
        .as_ref()
        .map(|uris| uris.iter().filter(owned).take(MAX_URIS).cloned().collect());
    filter
}

/// Holds one `subscriptions/listen` until the client leaves or the service stops.
pub(crate) async fn serve(core: &Core, context: &SubscriptionContext) {
    let Some(changes) = &core.service.changes else { return };
    let accepted = context.accepted();
    let mut listening = changes.listen(accepted.resource_subscriptions.clone().unwrap_or_default());
    loop {
        let change = tokio::select! {
            () = context.cancelled() => return,
            () = core.drain.cancelled() => return,
            change = listening.next() => change,
        };
        let Some(change) = change else { return };
        if let Err(error) = deliver(context, &listening, change).await {
            tracing::debug!(%error, "a listener is gone");
            return;
        }
    }
}

async fn deliver(
    context: &SubscriptionContext,
    listening: &Listening,
    change: Change,
) -> Result<(), SubscriptionSendError> {
    let sink = context.sink();
    let wants = |flag: Option<bool>| flag == Some(true);
    let everything = change == Change::Everything;
    if (everything || change == Change::Resources) && wants(context.accepted().resources_list_changed) {
        sink.notify_resource_list_changed().await?;
    }
    if (everything || change == Change::Prompts) && wants(context.accepted().prompts_list_changed) {
        sink.notify_prompt_list_changed().await?;
    }
    match change {
        Change::Updated(uri) => sink.notify_resource_updated(&*uri).await?,
        Change::Everything => {
            for uri in listening.uris() {
                sink.notify_resource_updated(uri).await?;
            }
        }
        Change::Resources | Change::Prompts => {}
    }
    Ok(())
}

/// What the session era cannot be told over HTTP without a session.
pub(crate) fn forget_notifications(capabilities: &mut ServerCapabilities) {
    if let Some(resources) = &mut capabilities.resources {
        (resources.subscribe, resources.list_changed) = (None, None);
    }
    if let Some(prompts) = &mut capabilities.prompts {
        prompts.list_changed = None;
    }
}

/// The subscriptions of a session-era client on a connection of its own. Everything ends with it.
#[derive(Default)]
pub(crate) struct Local {
    peer: Mutex<Option<Peer<RoleServer>>>,
    tasks: Mutex<Vec<(String, JoinHandle<()>)>>,
}

impl Local {
    /// Begins to tell the client about lists.
    pub(crate) fn start(&self, changes: &Changes, peer: Peer<RoleServer>) {
        *lock(&self.peer) = Some(peer);
        self.subscribe_all(changes, String::new(), Vec::new());
    }

    /// Begins to tell the client about `uri`.
    pub(crate) fn subscribe(&self, changes: &Changes, uri: String) {
        self.unsubscribe(&uri);
        self.subscribe_all(changes, uri.clone(), vec![uri]);
    }

    pub(crate) fn unsubscribe(&self, uri: &str) {
        lock(&self.tasks).retain(|(own, task)| {
            if own == uri {
                task.abort();
            }
            own != uri
        });
    }

    fn subscribe_all(&self, changes: &Changes, name: String, uris: Vec<String>) {
        let Some(peer) = lock(&self.peer).clone() else { return };
        let mut tasks = lock(&self.tasks);
        if tasks.len() <= MAX_URIS {
            let listening = changes.listen(uris);
            tasks.push((name, tokio::spawn(tell(peer, listening))));
        }
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        lock(&self.tasks).drain(..).for_each(|(_, task)| task.abort());
    }
}

async fn tell(peer: Peer<RoleServer>, mut listening: Listening) {
    while let Some(change) = listening.next().await {
        let lists = listening.uris().is_empty();
        let sent = match change {
            Change::Resources if lists => peer.notify_resource_list_changed().await,
            Change::Prompts if lists => peer.notify_prompt_list_changed().await,
            Change::Updated(uri) => peer.notify_resource_updated(ResourceUpdatedNotificationParam::new(&*uri)).await,
            Change::Everything => match listening.uris().first() {
                Some(uri) => peer.notify_resource_updated(ResourceUpdatedNotificationParam::new(uri)).await,
                None => peer.notify_resource_list_changed().await,
            },
            Change::Resources | Change::Prompts => Ok(()),
        };
        if sent.is_err() {
            return;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
