//! One kind of MCP server: its instances, what may be spent on it, and what is known of its calls.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use weft_balance::{Budget, Latencies, Limit, Outcome, Pool, Time};
use weft_mesh::ServiceId;
use weft_telemetry::names;
use weft_wire::version::Era;

use super::{Instance, spoken::Eras};
use crate::{
    admit,
    settings::{Settings, auth::is_own, sampling::Sampled, service::Key},
};

/// One kind of MCP server with its instances.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) id: ServiceId,
    pub(crate) label: Arc<str>,
    pub(crate) budget: Budget,
    key: Option<Key>,
    /// Whether its word counts, where the settings say so.
    trusted: Option<bool>,
    /// One call, from its first attempt to the last byte.
    pub(crate) patience: Duration,
    /// When its questions to a model are answered here.
    pub(crate) sampled: Sampled,
    hedge: Option<Hedge>,
    limit: Option<Limit>,
    latencies: papaya::HashMap<Arc<str>, Arc<Latencies>>,
    group: ArcSwap<Group>,
}

/// The instances and the balancer's view of them, changed together.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) pool: Pool,
    pub(crate) instances: Vec<Arc<Instance>>,
    /// The eras that all instances speak, where the registry says so of each.
    pub(crate) said: Option<Eras>,
    /// What the service asks its calls to be placed by.
    pub(crate) key: Option<Key>,
}

impl Group {
    /// The eras in which any instance can be spoken to; none while nobody has asked one.
    fn eras(&self) -> Option<Eras> {
        self.said.or_else(|| common(self.instances.iter().filter_map(|instance| instance.spoken.eras())))
    }

    /// Whether the instance at this place may be given calls, as far as the registry is concerned.
    pub(crate) fn takes_calls(&self, index: usize) -> bool {
        let member = self.pool.member(index);
        member.healthy && member.weight > 0
    }
}

/// What all speak; when they have nothing in common, what the first does.
pub(super) fn common(mut all: impl Iterator<Item = Eras>) -> Option<Eras> {
    let first = all.next()?;
    let common = all.fold(first, |common, one| Eras {
        session: common.session && one.session,
        stateless: common.stateless && one.stateless,
    });
    Some(if common.session || common.stateless { common } else { first })
}

/// When a second attempt is worth it.
#[derive(Debug)]
struct Hedge {
    quantile: f64,
    least: Duration,
}

/// A place at a service with a limit of its own; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    service: Arc<Service>,
    origin: Instant,
    began: Instant,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(limit) = &self.service.limit {
            limit.leave(admit::now(self.origin), self.began.elapsed(), true);
        }
    }
}

impl Service {
    pub(super) fn new(id: &ServiceId, settings: &Settings, group: Group, now: Time) -> Self {
        let (balance, own) = (&settings.balance, settings.of(id.as_ref()).cloned().unwrap_or_default());
        let limit = own.concurrency.map(|most| match own.adaptive {
            true => Limit::adaptive(most.min(20), 1, most),
            false => Limit::fixed(most),
        });
        let hedge =
            Hedge { quantile: balance.hedge_quantile, least: Duration::from_millis(balance.hedge_after_millis) };
        Self {
            id: id.clone(),
            label: Arc::from(id.as_ref()),
            budget: Budget::new(balance.retry_ratio, balance.retry_floor, now),
            key: own.key.and_then(|text| text.parse().ok()),
            trusted: own.trusted,
            patience: Duration::from_secs(own.call_seconds.unwrap_or(settings.timeouts.call_seconds)),
            sampled: settings.sampling.of(id),
            hedge: own.hedge.unwrap_or(balance.hedge).then_some(hedge),
            limit,
            latencies: papaya::HashMap::new(),
            group: ArcSwap::from_pointee(group),
        }
    }

    pub(crate) fn group(&self) -> Arc<Group> {
        self.group.load_full()
    }

    pub(super) fn set_group(&self, group: Group) {
        self.group.store(Arc::new(group));
    }

    /// An instance for something that is no call (a stream of changes): chosen like for a call, but not counted as one.
    pub(crate) fn any(&self, now: Time) -> Option<Arc<Instance>> {
        let group = self.group();
        let pick = group.pool.pick(now, fastrand::u64(..), None, &[]).ok()?;
        // Begun and given up at once: the right to probe, if this was it, goes back.
        group.pool.begin(&pick, now);
        group.pool.finish(&pick, now, Outcome::Cancelled);
        group.instances.get(pick.index).cloned()
    }

    /// The era in which calls of a client of `client` are passed on; none while nobody has asked what the service speaks.
    ///
    /// The client's own where the service has it, except that a server of both eras that keeps no sessions is always spoken
    /// to without them: there it can ask the user back, which it cannot across requests of the session era.
    pub(crate) fn era_for(&self, client: Era) -> Option<Era> {
        let eras = self.group.load().eras()?;
        let session = match client {
            Era::Session => eras.session && (!eras.stateless || self.has_sessions()),
            Era::Stateless => !eras.stateless,
        };
        Some(if session { Era::Session } else { Era::Stateless })
    }

    /// True when what the service says of itself may be relied on where it decides what a caller may do: the settings say so, or
    /// it comes with Weft and each of its instances proves to be of the mesh.
    pub(crate) fn is_vouched(&self) -> bool {
        let proves = || self.group.load().instances.iter().all(|instance| instance.info.identity.is_some());
        self.trusted.unwrap_or_else(|| is_own(self.id.as_ref()) && proves())
    }

    /// True when some instance keeps sessions of the session era.
    pub(crate) fn has_sessions(&self) -> bool {
        self.group.load().instances.iter().any(|instance| instance.info.sessions)
    }

    /// True when some instance can be tried.
    pub(crate) fn is_alive(&self) -> bool {
        let group = self.group.load();
        (0..group.instances.len()).any(|index| group.takes_calls(index))
    }

    /// What places a call: the operator's word, else the service's own, else its session.
    pub(crate) fn key(&self) -> Key {
        self.key.clone().or_else(|| self.group().key.clone()).unwrap_or_default()
    }

    /// Takes a place where the service has a limit of its own; `Err` when all are taken.
    pub(crate) fn enter(self: &Arc<Self>, origin: Instant) -> Result<Option<Place>, ()> {
        match &self.limit {
            None => Ok(None),
            Some(limit) if limit.try_enter() => {
                Ok(Some(Place { service: Arc::clone(self), origin, began: Instant::now() }))
            }
            Some(_) => Err(()),
        }
    }

    /// Remembers how long a call of `tool` took.
    pub(crate) fn observe(&self, tool: &Arc<str>, latency: Duration) {
        let all = self.latencies.pin();
        match all.get(tool) {
            Some(known) => known.observe(latency),
            None => all.get_or_insert_with(Arc::clone(tool), Arc::default).observe(latency),
        }
    }

    /// After how long a second attempt at `tool` is worth it; never while too little is known, or with nobody else to ask.
    pub(crate) fn hedge_after(&self, tool: &Arc<str>) -> Option<Duration> {
        let hedge = self.hedge.as_ref()?;
        if self.group.load().instances.len() < 2 {
            return None;
        }
        let usual = self.latencies.pin().get(tool)?.quantile(hedge.quantile)?;
        Some(usual.max(hedge.least))
    }
}

/// Sets the gauges of a service's instances.
pub(super) fn publish(id: &ServiceId, group: &Group) {
    if group.instances.is_empty() {
        // Of who is there it is measured when somebody asks.
        metrics::gauge!(names::GATEWAY_INSTANCES_BLOCKED.name, "service" => id.to_string()).set(0.0);
    }
    let healthy = group.instances.iter().filter(|instance| instance.info.healthy).count();
    let counts = [("healthy", healthy), ("unhealthy", group.instances.len() - healthy)];
    for (state, count) in counts {
        #[expect(clippy::cast_precision_loss, reason = "a count of processes")]
        metrics::gauge!(names::GATEWAY_INSTANCES.name, "service" => id.to_string(), "state" => state).set(count as f64);
    }
}
