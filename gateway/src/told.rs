//! Messages that want no answer: a client's notifications, and its answers to questions that servers asked.
//!
//! Each is answered 202 at once when it was understood. What has nobody to go to is dropped: the protocol has no way to
//! complain about a notification.

use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use weft_wire::{envelope::Id, splice::splice, version::Era};

use crate::{
    Gateway, authorize,
    call::{Call, What},
    door::Surface,
    forward::{ask, rewrite::unmark},
    handover,
    reply::{self, Body},
    session::{
        Session,
        link::{self, Link},
    },
    upstream::{Instance, exchange},
};

/// Passes a message on to whom it concerns.
pub(crate) async fn tell(gateway: &Arc<Gateway>, call: &Call) -> Response<Body> {
    if call.era() == Era::Stateless {
        // This era has no notifications from clients over HTTP; one that comes changes nothing.
        return reply::accepted();
    }
    if let Some(session) = &call.session {
        match &call.what {
            What::Notification { method, request_id } if method == "notifications/cancelled" => {
                cancel(gateway, session, call, request_id.as_ref()).await;
            }
            // What a reader may not say is dropped like what nobody understands.
            What::Notification { method, .. } if !authorize::may_tell(&call.caller, method) => {}
            What::Notification { method, .. } => notify(gateway, session, call, method).await,
            What::Response { id, span } => answer(gateway, session, call, id, span).await,
            What::Request(_) => {}
        }
    }
    reply::accepted()
}

/// A cancellation goes to the server that works on the call. One without sessions finds the call by who asks; for one that
/// is not ours, the end of the connection has to say it.
async fn cancel(gateway: &Arc<Gateway>, session: &Arc<Session>, call: &Call, request_id: Option<&Id<'static>>) {
    let Some(flight) = request_id.and_then(|id| session.flight(id)) else { return };
    if let Some(sampling) = &flight.sampling {
        sampling.cancel();
    }
    let link = session.present_link(&flight.service).filter(|_| flight.linked);
    match link {
        Some(link) => send(gateway, session, link, call.body.clone()).await,
        None => {
            // The end of the connection is what a server of the stateless era understands.
            flight.cancel.cancel();
        }
    }
}

async fn notify(gateway: &Arc<Gateway>, session: &Arc<Session>, call: &Call, method: &str) {
    match &call.surface {
        Surface::Service(service) => {
            if let Some(link) = session.present_link(service) {
                send(gateway, session, link, call.body.clone()).await;
            }
        }
        // The gateway begins its sessions at servers itself.
        Surface::Aggregate | Surface::Virtual(_) if method == "notifications/initialized" => {}
        Surface::Aggregate | Surface::Virtual(_) => {
            for (_, link) in session.links() {
                send(gateway, session, link, call.body.clone()).await;
            }
        }
    }
}

/// The client's answer goes to the session of the instance that asked, whichever replica passed the question on.
async fn answer(
    gateway: &Arc<Gateway>,
    session: &Arc<Session>,
    call: &Call,
    id: &Id<'static>,
    span: &std::ops::Range<usize>,
) {
    if id.as_text().is_some_and(|id| session.take_answer(&id, call.body.clone())) {
        return;
    }
    if let Some(replica) = id.as_text().as_deref().and_then(ask::replica) {
        if handover::post(gateway, call, replica).await.is_none() {
            tracing::debug!(replica, "an answer came for a question that nobody waits with any more");
        }
        return;
    }
    let Some(question) = unmark(&gateway.seal, &session.claims.id, id) else {
        tracing::debug!("an answer came to a question that was not asked in this session");
        return;
    };
    let service = gateway.upstreams.get(&question.service);
    let group = service.map(|service| service.group());
    let asked = |instance: &&Arc<Instance>| instance.info.id == question.instance;
    let Some(instance) = group.as_ref().and_then(|group| group.instances.iter().find(asked)) else {
        tracing::debug!(service = %question.service, "an answer came for an instance that is gone");
        return;
    };
    let body: Bytes = splice(&call.body, &[(span.clone(), question.raw.as_str())]).into();
    let mut outgoing = link::outgoing(session, body, None);
    outgoing.session = Some(question.token).filter(|token| !token.is_empty());
    if let Some(link) = session.present_link(&question.service) {
        outgoing.version = link.version;
    }
    deliver(gateway, instance, &outgoing).await;
}

async fn send(gateway: &Arc<Gateway>, session: &Arc<Session>, link: Arc<Link>, body: Bytes) {
    let outgoing = link::outgoing(session, body, Some(&link));
    deliver(gateway, &link.instance, &outgoing).await;
}

async fn deliver(gateway: &Gateway, instance: &Instance, outgoing: &exchange::Outgoing) {
    let patience = std::time::Duration::from_secs(gateway.settings.timeouts.call_seconds.min(30));
    match tokio::time::timeout(patience, exchange::exchange(instance, outgoing)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::debug!(why = error.why(), "a message without answer did not arrive"),
        Err(_) => tracing::debug!("a message without answer was not taken in time"),
    }
}
