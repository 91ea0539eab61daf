//! Calls that wait for their client: a server of the session era has asked something, its stream is held open, and the client
//! of the stateless era is to call again with the answer.
//!
//! Bounded in number and in time. What the client carries meanwhile is sealed and bound to caller and call (MCP 2026-07-28,
//! multi-round-trip requests: the state is under an attacker's control).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use weft_mesh::ServiceId;
use weft_telemetry::names;
use weft_wire::{code, envelope::Id, members::Members, splice::quote, translate::question_params};

use super::tail::{Question, Tail};
use crate::{Gateway, refusal::Refusal, seal::Seal};

/// The key under which a question of a round stands.
pub(super) fn key(at: usize) -> String {
    format!("question-{}", at + 1)
}

/// What the client carries until it calls again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct State {
    /// The replica that holds the stream.
    #[serde(rename = "r")]
    pub(crate) replica: String,
    /// Where it holds it; empty when the call is simply made again.
    #[serde(rename = "h")]
    pub(super) held: String,
    /// The call that the answers belong to.
    #[serde(rename = "d")]
    digest: String,
    /// Seconds since 1970 after which it is worth nothing.
    #[serde(rename = "x")]
    expires: u64,
    #[serde(rename = "s")]
    pub(super) service: ServiceId,
}

impl State {
    pub(super) fn new(
        replica: &str,
        held: &str,
        message: &str,
        service: &ServiceId,
        patience: Duration,
    ) -> Option<Self> {
        Some(Self {
            replica: replica.to_owned(),
            held: held.to_owned(),
            digest: digest_of(message)?,
            expires: now() + patience.as_secs(),
            service: service.clone(),
        })
    }

    /// As the client carries it.
    pub(super) fn sealed(&self, seal: &Seal, caller: &str) -> Option<String> {
        Some(format!("{PREFIX}{}", seal.seal(&purpose(caller), &serde_json::to_vec(self).ok()?)?))
    }

    /// The state that this caller was given; none when it is the server's own.
    pub(crate) fn open(seal: &Seal, caller: &str, text: &str) -> Option<Self> {
        let plain = seal.open(&purpose(caller), text.strip_prefix(PREFIX)?)?;
        serde_json::from_slice(&plain).ok()
    }

    /// True for the call that it was made for.
    pub(super) fn fits(&self, message: &[u8]) -> bool {
        let digest = std::str::from_utf8(message).ok().and_then(digest_of);
        digest.as_ref() == Some(&self.digest)
    }

    /// True when it is worth nothing any more.
    pub(super) fn is_over(&self) -> bool {
        now() >= self.expires
    }
}

const PREFIX: &str = "weft-state:";

fn purpose(caller: &str) -> String {
    format!("request state of {caller}")
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// What a call asks for, whatever it says of itself and its answers.
fn digest_of(message: &str) -> Option<String> {
    let message = Members::parse(message)?;
    let mut params = Members::parse(message.get("params").unwrap_or("{}"))?;
    params.retain(|key| !matches!(key, "_meta" | "requestState" | "inputResponses"));
    let text = format!("{}\n{}", message.get("method")?, params.to_json());
    Some(BASE64.encode(digest::digest(&digest::SHA256, text.as_bytes())))
}

/// Puts a call aside until its client comes back with the answer; gives what the client is told.
pub(super) fn park(tail: Tail, questions: Vec<Question>) -> Result<Vec<u8>, Refusal> {
    let gateway = Arc::clone(&tail.gateway);
    let mut requests = Members::default();
    for (at, question) in questions.iter().enumerate() {
        let params = question_params(&question.params, None).unwrap_or_else(|| "{}".into());
        requests.set(&key(at), format!(r#"{{"method":{},"params":{params}}}"#, quote(&question.method)));
    }
    let (late, service, id) = (tail.late.clone(), tail.service.id.clone(), tail.client.id.clone());
    let (message, caller) = (tail.message.clone(), tail.caller.clone());
    let patience = patience(&gateway);
    let held = gateway.held.park(gateway.settings.limits.questions, patience, tail, questions).map_err(|_| {
        Refusal::Unanswered("too many calls wait for an answer of their client; try again later".into())
    })?;
    late.set("input_required");
    let state = state(&gateway, (&message, &caller), &held, &service).ok_or(Refusal::Shed(Duration::from_secs(1)))?;
    Ok(input_required(&id, &requests.to_json(), &state))
}

fn patience(gateway: &Gateway) -> Duration {
    Duration::from_secs(gateway.settings.timeouts.question_seconds)
}

/// What the client carries for a call of its own that waits under `held`, or is simply to be made again.
pub(super) fn state(
    gateway: &Gateway,
    (message, caller): (&[u8], &str),
    held: &str,
    service: &ServiceId,
) -> Option<String> {
    let message = std::str::from_utf8(message).ok()?;
    State::new(&gateway.replica, held, message, service, patience(gateway))?.sealed(&gateway.seal, caller)
}

/// The answer that asks the client for more; `requests` is raw JSON.
pub(super) fn input_required(id: &Id<'_>, requests: &str, state: &str) -> Vec<u8> {
    let result =
        format!(r#"{{"resultType":"input_required","inputRequests":{requests},"requestState":{}}}"#, quote(state));
    code::result_body(id, &result)
}

/// A call that waits.
pub(super) struct Parked {
    pub(super) tail: Tail,
    pub(super) questions: Vec<Question>,
    until: Instant,
}

/// All calls that wait.
#[derive(Default)]
pub(crate) struct Held {
    parked: Mutex<HashMap<String, Parked>>,
}

impl Held {
    /// Keeps a call until it is taken or its time is over; gives it back when there is no room.
    pub(super) fn park(
        &self,
        most: usize,
        patience: Duration,
        tail: Tail,
        questions: Vec<Question>,
    ) -> Result<String, Box<Tail>> {
        let mut parked = self.lock();
        if parked.len() >= most {
            return Err(Box::new(tail));
        }
        let id = format!("{:032x}", fastrand::u128(..));
        parked.insert(id.clone(), Parked { tail, questions, until: Instant::now() + patience });
        Self::count(&parked);
        Ok(id)
    }

    /// The call of this id; once.
    pub(super) fn take(&self, id: &str) -> Option<Parked> {
        let mut parked = self.lock();
        let taken = parked.remove(id);
        Self::count(&parked);
        taken
    }

    /// Gives up calls whose client did not come back; dropping them calls them off at their servers.
    pub(crate) fn expire(&self) {
        let now = Instant::now();
        let mut parked = self.lock();
        let over: Vec<String> = parked.iter().filter(|(_, call)| call.until <= now).map(|(id, _)| id.clone()).collect();
        let gone: Vec<Parked> = over.iter().filter_map(|id| parked.remove(id)).collect();
        Self::count(&parked);
        drop(parked);
        if !gone.is_empty() {
            tracing::info!(calls = gone.len(), "questions were not answered in time");
        }
    }

    /// Gives up all.
    pub(crate) fn clear(&self) {
        let all = std::mem::take(&mut *self.lock());
        drop(all);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Parked>> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(parked: &HashMap<String, Parked>) {
        #[expect(clippy::cast_precision_loss, reason = "a count of calls")]
        metrics::gauge!(names::GATEWAY_HELD.name).set(parked.len() as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_fits_its_own_caller_and_call_only() {
        let seal = Seal::new(&[7; 32]).unwrap();
        let service = "docs".parse().unwrap();
        let call = r#"{"id":1,"method":"tools/call","params":{"name":"t","arguments":{"a":1},"_meta":{"x":1}}}"#;
        let state = State::new("a", "h", call, &service, Duration::from_secs(60)).unwrap();
        let sealed = state.sealed(&seal, "alice").unwrap();
        assert!(State::open(&seal, "bob", &sealed).is_none());
        assert!(State::open(&seal, "alice", "of the server").is_none());
        let opened = State::open(&seal, "alice", &sealed).unwrap();
        let again = r#"{"id":2,"method":"tools/call","params":{"name":"t","arguments":{"a":1},"inputResponses":{},"requestState":"s","_meta":{}}}"#;
        assert!(opened.fits(again.as_bytes()) && !opened.is_over());
        assert!(!opened.fits(again.replace(r#""a":1"#, r#""a":2"#).as_bytes()));
        let over = State::new("a", "h", call, &service, Duration::ZERO).unwrap();
        assert!(over.is_over());
    }
}
