//! A session's call in a task of its own: it outlives the client's connection, and only a cancellation ends it.
//!
//! A server of the session era is spoken to over the session's link; one of the stateless era is spoken to in its own words,
//! and what it asks back is asked of the client on the stream of the call (`ask.rs`).

use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use weft_wire::{code, envelope::Id, reply::scan, translate, version::Era};

use super::{
    ask, broken,
    pump::Pump,
    rewrite::Rewrite,
    rewrite_of,
    ship::{Landed, Shipment, ship},
    shipment,
    speaker::{Outcome, Speaker, Tell},
};
use crate::{
    Gateway,
    admit::Ticket,
    call::Call,
    record::{Late, Record, outcome_of},
    refusal::{Broken, Refusal},
    reply::{self, Body, relay},
    route::Target,
    sampling::Sampler,
    session::{Flight, Session, link::Link, ring::Ring},
    upstream::{
        connection::ReplyBody,
        exchange::{self, Answer, Events},
    },
};

/// Sends a session's call to its service, of whichever era, and gives the client's answer.
pub(super) async fn forward(
    gateway: &Arc<Gateway>,
    session: Arc<Session>,
    call: Box<Call>,
    (target, upstream, ticket): (Target, Era, Ticket),
    record: &mut Record,
) -> Result<Response<Body>, Refusal> {
    let Some(asked) = call.request() else { return Err(Refusal::NotFound) };
    let cancel = session.over.child_token();
    let (tell, told) = oneshot::channel();
    let version = call.version;
    let (id, service, asker) = (asked.id.clone(), target.service.id.clone(), Arc::clone(&target.service));
    let task = Journey {
        gateway: Arc::clone(gateway),
        rewrite: rewrite_of(&call, &target),
        id: asked.id.clone(),
        method: asked.method.clone(),
        late: record.late(),
        shipment: shipment(&call, Some(&session), target, upstream)?,
        sampler: Sampler::of(gateway, &asker, (&call.caller, &call.headers), &session.claims.capabilities),
        session,
        upstream,
    };
    let sampling = task.sampler.as_ref().map(Sampler::over);
    let flight = Flight { service, cancel: cancel.clone(), linked: upstream == Era::Session, sampling };
    let departed = task.session.depart(&id, flight);
    let span = call.trace.span.clone();
    gateway.tasks.spawn(async move {
        let _held = (departed, ticket);
        span.within(task.run(&cancel, tell)).await;
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
    id: Id<'static>,
    method: String,
    late: Late,
    shipment: Shipment,
    sampler: Option<Sampler>,
    upstream: Era,
}

/// The code of a call that the client itself gave up; outside of all reserved ranges.
const CANCELLED: i64 = -32_800;

impl Journey {
    async fn run(mut self, cancel: &CancellationToken, tell: Tell) {
        if self.upstream == Era::Stateless {
            return self.converse(cancel, tell).await;
        }
        let landed = cancel.run_until_cancelled(self.deliver()).await;
        // A client that has gone away hears nothing; what was done stays done.
        match landed {
            None => self.cancelled(tell),
            Some(Err(refusal)) => {
                self.late.set(refusal.label());
                let _ = tell.send(Err(refusal));
            }
            Some(Ok((Landed { answer: Answer::Events { body, .. }, load, .. }, link))) => {
                let ring = self.session.rings.create();
                let _ = tell.send(Ok(Outcome::Events(ring.attach(0))));
                let pump = Pump {
                    gateway: self.gateway,
                    session: self.session,
                    rewrite: self.rewrite,
                    id: self.id,
                    method: self.method,
                    late: self.late,
                    service: self.shipment.service,
                    link: Some(link),
                    sampler: self.sampler,
                };
                pump.run(body, &ring, load, cancel).await;
                ring.finish();
            }
            Some(Ok((landed, _))) => {
                let _ = tell.send(self.message(landed).await);
            }
        }
    }

    fn cancelled(&self, tell: Tell) {
        self.late.set("cancelled");
        let body = code::error_body(Some(&self.id), CANCELLED, "the call was cancelled", None).into();
        let _ = tell.send(Ok(Outcome::Message { status: http::StatusCode::OK, body }));
    }

    async fn message(&self, mut landed: Landed) -> Result<Outcome, Refusal> {
        let limit = self.gateway.settings.limits.reply_bytes;
        match exchange::response(landed.answer, limit).await {
            Ok((status, body)) => {
                let verdict = scan(&body);
                if !verdict.is_response {
                    return Err(broken(&self.shipment, Broken::Nonsense));
                }
                self.late.set(outcome_of(&verdict));
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

    /// Ships over the session's link, and once again over a new one where the server has lost the old one.
    async fn deliver(&mut self) -> Result<(Landed, Arc<Link>), Refusal> {
        super::over_link(&self.gateway, &self.session, &mut self.shipment).await
    }

    /// The whole call at a server of the stateless era, with as many rounds as it asks for.
    async fn converse(mut self, cancel: &CancellationToken, tell: Tell) {
        let mut speaker = Speaker { tell: Some(tell), ring: None };
        let answered = cancel.run_until_cancelled(self.rounds(&mut speaker)).await;
        match answered {
            None => match (speaker.tell.take(), speaker.ring) {
                (Some(tell), _) => self.cancelled(tell),
                (None, ring) => {
                    self.late.set("cancelled");
                    ring.inspect(|ring| ring.finish());
                }
            },
            Some(Ok((status, body))) => speaker.finish(Ok((status, body))).await,
            Some(Err(refusal)) => {
                self.late.set(refusal.label());
                let message = refusal.to_message(Era::Session, Some(&self.id), &self.method);
                speaker.finish(Err((refusal, message))).await;
            }
        }
    }

    async fn rounds(&mut self, speaker: &mut Speaker) -> Result<(http::StatusCode, Bytes), Refusal> {
        let patience = self.shipment.deadline.saturating_duration_since(std::time::Instant::now());
        for _ in 0..ask::ROUNDS {
            let landed = ship(&self.gateway, &self.shipment).await?;
            let (status, message) = self.read(landed, speaker).await?;
            let verdict = scan(&message);
            if !verdict.input_required {
                self.late.set(outcome_of(&verdict));
                return self.translated(status, &message);
            }
            let ring = speaker.stream(&self.session);
            let again = ask::client(&self.gateway, &self.session, self.sampler.as_ref(), &message, &ring).await?;
            let text = std::str::from_utf8(&self.shipment.outgoing.body).unwrap_or_default();
            let body = translate::request_again(text, &again.responses, again.state.as_deref());
            self.shipment.outgoing.body = body.ok_or_else(|| broken(&self.shipment, Broken::Nonsense))?.into();
            self.shipment.deadline = std::time::Instant::now() + patience;
        }
        Err(Refusal::Unanswered("the server asked the client again and again without coming to a result".into()))
    }

    fn translated(&self, status: http::StatusCode, message: &[u8]) -> Result<(http::StatusCode, Bytes), Refusal> {
        let nonsense = || broken(&self.shipment, Broken::Nonsense);
        let text = std::str::from_utf8(message).map_err(|_| nonsense())?;
        let body = translate::response_to_session(text, &self.method).ok_or_else(nonsense)?;
        let body = self.rewrite.message(body.as_bytes(), None).unwrap_or(body.into_bytes());
        // The session era has its errors in answers that are themselves fine.
        let status = if status.is_client_error() { http::StatusCode::OK } else { status };
        Ok((status, body.into()))
    }

    /// The server's last word of this round; what it says before is passed on.
    async fn read(&self, landed: Landed, speaker: &mut Speaker) -> Result<(http::StatusCode, Bytes), Refusal> {
        let Landed { answer, mut load, .. } = landed;
        let read = match answer {
            Answer::Events { body, .. } => {
                let ring = speaker.stream(&self.session);
                self.carry(body, &ring).await.map(|message| (http::StatusCode::OK, message))
            }
            answer => exchange::response(answer, self.gateway.settings.limits.reply_bytes).await.ok(),
        };
        let (status, message) = read.ok_or_else(|| {
            load.fail(None);
            broken(&self.shipment, Broken::Lost)
        })?;
        if scan(&message).is_response { Ok((status, message)) } else { Err(broken(&self.shipment, Broken::Nonsense)) }
    }

    async fn carry(&self, body: ReplyBody, ring: &Ring) -> Option<Bytes> {
        let mut events = Events::new(body, self.gateway.settings.limits.event_bytes);
        loop {
            let event = events.next().await.ok().flatten()?;
            if event.data.is_empty() {
                continue;
            }
            if scan(&event.data).is_response {
                return Some(event.data.into());
            }
            match self.rewrite.message(&event.data, None) {
                Some(changed) => ring.push(&changed).await,
                None => ring.push(&event.data).await,
            }
        }
    }
}
