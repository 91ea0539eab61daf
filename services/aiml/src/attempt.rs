//! One piece of work → tried at one candidate after the other until it is done: the order of line, breaker, exchange and verdict.

use std::{
    borrow::Cow,
    time::{Duration, Instant},
};

use metrics::{Gauge, counter, gauge, histogram};
use tracing::Instrument as _;
use weft_kit::{
    Call, ToolError,
    span::{Value, backend},
};

use crate::{fault::Fault, ledger::Used, model::Usage, route::Candidate};

/// Work that a candidate did.
#[derive(Debug)]
pub(crate) struct Attempted<T> {
    pub(crate) done: T,
    pub(crate) by: Candidate,
    /// Candidates that were tried or passed over before, and why: `provider/model: away`.
    pub(crate) passed: Vec<String>,
    /// Time in the line.
    pub(crate) waited: Duration,
    /// Time at the provider.
    pub(crate) took: Duration,
}

/// Who is served in turn, and whose budget it is.
pub(crate) fn payer(call: &Call) -> String {
    format!("{}/{}", call.namespace(), call.caller().id)
}

/// What a call may use at most: at the dearest of its candidates, and as long as calls usually take, or its caller waits.
pub(crate) fn at_most(route: &[Candidate], usage: Usage, patience: Option<Duration>) -> Used {
    /// Longer than most answers take, and short enough for a small budget to let some run at once.
    const USUAL: Duration = Duration::from_secs(10);
    let cost = route.iter().map(|candidate| candidate.price().of(usage)).fold(0.0, f64::max);
    Used { tokens: usage.total(), time: patience.map_or(USUAL, |patience| patience.min(USUAL)), cost }
}

/// Does `work` at the first candidate that can.
pub(crate) async fn attempt<T, W, F>(
    call: &Call,
    route: &[Candidate],
    operation: &'static str,
    work: W,
) -> Result<Attempted<T>, ToolError>
where
    W: Fn(Candidate) -> F,
    F: Future<Output = Result<T, Fault>>,
{
    let mut passed = Vec::new();
    let mut refusal = None;
    for candidate in route {
        let name = candidate.name();
        if !candidate.source.breakers().admit(&candidate.model.id, Instant::now()) {
            counter!(weft_kit::names::AIML_BLOCKED.name, "provider" => candidate.source.name.clone()).increment(1);
            passed.push(format!("{name}: blocked"));
            continue;
        }
        let lined_up = Instant::now();
        let _place = match line_up(call, candidate).await {
            Ok(place) => place,
            Err(error) if error.code() == "busy" => {
                passed.push(format!("{name}: queue_full"));
                refusal = Some(error);
                continue;
            }
            Err(error) => return Err(error),
        };
        let (waited, begun) = (lined_up.elapsed(), Instant::now());
        let span =
            tracing::info_span!("model", provider = candidate.source.name, model = candidate.model.id, operation);
        let asking = backend(
            || about(candidate, operation),
            |fault: &Fault| fault.word().into(),
            Box::pin(work(candidate.clone())),
        );
        let outcome = call.run(asking.instrument(span)).await;
        let took = begun.elapsed();
        measure(candidate, operation, &outcome, took);
        match judge(candidate, outcome?) {
            Ok(done) => return Ok(Attempted { done, by: candidate.clone(), passed, waited, took }),
            Err(fault) if fault.tries_next() => {
                passed.push(format!("{name}: {}", fault.word()));
                counter!(weft_kit::names::AIML_FALLBACKS.name, "provider" => candidate.source.name.clone())
                    .increment(1);
                refusal = Some(fault.told(&name));
            }
            Err(fault) => return Err(fault.told(&name)),
        }
    }
    Err(refusal.unwrap_or_else(|| {
        ToolError::unavailable(format!("no model is well enough to be asked: {}", passed.join(", ")))
            .hint("try again in a minute, or name another model")
    }))
}

/// The exchange as traces name it (OpenTelemetry, `gen_ai.*`).
fn about(candidate: &Candidate, operation: &'static str) -> (Cow<'static, str>, Vec<(&'static str, Value)>) {
    let operation = if operation == "embed" { "embeddings" } else { operation };
    let (provider, model) = (candidate.source.provider.kind(), candidate.model.id.clone());
    let about = vec![
        ("gen_ai.operation.name", operation.into()),
        ("gen_ai.provider.name", provider.into()),
        ("gen_ai.request.model", model.clone().into()),
        ("weft.provider", candidate.source.name.clone().into()),
    ];
    (format!("{operation} {model}").into(), about)
}

/// Counts a call that waits, until it does no more or is dropped.
struct Waits(Gauge);

impl Waits {
    fn begin(gauge: Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

async fn line_up(call: &Call, candidate: &Candidate) -> Result<crate::queue::Place, ToolError> {
    let labels = [("provider", candidate.source.name.clone()), ("model", candidate.model.id.clone())];
    let (queue, start) = (candidate.source.queue(&candidate.model.id), Instant::now());
    let waits = Waits::begin(gauge!(weft_kit::names::AIML_WAITING.name, &labels));
    let entered = call.run(queue.enter(&payer(call))).await;
    drop(waits);
    histogram!(weft_kit::names::AIML_QUEUE_WAIT.name, &labels).record(start.elapsed().as_secs_f64());
    entered?.map_err(|full| {
        ToolError::new("busy", format!("{} calls wait for {} already", full.waiting, candidate.name()))
            .retryable()
            .hint("try again in a moment, or name another model")
    })
}

/// Tells the breakers what an exchange says about a model and its provider.
fn judge<T>(candidate: &Candidate, outcome: Result<T, Fault>) -> Result<T, Fault> {
    let (mut breakers, model, now) = (candidate.source.breakers(), &candidate.model.id, Instant::now());
    match &outcome {
        Err(Fault::Unreachable(_)) => breakers.unreached(now),
        Err(fault) if fault.is_sick() => breakers.failed(model, now),
        _ => breakers.succeeded(model),
    }
    outcome
}

fn measure<T>(
    candidate: &Candidate,
    operation: &'static str,
    outcome: &Result<Result<T, Fault>, ToolError>,
    took: Duration,
) {
    let word = match outcome {
        Ok(Ok(_)) => "ok",
        Ok(Err(fault)) => fault.word(),
        Err(_) => "cancelled",
    };
    let labels = [
        ("provider", candidate.source.name.clone()),
        ("model", candidate.model.id.clone()),
        ("operation", operation.to_owned()),
        ("outcome", word.to_owned()),
    ];
    histogram!(weft_kit::names::AIML_OPERATION_DURATION.name, &labels).record(took.as_secs_f64());
}
