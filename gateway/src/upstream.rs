//! Step 10: the services behind the gateway: which instances each has, how well they do, and their open connections.
//!
//! The set follows the registry ([`Upstreams::follow`]); a call never waits for the registry. Connections belong to their
//! instance and survive a change of the set as long as the instance stays where it was.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use http::{HeaderValue, Uri};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use weft_balance::{Budget, Config, Member, MemberState, Outcome, Policy, Pool, Time};
use weft_identity::Identity;
use weft_mesh::{ServiceId, Snapshot};
use weft_telemetry::names;

use crate::admit;

pub(crate) mod connection;
pub(crate) mod exchange;

use connection::Connections;

/// One process of a service.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) info: weft_mesh::Instance,
    /// The address as `Host`, and the path, as every request needs them.
    pub(crate) host: Option<HeaderValue>,
    pub(crate) path: Uri,
    pub(crate) connections: Arc<Connections>,
}

/// One kind of MCP server with its instances.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) id: ServiceId,
    pub(crate) label: Arc<str>,
    pub(crate) budget: Budget,
    group: ArcSwap<Group>,
}

/// The instances and the balancer's view of them, changed together.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) pool: Pool,
    pub(crate) instances: Vec<Arc<Instance>>,
}

impl Service {
    pub(crate) fn group(&self) -> Arc<Group> {
        self.group.load_full()
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

    /// True when some instance keeps sessions of the session era.
    pub(crate) fn has_sessions(&self) -> bool {
        self.group.load().instances.iter().any(|instance| instance.info.sessions)
    }

    /// True when some instance can be tried.
    pub(crate) fn is_alive(&self) -> bool {
        self.group.load().instances.iter().any(|instance| instance.info.healthy)
    }
}

/// All services.
#[derive(Debug)]
pub(crate) struct Upstreams {
    origin: Instant,
    services: ArcSwap<BTreeMap<ServiceId, Arc<Service>>>,
    stale: AtomicBool,
    identity: Option<Identity>,
    connect: Duration,
    changed: watch::Sender<u64>,
}

impl Upstreams {
    pub(crate) fn new(identity: Option<Identity>, connect: Duration) -> Self {
        Self {
            origin: Instant::now(),
            services: ArcSwap::default(),
            stale: AtomicBool::new(false),
            identity,
            connect,
            changed: watch::Sender::new(0),
        }
    }

    pub(crate) fn now(&self) -> Time {
        admit::now(self.origin)
    }

    pub(crate) fn get(&self, id: &ServiceId) -> Option<Arc<Service>> {
        self.services.load().get(id).cloned()
    }

    pub(crate) fn all(&self) -> Arc<BTreeMap<ServiceId, Arc<Service>>> {
        self.services.load_full()
    }

    /// True while the registry is away and the last known set is in use.
    pub(crate) fn is_stale(&self) -> bool {
        self.stale.load(Ordering::Relaxed)
    }

    /// Wakes when the set has changed.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Applies every snapshot of the registry until `stop`.
    pub(crate) async fn follow(&self, mut watch: watch::Receiver<Arc<Snapshot>>, stop: CancellationToken) {
        let mut sweep = tokio::time::interval(SWEEP);
        loop {
            let snapshot = Arc::clone(&watch.borrow_and_update());
            self.apply(&snapshot);
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    changed = watch.changed() => match changed {
                        Ok(()) => break,
                        Err(_) => return,
                    },
                    _ = sweep.tick() => self.sweep(),
                }
            }
        }
    }

    fn sweep(&self) {
        for service in self.services.load().values() {
            for instance in &service.group.load().instances {
                instance.connections.sweep();
            }
        }
    }

    fn apply(&self, snapshot: &Snapshot) {
        self.stale.store(snapshot.stale, Ordering::Relaxed);
        let before = self.services.load_full();
        let mut services = BTreeMap::new();
        let services_of = snapshot.services.iter().filter(|(id, _)| id.as_ref() != ServiceId::GATEWAY);
        for (id, instances) in services_of {
            let known = before.get(id);
            let group = self.group(instances, known.map(|service| service.group()).as_deref());
            publish(id, &group);
            let service = if let Some(service) = known {
                service.group.store(Arc::new(group));
                Arc::clone(service)
            } else {
                Arc::new(Service {
                    id: id.clone(),
                    label: Arc::from(id.as_ref()),
                    budget: Budget::new(RETRY_RATIO, RETRY_FLOOR, self.now()),
                    group: ArcSwap::from_pointee(group),
                })
            };
            services.insert(id.clone(), service);
        }
        for (id, gone) in before.iter().filter(|(id, _)| !snapshot.services.contains_key(*id)) {
            let empty =
                Group { pool: Pool::build(&Config::default(), Vec::new(), None, self.now()), instances: Vec::new() };
            publish(id, &empty);
            gone.group.store(Arc::new(empty));
        }
        self.services.store(Arc::new(services));
        self.changed.send_modify(|revision| *revision += 1);
    }

    fn group(&self, infos: &[weft_mesh::Instance], before: Option<&Group>) -> Group {
        let known = |info: &weft_mesh::Instance| {
            before?.instances.iter().find(|instance| {
                instance.info.id == info.id
                    && instance.info.address == info.address
                    && instance.info.identity == info.identity
            })
        };
        let instances: Vec<Arc<Instance>> = infos
            .iter()
            .map(|info| {
                let connections = known(info).map_or_else(
                    || Arc::new(Connections::new(info, self.identity.clone(), self.connect)),
                    |instance| Arc::clone(&instance.connections),
                );
                let host = HeaderValue::try_from(info.address.to_string()).ok();
                let path = info.path.parse().unwrap_or_else(|_| Uri::from_static("/mcp"));
                Arc::new(Instance { info: info.clone(), host, path, connections })
            })
            .collect();
        let members = infos
            .iter()
            .map(|info| Member {
                key: info.id.clone(),
                weight: info.weight,
                zone: info.zone.clone(),
                healthy: info.healthy,
            })
            .collect();
        let config = Config { policy: policy(infos), ..Config::default() };
        let pool = Pool::build(&config, members, before.map(|group| &group.pool), self.now());
        Group { pool, instances }
    }

    /// Every instance with its state, for the status page.
    pub(crate) fn states(&self, service: &Service) -> Vec<(Arc<Instance>, MemberState)> {
        let (group, now) = (service.group(), self.now());
        group
            .instances
            .iter()
            .enumerate()
            .map(|(index, instance)| (Arc::clone(instance), group.pool.state(index, now)))
            .collect()
    }
}

/// Between two looks for idle connections that servers have closed.
const SWEEP: Duration = Duration::from_secs(10);
/// Retries may add this share to the calls of a service …
const RETRY_RATIO: f64 = 0.2;
/// … and this many per second when there are few calls.
const RETRY_FLOOR: f64 = 10.0;

fn policy(infos: &[weft_mesh::Instance]) -> Policy {
    match infos.iter().find_map(|info| info.policy.as_deref()) {
        Some("round_robin") => Policy::RoundRobin,
        Some("consistent_hash") => Policy::ConsistentHash,
        _ => Policy::LeastConnections,
    }
}

fn publish(id: &ServiceId, group: &Group) {
    let healthy = group.instances.iter().filter(|instance| instance.info.healthy).count();
    let counts = [("healthy", healthy), ("unhealthy", group.instances.len() - healthy)];
    for (state, count) in counts {
        #[expect(clippy::cast_precision_loss, reason = "a count of processes")]
        metrics::gauge!(names::GATEWAY_INSTANCES.name, "service" => id.to_string(), "state" => state).set(count as f64);
    }
}
