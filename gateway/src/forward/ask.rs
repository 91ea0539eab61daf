//! What a server of the stateless era asks for → questions to a client of the session era, on the stream of its call.
//!
//! The server has ended its request and waits for the same one with answers (MCP 2026-07-28, multi-round-trip requests); the
//! client expects requests of the server while its own is open (2025-11-25, elicitation, sampling, roots).

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::try_join_all;
use weft_wire::{
    members::Members,
    splice::quote,
    translate::{self, question_params},
};

use crate::{
    Gateway,
    refusal::Refusal,
    sampling::{self, Sampler},
    session::{Session, ring::Ring},
};

/// Rounds of one call before it counts as going in a circle.
pub(super) const ROUNDS: usize = 32;

/// What the same call is sent with again.
pub(super) struct Again {
    /// Raw JSON of an object.
    pub(super) responses: String,
    pub(super) state: Option<String>,
}

/// One thing that the server wants to know.
pub(super) struct Wanted {
    pub(super) key: String,
    pub(super) method: String,
    /// Raw JSON.
    pub(super) params: String,
}

/// The capability that a client must have declared to be asked; none for what no client can be asked.
fn capability(method: &str) -> Option<&'static str> {
    match method {
        "elicitation/create" => Some("elicitation"),
        "sampling/createMessage" => Some("sampling"),
        "roots/list" => Some("roots"),
        _ => None,
    }
}

/// Asks the client everything that the result in `message` asks for, and waits for all answers.
pub(super) async fn client(
    gateway: &Arc<Gateway>,
    session: &Arc<Session>,
    sampler: Option<&Sampler>,
    message: &[u8],
    ring: &Ring,
) -> Result<Again, Refusal> {
    let (wanted, state) = wanted(message).ok_or_else(|| unanswered("the server asked for something unreadable"))?;
    let nothing = wanted.is_empty();
    let (ours, theirs) = parted(sampler, wanted);
    let missing = theirs.iter().find(|it| !may_ask(&session.claims.capabilities, &it.method));
    if let Some(missing) = missing {
        return Err(unanswered(&format!(
            "the server asks for {:?}, which this client has not declared; use a client that has it",
            missing.method
        )));
    }
    if nothing {
        // It only wants to be asked again; not at once, or the two would spin.
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    let sampled = async {
        match sampler {
            Some(sampler) => samples(sampler, ours).await,
            None => Ok(Vec::new()),
        }
    };
    let (sampled, told) = tokio::try_join!(sampled, all(gateway, session, theirs, ring))?;
    let mut responses = Members::default();
    for (key, answer) in sampled.into_iter().chain(told) {
        responses.set(&key, answer);
    }
    Ok(Again { responses: responses.to_json(), state })
}

/// Who answers what: the gateway for the client, and the client.
pub(super) fn parted(sampler: Option<&Sampler>, wanted: Vec<Wanted>) -> (Vec<Wanted>, Vec<Wanted>) {
    wanted.into_iter().partition(|one| sampler.is_some() && one.method == sampling::METHOD)
}

/// The answers of a model to what is asked for together, under their keys.
pub(super) async fn samples(sampler: &Sampler, ours: Vec<Wanted>) -> Result<Vec<(String, String)>, Refusal> {
    let answers = ours.into_iter().map(|one| async move {
        let answer = sampler.answer(&one.params).await;
        answer.map(|answer| (one.key, answer)).map_err(|why| unanswered(&format!("the model gave no answer: {why}")))
    });
    try_join_all(answers).await
}

/// The client's answers, under their keys.
async fn all(
    gateway: &Arc<Gateway>,
    session: &Arc<Session>,
    wanted: Vec<Wanted>,
    ring: &Ring,
) -> Result<Vec<(String, String)>, Refusal> {
    let mut responses = Vec::new();
    let mut asked = Vec::new();
    for one in wanted {
        let id = format!("{PREFIX}{}:{:016x}", gateway.replica, fastrand::u64(..));
        let waiting = Waiting { session: Arc::clone(session), id: id.clone() };
        let answer = session.expect_answer(&id);
        let page = format!("{:032x}", fastrand::u128(..));
        let params = question_params(&one.params, Some(&page)).unwrap_or_else(|| "{}".into());
        let question =
            format!(r#"{{"jsonrpc":"2.0","id":{},"method":{},"params":{params}}}"#, quote(&id), quote(&one.method));
        ring.push(question.as_bytes()).await;
        asked.push((one, waiting, answer));
    }
    let patience = std::time::Duration::from_secs(gateway.settings.timeouts.question_seconds);
    let until = tokio::time::Instant::now() + patience;
    for (one, waiting, answer) in asked {
        let answer = match tokio::time::timeout_at(until, answer).await {
            Ok(Ok(answer)) => read(&one, &answer)?,
            _ => {
                let cancelled = format!(
                    r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{},"reason":"no answer came in time"}}}}"#,
                    quote(&waiting.id)
                );
                ring.push(cancelled.as_bytes()).await;
                refused(&one, "no answer came in time")?
            }
        };
        responses.push((one.key, answer));
    }
    Ok(responses)
}

/// What the ids of such questions begin with; the replica that asked stands behind it.
const PREFIX: &str = "weft-ask:";

/// The replica that asked the question of this id; none when it is no such question.
pub(crate) fn replica(id: &str) -> Option<&str> {
    id.strip_prefix(PREFIX)?.rsplit_once(':').map(|(replica, _)| replica)
}

/// Forgets a question that nobody waits for any more.
struct Waiting {
    session: Arc<Session>,
    id: String,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.session.forget_answer(&self.id);
    }
}

/// What a result asks for, and the state that goes back with the answers.
pub(super) fn wanted(message: &[u8]) -> Option<(Vec<Wanted>, Option<String>)> {
    let message = Members::parse(std::str::from_utf8(message).ok()?)?;
    let result = Members::parse(message.get("result")?)?;
    let mut all = Vec::new();
    if let Some(requests) = result.get("inputRequests") {
        for (key, raw) in Members::parse(requests)?.iter() {
            let one = Members::parse(raw)?;
            let params = one.get("params").unwrap_or("{}").to_owned();
            all.push(Wanted { key: key.to_owned(), method: one.text("method")?.into_owned(), params });
        }
    }
    Some((all, result.get("requestState").map(str::to_owned)))
}

/// The client's answer, as the server wants it.
fn read(one: &Wanted, answer: &Bytes) -> Result<String, Refusal> {
    let answer = std::str::from_utf8(answer).ok().and_then(Members::parse).unwrap_or_default();
    match (answer.get("result"), answer.get("error")) {
        (Some(result), None) => Ok(result.to_owned()),
        (_, Some(error)) => {
            let error = Members::parse(error).unwrap_or_default();
            refused(one, &error.text("message").unwrap_or_default())
        }
        _ => refused(one, "its answer could not be read"),
    }
}

/// A question that the client did not answer: to a form or page that is an answer too.
fn refused(one: &Wanted, why: &str) -> Result<String, Refusal> {
    match one.method.as_str() {
        "elicitation/create" => Ok(r#"{"action":"cancel"}"#.to_owned()),
        method => Err(unanswered(&format!("the client did not answer {method:?}: {why}"))),
    }
}

fn unanswered(why: &str) -> Refusal {
    Refusal::Unanswered(why.to_owned())
}

/// True when a client with these capabilities (raw JSON) can be asked this.
pub(super) fn may_ask(capabilities: &str, method: &str) -> bool {
    let declared = translate::capabilities(capabilities);
    let declared = declared.as_deref().and_then(Members::parse).unwrap_or_default();
    capability(method).is_some_and(|name| declared.get(name).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_is_read_with_its_state() {
        let message = br#"{"id":1,"result":{"resultType":"input_required","inputRequests":{"a":{"method":"elicitation/create","params":{"message":"?"}},"b":{"method":"roots/list"}},"requestState":"s"}}"#;
        let (all, state) = wanted(message).unwrap();
        assert_eq!(
            all.iter().map(|it| (it.key.as_str(), it.method.as_str())).collect::<Vec<_>>(),
            [("a", "elicitation/create"), ("b", "roots/list")]
        );
        assert_eq!((all[0].params.as_str(), all[1].params.as_str()), (r#"{"message":"?"}"#, "{}"));
        assert_eq!(state.as_deref(), Some("\"s\""));
    }

    #[test]
    fn an_error_to_a_form_is_a_cancelled_form_and_to_others_the_end() {
        let of = |method: &str| Wanted { key: "k".into(), method: method.into(), params: "{}".into() };
        let error = Bytes::from_static(br#"{"id":1,"error":{"code":-1,"message":"no"}}"#);
        assert_eq!(read(&of("elicitation/create"), &error).unwrap(), r#"{"action":"cancel"}"#);
        assert!(matches!(read(&of("roots/list"), &error), Err(Refusal::Unanswered(why)) if why.contains("no")));
        let answer = Bytes::from_static(br#"{"id":1,"result":{"roots":[]}}"#);
        assert_eq!(read(&of("roots/list"), &answer).unwrap(), r#"{"roots":[]}"#);
        assert!(may_ask(r#"{"elicitation":{}}"#, "elicitation/create") && !may_ask("{}", "roots/list"));
    }
}
