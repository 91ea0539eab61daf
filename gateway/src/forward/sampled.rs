//! A call of the stateless era at a server of the same era whose questions to a model are answered here.
//!
//! The server ends its request with `input_required` (MCP 2026-07-28, multi-round-trip requests). What it asks a model is answered
//! and the call made again, unseen by the client. What is left for the client is asked of the client; the answers that are there
//! already travel with it, sealed, because the server wants all of them at once.

use std::sync::Arc;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use weft_wire::{code, envelope::Id, members::Members, reply::scan, splice::quote, translate, version::Era};

use super::{Rewrite, ask, broken, introduced::Introduced, rewrite_of, ship::Shipment, ship::ship, shipment};
mod telling;

use telling::Telling;

use crate::{
    Gateway,
    call::Call,
    record::{Late, Record, outcome_of},
    refusal::{Broken, Refusal},
    reply::Body,
    route::Target,
    sampling::{self, Sampler},
    upstream::exchange::{self, Answer, Events},
};

const PREFIX: &str = "weft-sampled:";

/// What the client carries until it calls again.
#[derive(Serialize, Deserialize)]
struct Carried {
    /// Raw JSON of an object: answers that are there already.
    #[serde(rename = "a")]
    answers: String,
    /// Raw JSON: the server's own state.
    #[serde(rename = "s")]
    state: Option<String>,
}

/// A call on its way through its rounds.
struct Rounds {
    gateway: Arc<Gateway>,
    shipment: Shipment,
    sampler: Sampler,
    rewrite: Rewrite,
    id: Id<'static>,
    caller: String,
    late: Late,
    notes: mpsc::Sender<Vec<u8>>,
}

type Done = Result<(StatusCode, Bytes), Refusal>;

/// Who answers for the client of this call; none when its server is to ask the client, or cannot ask at all.
pub(super) fn sampler(gateway: &Arc<Gateway>, call: &Call, target: &Target) -> Option<Sampler> {
    // Only these may ask for input.
    let asks = |method: &str| matches!(method, "tools/call" | "prompts/get" | "resources/read");
    if !call.request().is_some_and(|asked| asks(&asked.method)) {
        return None;
    }
    let introduced = Introduced::of(&call.body);
    Sampler::of(gateway, &target.service, (&call.caller, &call.headers), &introduced.capabilities)
}

/// Sends the call, as often as the server asks, and gives the client's answer.
pub(super) async fn forward(
    gateway: &Arc<Gateway>,
    call: &Call,
    target: Target,
    sampler: Sampler,
    record: &mut Record,
) -> Result<Response<Body>, Refusal> {
    let asked = call.request().ok_or(Refusal::NotFound)?;
    let rewrite = rewrite_of(call, &target);
    let mut shipment = shipment(call, None, target, Era::Stateless)?;
    let sampled = shipment.service.sampled;
    let unreadable = || Refusal::Unknown("params cannot be read".into());
    let carried = match asked.request_state.as_deref().filter(|state| state.starts_with(PREFIX)) {
        Some(state) => Some(open(gateway, call.caller.id(), state).ok_or_else(|| {
            Refusal::Unknown("requestState is not what this call was given; call again without it".into())
        })?),
        None => None,
    };
    shipment.outgoing.body = begun(&shipment.outgoing.body, sampled, carried).ok_or_else(unreadable)?;
    let (notes, heard) = mpsc::channel(16);
    let (id, late, method) = (asked.id.clone(), record.late(), asked.method.clone());
    let rounds = Rounds {
        gateway: Arc::clone(gateway),
        shipment,
        sampler,
        rewrite,
        id: id.clone(),
        caller: call.caller.id().to_owned(),
        late: late.clone(),
        notes,
    };
    Telling::of(Box::pin(rounds.run()), heard, (id, method), late).begin().await
}

/// The first request: with sampling declared, and with what an earlier round has brought.
fn begun(body: &Bytes, sampled: crate::settings::sampling::Sampled, carried: Option<Carried>) -> Option<Bytes> {
    const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
    let mut message = Members::parse(std::str::from_utf8(body).ok()?)?;
    let mut params = Members::parse(message.original("params")?)?;
    let mut meta = Members::parse(params.original("_meta")?)?;
    let capabilities = meta.get(CAPABILITIES).unwrap_or("{}").to_owned();
    meta.set(CAPABILITIES, sampling::declared(sampled, &capabilities).into_owned());
    params.set("_meta", meta.to_json());
    if let Some(carried) = carried {
        let own = params.get("inputResponses").unwrap_or("{}").to_owned();
        let mut all = Members::parse(&carried.answers)?;
        for (key, answer) in Members::parse(&own)?.iter() {
            all.set(key, answer.to_owned());
        }
        params.set("inputResponses", all.to_json());
        match carried.state {
            Some(state) => params.set("requestState", state),
            None => drop(params.remove("requestState")),
        }
    }
    message.set("params", params.to_json());
    Some(message.to_json().into())
}

fn purpose(caller: &str) -> String {
    format!("sampled state of {caller}")
}

fn open(gateway: &Gateway, caller: &str, state: &str) -> Option<Carried> {
    let plain = gateway.seal.open(&purpose(caller), state.strip_prefix(PREFIX)?)?;
    serde_json::from_slice(&plain).ok()
}

impl Rounds {
    async fn run(mut self) -> Done {
        let patience = self.shipment.deadline.saturating_duration_since(std::time::Instant::now());
        for _ in 0..ask::ROUNDS {
            let (status, message) = self.round().await?;
            let verdict = scan(&message);
            let wanted = verdict.input_required.then(|| ask::wanted(&message)).flatten();
            let (ours, theirs, state) = match wanted {
                Some((wanted, state)) => {
                    let (ours, theirs) = ask::parted(Some(&self.sampler), wanted);
                    (ours, theirs, state)
                }
                None => (Vec::new(), Vec::new(), None),
            };
            if ours.is_empty() {
                self.late.set(if verdict.input_required { "input_required" } else { outcome_of(&verdict) });
                return Ok((status, self.rewrite.message(&message, None).map_or(message, Bytes::from)));
            }
            let mut answers = Members::default();
            for (key, answer) in ask::samples(&self.sampler, ours).await? {
                answers.set(&key, answer);
            }
            if !theirs.is_empty() {
                return self.hand_on(&theirs, Carried { answers: answers.to_json(), state });
            }
            let text = std::str::from_utf8(&self.shipment.outgoing.body).unwrap_or_default();
            let body = translate::request_again(text, &answers.to_json(), state.as_deref());
            self.shipment.outgoing.body = body.ok_or_else(|| broken(&self.shipment, Broken::Nonsense))?.into();
            self.shipment.deadline = std::time::Instant::now() + patience;
        }
        Err(Refusal::Unanswered("the server asked its model again and again without coming to a result".into()))
    }

    /// The server's last word of one round; what it says before is passed on.
    async fn round(&self) -> Done {
        let landed = ship(&self.gateway, &self.shipment).await?;
        let (answer, mut load, limits) = (landed.answer, landed.load, &self.gateway.settings.limits);
        let read = match answer {
            Answer::Events { body, .. } => {
                self.carry(Events::new(body, limits.event_bytes)).await.map(|message| (StatusCode::OK, message))
            }
            answer => exchange::response(answer, limits.reply_bytes).await.ok(),
        };
        let Some((status, message)) = read else {
            load.fail(None);
            return Err(broken(&self.shipment, Broken::Lost));
        };
        if scan(&message).is_response { Ok((status, message)) } else { Err(broken(&self.shipment, Broken::Nonsense)) }
    }

    async fn carry(&self, mut events: Events) -> Option<Bytes> {
        loop {
            let event = events.next().await.ok().flatten()?;
            if event.data.is_empty() {
                continue;
            }
            if scan(&event.data).is_response {
                return Some(event.data.into());
            }
            let note = self.rewrite.message(&event.data, None).unwrap_or_else(|| event.data.clone());
            self.notes.send(note).await.ok()?;
        }
    }

    /// Asks the client what is left.
    fn hand_on(&self, theirs: &[ask::Wanted], carried: Carried) -> Done {
        let mut requests = Members::default();
        for one in theirs {
            let request = format!(r#"{{"method":{},"params":{}}}"#, quote(&one.method), one.params);
            requests.set(&one.key, request);
        }
        let sealed = serde_json::to_vec(&carried).ok();
        let sealed = sealed.and_then(|plain| self.gateway.seal.seal(&purpose(&self.caller), &plain));
        let sealed = sealed.ok_or(Refusal::Shed(std::time::Duration::from_secs(1)))?;
        let state = quote(&format!("{PREFIX}{sealed}"));
        self.late.set("input_required");
        let result = format!(
            r#"{{"resultType":"input_required","inputRequests":{},"requestState":{state}}}"#,
            requests.to_json()
        );
        Ok((StatusCode::OK, code::result_body(&self.id, &result).into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::sampling::Sampled;

    #[test]
    fn an_earlier_rounds_answers_come_with_the_clients_own() {
        let body = r#"{"id":1,"method":"tools/call","params":{"name":"t","inputResponses":{"b":{"action":"accept"}},"requestState":"weft-sampled:x","_meta":{"io.modelcontextprotocol/clientCapabilities":{"elicitation":{}}}}}"#;
        let carried = Carried { answers: r#"{"a":{"role":"assistant"}}"#.into(), state: Some("\"own\"".into()) };
        let begun = begun(&Bytes::from_static(body.as_bytes()), Sampled::Otherwise, Some(carried)).unwrap();
        let begun: serde_json::Value = serde_json::from_slice(&begun).unwrap();
        let params = &begun["params"];
        assert_eq!(params["inputResponses"]["a"]["role"], "assistant");
        assert_eq!(params["inputResponses"]["b"]["action"], "accept");
        assert_eq!(params["requestState"], "own");
        let capabilities = &params["_meta"]["io.modelcontextprotocol/clientCapabilities"];
        assert!(capabilities["sampling"].is_object() && capabilities["elicitation"].is_object());
    }
}
