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
use weft_balance::{BreakerConfig, Config, Member, MemberState, Pool, Time};
use weft_identity::Identity;
use weft_mesh::{ServiceId, Snapshot};

use crate::{admit, configured, settings::Settings};

pub(crate) mod connection;
pub(crate) mod exchange;
mod line;
pub(crate) mod outward;
mod service;
pub(crate) mod spoken;
pub(crate) mod talk;

use connection::{Connections, Proof};
use outward::Outward;
use service::publish;
pub(crate) use service::{Group, Place, Service};

/// One process of a service.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) info: weft_mesh::Instance,
    /// The address as `Host`, and the path, as every request needs them.
    pub(crate) host: Option<HeaderValue>,
    pub(crate) path: Uri,
    pub(crate) connections: Arc<Connections>,
    pub(crate) spoken: Arc<spoken::Spoken>,
    /// What goes to it besides the calls.
    pub(crate) outward: Option<Arc<Outward>>,
    pub(crate) sampled: crate::settings::sampling::Sampled,
}

/// All services.
#[derive(Debug)]
pub(crate) struct Upstreams {
    origin: Instant,
    services: ArcSwap<BTreeMap<ServiceId, Arc<Service>>>,
    /// Gateways, this one among them.
    replicas: ArcSwap<Vec<weft_mesh::Instance>>,
    stale: AtomicBool,
    pub(crate) identity: Option<Identity>,
    connect: Duration,
    settings: Settings,
    outward: BTreeMap<String, Arc<Outward>>,
    /// Differs between gateways, so that they do not probe in step.
    seed: u64,
    changed: watch::Sender<u64>,
}

impl Upstreams {
    /// Fails with everything that the settings of services name and that cannot be had.
    pub(crate) fn new(identity: Option<Identity>, settings: &Settings) -> Result<Self, Vec<String>> {
        let mut wrong = Vec::new();
        let mut outward = BTreeMap::new();
        for own in &settings.service {
            match Outward::new(own) {
                Ok(made) => drop(outward.insert(own.name.clone(), Arc::new(made))),
                Err(why) => wrong.extend(why),
            }
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        Ok(Self {
            outward,
            origin: Instant::now(),
            services: ArcSwap::default(),
            replicas: ArcSwap::default(),
            stale: AtomicBool::new(false),
            identity,
            connect: Duration::from_secs(settings.timeouts.connect_seconds),
            settings: settings.clone(),
            seed: fastrand::u64(..),
            changed: watch::Sender::new(0),
        })
    }

    /// When time began for the balancer.
    pub(crate) const fn origin(&self) -> Instant {
        self.origin
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

    /// The replica of this id in the registry.
    pub(crate) fn replica(&self, id: &str) -> Option<weft_mesh::Instance> {
        self.replicas.load().iter().find(|replica| replica.id == id).cloned()
    }

    /// True while the registry is away and the last known set is in use.
    pub(crate) fn is_stale(&self) -> bool {
        self.stale.load(Ordering::Relaxed)
    }

    /// Wakes when the set has changed.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Applies every snapshot of the registry, with the services of the settings, until `stop`.
    pub(crate) async fn follow(
        &self,
        mut registry: watch::Receiver<Arc<Snapshot>>,
        mut configured: watch::Receiver<Arc<Snapshot>>,
        stop: CancellationToken,
    ) {
        loop {
            let snapshot = configured::merged(&registry.borrow_and_update(), &configured.borrow_and_update());
            self.apply(&snapshot);
            tokio::select! {
                () = stop.cancelled() => return,
                changed = registry.changed() => if changed.is_err() { return },
                changed = configured.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Looks after idle connections until `stop`: those that servers have closed, and those to services that the mesh's
    /// intentions no longer allow.
    pub(crate) async fn sweep(&self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(SWEEP)).await.is_some() {
            self.outward.values().for_each(|outward| outward.refresh());
            for instance in self.all().values().flat_map(|service| service.group().instances.clone()) {
                if instance.connections.is_denied().await {
                    instance.connections.close();
                }
                instance.connections.sweep();
            }
        }
    }

    fn apply(&self, snapshot: &Snapshot) {
        self.stale.store(snapshot.stale, Ordering::Relaxed);
        let gateways = snapshot.services.get(&ServiceId::gateway()).cloned().unwrap_or_default();
        self.replicas.store(Arc::new(gateways));
        let before = self.services.load_full();
        let mut services = BTreeMap::new();
        let services_of = snapshot.services.iter().filter(|(id, _)| id.as_ref() != ServiceId::GATEWAY);
        for (id, instances) in services_of {
            let known = before.get(id);
            let group = self.group(id, instances, known.map(|service| service.group()).as_deref());
            publish(id, &group);
            let service = if let Some(service) = known {
                service.set_group(group);
                Arc::clone(service)
            } else {
                Arc::new(Service::new(id, &self.settings, group, self.now()))
            };
            services.insert(id.clone(), service);
        }
        for (id, gone) in before.iter().filter(|(id, _)| !snapshot.services.contains_key(*id)) {
            let empty = Group {
                pool: Pool::build(&Config::default(), Vec::new(), None, self.now()),
                instances: Vec::new(),
                said: None,
                key: None,
            };
            publish(id, &empty);
            gone.set_group(empty);
        }
        self.services.store(Arc::new(services));
        self.changed.send_modify(|revision| *revision += 1);
    }

    fn group(&self, id: &ServiceId, infos: &[weft_mesh::Instance], before: Option<&Group>) -> Group {
        let known = |info: &weft_mesh::Instance| {
            before?.instances.iter().find(|instance| {
                instance.info.id == info.id
                    && instance.info.address == info.address
                    && instance.info.identity == info.identity
                    && instance.info.origin == info.origin
            })
        };
        let outward = self.outward.get(id.as_ref());
        let instances: Vec<Arc<Instance>> = infos
            .iter()
            .map(|info| {
                let known = known(info);
                let connections = known.map_or_else(
                    || Arc::new(Connections::new(info, self.proof(id, info, outward), self.connect)),
                    |instance| Arc::clone(&instance.connections),
                );
                let spoken = known
                    .filter(|instance| instance.info.era == info.era)
                    .map_or_else(|| Arc::new(spoken::Spoken::new(info.era)), |instance| Arc::clone(&instance.spoken));
                let authority = info.origin.as_ref().map(|origin| origin.authority.clone());
                let host = HeaderValue::try_from(authority.unwrap_or_else(|| info.address.to_string())).ok();
                let path = info.path.parse().unwrap_or_else(|_| Uri::from_static("/mcp"));
                let (info, outward, sampled) = (info.clone(), outward.cloned(), self.settings.sampling.of(id));
                Arc::new(Instance { info, host, path, connections, spoken, outward, sampled })
            })
            .collect();
        // When the registry takes all of a service for dead at once, it is more likely the one that is wrong (an agent that hung
        // lets all signs of life run out): all are tried, and the breakers find out. Weight 0 stays out, whatever happens.
        let none = infos.iter().all(|info| !info.healthy);
        let members = infos
            .iter()
            .map(|info| Member {
                key: info.id.clone(),
                weight: info.weight,
                zone: info.zone.clone(),
                healthy: info.healthy || none,
            })
            .collect();
        let config = self.config(id, infos);
        let pool = Pool::build(&config, members, before.map(|group| &group.pool), self.now());
        let all_say = infos.iter().all(|info| info.era != weft_mesh::PeerEra::Unknown);
        let said = service::common(instances.iter().filter_map(|instance| instance.spoken.eras())).filter(|_| all_say);
        let key = infos.iter().find_map(|info| info.meta.get("key")?.parse().ok());
        Group { pool, instances, said, key }
    }

    /// What an instance must prove before it is spoken to.
    fn proof(&self, id: &ServiceId, info: &weft_mesh::Instance, outward: Option<&Arc<Outward>>) -> Proof {
        match (&info.origin, outward, &info.identity, &self.identity) {
            (Some(origin), Some(outward), ..) if origin.tls => {
                let host = origin.authority.rsplit_once(':').map_or(&*origin.authority, |(host, _)| host);
                Proof::Host(outward.public.clone(), host.trim_matches(['[', ']']).to_owned())
            }
            (Some(origin), None, ..) if origin.tls => Proof::Impossible,
            (_, _, Some(_), Some(identity)) => Proof::Member(identity.clone(), self.expected(id)),
            (_, _, Some(_), None) => Proof::Impossible,
            _ => Proof::None,
        }
    }

    /// Whom an instance of this service must prove to be. What it says of itself in the registry is not enough: whoever may
    /// register could say anything.
    fn expected(&self, id: &ServiceId) -> String {
        let own = self.settings.of(id.as_ref()).and_then(|own| own.identity.clone());
        own.or_else(|| Some(self.identity.as_ref()?.name_of(id.as_ref()))).unwrap_or_default()
    }

    /// The policy of the settings, else the one that the service asks for.
    fn config(&self, id: &ServiceId, infos: &[weft_mesh::Instance]) -> Config {
        let balance = &self.settings.balance;
        let own = self.settings.of(id.as_ref()).and_then(|own| own.policy.as_deref());
        let asked = || infos.iter().find_map(|info| info.policy.as_deref());
        let breaker = BreakerConfig {
            consecutive: balance.failures_in_a_row,
            ratio: balance.failure_ratio,
            first: Duration::from_millis(balance.block_millis),
            longest: Duration::from_secs(balance.block_longest_seconds.max(1)),
            ..BreakerConfig::default()
        };
        Config {
            policy: own.or_else(asked).and_then(|text| text.parse().ok()).unwrap_or_default(),
            breaker,
            slow_start: Duration::from_secs(balance.slow_start_seconds),
            zone: self.settings.zone.clone(),
            seed: self.seed,
            ..Config::default()
        }
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
const SWEEP: Duration = Duration::from_secs(5);
