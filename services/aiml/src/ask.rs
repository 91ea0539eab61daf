//! A question to a model that talks → its checked answer, in this order: does it fit the model, was it asked before, may the caller
//! use that much, who answers, has the answer the shape that was asked for.

use std::time::Instant;

use metrics::counter;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use weft_kit::{Call, ToolError};

use crate::{
    Models,
    attempt::{self, Attempted},
    builtin::tokens,
    cache::{self, Key},
    ledger::Used,
    model::{Ask, Capability, Finish, Role, Said, Turn, Usage},
    route::Candidate,
    shape::{Shape, Unusable, json_in},
    speaker::Speaker,
    told::{Told, count, millis},
};

/// Characters of an answer that does not fit which are shown to the model again.
const SHOWN: usize = 8_000;

/// An answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) said: Said,
    /// The JSON of an answer that has a shape.
    pub(crate) json: Option<Value>,
    /// The first answer did not fit, and the model mended it.
    pub(crate) repaired: bool,
    pub(crate) first_token_ms: Option<u64>,
    pub(crate) told: Told,
}

impl Models {
    /// Asks the model of this name (or alias, or the default), for as long as the caller waits.
    pub(crate) async fn ask(&self, call: &Call, model: Option<&str>, ask: &Ask) -> Result<Answer, ToolError> {
        let Some(patience) = ask.patience else { return self.answer(call, model, ask).await };
        tokio::time::timeout(patience, self.answer(call, model, ask)).await.unwrap_or_else(|_| {
            let ms = patience.as_millis();
            Err(ToolError::new("deadline_exceeded", format!("there was no whole answer within {ms} ms"))
                .hint("allow more with timeout_ms, ask for fewer tokens, or name a faster model"))
        })
    }

    async fn answer(&self, call: &Call, model: Option<&str>, ask: &Ask) -> Result<Answer, ToolError> {
        let shape = ask.schema.as_ref().map(Shape::read).transpose().map_err(|why| unsupported(&why))?;
        let need =
            if ask.messages.iter().any(|turn| !turn.images.is_empty()) { Capability::Vision } else { Capability::Chat };
        let route = fitting(self.route(call, model, need).await?, ask)?;
        let kept_as = ask.may_be_kept().then(|| question(call, &route[0], ask));
        if let Some(answer) = kept_as.and_then(|key| self.kept(&key)) {
            return Ok(answer);
        }
        let asking = Asking { models: self, call };
        let mut answer = asking.once(&route, ask).await?;
        if let Some(shape) = &shape {
            answer = asking.shaped(shape, ask, answer).await?;
        }
        if let Some(key) = kept_as.filter(|_| answer.told.passed.is_empty() && answer.said.finish == Finish::Stop) {
            self.cache.put(key, serde_json::to_vec(&answer).unwrap_or_default(), Instant::now());
        }
        Ok(answer)
    }

    fn kept(&self, key: &Key) -> Option<Answer> {
        let kept = self.cache.get(key, Instant::now())?;
        let mut answer: Answer = serde_json::from_slice(&kept).ok()?;
        (answer.told.cached, answer.told.queue_ms, answer.told.model_ms) = (true, 0, 0);
        Some(answer)
    }
}

/// Keeps the candidates whose context has room for the question and its answer.
fn fitting(route: Vec<Candidate>, ask: &Ask) -> Result<Vec<Candidate>, ToolError> {
    let prompt = tokens::of_turns(&ask.messages);
    let room = |candidate: &Candidate| candidate.model.context.unwrap_or(u64::MAX);
    let largest = route.iter().map(room).max().unwrap_or(0);
    let fitting: Vec<Candidate> = route.into_iter().filter(|candidate| room(candidate) > prompt).collect();
    if fitting.is_empty() {
        return Err(ToolError::too_large(format!(
            "the messages have about {prompt} tokens, and the context holds {largest}"
        ))
        .hint("fit_context shortens a conversation, summarise a text"));
    }
    Ok(fitting)
}

fn question(call: &Call, first: &Candidate, ask: &Ask) -> Key {
    cache::key(&("ask", call.namespace(), first.name(), &first.model.digest, ask))
}

/// One call's way through all that it asks.
struct Asking<'a> {
    models: &'a Models,
    call: &'a Call,
}

impl Asking<'_> {
    async fn once(&self, route: &[Candidate], ask: &Ask) -> Result<Answer, ToolError> {
        let prompt = tokens::of_turns(&ask.messages);
        let most = Usage { prompt_tokens: prompt, completion_tokens: ask.max_tokens, estimated: true };
        let most = attempt::at_most(route, most, ask.patience);
        let reserved = &self.models.ledger.reserve(&attempt::payer(self.call), most, Instant::now())?;
        let speaker = &Speaker::new(self.call, reserved, ask.aloud.then_some(ask.max_tokens));
        let attempted = attempt::attempt(self.call, route, "chat", |candidate| async move {
            speaker.begin(prompt, candidate.price());
            let heard = |piece: &str| speaker.heard(piece);
            let said = candidate.source.provider.chat(&candidate.model.id, ask, &heard).await;
            said.inspect_err(|fault| reserved.refused(fault))
        });
        let Attempted { done: said, by, passed, waited, took } = attempted.await?;
        let usage = said.usage.unwrap_or_else(|| Usage {
            prompt_tokens: prompt,
            completion_tokens: tokens::estimate(&said.text) + tokens::estimate(&said.thinking),
            estimated: true,
        });
        let cost = by.price().of(usage);
        reserved.settle(Used { tokens: usage.total(), time: took, cost }, Instant::now());
        let first = speaker.first_token();
        count(&by, usage, first);
        let told = Told {
            model: by.name(),
            digest: by.model.digest.clone(),
            usage,
            cost,
            cached: false,
            passed,
            queue_ms: millis(waited),
            model_ms: millis(took),
        };
        Ok(Answer { said, json: None, repaired: false, first_token_ms: first.map(millis), told })
    }

    /// Checks the shape; an answer that does not have it goes back to its model once, with what is wrong.
    async fn shaped(&self, shape: &Shape, ask: &Ask, answer: Answer) -> Result<Answer, ToolError> {
        let faults = match read(shape, &answer.said)? {
            Ok(json) => return Ok(Answer { json: Some(json), ..answer }),
            Err(faults) => faults,
        };
        let mut again = ask.clone();
        let shown: String = answer.said.text.chars().take(SHOWN).collect();
        again.messages.push(Turn::new(Role::Assistant, shown));
        again.messages.push(Turn::new(
            Role::User,
            format!(
                "That does not fit the JSON Schema: {}. Answer again, with the mended JSON alone.",
                faults.join("; ")
            ),
        ));
        let route = self.models.route(self.call, Some(&answer.told.model), Capability::Chat).await?;
        let mended = self.once(&route, &again).await?;
        let outcome = read(shape, &mended.said)?;
        counter!(weft_kit::names::AIML_REPAIRS.name, "outcome" => if outcome.is_ok() { "ok" } else { "failed" })
            .increment(1);
        match outcome {
            Ok(json) => {
                let mut told = mended.told;
                told.usage = told.usage.and(answer.told.usage);
                told.cost += answer.told.cost;
                told.passed = answer.told.passed;
                told.model_ms += answer.told.model_ms;
                Ok(Answer { json: Some(json), repaired: true, told, ..mended })
            }
            Err(faults) => {
                let cut = if mended.said.finish == Finish::Length { " (it was cut off by max_tokens)" } else { "" };
                let model = &answer.told.model;
                Err(ToolError::new(
                    "schema_mismatch",
                    format!("{model} did not answer in the shape asked for{cut}: {}", faults.join("; ")),
                )
                .hint("make the schema simpler, max_tokens larger, or name a model that follows schemas better"))
            }
        }
    }
}

/// The JSON of an answer, or what is wrong with it.
fn read(shape: &Shape, said: &Said) -> Result<Result<Value, Vec<String>>, ToolError> {
    let Some(json) = json_in(&said.text) else { return Ok(Err(vec!["there is no JSON in it".to_owned()])) };
    let faults = shape.faults(&json).map_err(|why| unsupported(&why))?;
    Ok(if faults.is_empty() { Ok(json) } else { Err(faults) })
}

fn unsupported(why: &Unusable) -> ToolError {
    ToolError::new("unsupported_schema", why.to_string()).hint("keep to types, enum, properties, items and bounds")
}
