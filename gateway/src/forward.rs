//! Step 9: a permitted call goes to its service and comes back, whichever eras the two speak.
//!
//! In the stateless era the client's connection is the call: when it goes, the call goes. In the session era the call
//! belongs to the session: it runs in a task of its own and only a cancellation ends it (`journey.rs`). Where client and server
//! speak different eras the message is translated on its way (`to_session.rs` one way, `journey.rs` and `ask.rs` the other).

use std::sync::Arc;

use http::{HeaderName, HeaderValue, Method, Response};
use serde_json::value::RawValue;
use weft_wire::{headers, translate, version::Era};

pub(crate) mod ask;
pub(crate) mod era;
pub(crate) mod held;
mod introduced;
mod journey;
pub(crate) mod load;
pub(crate) mod own_stream;
mod place;
pub(crate) mod pump;
pub(crate) mod rewrite;
mod sampled;
pub(crate) mod ship;
mod speaker;
mod tail;
mod telling;
mod to_session;
mod tried;

pub(crate) use introduced::Introduced;
use rewrite::Rewrite;
use ship::{Landed, Shipment, ship};

use crate::{
    Gateway,
    admit::Ticket,
    call::{Call, edited},
    door::Surface,
    record::{Record, label_of},
    refusal::{Broken, Refusal},
    reply::{Body, relay},
    route::Target,
    sampling,
    session::{Session, forgotten, link::Link},
    upstream::exchange::{self, Outgoing},
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
    let upstream = era::of(gateway, &target.service, call.era()).await?;
    if call.era() == Era::Stateless && !target.mirrored.is_empty() {
        let header = |name: &str| call.headers.get(name).and_then(|value| value.to_str().ok());
        let arguments = place::arguments(&call.body).map(RawValue::get);
        headers::agree_params(&target.mirrored, header, arguments)
            .map_err(|fault| Refusal::HeaderMismatch(fault.to_string()))?;
    }
    match (call.era(), call.session.clone()) {
        (Era::Session, Some(session)) => {
            journey::forward(gateway, session, call, (target, upstream, ticket), record).await
        }
        _ if upstream == Era::Session => Box::pin(to_session::forward(gateway, &call, target, ticket, record)).await,
        _ => match sampled::sampler(gateway, &call, &target) {
            Some(sampler) => sampled::forward(gateway, &call, target, sampler, record)
                .await
                .map(|response| response.map(|body| body.holding(ticket))),
            None => stateless(gateway, &call, target, ticket, record).await,
        },
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
    let shipment = shipment(call, None, target, Era::Stateless)?;
    let landed = ship(gateway, &shipment).await?;
    if era::is_doubtful(&landed.answer) && era::has_changed(&landed.instance).await {
        // Whoever is there now did not understand the request, so nothing was done.
        return Err(broken(&shipment, Broken::Exchanged));
    }
    relay::relay(gateway, landed, call, rewrite, record).map(|response| response.map(|body| body.holding(ticket)))
}

/// Ships over a session's link to the service, and once again over a new one where the server has lost the old one.
async fn over_link(
    gateway: &Arc<Gateway>,
    session: &Arc<Session>,
    shipment: &mut Shipment,
) -> Result<(Landed, Arc<Link>), Refusal> {
    let mut renewed = false;
    loop {
        let service = Arc::clone(&shipment.service);
        let link = session.link(gateway, &service).await?;
        shipment.outgoing.session.clone_from(&link.token);
        shipment.outgoing.version = link.version;
        shipment.pinned = Some(Arc::clone(&link)).filter(|link| link.token.is_some());
        let shipped = ship(gateway, shipment).await;
        match shipped {
            // Whatever the tool, nothing was done.
            Ok(landed) if !renewed && forgotten::is_forgotten(&landed.answer) => {}
            Err(failed) if !renewed && (failed.unsent || shipment.repeatable) => {}
            Ok(landed) => return Ok((landed, link)),
            Err(failed) => {
                // The next call begins again where this one could not.
                session.unlink(&service, &link);
                return Err(failed.refusal);
            }
        }
        tracing::info!(service = %service.id, "the server lost a session; beginning another");
        metrics::counter!(weft_telemetry::names::GATEWAY_RENEWALS.name, "service" => Arc::clone(&service.label))
            .increment(1);
        session.unlink(&service, &link);
        renewed = true;
    }
}

/// How a service's messages are changed for this client.
fn rewrite_of(call: &Call, target: &Target) -> Rewrite {
    match call.surface {
        Surface::Aggregate | Surface::Virtual(_) => {
            Rewrite { service: Some(target.service.id.to_string()), wrap: target.wrap }
        }
        Surface::Service(_) => Rewrite::default(),
    }
}

/// The call made ready for a service of the era `upstream`; `session` is that of a client of the session era.
fn shipment(call: &Call, session: Option<&Session>, target: Target, upstream: Era) -> Result<Shipment, Refusal> {
    let patience = exchange::patience(&call.headers).unwrap_or(target.service.patience).min(target.service.patience);
    let hash = place::hash_of(call, &target.service.key());
    let mut body = edited(&call.body, &target.edits);
    let mut client = Arc::clone(&call.headers);
    let method = call.request().map(|asked| asked.method.clone()).filter(|_| upstream == Era::Stateless);
    if let (Some(session), Era::Stateless) = (session, upstream) {
        let text = std::str::from_utf8(&body).unwrap_or_default();
        let own = session.introduction();
        let capabilities = sampling::declared(target.service.sampled, own.capabilities);
        let introduction = translate::Introduction { capabilities: &capabilities, ..own };
        let introduced = translate::request_to_stateless(text, &introduction);
        body = introduced.ok_or_else(|| Refusal::Unknown("params cannot be read".into()))?.into();
        mirror(call, &target, &mut client)?;
    }
    Ok(Shipment {
        outgoing: Outgoing {
            verb: Method::POST,
            body,
            version: era::version_for(call.version, upstream),
            method,
            name: target.name.filter(|_| upstream == Era::Stateless),
            session: None,
            client,
            caller: call.caller.clone(),
            traced: Vec::new(),
        },
        service: target.service,
        repeatable: target.repeatable,
        label: target.label,
        deadline: std::time::Instant::now() + patience,
        pinned: None,
        hash: Some(hash),
        trace: call.trace.clone(),
        method: call.request().map_or("other", |asked| label_of(&asked.method)),
    })
}

/// Adds the headers that a tool of the stateless era wants for its arguments.
fn mirror(call: &Call, target: &Target, client: &mut Arc<http::HeaderMap>) -> Result<(), Refusal> {
    if target.mirrored.is_empty() {
        return Ok(());
    }
    let arguments = place::arguments(&call.body);
    let mirrored = headers::mirror_params(&target.mirrored, arguments.map(RawValue::get))
        .map_err(|fault| Refusal::Unknown(fault.to_string().into()))?;
    let headers = Arc::make_mut(client);
    for (name, value) in mirrored {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
    Ok(())
}

fn broken(shipment: &Shipment, broken: Broken) -> Refusal {
    Refusal::Service { service: shipment.service.id.to_string(), broken, retry: std::time::Duration::from_secs(1) }
}

/// The name under which a header of the session era travels; here so that its users need not know the crate.
pub(crate) const SESSION_HEADER: &str = headers::SESSION_ID;
