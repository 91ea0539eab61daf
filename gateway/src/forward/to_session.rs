//! A call of a client of the stateless era at a server of the session era.
//!
//! The gateway keeps one session at the server for each caller (and for what its client can do), so a server that remembers
//! things remembers them for that caller. Concurrent calls of one caller share it under ids of the gateway's own. What the server
//! asks back becomes `input_required`, and the call is held until its client comes with the answer (`held.rs`).

use std::{sync::Arc, time::Duration};

use http::{Response, StatusCode};
use tokio::time::Instant;
use weft_wire::{
    code,
    members::Members,
    reply::scan,
    translate::{self, question_params},
    version::Era,
};

use super::{
    Rewrite, ask, broken,
    held::{self, Parked, State},
    introduced::Introduced,
    load::Load,
    over_link, rewrite_of,
    ship::{Landed, Shipment},
    shipment,
    tail::{Client, Heard, Question, Tail, Underway, last},
    telling,
};
use crate::{
    Gateway,
    admit::Ticket,
    call::Call,
    handover,
    local::INTRODUCTION,
    record::{Late, Record},
    refusal::{Broken, Refusal},
    reply::{
        self, Body,
        relay::{KEEP_ALIVE, comment, frame},
    },
    route::Target,
    sampling::Sampler,
    session::{Session, level::Level, link},
    upstream::exchange::{self, Answer, Events},
};

/// One call on its way.
struct Errand<'a> {
    gateway: &'a Arc<Gateway>,
    call: &'a Call,
    client: Client,
    session: Arc<Session>,
}

/// Sends the call, or the answer that a held one waits for, and gives the client's answer.
pub(super) async fn forward(
    gateway: &Arc<Gateway>,
    call: &Call,
    target: Target,
    ticket: Ticket,
    record: &mut Record,
) -> Result<Response<Body>, Refusal> {
    let asked = call.request().ok_or(Refusal::NotFound)?;
    // Of the session era only; a server of that era would answer them.
    if matches!(
        asked.method.as_str(),
        "initialize" | "ping" | "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe"
    ) || asked.method.starts_with("tasks/")
    {
        return Err(Refusal::UnknownMethod(asked.method.clone()));
    }
    let introduced = Introduced::of(&call.body);
    if introduced.capabilities.len() + introduced.client_info.len() > INTRODUCTION {
        let message = format!("clientCapabilities and clientInfo together are limited to {INTRODUCTION} bytes");
        return Err(Refusal::Malformed(code::INVALID_PARAMS, message));
    }
    let session = gateway.sessions.of_caller(&call.caller, &call.headers, &introduced);
    let client = Client {
        id: asked.id.clone(),
        method: asked.method.clone(),
        progress: introduced.progress,
        level: introduced.level.as_deref().and_then(Level::parse),
        capabilities: introduced.capabilities,
    };
    let errand = Errand { gateway, call, client, session };
    let response = match asked.request_state.as_deref() {
        Some(state) => {
            let state = State::open(&gateway.seal, call.caller.id(), state).ok_or_else(not_given)?;
            errand.go_on(&state, target, record).await?
        }
        None => errand.begin(target, record).await?,
    };
    Ok(response.map(|body| body.holding(ticket)))
}

impl Errand<'_> {
    async fn begin(self, target: Target, record: &mut Record) -> Result<Response<Body>, Refusal> {
        let (gateway, session) = (self.gateway, &self.session);
        let rewrite = rewrite_of(self.call, &target);
        let mut shipment = shipment(self.call, None, target, Era::Session)?;
        let raw_id = format!("\"weft-{:016x}\"", fastrand::u64(..));
        let text = std::str::from_utf8(&shipment.outgoing.body).unwrap_or_default();
        let body = translate::request_to_session(text, &raw_id, &raw_id);
        shipment.outgoing.body = body.ok_or_else(|| Refusal::Unknown("params cannot be read".into()))?.into();
        let link = session.link(gateway, &shipment.service).await?;
        if let Some(level) = self.client.level {
            link.tell_at_least(session, level).await;
        }
        // From here on the server is told when the client goes away, even before it has begun to answer.
        let mut underway =
            Underway { gateway: Arc::clone(gateway), session: Arc::clone(session), link, raw_id, over: false };
        let (landed, link) = over_link(gateway, session, &mut shipment).await?;
        underway.link = link;
        let Landed { answer, load, deadline, .. } = landed;
        let gateway = Arc::clone(gateway);
        match answer {
            Answer::Events { body, .. } => {
                let events = Events::new(body, gateway.settings.limits.event_bytes);
                let service = Arc::clone(&shipment.service);
                let (client, late, until) = (self.client.clone(), record.late(), Instant::from_std(deadline));
                let (message, caller) = (self.call.body.clone(), self.call.caller.id().to_owned());
                let own = (&self.call.caller, &self.call.headers);
                let sampler = Sampler::of(&gateway, &service, own, &client.capabilities);
                let tail = Tail {
                    gateway,
                    service,
                    underway,
                    events,
                    place: None,
                    load,
                    client,
                    rewrite,
                    until,
                    late,
                    failures: 0,
                    message,
                    caller,
                    sampler,
                    asked: Vec::new(),
                    noted: Vec::new(),
                };
                self.tell(tail).await
            }
            answer => self.whole(answer, load, (&shipment, &rewrite, underway), record.late()).await,
        }
    }

    /// An answer that came as one message.
    async fn whole(
        &self,
        answer: Answer,
        mut load: Load,
        (shipment, rewrite, mut underway): (&Shipment, &Rewrite, Underway),
        late: Late,
    ) -> Result<Response<Body>, Refusal> {
        underway.over = true;
        let read = exchange::response(answer, self.gateway.settings.limits.reply_bytes).await;
        let (_, message) = read.map_err(|error| {
            load.fail(None);
            tracing::debug!(why = error.why(), "a reply broke off");
            broken(shipment, Broken::Lost)
        })?;
        let verdict = scan(&message);
        let text = std::str::from_utf8(&message).ok().filter(|_| verdict.is_response);
        let text = text.ok_or_else(|| broken(shipment, Broken::Nonsense))?;
        late.set(crate::record::outcome_of(&verdict));
        if verdict.error_code == Some(code::URL_ELICITATION)
            && let Some(pages) = self.pages(text, &shipment.service.id)
        {
            return Ok(reply::json(pages));
        }
        let (status, message) = last(text, &self.client, rewrite).ok_or_else(|| broken(shipment, Broken::Nonsense))?;
        Ok(with_status(reply::json(message), status))
    }

    /// Pages that the user must visit before the call can be made (2025-11-25, URL elicitation required): the client is asked
    /// to have them visited and to call again.
    fn pages(&self, text: &str, service: &weft_mesh::ServiceId) -> Option<Vec<u8>> {
        #[derive(serde::Deserialize)]
        struct Data<'a> {
            #[serde(borrow)]
            elicitations: Vec<&'a serde_json::value::RawValue>,
        }
        if !ask::may_ask(&self.client.capabilities, "elicitation/create") {
            return None;
        }
        let message = Members::parse(text)?;
        let error = Members::parse(message.get("error")?)?;
        let data: Data<'_> = serde_json::from_str(error.get("data")?).ok()?;
        let mut requests = Members::default();
        for (at, page) in data.elicitations.iter().enumerate() {
            let params = question_params(page.get(), None)?;
            requests.set(&format!("page-{at}"), format!(r#"{{"method":"elicitation/create","params":{params}}}"#));
        }
        let state = held::state(self.gateway, (&self.call.body, self.call.caller.id()), "", service)?;
        Some(held::input_required(&self.client.id, &requests.to_json(), &state))
    }

    /// The client comes back with the answer to a question, or to be asked it again.
    async fn go_on(self, state: &State, target: Target, record: &mut Record) -> Result<Response<Body>, Refusal> {
        if !state.fits(&self.call.body) || state.service != target.service.id {
            return Err(not_given());
        }
        if state.is_over() {
            return Err(Refusal::Unanswered("the time to answer is over; call again without requestState".into()));
        }
        if state.held.is_empty() {
            return self.begin(target, record).await;
        }
        let Some(Parked { mut tail, questions, .. }) = self.gateway.held.take(&state.held) else {
            if let Some(answered) = handover::post(self.gateway, self.call, &state.replica).await {
                return Ok(answered);
            }
            // Its stream went with the replica that held it. What may be repeated is begun again, and asks again.
            return match target.repeatable {
                true => self.begin(target, record).await,
                false => Err(Refusal::Unanswered(GONE.into())),
            };
        };
        tail.client = self.client.clone();
        tail.late = record.late();
        tail.until = Instant::now() + target.service.patience;
        let responses = self.call.request().and_then(|asked| asked.input_responses.as_deref());
        let responses = responses.and_then(Members::parse).unwrap_or_default();
        let mut open = Vec::new();
        for (at, question) in questions.into_iter().enumerate() {
            match responses.get(&held::key(at)) {
                Some(answer) => answer_to(&mut tail, &question, answer).await?,
                None => open.push(question),
            }
        }
        if !open.is_empty() {
            return Ok(reply::json(held::park(tail, open)?));
        }
        self.tell(tail).await
    }

    /// The client's answer from a call under way: one message if it comes soon and alone, otherwise a stream.
    async fn tell(self, mut tail: Tail) -> Result<Response<Body>, Refusal> {
        let first = tokio::time::timeout(KEEP_ALIVE, tail.hear()).await;
        let first = match first {
            Ok(Heard::Last(status, message)) => return Ok(with_status(reply::json(message), status)),
            Ok(Heard::Lost(refusal)) => return Err(refusal),
            Ok(Heard::Questions(notes, questions)) => {
                let last = held::park(tail, questions)?;
                return Ok(telling::at_once(&notes, last));
            }
            Ok(Heard::Note(note)) => frame(&note),
            Err(_) => comment(),
        };
        Ok(reply::events(telling::body(first, tail)))
    }
}

fn with_status(mut response: Response<Body>, status: u16) -> Response<Body> {
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    response
}

/// Refuses a state that was changed, or that belongs to another call or caller.
fn not_given() -> Refusal {
    Refusal::Unknown("requestState is not what this call was given; call again without it".into())
}

/// Gives the server the client's answer (raw JSON) to one of its questions.
async fn answer_to(tail: &mut Tail, question: &Question, answer: &str) -> Result<(), Refusal> {
    let body = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{answer}}}"#, question.raw_id);
    let link = &tail.underway.link;
    let outgoing = link::outgoing(&tail.underway.session, body.into(), Some(link));
    let sent = tokio::time::timeout(Duration::from_secs(30), exchange::exchange(&link.instance, &outgoing)).await;
    if matches!(sent, Ok(Ok(answer)) if answer.status().is_success()) {
        return Ok(());
    }
    tail.underway.over = true;
    Err(tail.refusal(Broken::Lost))
}

/// Said when a call that waited cannot go on and must not be repeated.
const GONE: &str = "the call that asked is gone, and it is not known how far it came; look at what it did, then call again \
                    without requestState";
