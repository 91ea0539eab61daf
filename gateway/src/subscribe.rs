//! Changes told to clients: `subscriptions/listen` over all services in the stateless era, and the resource subscriptions
//! of the session era at services that have no sessions.
//!
//! List changes come from the catalogue, already gathered; updates of single resources come from one `listen` per service
//! that the gateway holds for as long as the client does.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use http::Response;
use http_body::Frame;
use http_body_util::StreamBody;
use serde::Deserialize;
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::{CancellationToken, DropGuard};
use weft_mesh::ServiceId;
use weft_wire::{envelope::Id, reply, splice::quote};

use crate::{
    Gateway,
    admit::Ticket,
    call::{Asked, Call},
    catalogue::{Changed, View, fetch},
    record::Record,
    refusal::Refusal,
    reply::{
        Body, events,
        relay::{KEEP_ALIVE, comment, frame, listen_end},
    },
    route::Target,
    upstream::exchange::{self, Answer, Events},
    uri,
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
    updated: mpsc::Receiver<String>,
    /// Keeps `updated` from ending when no service is followed.
    _updates: mpsc::Sender<String>,
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
                Some(uri) = self.updated.recv() => {
                    let params = format!(r#""uri":{}"#, quote(&uri));
                    let message = notification("notifications/resources/updated", &params, &self.id);
                    return Some((Ok(frame(&message)), Some(self)));
                }
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

/// Starts one follower per service; gives the URIs that services accepted.
async fn follow_resources(
    gateway: &Arc<Gateway>,
    call: &Call,
    uris: &[String],
    (updates, stop): (&mpsc::Sender<String>, &CancellationToken),
) -> Vec<String> {
    let view = gateway.catalogue.view_of(&call.surface).unwrap_or_else(|| gateway.catalogue.view());
    let mut by_service: BTreeMap<ServiceId, Vec<(String, String)>> = BTreeMap::new();
    for uri in uris {
        if let Some((service, own)) = owner(&view, uri).filter(|(service, _)| view.shows_uri(service, uri)) {
            by_service.entry(service).or_default().push((own, uri.clone()));
        }
    }
    let mut accepted = Vec::new();
    for (service, pairs) in by_service {
        let first = tokio::time::timeout(PATIENCE, ask(gateway, &service, &pairs)).await;
        if let Ok(Some(events)) = first {
            accepted.extend(pairs.iter().map(|(_, exposed)| exposed.clone()));
            let follower = follow(Arc::clone(gateway), service, pairs, events, updates.clone());
            let stop = stop.clone();
            gateway.tasks.spawn(async move {
                let () = stop.run_until_cancelled(follower).await.unwrap_or_default();
            });
        }
    }
    accepted
}

fn owner(view: &View, uri: &str) -> Option<(ServiceId, String)> {
    if let Some(owner) = uri::scheme(uri).and_then(|scheme| view.schemes.get(scheme)) {
        return Some((owner.clone(), uri.to_owned()));
    }
    let (service, own) = uri::unwrap(uri)?;
    Some((service.parse().ok()?, own.to_owned()))
}

/// Asks one service to tell of these resources.
async fn ask(gateway: &Gateway, service: &ServiceId, pairs: &[(String, String)]) -> Option<Events> {
    let instance = gateway.upstreams.get(service)?.any(gateway.upstreams.now())?;
    let uris: Vec<String> = pairs.iter().map(|(own, _)| quote(own)).collect();
    let wish = format!(r#""notifications":{{"resourceSubscriptions":[{}]}},"#, uris.join(","));
    let question = fetch::question("subscriptions/listen", &wish);
    match exchange::exchange(&instance, &question).await {
        Ok(Answer::Events { body, .. }) => Some(Events::new(body, 1 << 20)),
        _ => None,
    }
}

/// Passes updates on, and asks again when the service's stream ends, for as long as the client listens.
async fn follow(
    gateway: Arc<Gateway>,
    service: ServiceId,
    pairs: Vec<(String, String)>,
    mut events: Events,
    updates: mpsc::Sender<String>,
) {
    let mut wait = Duration::from_millis(200);
    loop {
        while let Ok(Some(event)) = events.next().await {
            wait = Duration::from_millis(200);
            if let Some(exposed) = updated(&event.data, &pairs)
                && updates.send(exposed).await.is_err()
            {
                return;
            }
        }
        loop {
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(15));
            if let Some(again) = ask(&gateway, &service, &pairs).await {
                events = again;
                break;
            }
        }
        // What changed while nobody told is not known: each resource may have.
        for (_, exposed) in &pairs {
            if updates.send(exposed.clone()).await.is_err() {
                return;
            }
        }
    }
}

fn updated(message: &[u8], pairs: &[(String, String)]) -> Option<String> {
    if reply::scan(message).method.as_deref() != Some("notifications/resources/updated") {
        return None;
    }
    let (_, own) = uri::positions(message).into_iter().next()?;
    pairs.iter().find(|(known, _)| *known == own).map(|(_, exposed)| exposed.clone())
}

/// `resources/subscribe` and `resources/unsubscribe` of a session, at a service without sessions.
pub(crate) async fn in_session(
    gateway: &Arc<Gateway>,
    call: &Call,
    asked: &Asked,
    target: &Target,
    begin: bool,
) -> Result<Vec<u8>, Refusal> {
    let (Some(session), Some(exposed)) = (&call.session, asked.uri.as_ref().map(|uri| uri.value.clone())) else {
        return Err(malformed("params.uri is missing".into()));
    };
    if !begin {
        session.unsubscribe(&exposed);
        return Ok(weft_wire::code::result_body(&asked.id, "{}"));
    }
    let own = match uri::unwrap(&exposed) {
        Some((service, own)) if !call.is_verbatim() && service == target.service.id.as_ref() => own.to_owned(),
        _ => exposed.clone(),
    };
    let pairs = vec![(own, exposed.clone())];
    let events = tokio::time::timeout(PATIENCE, ask(gateway, &target.service.id, &pairs)).await.ok().flatten();
    let events = events.ok_or_else(|| Refusal::UnknownResource(exposed.clone()))?;
    let stop = session.over.child_token();
    session.subscribe(&exposed, stop.clone());
    let (updates, mut updated) = mpsc::channel(64);
    let follower = follow(Arc::clone(gateway), target.service.id.clone(), pairs, events, updates);
    let (ring, drain) = (session.rings.own(), gateway.drain.clone());
    gateway.tasks.spawn(async move {
        let telling = async {
            while let Some(uri) = updated.recv().await {
                let message = format!(
                    r#"{{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{{"uri":{}}}}}"#,
                    quote(&uri)
                );
                ring.push(message.as_bytes()).await;
            }
        };
        tokio::select! {
            () = drain.cancelled() => {}
            () = stop.cancelled() => {}
            () = follower => {}
            () = telling => {}
        }
    });
    Ok(weft_wire::code::result_body(&asked.id, "{}"))
}
