//! The attempt loop: pick an instance, send, judge, and try elsewhere only where that is safe and paid for.
//!
//! Safe means: nothing of the request left the gateway, or the tool's own annotations (or the method) say that repeating
//! does no harm. Paid for means: the service's retry budget has room, or nobody was reached. A tool that fails is not an instance that fails.
//! A repeated request keeps its JSON-RPC id: it goes to another instance or over a new session, where the id is new, and a
//! cancellation that names it must still find it.

use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use http::StatusCode;
use weft_balance::{NoInstance, Pick};
use weft_telemetry::names;

use super::{
    load::Load,
    tried::{Tried, Turn},
};
use crate::{
    Gateway,
    refusal::{Broken, Refusal},
    session::link::Link,
    trace::Trace,
    upstream::{
        Group, Instance, Service,
        connection::SendError,
        exchange::{self, Answer, Outgoing},
    },
};

/// A call made ready for a service.
pub(crate) struct Shipment {
    pub(crate) service: Arc<Service>,
    pub(crate) outgoing: Outgoing,
    /// True when a lost answer may be asked for again.
    pub(crate) repeatable: bool,
    /// The tool or prompt, when it is known to exist: slow calls are told from usual ones by it.
    pub(crate) label: Option<Arc<str>>,
    /// When the call is over, whatever has happened.
    pub(crate) deadline: Instant,
    /// The only instance that can take it.
    pub(crate) pinned: Option<Arc<Link>>,
    /// What places it where the policy is consistent hashing.
    pub(crate) hash: Option<u64>,
    /// What its attempts belong to.
    pub(crate) trace: Trace,
    /// The method, as a label.
    pub(crate) method: &'static str,
}

/// An answer that arrived, with what must live until its last byte.
pub(crate) struct Landed {
    pub(crate) answer: Answer,
    pub(crate) load: Load,
    pub(crate) instance: Arc<Instance>,
    pub(crate) deadline: Instant,
}

/// A call that got no answer.
pub(crate) struct Failed {
    pub(crate) refusal: Refusal,
    /// Nothing of it reached a server.
    pub(crate) unsent: bool,
}

impl From<Failed> for Refusal {
    fn from(failed: Failed) -> Self {
        failed.refusal
    }
}

/// Attempts at one call, the first included.
const ATTEMPTS: usize = 3;

/// Instances of which none could be reached, after which a call is given up.
const REACHES: usize = 8;

/// One attempt that got no answer.
struct Miss {
    broken: Broken,
    /// It may be tried elsewhere.
    again: bool,
    unsent: bool,
    retry_after: Option<Duration>,
}

/// Sends a call, and again where allowed, until an answer begins or there is a reason to stop.
pub(crate) async fn ship(gateway: &Arc<Gateway>, shipment: &Shipment) -> Result<Landed, Failed> {
    let service = &shipment.service;
    let mut tried = Vec::new();
    service.budget.deposit(gateway.upstreams.now());
    loop {
        // Indexes are of one group, and the set may have changed since the last attempt.
        let group = service.group();
        let avoid = places(&group, &tried);
        let pick = pick(gateway, shipment, &group, &avoid)?;
        tried.push(name_of(&group, pick));
        let missed = match hedged(gateway, shipment, &group, pick, &mut tried).await {
            Ok(landed) => return Ok(landed),
            Err(missed) => missed,
        };
        // What reached nobody has cost nobody anything: it is tried on without being paid for.
        let free = matches!(missed.broken, Broken::Unreachable);
        let most = if free { REACHES } else { ATTEMPTS };
        let allowed = missed.again && shipment.pinned.is_none() && tried.len() < most;
        let paid = allowed && (free || service.budget.try_withdraw(gateway.upstreams.now()));
        if allowed && !paid {
            let name = names::GATEWAY_RETRIES_UNPAID.name;
            metrics::counter!(name, "service" => Arc::clone(&service.label)).increment(1);
        }
        if !paid {
            let retry = missed.retry_after.unwrap_or(Duration::from_secs(1));
            return Err(Failed { refusal: refuse(shipment, missed.broken, retry), unsent: missed.unsent });
        }
        metrics::counter!(names::GATEWAY_RETRIES.name, "service" => Arc::clone(&service.label)).increment(1);
    }
}

/// One attempt, and a second one beside it at another instance when the first takes longer than most calls of its tool: the
/// first answer counts (Dean and Barroso, "The Tail at Scale", 2013).
async fn hedged(
    gateway: &Arc<Gateway>,
    shipment: &Shipment,
    group: &Arc<Group>,
    pick: Pick,
    tried: &mut Vec<String>,
) -> Result<Landed, Miss> {
    let service = &shipment.service;
    let tool = shipment.label.as_ref().filter(|_| shipment.repeatable && shipment.pinned.is_none());
    let began = Instant::now();
    let turn = Turn { number: tried.len(), hedge: false };
    let mut first = pin!(attempt(gateway, shipment, group, (pick, turn)));
    let Some(delay) = tool.and_then(|tool| service.hedge_after(tool)) else { return first.await };
    tokio::select! {
        biased;
        done = &mut first => return done,
        () = tokio::time::sleep(delay) => {}
    }
    let other = group.pool.pick(gateway.upstreams.now(), fastrand::u64(..), shipment.hash, &places(group, tried));
    let Ok(other) = other else { return first.await };
    if !service.budget.try_withdraw(gateway.upstreams.now()) {
        group.pool.begin(&other, gateway.upstreams.now());
        group.pool.finish(&other, gateway.upstreams.now(), weft_balance::Outcome::Cancelled);
        return first.await;
    }
    tried.push(name_of(group, other));
    metrics::counter!(names::GATEWAY_HEDGES.name, "service" => Arc::clone(&service.label)).increment(1);
    // In a box of its own: few calls need it, and all would carry its room.
    let turn = Turn { number: tried.len(), hedge: true };
    let mut second = Box::pin(attempt(gateway, shipment, group, (other, turn)));
    // An attempt that missed leaves the other one to decide.
    tokio::select! {
        done = &mut first => if done.is_ok() { done } else { second.await },
        done = &mut second => {
            if done.is_err() {
                return first.await;
            }
            group.pool.outrun(pick.index, gateway.upstreams.now(), began.elapsed());
            done
        }
    }
}

/// One attempt at one instance.
async fn attempt(
    gateway: &Arc<Gateway>,
    shipment: &Shipment,
    group: &Arc<Group>,
    (pick, turn): (Pick, Turn),
) -> Result<Landed, Miss> {
    let service = &shipment.service;
    let instance = Arc::clone(&group.instances[pick.index]);
    let mut load = Load::begin(&gateway.upstreams, group, pick);
    let under_way = Tried::begin(shipment, &instance, turn);
    let remaining = shipment.deadline.saturating_duration_since(Instant::now());
    let outgoing = under_way.outgoing();
    let exchanging = exchange::exchange_within(&instance, &outgoing, remaining);
    let sent = tokio::time::timeout(remaining, exchanging).await;
    let status = sent.as_ref().ok().and_then(|sent| sent.as_ref().ok()).map(Answer::status);
    let missed = match sent {
        Ok(Ok(answer)) => match judge(&answer, shipment.repeatable) {
            None => {
                count(service, "ok");
                under_way.end("ok", status);
                let latency = load.landed();
                if let Some(tool) = &shipment.label {
                    service.observe(tool, latency);
                }
                return Ok(Landed { answer, load, instance, deadline: shipment.deadline });
            }
            Some(missed) => missed,
        },
        Ok(Err(error)) => {
            let unsent = matches!(error, SendError::NotSent(_));
            tracing::debug!(service = %service.id, instance = instance.info.id, why = error.why(), unsent, "attempt failed");
            let broken = if unsent { Broken::Unreachable } else { Broken::Lost };
            Miss { broken, again: unsent || shipment.repeatable, unsent, retry_after: None }
        }
        Err(_) => Miss { broken: Broken::Timeout, again: false, unsent: false, retry_after: None },
    };
    load.fail(missed.retry_after);
    count(service, missed.broken.label());
    under_way.end(missed.broken.label(), status);
    Err(missed)
}

/// What is wrong with an answer as an answer of an instance; JSON of any other status is the server's own word.
fn judge(answer: &Answer, repeatable: bool) -> Option<Miss> {
    let status = answer.status();
    let retry_after = answer.retry_after();
    let miss = |broken, again, unsent| Some(Miss { broken, again, unsent, retry_after });
    match status {
        // Declined before anything was done (RFC 6585, 4): whoever is less busy may be asked.
        StatusCode::TOO_MANY_REQUESTS => miss(Broken::Busy, true, true),
        StatusCode::SERVICE_UNAVAILABLE => miss(Broken::Busy, repeatable, false),
        _ if status.is_server_error() => miss(Broken::Nonsense, repeatable, false),
        _ => match answer {
            Answer::Bare { status: StatusCode::OK, .. } => miss(Broken::Nonsense, repeatable, false),
            _ => None,
        },
    }
}

fn pick(gateway: &Gateway, shipment: &Shipment, group: &Group, avoid: &[usize]) -> Result<Pick, Failed> {
    let refuse = |broken, retry| Failed { refusal: refuse(shipment, broken, retry), unsent: true };
    if let Some(link) = &shipment.pinned {
        let index = group.instances.iter().position(|instance| {
            instance.info.id == link.instance.info.id && instance.info.address == link.instance.info.address
        });
        return index
            .map(|index| Pick { index, probe: false })
            .ok_or_else(|| refuse(Broken::Lost, Duration::from_secs(1)));
    }
    group.pool.pick(gateway.upstreams.now(), fastrand::u64(..), shipment.hash, avoid).map_err(|none| match none {
        NoInstance::AllBlocked { retry_in } => refuse(Broken::NoInstance, retry_in),
        NoInstance::Empty => refuse(Broken::NoInstance, Duration::from_secs(5)),
        NoInstance::AllTried => refuse(Broken::Unreachable, Duration::from_secs(1)),
    })
}

fn name_of(group: &Group, pick: Pick) -> String {
    group.instances[pick.index].info.id.clone()
}

/// Where the instances of these names stand in this group.
fn places(group: &Group, names: &[String]) -> Vec<usize> {
    if names.is_empty() {
        return Vec::new();
    }
    let tried = |(index, instance): (usize, &Arc<Instance>)| names.contains(&instance.info.id).then_some(index);
    group.instances.iter().enumerate().filter_map(tried).collect()
}

fn refuse(shipment: &Shipment, broken: Broken, retry: Duration) -> Refusal {
    Refusal::Service { service: shipment.service.id.to_string(), broken, retry }
}

fn count(service: &Service, outcome: &'static str) {
    metrics::counter!(
        names::GATEWAY_ATTEMPTS.name,
        "service" => Arc::clone(&service.label), "outcome" => outcome
    )
    .increment(1);
}
