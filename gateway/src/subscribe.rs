//! Changes told to clients: `subscriptions/listen` of the stateless era, and in `of_session.rs` the resource subscriptions of the
//! session era.
//!
//! List changes come from the catalogue, already gathered; updates of single resources come from one follower per service
//! that the gateway keeps for as long as the client listens.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use http::Response;
use http_body::Frame;
use http_body_util::StreamBody;
use serde::Deserialize;
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::{CancellationToken, DropGuard};
use weft_wire::{envelope::Id, splice::quote};

mod linked;
pub(crate) mod of_session;
mod resources;

use self::resources::{News, follow_resources};
use crate::{
    Gateway,
    admit::Ticket,
    call::{Asked, Call},
    catalogue::Changed,
    record::Record,
    refusal::Refusal,
    reply::{
        Body, events,
        relay::{KEEP_ALIVE, comment, frame, listen_end},
    },
};

/// What a client wants to hear of (MCP 2026-07-28, `SubscriptionFilter`).
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Wish {
    tools_list_changed: bool,
    prompts_list_changed: bool,
    resources_list_changed: bool,
    resource_subscriptions: Vec<String>,
}

/// Resources one client may follow at once.
const FOLLOWED: usize = 1024;
/// How long a service may take to accept a subscription before the client is told without it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Opens the client's stream of changes.
pub(crate) async fn listen(
    gateway: &Arc<Gateway>,
    call: &Call,
    asked: &Asked,
    ticket: Ticket,
    record: &mut Record,
) -> Result<Response<Body>, Refusal> {
    record.keep_quiet();
    let raw = asked.notifications.as_deref().ok_or_else(|| malformed("params.notifications is missing".into()))?;
    let wish: Wish = serde_json::from_str(raw)
        .map_err(|error| malformed(format!("params.notifications is not a subscription filter: {error}")))?;
    if wish.resource_subscriptions.len() > FOLLOWED {
        return Err(malformed(format!("at most {FOLLOWED} resources can be followed on one stream")));
    }
    // Subscribed before anything is looked at, so that nothing falls between.
    let changes = gateway.catalogue.changes(&call.surface);
    let (updates, updated) = mpsc::channel(64);
    let stop = CancellationToken::new();
    let accepted = follow_resources(gateway, call, &wish.resource_subscriptions, (&updates, &stop)).await;
    let listener = Listener {
        id: asked.id.clone(),
        first: Some(acknowledgement(&asked.id, &wish, &accepted)),
        wish,
        changes,
        updated,
        _updates: updates,
        drain: gateway.drain.clone(),
        pending: Vec::new(),
        _stop: stop.drop_guard(),
    };
    let frames = stream::unfold(Some(listener), |listener| async move { listener?.next().await });
    Ok(events(Body::stream(StreamBody::new(frames)).holding(ticket)))
}

fn malformed(message: String) -> Refusal {
    Refusal::Malformed(weft_wire::code::INVALID_PARAMS, message)
}

fn acknowledgement(id: &Id<'_>, wish: &Wish, accepted: &[String]) -> Vec<u8> {
    let flags = [
        (wish.tools_list_changed, "toolsListChanged"),
        (wish.prompts_list_changed, "promptsListChanged"),
        (wish.resources_list_changed, "resourcesListChanged"),
    ];
    let mut members: Vec<String> =
        flags.iter().filter(|(wanted, _)| *wanted).map(|(_, name)| format!(r#""{name}":true"#)).collect();
    if !accepted.is_empty() {
        let uris: Vec<String> = accepted.iter().map(|uri| quote(uri)).collect();
        members.push(format!(r#""resourceSubscriptions":[{}]"#, uris.join(",")));
    }
    let params = format!(r#""notifications":{{{}}}"#, members.join(","));
    notification("notifications/subscriptions/acknowledged", &params, id)
}

/// A notification of the stream `id`; `params` are members, or nothing.
fn notification(method: &str, params: &str, id: &Id<'_>) -> Vec<u8> {
    let comma = if params.is_empty() { "" } else { "," };
    format!(
        r#"{{"jsonrpc":"2.0","method":"{method}","params":{{{params}{comma}"_meta":{{"io.modelcontextprotocol/subscriptionId":{}}}}}}}"#,
        id.as_raw()
    )
    .into_bytes()
}

/// A client's open stream.
struct Listener {
    id: Id<'static>,
    first: Option<Vec<u8>>,
    wish: Wish,
    changes: broadcast::Receiver<Changed>,
    updated: mpsc::Receiver<News>,
    /// Keeps `updated` from ending when no service is followed.
    _updates: mpsc::Sender<News>,
    drain: CancellationToken,
    pending: Vec<&'static str>,
    _stop: DropGuard,
}

impl Listener {
    async fn next(mut self) -> Option<(Result<Frame<Bytes>, Infallible>, Option<Self>)> {
        if let Some(first) = self.first.take() {
            return Some((Ok(frame(&first)), Some(self)));
        }
        loop {
            if let Some(method) = self.pending.pop() {
                return Some((Ok(frame(&notification(method, "", &self.id))), Some(self)));
            }
            tokio::select! {
                biased;
                () = self.drain.cancelled() => return Some((Ok(frame(&listen_end(&self.id))), None)),
                changed = self.changes.recv() => self.note(match changed {
                    Ok(changed) => changed,
                    Err(broadcast::error::RecvError::Lagged(_)) => Changed { tools: true, prompts: true, resources: true },
                    Err(broadcast::error::RecvError::Closed) => return Some((Ok(frame(&listen_end(&self.id))), None)),
                }),
                Some(news) = self.updated.recv() => match news {
                    News::List(changed) => self.note(changed),
                    News::Resource(uri) => {
                        let params = format!(r#""uri":{}"#, quote(&uri));
                        let message = notification("notifications/resources/updated", &params, &self.id);
                        return Some((Ok(frame(&message)), Some(self)));
                    }
                },
                () = tokio::time::sleep(KEEP_ALIVE) => return Some((Ok(comment()), Some(self))),
            }
        }
    }

    fn note(&mut self, changed: Changed) {
        let wanted = Changed {
            tools: changed.tools && self.wish.tools_list_changed,
            prompts: changed.prompts && self.wish.prompts_list_changed,
            resources: changed.resources && self.wish.resources_list_changed,
        };
        self.pending.extend(wanted.methods());
    }
}
