//! The rest of a call at a server of the session era, heard for a client of the stateless era: translated message by message,
//! taken up again where its connection broke, and called off at the server when nobody listens any more.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;
use weft_wire::{
    code,
    envelope::Id,
    members::Members,
    reply::{Verdict, scan},
    splice::quote,
    translate,
    version::Era,
};

use super::{ask, load::Load, pump, rewrite::Rewrite};
use crate::{
    Gateway,
    record::{Late, outcome_of},
    refusal::{Broken, Refusal},
    sampling::Sampler,
    session::{
        Session,
        level::Level,
        link::{self, Link},
        ring::RETRY_MS,
    },
    upstream::{Service, exchange, exchange::Events},
};

/// The client of the call, as it introduced itself with the request that is open now.
#[derive(Debug, Clone)]
pub(super) struct Client {
    pub(super) id: Id<'static>,
    pub(super) method: String,
    /// Raw JSON.
    pub(super) progress: Option<String>,
    pub(super) level: Option<Level>,
    /// Raw JSON.
    pub(super) capabilities: String,
}

/// What was heard.
pub(super) enum Heard {
    /// Something on the way, ready for the client.
    Note(Vec<u8>),
    /// The server wants to know something of the client; what was heard meanwhile comes first.
    Questions(Vec<Vec<u8>>, Vec<Question>),
    /// The answer, ready for the client, with the status that carries it.
    Last(u16, Vec<u8>),
    /// There will be no answer.
    Lost(Refusal),
}

/// One event of the server that matters.
enum Event {
    Note(Vec<u8>),
    Question(Question),
    Last(u16, Vec<u8>),
    Lost(Refusal),
}

/// A question of the server.
#[derive(Debug, Clone)]
pub(super) struct Question {
    /// Raw JSON of its id.
    pub(super) raw_id: String,
    pub(super) method: String,
    /// Raw JSON.
    pub(super) params: String,
}

/// A call under way at a server of the session era.
pub(super) struct Tail {
    pub(super) gateway: Arc<Gateway>,
    pub(super) service: Arc<Service>,
    pub(super) underway: Underway,
    pub(super) events: Events,
    /// The last event that was heard, where the server numbers them.
    pub(super) place: Option<String>,
    pub(super) load: Load,
    pub(super) client: Client,
    pub(super) rewrite: Rewrite,
    pub(super) until: Instant,
    pub(super) late: Late,
    pub(super) failures: u32,
    /// The client's call as it came, and whose it is: what it is bound to when it must wait.
    pub(super) message: Bytes,
    pub(super) caller: String,
    /// Answers for the client.
    pub(super) sampler: Option<Sampler>,
    /// Questions that are being gathered, and what was heard meanwhile.
    pub(super) asked: Vec<Question>,
    pub(super) noted: Vec<Vec<u8>>,
}

/// Calls the call off at the server when it is dropped before its end.
pub(super) struct Underway {
    pub(super) gateway: Arc<Gateway>,
    pub(super) session: Arc<Session>,
    pub(super) link: Arc<Link>,
    /// Raw JSON of the call's id at the server.
    pub(super) raw_id: String,
    pub(super) over: bool,
}

impl Drop for Underway {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let body = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{},"reason":"the client went away"}}}}"#,
            self.raw_id
        );
        self.say(body.into());
    }
}

impl Underway {
    /// Sends a message that wants no answer, in a task of its own.
    fn say(&self, body: Bytes) {
        let (session, link) = (Arc::clone(&self.session), Arc::clone(&self.link));
        self.gateway.tasks.spawn(async move {
            let outgoing = link::outgoing(&session, body, Some(&link));
            let patience = std::time::Duration::from_secs(10);
            if !matches!(tokio::time::timeout(patience, exchange::exchange(&link.instance, &outgoing)).await, Ok(Ok(_)))
            {
                tracing::debug!("a message without answer did not arrive");
            }
        });
    }
}

/// After a question, more that belong to it come within this time.
const GATHER: std::time::Duration = std::time::Duration::from_millis(20);

/// How often a server is asked to go on before the call counts as lost.
const RESUMES: u32 = 5;

impl Tail {
    /// The next thing that matters to the client. Safe to drop and call again.
    pub(super) async fn hear(&mut self) -> Heard {
        loop {
            // Questions that come together are asked together.
            let gathering = !self.asked.is_empty();
            let heard = match gathering {
                true => tokio::time::timeout(GATHER, self.hear_one()).await.ok(),
                false => Some(self.hear_one().await),
            };
            match heard {
                Some(Event::Question(question)) => self.asked.push(question),
                Some(Event::Note(note)) if gathering => self.noted.push(note),
                Some(Event::Note(note)) => return Heard::Note(note),
                Some(Event::Last(status, message)) => return Heard::Last(status, message),
                Some(Event::Lost(refusal)) => return Heard::Lost(refusal),
                None => return Heard::Questions(std::mem::take(&mut self.noted), std::mem::take(&mut self.asked)),
            }
        }
    }

    async fn hear_one(&mut self) -> Event {
        loop {
            let Ok(Some(event)) = self.events.next().await else {
                if self.resume().await {
                    continue;
                }
                self.load.fail(None);
                self.underway.over = true;
                return Event::Lost(self.refusal(Broken::Lost));
            };
            if event.id.is_some() {
                (self.place, self.failures) = (event.id, 0);
            }
            if event.data.is_empty() {
                continue;
            }
            if let Some(heard) = self.sort(&event.data) {
                return heard;
            }
        }
    }

    /// Asks the server to go on where it stopped.
    async fn resume(&mut self) -> bool {
        let Some(place) = self.place.clone() else { return false };
        while self.failures < RESUMES {
            self.failures += 1;
            tokio::time::sleep(std::time::Duration::from_millis(RETRY_MS / 4) * self.failures).await;
            let resumed = pump::resume(&self.underway.session, &self.underway.link, &place).await;
            if let Some(body) = resumed {
                self.events = Events::new(body, self.gateway.settings.limits.event_bytes);
                return true;
            }
        }
        false
    }

    fn sort(&mut self, data: &[u8]) -> Option<Event> {
        let verdict = scan(data);
        let Ok(text) = std::str::from_utf8(data) else { return None };
        if verdict.is_response {
            return (verdict.id_raw.as_deref() == Some(&*self.underway.raw_id)).then(|| self.last(text, &verdict));
        }
        let at = (&self.underway.session, &self.underway.link);
        if self.sampler.as_ref().is_some_and(|sampler| sampler.takes(at, &verdict, data)) {
            return None;
        }
        match (verdict.method.as_deref(), verdict.id_raw) {
            (Some("notifications/progress"), None) => self.progress(text).map(Event::Note),
            (Some("notifications/message"), None) => self.log(text).map(Event::Note),
            (Some(_), None) => {
                // It concerns more than this call.
                let said = (self.service.id.clone(), Bytes::copy_from_slice(data));
                let _ = self.underway.session.heard().send(said);
                None
            }
            (Some("ping"), Some(id)) => {
                self.underway.say(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#).into());
                None
            }
            (Some(method), Some(id)) if ask::may_ask(&self.client.capabilities, method) => {
                let params = Members::parse(text).and_then(|message| message.get("params").map(str::to_owned));
                let params = params.unwrap_or_else(|| "{}".into());
                Some(Event::Question(Question { raw_id: id, method: method.to_owned(), params }))
            }
            (Some(method), Some(id)) => {
                let why = format!("the client of this call cannot be asked for {method:?}");
                let message = format!(
                    r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{},"message":{}}}}}"#,
                    code::METHOD_NOT_FOUND,
                    quote(&why)
                );
                self.underway.say(message.into());
                None
            }
            (None, _) => None,
        }
    }

    fn last(&mut self, text: &str, verdict: &Verdict) -> Event {
        self.underway.over = true;
        self.late.set(outcome_of(verdict));
        match last(text, &self.client, &self.rewrite) {
            Some((status, message)) => Event::Last(status, message),
            None => Event::Lost(self.refusal(Broken::Nonsense)),
        }
    }

    /// Progress, under the token that the client knows.
    fn progress(&self, text: &str) -> Option<Vec<u8>> {
        let token = self.client.progress.as_deref()?;
        let mut message = Members::parse(text)?;
        let raw = message.get("params")?.to_owned();
        let mut params = Members::parse(&raw)?;
        if params.get("progressToken") != Some(&*self.underway.raw_id) {
            return None;
        }
        params.set("progressToken", token);
        message.set("params", params.to_json());
        Some(message.to_json().into_bytes())
    }

    /// A log message, where the client wants to hear of it (MCP 2026-07-28, logging).
    fn log(&self, text: &str) -> Option<Vec<u8>> {
        let message = Members::parse(text)?;
        let params = Members::parse(message.get("params")?)?;
        let level = Level::parse(&params.text("level")?)?;
        self.client.level.is_some_and(|wanted| level >= wanted).then(|| text.as_bytes().to_vec())
    }

    pub(super) fn refusal(&self, broken: Broken) -> Refusal {
        let retry = std::time::Duration::from_secs(1);
        Refusal::Service { service: self.service.id.to_string(), broken, retry }
    }

    /// What the client is told when there is no answer.
    pub(super) fn told(&self, refusal: &Refusal) -> Vec<u8> {
        self.late.set(refusal.label());
        refusal.to_message(Era::Stateless, Some(&self.client.id), &self.client.method)
    }
}

/// The answer of a server of the session era, ready for the client, with the status that carries it.
pub(super) fn last(text: &str, client: &Client, rewrite: &Rewrite) -> Option<(u16, Vec<u8>)> {
    let message = translate::response_to_stateless(text, &client.method, &client.id)?;
    let status = scan(message.as_bytes()).error_code.map_or(200, |code| code::http_status(Era::Stateless, code));
    Some((status, rewrite.message(message.as_bytes(), None).unwrap_or(message.into_bytes())))
}
