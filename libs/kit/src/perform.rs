//! The life of one call inside a service: guard it, act (at once or on a plan), put the result in its envelope, count it.
//!
//! Every handler runs under [`guarded`]: it is told when to stop, it is dropped if it does not, and if it panics the caller
//! gets an answer all the same.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use rmcp::model::CallToolResult;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::call::{Call, Parts, Stop};
use crate::caller::Caller;
use crate::core::Core;
use crate::erase::{Act, Draft, Outcome, Produced};
use crate::error::ToolError;
use crate::meter::{Ended, Meter};
use crate::plan::{self, Approval, Confirm, PLAN_TTL};
use crate::reply::About;
use crate::seal::Purpose;
use crate::service::Entry;
use crate::voice::Voice;
use crate::wire_out::{self, Origin};

/// How long a handler that was told to stop may take to return by itself.
const STOPPING: Duration = Duration::from_millis(500);

/// Who asks, for how long, and where to answer on the way.
pub(crate) struct Asking {
    pub(crate) caller: Caller,
    /// What the caller still waits, if it said so.
    pub(crate) patience: Option<Duration>,
    /// Fires when the client hangs up or cancels.
    pub(crate) token: CancellationToken,
    /// Fires on a cancellation that came by another request.
    pub(crate) cancel: Option<CancellationToken>,
    pub(crate) says: Option<tokio::sync::mpsc::Sender<crate::call::Says>>,
    pub(crate) voice: Option<Voice>,
}

/// What only planned tools look at.
#[derive(Default)]
pub(crate) struct Consent {
    /// The client can ask its user within this call.
    pub(crate) can_ask: bool,
    /// Our own token from an earlier question.
    pub(crate) state: Option<String>,
    /// The user's answer to it.
    pub(crate) answer: Option<bool>,
}

/// What a call comes to.
pub(crate) enum Answer {
    Result(CallToolResult),
    /// The client must ask its user and call again.
    Question {
        summary: String,
        state: String,
    },
}

/// Calls a tool.
pub(crate) async fn tool(
    core: &Core,
    found: (&Entry, &Meter),
    arguments: Value,
    asking: Asking,
    consent: Consent,
) -> Answer {
    let started = Instant::now();
    let (entry, meter) = found;
    let mut arguments = arguments;
    let plan_id = match (&entry.act, arguments.as_object_mut()) {
        (Act::Planned { .. }, Some(fields)) => fields.remove("plan_id"),
        _ => None,
    };
    let deadline = core.rules.deadline(entry.tool.deadline);
    let (call, running) = begin(core, entry.tool.name, arguments, deadline, asking);
    let acted = guarded(&call, core, running, act(core, &call, entry, plan_id, consent)).await;
    let took = started.elapsed();
    let enveloped = acted.and_then(|acted| match acted {
        Acted::Question { summary, state } => Ok(Err(Answer::Question { summary, state })),
        Acted::Done(produced) => {
            let origin = Origin { service: core.service.manifest.name(), took, text_limit: entry.tool.text_limit };
            wire_out::envelope(*produced, &origin).map(Ok)
        }
    });
    match enveloped {
        Ok(Ok(enveloped)) => {
            meter.count(Ended::Ok);
            meter.result(enveloped.bytes, enveloped.truncated);
            Answer::Result(enveloped.result)
        }
        Ok(Err(question)) => {
            meter.count(Ended::Ok);
            question
        }
        Err(error) => {
            meter.count(ended(&error));
            Answer::Result(wire_out::failure(&error))
        }
    }
}

/// Calls anything else: a prompt, a resource, a completion. `what` is the name that cursors are bound to.
pub(crate) async fn other<T>(
    core: &Core,
    what: &str,
    asking: Asking,
    work: impl FnOnce(Call) -> Outcome<T>,
) -> Result<T, ToolError> {
    let (call, running) = begin(core, what, Value::Null, core.rules.deadline(None), asking);
    guarded(&call, core, running, work(call.clone())).await
}

struct Running {
    cancel: Option<CancellationToken>,
    voice: Option<Voice>,
}

fn begin(core: &Core, what: &str, arguments: Value, deadline: Duration, asking: Asking) -> (Call, Running) {
    let Asking { caller, patience, token, cancel, says, voice } = asking;
    let deadline = patience.map_or(deadline, |patience| patience.min(deadline));
    let text_limit = match core.find(what) {
        crate::core::Found::Tool(entry, _) => entry.tool.text_limit,
        _ => crate::budget::TEXT,
    };
    let parts = Parts {
        caller,
        tool: what.to_owned(),
        arguments,
        token: token.child_token(),
        deadline: Instant::now() + deadline,
        text_limit,
        says,
    };
    (Call::new(parts, Arc::clone(&core.shared)), Running { cancel, voice })
}

/// Drives `work` while watching everything that ends it.
async fn guarded<T>(
    call: &Call,
    core: &Core,
    running: Running,
    work: impl Future<Output = Result<T, ToolError>>,
) -> Result<T, ToolError> {
    let Running { cancel, mut voice } = running;
    let cancelled = async {
        match cancel {
            Some(cancel) => cancel.cancelled_owned().await,
            None => std::future::pending().await,
        }
    };
    let watch = async {
        let why = tokio::select! {
            () = call.token().cancelled() => Stop::Cancelled,
            () = cancelled => Stop::Cancelled,
            () = core.halt.cancelled() => Stop::Halted,
            () = tokio::time::sleep_until(call.deadline().into()) => Stop::Deadline,
        };
        call.stop(why);
        tokio::time::sleep(STOPPING).await;
    };
    let speak = async {
        if let Some(voice) = &mut voice {
            voice.speak().await;
        }
        std::future::pending::<()>().await;
    };
    let work = AssertUnwindSafe(work).catch_unwind();
    let out = tokio::select! {
        biased;
        out = work => out.unwrap_or_else(|_| Err(ToolError::internal(&"a handler panicked"))),
        () = watch => Err(call.stopped()),
        () = speak => Err(ToolError::cancelled()),
    };
    if let (Some(voice), false) = (voice, call.token().is_cancelled()) {
        voice.finish().await;
    }
    out
}

enum Acted {
    Done(Box<Produced>),
    Question { summary: String, state: String },
}

fn done(produced: Produced) -> Acted {
    Acted::Done(Box::new(produced))
}

async fn act(
    core: &Core,
    call: &Call,
    entry: &Entry,
    plan_id: Option<Value>,
    consent: Consent,
) -> Result<Acted, ToolError> {
    let (plan, apply) = match &entry.act {
        Act::Plain(handler) => return handler(call.clone()).await.map(done),
        Act::Planned { plan, apply } => (plan, apply),
    };
    let confirm = core.rules.confirm(entry.tool.name);
    if confirm == Confirm::Deny {
        return Err(ToolError::refused("this act is not permitted here"));
    }
    let approved = approval(core, call, plan_id, &consent)?;
    let draft = plan(call.clone()).await?;
    if let Some(approved) = &approved {
        plan::still(approved, &draft.versions)?;
    }
    let at_once = confirm == Confirm::Auto || (confirm == Confirm::AutoIfLowRisk && draft.low_risk);
    if approved.is_some() || at_once {
        let produced = apply(call.clone(), Approval { versions: draft.versions }).await?;
        return Ok(done(applied(produced)));
    }
    if consent.can_ask {
        let state = plan::mint(call, Purpose::Question, draft.versions)?;
        return Ok(Acted::Question { summary: draft.summary, state });
    }
    proposed(call, draft).map(done)
}

/// What was approved, if this call brings an approval.
fn approval(
    core: &Core,
    call: &Call,
    plan_id: Option<Value>,
    consent: &Consent,
) -> Result<Option<plan::Versions>, ToolError> {
    match plan_id {
        Some(Value::String(token)) => return plan::redeem(call, Purpose::Plan, &token, &core.spent).map(Some),
        Some(Value::Null) | None => {}
        Some(_) => return Err(ToolError::invalid("plan_id must be a string")),
    }
    match (&consent.state, consent.answer) {
        (Some(state), Some(true)) => plan::redeem(call, Purpose::Question, state, &core.spent).map(Some),
        (_, Some(false)) => Err(ToolError::new("declined", "the user declined")),
        _ => Ok(None),
    }
}

fn applied(produced: Produced) -> Produced {
    let Produced { data, mut about } = produced;
    about.text.get_or_insert_with(|| data.to_string());
    Produced { data: json!({"applied": true, "result": data}), about }
}

fn proposed(call: &Call, draft: Draft) -> Result<Produced, ToolError> {
    let plan_id = plan::mint(call, Purpose::Plan, draft.versions)?;
    let minutes = PLAN_TTL.as_secs() / 60;
    let effects = &draft.effects;
    let text = format!(
        "{}\nNothing was done yet. To do it, repeat the call within {minutes} minutes with plan_id {plan_id}\n{effects}",
        draft.summary
    );
    let plan = json!({
        "plan_id": plan_id,
        "expires_in_s": PLAN_TTL.as_secs(),
        "summary": draft.summary,
        "effects": draft.effects,
    });
    let about = About { text: Some(text), ..About::default() };
    Ok(Produced { data: json!({"applied": false, "plan": plan}), about })
}

fn ended(error: &ToolError) -> Ended {
    match error.code() {
        "cancelled" => Ended::Cancelled,
        "deadline_exceeded" => Ended::Deadline,
        _ => Ended::Error,
    }
}
