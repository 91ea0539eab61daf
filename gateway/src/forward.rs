//! Step 9: a permitted call goes to its service and comes back, by the rules of its era.
//!
//! In the stateless era the client's connection is the call: when it goes, the call goes. In the session era the call
//! belongs to the session: it runs in a task of its own and only a cancellation ends it.

use std::sync::Arc;

use http::{Method, Response};
use tokio::sync::oneshot;
use weft_wire::{code, headers, version::Era};

pub(crate) mod load;
pub(crate) mod own_stream;
mod place;
pub(crate) mod pump;
pub(crate) mod rewrite;
pub(crate) mod ship;

use rewrite::Rewrite;
use ship::{At, Landed, Shipment, ship};

use crate::{
    Gateway,
    admit::Ticket,
    call::{Call, edited},
    door::Surface,
    record::Record,
    refusal::{Broken, Refusal},
    reply::{self, Body, relay},
    route::Target,
    session::{Flight, Session, ring::Reader},
    upstream::exchange::{self, Answer, Outgoing},
};

/// Sends a request to its service and gives the client's answer.
pub(crate) async fn forward(
    gateway: &Arc<Gateway>,
    call: Box<Call>,
    target: Target,
    mut ticket: Ticket,
    record: &mut Record,
) -> Result<Response<Body>, Refusal> {
    record.set_route(Arc::clone(&target.service.label), target.label.clone());
    let place = target.service.enter(gateway.upstreams.origin()).map_err(|()| Refusal::Service {
        service: target.service.id.to_string(),
        broken: Broken::Busy,
        retry: std::time::Duration::from_secs(1),
    })?;
    ticket.hold(place);
    match (call.era(), call.session.clone()) {
        (Era::Session, Some(session)) => in_session(gateway, session, call, (target, ticket), record).await,
        _ => stateless(gateway, &call, target, ticket, record).await,
    }
}

async fn stateless(
    gateway: &Arc<Gateway>,
    call: &Call,
    target: Target,
    ticket: Ticket,
    record: &mut Record,
) -> Result<Response<Body>, Refusal> {
    let rewrite = rewrite_of(call, &target);
    let shipment = shipment(call, target);
    let landed = ship(gateway, &shipment).await?;
    relay::relay(gateway, landed, call, rewrite, record).map(|response| response.map(|body| body.holding(ticket)))
}

/// What a session's call became, handed from its task to the client's connection.
enum Outcome {
    Message { status: http::StatusCode, body: bytes::Bytes },
    Events(Reader),
}

async fn in_session(
    gateway: &Arc<Gateway>,
    session: Arc<Session>,
    call: Box<Call>,
    (target, ticket): (Target, Ticket),
    record: &mut Record,
) -> Result<Response<Body>, Refusal> {
    let Some(asked) = call.request() else { return Err(Refusal::NotFound) };
    let cancel = session.over.child_token();
    let (tell, told) = oneshot::channel();
    let version = call.version;
    let (id, service) = (asked.id.clone(), target.service.id.clone());
    let task = Journey {
        gateway: Arc::clone(gateway),
        session,
        rewrite: rewrite_of(&call, &target),
        id: asked.id.clone(),
        method: asked.method.clone(),
        late: record.late(),
        shipment: shipment(&call, target),
    };
    let flight = Flight { service, cancel: cancel.clone(), at: Arc::clone(&task.shipment.at) };
    let departed = task.session.depart(&id, flight);
    gateway.tasks.spawn(async move {
        let _held = (departed, ticket);
        task.run(&cancel, tell).await;
    });
    match told.await {
        Ok(Ok(Outcome::Message { status, body })) => {
            let mut response = reply::json(body);
            *response.status_mut() = status;
            Ok(response)
        }
        Ok(Ok(Outcome::Events(reader))) => Ok(reply::events(relay::ring_body(reader, version, None))),
        Ok(Err(refusal)) => Err(refusal),
        // The session ended under the call.
        Err(_) => Err(Refusal::SessionUnknown),
    }
}

/// A session's call under way in its own task.
struct Journey {
    gateway: Arc<Gateway>,
    session: Arc<Session>,
    rewrite: Rewrite,
    id: weft_wire::envelope::Id<'static>,
    method: String,
    late: crate::record::Late,
    shipment: Shipment,
}

impl Journey {
    async fn run(
        mut self,
        cancel: &tokio_util::sync::CancellationToken,
        tell: oneshot::Sender<Result<Outcome, Refusal>>,
    ) {
        let landed = cancel.run_until_cancelled(self.deliver()).await;
        // A client that has gone away hears nothing; what was done stays done.
        match landed {
            None => {
                self.late.set("cancelled");
                let body = code::error_body(Some(&self.id), CANCELLED, "the call was cancelled", None).into();
                let _ = tell.send(Ok(Outcome::Message { status: http::StatusCode::OK, body }));
            }
            Some(Err(refusal)) => {
                self.late.set(refusal.label());
                let _ = tell.send(Err(refusal));
            }
            Some(Ok(Landed { answer: Answer::Events { body, .. }, load, .. })) => {
                let ring = self.session.rings.create();
                let _ = tell.send(Ok(Outcome::Events(ring.attach(0))));
                let pump = pump::Pump {
                    gateway: self.gateway,
                    session: self.session,
                    rewrite: self.rewrite,
                    id: self.id,
                    method: self.method,
                    late: self.late,
                    service: self.shipment.service,
                    link: self.shipment.pinned,
                };
                pump.run(body, &ring, load, cancel).await;
                ring.finish();
            }
            Some(Ok(landed)) => {
                let _ = tell.send(self.message(landed).await);
            }
        }
    }

    async fn message(&self, mut landed: Landed) -> Result<Outcome, Refusal> {
        let limit = self.gateway.settings.limits.reply_bytes;
        match exchange::response(landed.answer, limit).await {
            Ok((status, body)) => {
                let verdict = weft_wire::reply::scan(&body);
                if !verdict.is_response {
                    return Err(broken(&self.shipment, Broken::Nonsense));
                }
                self.late.set(crate::record::outcome_of(&verdict));
                let body = self.rewrite.message(&body, None).map_or(body, Into::into);
                Ok(Outcome::Message { status, body })
            }
            Err(error) => {
                landed.load.fail(None);
                tracing::debug!(why = error.why(), "a reply broke off");
                Err(broken(&self.shipment, Broken::Lost))
            }
        }
    }

    /// Ships, and once again over a new session at the server where the old one is gone.
    async fn deliver(&mut self) -> Result<Landed, Refusal> {
        let mut renewed = false;
        loop {
            let service = Arc::clone(&self.shipment.service);
            let link = self.session.link(&self.gateway, &service).await?;
            self.shipment.outgoing.session = link.as_ref().map(|link| link.token.clone());
            self.shipment.pinned.clone_from(&link);
            let shipped = ship(&self.gateway, &self.shipment).await;
            let Some(link) = link.filter(|_| !renewed) else { return shipped.map_err(Refusal::from) };
            match shipped {
                // The server does not know the session: nothing was done, whatever the tool.
                Ok(landed) if landed.answer.status() == http::StatusCode::NOT_FOUND => {}
                Err(failed) if failed.unsent || self.shipment.repeatable => {}
                other => return other.map_err(Refusal::from),
            }
            tracing::info!(service = %service.id, "the server lost a session; beginning another");
            self.session.unlink(&service, &link).await;
            renewed = true;
        }
    }
}

/// The code of a call that the client itself gave up; outside of all reserved ranges.
const CANCELLED: i64 = -32_800;

/// How a service's messages are changed for this client.
fn rewrite_of(call: &Call, target: &Target) -> Rewrite {
    match call.surface {
        Surface::Aggregate | Surface::Virtual(_) => {
            Rewrite { service: Some(target.service.id.to_string()), wrap: target.wrap }
        }
        Surface::Service(_) => Rewrite::default(),
    }
}

fn shipment(call: &Call, target: Target) -> Shipment {
    let method = call.request().map(|asked| asked.method.clone()).filter(|_| call.era() == Era::Stateless);
    let patience = exchange::patience(&call.headers).unwrap_or(target.service.patience).min(target.service.patience);
    let hash = place::hash_of(call, &target.service.key);
    Shipment {
        outgoing: Outgoing {
            verb: Method::POST,
            body: edited(&call.body, &target.edits),
            version: call.version,
            method,
            name: target.name,
            session: None,
            correlation: call.session.as_ref().map(|session| session.claims.id.clone()),
            client: Arc::clone(&call.headers),
            caller: call.caller.id().to_owned(),
        },
        service: target.service,
        repeatable: target.repeatable,
        label: target.label,
        deadline: std::time::Instant::now() + patience,
        pinned: None,
        hash: Some(hash),
        at: At::default(),
    }
}

fn broken(shipment: &Shipment, broken: Broken) -> Refusal {
    Refusal::Service { service: shipment.service.id.to_string(), broken, retry: std::time::Duration::from_secs(1) }
}

/// The name under which a header of the session era travels; here so that its users need not know the crate.
pub(crate) const SESSION_HEADER: &str = headers::SESSION_ID;
