//! The attempt loop: pick an instance, send, judge, and try elsewhere only where that is safe and paid for.
//!
//! Safe means: nothing of the request left the gateway, or the tool's own annotations (or the method) say that repeating
//! does no harm. Paid for means: the service's retry budget has room. A tool that fails is not an instance that fails.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::StatusCode;
use weft_balance::{NoInstance, Outcome, Pick};
use weft_telemetry::names;

use crate::{
    Gateway,
    refusal::{Broken, Refusal},
    session::link::Link,
    upstream::{
        Group, Instance, Service, Upstreams,
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
    /// The only instance that can take it.
    pub(crate) pinned: Option<Arc<Link>>,
    /// What places it where the policy is consistent hashing.
    pub(crate) hash: Option<u64>,
    /// Set to the instance of the attempt under way.
    pub(crate) at: At,
}

/// Where a call is being worked on.
pub(crate) type At = Arc<arc_swap::ArcSwapOption<Instance>>;

/// An answer that arrived, with what must live until its last byte.
pub(crate) struct Landed {
    pub(crate) answer: Answer,
    pub(crate) load: Load,
    pub(crate) instance: Arc<Instance>,
}

/// A call in flight at an instance, told to the balancer when it ends.
pub(crate) struct Load {
    upstreams: Arc<Upstreams>,
    group: Arc<Group>,
    pick: Pick,
    began: Instant,
    /// Set when the head of the answer came: from then on the call counts by its bytes, not its latency.
    latency: Option<Duration>,
    failed: bool,
}

impl Load {
    fn begin(upstreams: &Arc<Upstreams>, group: &Arc<Group>, pick: Pick) -> Self {
        group.pool.begin(&pick, upstreams.now());
        Self {
            upstreams: Arc::clone(upstreams),
            group: Arc::clone(group),
            pick,
            began: Instant::now(),
            latency: None,
            failed: false,
        }
    }

    /// The answer, or the stream behind it, broke off.
    pub(crate) fn fail(&mut self) {
        self.failed = true;
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let latency = self.latency.unwrap_or_else(|| self.began.elapsed());
        let outcome = match (self.failed, self.latency) {
            (true, _) => Outcome::Failure { latency, retry_after: None },
            (false, Some(_)) => Outcome::Success { latency },
            (false, None) => Outcome::Cancelled,
        };
        self.group.pool.finish(&self.pick, self.upstreams.now(), outcome);
    }
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

/// Sends a call, and again where allowed, until an answer begins or there is a reason to stop.
pub(crate) async fn ship(gateway: &Arc<Gateway>, shipment: &Shipment) -> Result<Landed, Failed> {
    let deadline = Instant::now() + Duration::from_secs(gateway.settings.timeouts.call_seconds);
    let mut tried = Vec::new();
    shipment.service.budget.deposit(gateway.upstreams.now());
    loop {
        let group = shipment.service.group();
        let pick = pick(gateway, shipment, &group, &tried)?;
        let index = pick.index;
        let mut load = Load::begin(&gateway.upstreams, &group, pick);
        let instance = Arc::clone(&group.instances[index]);
        shipment.at.store(Some(Arc::clone(&instance)));
        let remaining = deadline.saturating_duration_since(Instant::now());
        let mut outgoing = shipment.outgoing.clone();
        outgoing.remaining = Some(remaining);
        let sent = tokio::time::timeout(remaining, exchange::exchange(&instance, &outgoing)).await;
        let (broken, again, unsent) = match sent {
            Ok(Ok(answer)) => match judge(&answer) {
                None => {
                    attempt(shipment, "ok");
                    load.latency = Some(load.began.elapsed());
                    return Ok(Landed { answer, load, instance });
                }
                Some(broken) => (broken, shipment.repeatable, false),
            },
            Ok(Err(error)) => {
                let unsent = matches!(error, SendError::NotSent(_));
                tracing::debug!(service = %shipment.service.id, instance = instance.info.id, why = error.why(), unsent, "attempt failed");
                (Broken::Lost, unsent || shipment.repeatable, unsent)
            }
            Err(_) => (Broken::Timeout, false, false),
        };
        load.fail();
        drop(load);
        attempt(shipment, broken.label());
        tried.push(index);
        let budget = &shipment.service.budget;
        let allowed = again && shipment.pinned.is_none() && tried.len() < ATTEMPTS;
        if !allowed || !budget.try_withdraw(gateway.upstreams.now()) {
            let refusal = refuse(shipment, broken, Duration::from_secs(1));
            return Err(Failed { refusal, unsent });
        }
        metrics::counter!(names::GATEWAY_RETRIES.name, "service" => Arc::clone(&shipment.service.label)).increment(1);
    }
}

fn pick(gateway: &Gateway, shipment: &Shipment, group: &Group, tried: &[usize]) -> Result<Pick, Failed> {
    let refuse = |broken, retry| Failed { refusal: refuse(shipment, broken, retry), unsent: true };
    if let Some(link) = &shipment.pinned {
        let index = group.instances.iter().position(|instance| {
            instance.info.id == link.instance.info.id && instance.info.address == link.instance.info.address
        });
        return index
            .map(|index| Pick { index, probe: false })
            .ok_or_else(|| refuse(Broken::Lost, Duration::from_secs(1)));
    }
    group.pool.pick(gateway.upstreams.now(), fastrand::u64(..), shipment.hash, tried).map_err(|none| match none {
        NoInstance::AllBlocked { retry_in } => refuse(Broken::NoInstance, retry_in),
        NoInstance::Empty => refuse(Broken::NoInstance, Duration::from_secs(5)),
        NoInstance::AllTried => refuse(Broken::Lost, Duration::from_secs(1)),
    })
}

/// What is wrong with an answer as an answer of an instance; JSON of any status is the server's own word.
fn judge(answer: &Answer) -> Option<Broken> {
    match answer {
        Answer::Json { status, .. } | Answer::Long { status, .. } if status.is_server_error() => Some(Broken::Nonsense),
        Answer::Bare { status } if status.is_server_error() => Some(Broken::Nonsense),
        Answer::Bare { status: StatusCode::OK } => Some(Broken::Nonsense),
        _ => None,
    }
}

fn refuse(shipment: &Shipment, broken: Broken, retry: Duration) -> Refusal {
    Refusal::Service { service: shipment.service.id.to_string(), broken, retry }
}

fn attempt(shipment: &Shipment, outcome: &'static str) {
    metrics::counter!(
        names::GATEWAY_ATTEMPTS.name,
        "service" => Arc::clone(&shipment.service.label), "outcome" => outcome
    )
    .increment(1);
}
