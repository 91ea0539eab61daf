//! News of single resources, and of one service's lists where its own endpoint is listened to: one follower per service, in the
//! service's own era, for as long as the client listens.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use weft_mesh::ServiceId;
use weft_wire::{reply, splice::quote, version::Era};

use super::{PATIENCE, linked::Linked};
use crate::{
    Gateway, authorize,
    call::Call,
    catalogue::{Changed, View},
    door::Surface,
    forward::era,
    upstream::{
        Service,
        exchange::{self, Answer, Events},
        talk,
    },
    uri,
};

/// Starts one follower per service; gives the URIs that services accepted.
pub(super) async fn follow_resources(
    gateway: &Arc<Gateway>,
    call: &Call,
    uris: &[String],
    (updates, stop): (&mpsc::Sender<News>, &CancellationToken),
) -> Vec<String> {
    let view = gateway.catalogue.view_of(&call.surface, call.caller.role()).unwrap_or_else(|| gateway.catalogue.view());
    let mut by_service: BTreeMap<ServiceId, Vec<(String, String)>> = BTreeMap::new();
    for uri in uris {
        let owner = match &call.surface {
            Surface::Service(service) => Some((service.clone(), uri.clone())),
            Surface::Aggregate | Surface::Virtual(_) => {
                owner(&view, uri).filter(|(service, _)| view.shows_uri(service, uri))
            }
        };
        if let Some((service, own)) = owner {
            by_service.entry(service).or_default().push((own, uri.clone()));
        }
    }
    if let Surface::Service(service) = &call.surface {
        // What changes is told by the server itself, whatever the gateway thinks of its lists.
        by_service.entry(service.clone()).or_default();
    }
    let mut accepted = Vec::new();
    for (service, pairs) in by_service {
        let seen = gateway.upstreams.get(&service).filter(|service| authorize::sees(&call.caller, service));
        let Some(service) = seen else { continue };
        let begun = tokio::time::timeout(PATIENCE, follower(gateway, call, service, pairs, updates)).await;
        let Ok(Some((some, follower))) = begun else { continue };
        accepted.extend(some);
        let stop = stop.clone();
        gateway.tasks.spawn(async move {
            let () = stop.run_until_cancelled(follower).await.unwrap_or_default();
        });
    }
    accepted
}

type Follower = futures_util::future::BoxFuture<'static, ()>;

/// What follows the resources of one service in its own era, and which of them it tells of.
async fn follower(
    gateway: &Arc<Gateway>,
    call: &Call,
    service: Arc<Service>,
    pairs: Vec<(String, String)>,
    updates: &mpsc::Sender<News>,
) -> Option<(Vec<String>, Follower)> {
    if era::of(gateway, &service, Era::Stateless).await.ok()? == Era::Session {
        let session = gateway.sessions.of_call(call);
        let linked = Linked::begin(gateway, session, service, pairs).await?;
        return Some((linked.accepted().collect(), Box::pin(linked.run(updates.clone()))));
    }
    let events = ask(gateway, &service.id, &pairs).await?;
    let accepted = pairs.iter().map(|(_, exposed)| exposed.clone()).collect();
    Some((accepted, Box::pin(follow(Arc::clone(gateway), service.id.clone(), pairs, events, updates.clone()))))
}

/// Whose a URI on the aggregate endpoint is, and what its owner calls it.
fn owner(view: &View, uri: &str) -> Option<(ServiceId, String)> {
    if let Some(owner) = uri::scheme(uri).and_then(|scheme| view.schemes.get(scheme)) {
        return Some((owner.clone(), uri.to_owned()));
    }
    let (service, own) = uri::unwrap(uri)?;
    Some((service.parse().ok()?, own.to_owned()))
}

/// Asks one service to tell of these resources.
pub(super) async fn ask(gateway: &Gateway, service: &ServiceId, pairs: &[(String, String)]) -> Option<Events> {
    let instance = gateway.upstreams.get(service)?.any(gateway.upstreams.now())?;
    let uris: Vec<String> = pairs.iter().map(|(own, _)| quote(own)).collect();
    let wish = format!(r#""notifications":{{"resourceSubscriptions":[{}]}},"#, uris.join(","));
    let question = talk::question("subscriptions/listen", &wish);
    match exchange::exchange(&instance, &question).await {
        Ok(Answer::Events { body, .. }) => Some(Events::new(body, 1 << 20)),
        _ => None,
    }
}

/// Passes updates on, and asks again when the service's stream ends, for as long as the client listens.
pub(super) async fn follow(
    gateway: Arc<Gateway>,
    service: ServiceId,
    pairs: Vec<(String, String)>,
    mut events: Events,
    updates: mpsc::Sender<News>,
) {
    let mut wait = Duration::from_millis(200);
    loop {
        while let Ok(Some(event)) = events.next().await {
            wait = Duration::from_millis(200);
            if let Some(news) = news(&event.data, &pairs)
                && updates.send(news).await.is_err()
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
            if updates.send(News::Resource(exposed.clone())).await.is_err() {
                return;
            }
        }
    }
}

/// What a service told of.
pub(super) enum News {
    /// A resource, as the client knows it.
    Resource(String),
    /// Its lists.
    List(Changed),
}

pub(super) fn news(message: &[u8], pairs: &[(String, String)]) -> Option<News> {
    let method = reply::scan(message).method?;
    if let Some(changed) = Changed::of(&method) {
        return Some(News::List(changed));
    }
    if method != "notifications/resources/updated" {
        return None;
    }
    let (_, own) = uri::positions(message).into_iter().next()?;
    pairs.iter().find(|(known, _)| *known == own).map(|(_, exposed)| News::Resource(exposed.clone()))
}
