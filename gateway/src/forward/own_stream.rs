//! The session's own stream: what servers and the gateway say outside of any call, and the client's GET that reads it.

use std::sync::{Arc, atomic::Ordering};

use bytes::Bytes;
use http::{HeaderMap, Method, Response};
use tokio::sync::broadcast::{self, error::RecvError};
use weft_wire::{headers, reply, version::Era};

use super::rewrite::Rewrite;
use crate::{
    Gateway,
    authenticate::Caller,
    catalogue::Changed,
    door::Surface,
    envelope::header,
    record::Record,
    refusal::Refusal,
    reply::{Body, events, relay::ring_body},
    sampling::Sampler,
    session::{
        Session,
        link::{self, Link},
        ring::Ring,
    },
    upstream::{
        Service,
        exchange::{self, Answer, Events},
    },
};

/// GET: the session's own stream, or a lost one taken up again.
pub(crate) async fn open(
    gateway: &Arc<Gateway>,
    caller: &Caller,
    surface: &Surface,
    headers_in: &HeaderMap,
    record: &mut Record,
) -> Result<Response<Body>, Refusal> {
    record.set_call(None, "stream");
    record.keep_quiet();
    let token = header(headers_in, headers::SESSION_ID).ok_or(Refusal::MethodNotAllowed)?;
    let session = gateway.sessions.open(&gateway.seal, token, caller, surface)?;
    record.set_version(session.version());
    let ticket = gateway.admission.admit_stream()?;
    let version = session.version();
    let body = match header(headers_in, headers::LAST_EVENT_ID) {
        Some(last) => match session.rings.resume(last) {
            Some((ring, after)) if session.rings.is_own(&ring) => own(gateway, &session, surface, &ring, after).await,
            Some((ring, after)) => ring_body(ring.attach(after), version, None),
            // Unknown: an error would make the client ask the same for ever, so it gets a stream that is over.
            None => Body::empty(),
        },
        None => {
            let ring = session.rings.own();
            let after = ring.last();
            own(gateway, &session, surface, &ring, after).await
        }
    };
    Ok(events(body.holding(ticket)))
}

async fn own(gateway: &Arc<Gateway>, session: &Arc<Session>, surface: &Surface, ring: &Arc<Ring>, after: u64) -> Body {
    // One reader at a time: a message is sent on one stream only.
    ring.hang_up(None);
    let reader = ring.attach(after);
    match surface {
        Surface::Aggregate | Surface::Virtual(_) => {
            for (id, link) in session.links() {
                if let Some(service) = gateway.upstreams.get(&id) {
                    follow(gateway, session, &service, &link);
                }
            }
            let changes = gateway.catalogue.changes(surface);
            let feed = Box::pin(feed(Arc::clone(gateway), Arc::clone(session), Arc::clone(ring), changes));
            ring_body(reader, session.version(), Some(feed))
        }
        Surface::Service(id) => {
            let service = gateway.upstreams.get(id);
            if let Some(service) = service.filter(|it| it.era_for(Era::Session) == Some(Era::Session)) {
                if let Ok(link) = session.link(gateway, &service).await {
                    follow(gateway, session, &service, &link);
                }
                return ring_body(reader, session.version(), None);
            }
            let changes = gateway.catalogue.changes(surface);
            let feed = Box::pin(feed(Arc::clone(gateway), Arc::clone(session), Arc::clone(ring), changes));
            ring_body(reader, session.version(), Some(feed))
        }
    }
}

/// Tells the client of changes of the catalogue while it listens; ends with the gateway.
async fn feed(
    gateway: Arc<Gateway>,
    session: Arc<Session>,
    ring: Arc<Ring>,
    mut changes: broadcast::Receiver<Changed>,
) {
    if session.take_restored() {
        // What changed while the session had no memory is not known, so everything may have.
        tell(&ring, Changed { tools: true, prompts: true, resources: true }).await;
    }
    loop {
        let changed = tokio::select! {
            () = gateway.drain.cancelled() => return,
            () = session.over.cancelled() => return,
            changed = changes.recv() => changed,
        };
        match changed {
            Ok(changed) => tell(&ring, changed).await,
            Err(RecvError::Lagged(_)) => tell(&ring, Changed { tools: true, prompts: true, resources: true }).await,
            Err(RecvError::Closed) => return,
        }
    }
}

async fn tell(ring: &Ring, changed: Changed) {
    for method in changed.methods() {
        ring.push(format!(r#"{{"jsonrpc":"2.0","method":"{method}"}}"#).as_bytes()).await;
    }
}

/// Reads a server's own stream into the session's, once per link.
pub(crate) fn follow(gateway: &Arc<Gateway>, session: &Arc<Session>, service: &Arc<Service>, link: &Arc<Link>) {
    if link.listening.swap(true, Ordering::Relaxed) {
        return;
    }
    let wrap = !gateway.catalogue.view().schemes.values().any(|owner| *owner == service.id);
    let rewrite = match session.is_verbatim() {
        true => Rewrite::default(),
        false => Rewrite { service: Some(service.id.to_string()), wrap },
    };
    let stop = gateway.drain.clone();
    let caller = session.caller();
    let sampler = Sampler::of(gateway, service, (&caller, &Arc::default()), &session.claims.capabilities);
    let sampler = sampler.map(Sampler::lasting);
    let (session, link, service) = (Arc::clone(session), Arc::clone(link), service.id.clone());
    let owner = Arc::clone(gateway);
    gateway.tasks.spawn(async move {
        let reading = read(&owner, &session, (&service, &link), (&rewrite, sampler.as_ref()));
        tokio::select! {
            () = stop.cancelled() => {}
            () = session.over.cancelled() => {}
            () = reading => {}
        }
        link.listening.store(false, Ordering::Relaxed);
    });
}

/// Reads until the server refuses; a stream that only broke is opened again.
async fn read(
    gateway: &Gateway,
    session: &Arc<Session>,
    (service, link): (&weft_mesh::ServiceId, &Arc<Link>),
    (rewrite, sampler): (&Rewrite, Option<&Sampler>),
) {
    let limit = gateway.settings.limits.event_bytes;
    // Nobody reads the stream of a session that stands for a caller; who follows something there listens.
    let ring = (!session.is_pooled()).then(|| session.rings.own());
    let mut failures = 0_u32;
    while failures < 5 {
        let mut outgoing = link::outgoing(session, Bytes::new(), Some(link));
        outgoing.verb = Method::GET;
        match exchange::exchange(&link.instance, &outgoing).await {
            Ok(Answer::Events { body, .. }) => {
                let mut events = Events::new(body, limit);
                while let Ok(Some(event)) = events.next().await {
                    failures = 0;
                    if event.data.is_empty() {
                        continue;
                    }
                    let verdict = reply::scan(&event.data);
                    if sampler.is_some_and(|sampler| sampler.takes((session, link), &verdict, &event.data)) {
                        continue;
                    }
                    let Some(ring) = &ring else {
                        let _ = session.heard().send((service.clone(), event.data.into()));
                        continue;
                    };
                    // A virtual server's lists are its own: the catalogue says when they have changed.
                    if session.is_virtual() && verdict.method.as_deref().is_some_and(|it| it.ends_with("/list_changed"))
                    {
                        continue;
                    }
                    let asks = verdict.method.is_some() && verdict.id_raw.is_some();
                    let asker = asks.then(|| link.asker(gateway, session, service));
                    match rewrite.message(&event.data, asker.as_ref()) {
                        Some(changed) => ring.push(&changed).await,
                        None => ring.push(&event.data).await,
                    }
                }
            }
            // The server has no such stream, or no such session any more.
            Ok(_) => return,
            Err(_) => {}
        }
        failures += 1;
        tokio::time::sleep(std::time::Duration::from_millis(250) * failures).await;
    }
}
