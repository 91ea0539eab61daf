//! A server's question to its client's model → a call of the service that answers in the client's place.
//!
//! The call is the caller's own: it takes the same steps as one that the caller sent (rate, permit, limits, record), so what a
//! server spends on a model is spent by whom it works for. It cannot go on for ever: the service that answers is never answered
//! itself, and one call may ask so many times only.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use bytes::Bytes;
use http::HeaderMap;
use serde_json::json;
use tokio_util::sync::{CancellationToken, DropGuard};
use weft_mesh::ServiceId;
use weft_wire::{
    code,
    envelope::{self as wire, Limits, Message},
    members::Members,
    reply::Verdict,
    splice::quote,
    version::Version,
};

use crate::{
    Gateway,
    authenticate::Caller,
    call::{Asked, Call, What},
    door::Surface,
    path,
    record::Record,
    reply,
    session::{
        Session,
        link::{self, Link},
    },
    settings::sampling::Sampled,
    trace::Trace,
    upstream::{Service, exchange},
};

mod words;

/// The question that is answered here.
pub(crate) const METHOD: &str = "sampling/createMessage";

/// Answers for one call, or for what a server says outside of any; what it does ends with it.
pub(crate) struct Sampler {
    shared: Arc<Shared>,
    over: CancellationToken,
    _end: DropGuard,
}

struct Shared {
    gateway: Arc<Gateway>,
    caller: Caller,
    /// The client's own headers: the trace goes on.
    headers: Arc<HeaderMap>,
    left: AtomicUsize,
    /// Answers under way that a server can call off, by the raw ids of its questions.
    under_way: Mutex<HashMap<String, CancellationToken>>,
}

impl Sampler {
    /// None where the client is asked, or nobody: for a service that may not ask, or a client (its capabilities are raw JSON) with
    /// a model of its own, unless the operator prefers ours.
    pub(crate) fn of(
        gateway: &Arc<Gateway>,
        service: &Service,
        (caller, headers): (&Caller, &Arc<HeaderMap>),
        capabilities: &str,
    ) -> Option<Self> {
        if !answers(service.sampled, capabilities) {
            return None;
        }
        let over = CancellationToken::new();
        let left = AtomicUsize::new(gateway.settings.sampling.per_call);
        let (gateway, caller, headers) = (Arc::clone(gateway), caller.clone(), Arc::clone(headers));
        Some(Self {
            shared: Arc::new(Shared { gateway, caller, headers, left, under_way: Mutex::default() }),
            _end: over.clone().drop_guard(),
            over,
        })
    }

    /// For a server's own stream, which is no call: what is asked there is bounded by the caller's rate alone.
    pub(crate) fn lasting(self) -> Self {
        self.shared.left.store(usize::MAX, Ordering::Relaxed);
        self
    }

    /// The answer (raw JSON) to a question with these params (raw JSON); or why there is none.
    pub(crate) async fn answer(&self, params: &str) -> Result<String, String> {
        self.shared.answer(params).await
    }

    /// Takes a message of a server that is a question to a model, and sees to its answer; false for any other.
    pub(crate) fn takes(&self, at: (&Arc<Session>, &Arc<Link>), verdict: &Verdict, message: &[u8]) -> bool {
        let params = || {
            let message = std::str::from_utf8(message).ok().and_then(Members::parse).unwrap_or_default();
            message.get("params").unwrap_or("{}").to_owned()
        };
        match (verdict.method.as_deref(), verdict.id_raw.as_deref()) {
            (Some(METHOD), Some(id)) => {
                self.reply(at, id, params());
                true
            }
            (Some("notifications/cancelled"), None) => {
                let params = params();
                let cancelled = Members::parse(&params).and_then(|params| params.get("requestId").map(str::to_owned));
                cancelled.is_some_and(|id| self.shared.call_off(&id))
            }
            _ => false,
        }
    }

    /// What ends all answers, when it is cancelled.
    pub(crate) fn over(&self) -> CancellationToken {
        self.over.clone()
    }

    /// Answers a question of this raw id where it came from, in a task that ends with the call.
    fn reply(&self, (session, link): (&Arc<Session>, &Arc<Link>), raw_id: &str, params: String) {
        let (shared, over) = (Arc::clone(&self.shared), self.over.child_token());
        let (session, link) = (Arc::clone(session), Arc::clone(link));
        let raw_id = raw_id.to_owned();
        shared.lock().insert(raw_id.clone(), over.clone());
        self.shared.gateway.tasks.spawn(async move {
            let answering = async {
                let body = match shared.answer(&params).await {
                    Ok(result) => format!(r#"{{"jsonrpc":"2.0","id":{raw_id},"result":{result}}}"#),
                    Err(why) => format!(
                        r#"{{"jsonrpc":"2.0","id":{raw_id},"error":{{"code":{},"message":{}}}}}"#,
                        code::INTERNAL_ERROR,
                        quote(&why)
                    ),
                };
                let outgoing = link::outgoing(&session, body.into(), Some(&link));
                if exchange::exchange(&link.instance, &outgoing).await.is_err() {
                    tracing::debug!("a model's answer did not reach the server that asked");
                }
            };
            over.run_until_cancelled(answering).await;
            shared.lock().remove(&raw_id);
        });
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, CancellationToken>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends one answer; false when there is none under this id.
    fn call_off(&self, raw_id: &str) -> bool {
        let under_way = self.lock().remove(raw_id);
        under_way.inspect(CancellationToken::cancel).is_some()
    }

    async fn answer(&self, params: &str) -> Result<String, String> {
        let settings = &self.gateway.settings.sampling;
        let spent = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err();
        if spent {
            return Err(format!("one call may ask the model {} times; do with fewer", settings.per_call));
        }
        let arguments = words::arguments(params, settings)?;
        let service = settings.service.as_deref().and_then(|name| name.parse::<ServiceId>().ok());
        let service = service.ok_or("nobody answers for clients here")?;
        let call = self.call(service, &arguments.to_string()).ok_or("the question cannot be sent on")?;
        let mut record = Record::open();
        record.set_caller(&self.caller);
        record.set_span(&call.trace.span);
        record.set_version(call.version);
        record.set_call(call.request().map(|asked| asked.id.clone()), "tools/call");
        let answered = match self.gateway.admission.pace(self.caller.clone()) {
            Ok(_) => path::again(&self.gateway, Box::new(call), &mut record).await,
            Err(refusal) => Err(refusal),
        };
        let response = answered.unwrap_or_else(|refusal| refusal.render(&mut record));
        let response = response.map(|body| body.remembered(record));
        let message = reply::last(response, self.gateway.settings.limits.reply_bytes).await;
        let message = std::str::from_utf8(&message).ok().and_then(Members::parse).unwrap_or_default();
        if let Some(result) = message.get("result") {
            return words::answer(result);
        }
        let error = message.get("error").and_then(Members::parse).unwrap_or_default();
        Err(error.text("message").map_or_else(|| "the model did not answer".into(), Cow::into_owned))
    }

    /// The call of the tool; none when the question is larger than any call may be.
    fn call(&self, service: ServiceId, arguments: &str) -> Option<Call> {
        let version = Version::LATEST;
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": version.as_str(),
            "io.modelcontextprotocol/clientInfo": { "name": "weft-gateway", "version": env!("CARGO_PKG_VERSION") },
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let body = Bytes::from(format!(
            r#"{{"jsonrpc":"2.0","id":"weft-sampling","method":"tools/call","params":{{"name":"chat","arguments":{arguments},"_meta":{meta}}}}}"#
        ));
        let limits = &self.gateway.settings.limits;
        let bounds = Limits { bytes: limits.body_bytes, depth: limits.depth, batch: limits.batch };
        let Ok(wire::Body::One(Message::Request(request))) = wire::read(&body, &bounds) else { return None };
        let what = What::Request(Asked::of(&request));
        let (caller, headers) = (self.caller.clone(), Arc::clone(&self.headers));
        let trace = Trace::begin(&request, &headers, SystemTime::now());
        let surface = Surface::Service(service);
        Some(Call { caller, surface, version, session: None, headers, body: body.clone(), what, trace })
    }
}

/// True when a question to a client with these capabilities (raw JSON) is answered here.
fn answers(sampled: Sampled, capabilities: &str) -> bool {
    let has_model = || Members::parse(capabilities).is_some_and(|all| all.get("sampling").is_some());
    match sampled {
        Sampled::Never => false,
        Sampled::Otherwise => !has_model(),
        Sampled::Always => true,
    }
}

/// What a server is told that its client can do (raw JSON): what the client itself says, and sampling where it is answered here.
pub(crate) fn declared(sampled: Sampled, capabilities: &str) -> Cow<'_, str> {
    if !answers(sampled, capabilities) {
        return Cow::Borrowed(capabilities);
    }
    let mut all = Members::parse(capabilities).unwrap_or_default();
    all.set("sampling", "{}");
    Cow::Owned(all.to_json())
}

/// A client's own `initialize`, with what it can do as [`declared`].
pub(crate) fn introduced(service: &Service, body: &Bytes) -> Bytes {
    let changed = || {
        let mut message = Members::parse(std::str::from_utf8(body).ok()?)?;
        let mut params = Members::parse(message.original("params")?)?;
        let capabilities = params.get("capabilities").unwrap_or("{}").to_owned();
        params.set("capabilities", declared(service.sampled, &capabilities).into_owned());
        message.set("params", params.to_json());
        Some(Bytes::from(message.to_json()))
    };
    if service.sampled == Sampled::Never { body.clone() } else { changed().unwrap_or_else(|| body.clone()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sampling_is_declared_where_it_is_answered_here() {
        assert_eq!(declared(Sampled::Otherwise, r#"{"roots":{}}"#), r#"{"roots":{},"sampling":{}}"#);
        assert_eq!(declared(Sampled::Never, r#"{"roots":{}}"#), r#"{"roots":{}}"#);
        let own = r#"{"sampling":{"tools":{}}}"#;
        assert_eq!(declared(Sampled::Otherwise, own), own, "the client's own model goes first");
        assert_eq!(declared(Sampled::Always, own), r#"{"sampling":{}}"#, "what is not passed on is not declared");
    }
}
