//! Follows Consul: the list of services, and one blocking query per service, become snapshots.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, task::JoinSet, time::Instant};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Found,
    api::{Backoff, ConsulClient, ConsulError, ConsulRead},
    entry::{self, Entry},
};
use crate::{Instance, ServiceId, Snapshot};

/// Keeps the snapshots.
pub(crate) struct Follower<'a> {
    api: Arc<ConsulClient>,
    state: Arc<State>,
    snapshots: &'a watch::Sender<Arc<Snapshot>>,
}

/// What the queries have found, shared by their tasks.
struct State {
    found: Mutex<Seen>,
    changed: tokio::sync::Notify,
    hold: Duration,
}

#[derive(Default)]
struct Seen {
    found: Found,
    /// Names whose first answer is not there yet.
    awaited: BTreeSet<String>,
    /// The list of services has been had once.
    begun: bool,
    /// Queries that fail at present.
    failing: BTreeSet<String>,
    /// Until when what Consul has forgotten is kept.
    hold_until: Option<Instant>,
    /// Ids that were found since then: what of these goes has been withdrawn, not forgotten.
    again: HashSet<String>,
}

/// The name under which the list of services fails.
const LIST: &str = "";

impl State {
    fn change(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.found.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_one();
    }

    fn fails(&self, name: &str, why: &ConsulError) {
        self.change(|seen| {
            if seen.failing.is_empty() {
                tracing::warn!(%why, "Consul is away; the last known instances stay in use");
            }
            seen.failing.insert(name.to_owned());
        });
    }

    /// An answer came; `shaken` when the servers have restarted.
    fn answers(&self, seen: &mut Seen, name: &str, shaken: bool) {
        let was_away = seen.failing.remove(name);
        if was_away || shaken {
            if seen.hold_until.is_none_or(|until| until <= Instant::now()) {
                seen.again.clear();
            }
            seen.hold_until = Some(Instant::now() + self.hold);
        }
        if was_away && seen.failing.is_empty() {
            tracing::info!("Consul is back");
        }
    }
}

impl Seen {
    /// The list of services is `names`; `fresh` ones have not been asked for yet.
    fn listed(&mut self, names: &BTreeSet<String>, fresh: Vec<String>) {
        self.begun = true;
        self.found.retain(|name, _| names.contains(name));
        self.failing.retain(|name| name == LIST || names.contains(name));
        self.awaited.retain(|name| names.contains(name));
        self.awaited.extend(fresh);
    }
}

/// The followers of services, each with its end.
#[derive(Default)]
struct Services {
    tasks: JoinSet<()>,
    running: BTreeMap<String, DropGuard>,
}

impl Services {
    fn fresh(&self, names: &BTreeSet<String>) -> Vec<String> {
        names.iter().filter(|name| !self.running.contains_key(*name)).cloned().collect()
    }

    /// Ends those that are not among `names`, begins those that are new.
    fn set(&mut self, names: BTreeSet<String>, api: &Arc<ConsulClient>, state: &Arc<State>) {
        self.running.retain(|name, _| names.contains(name));
        for name in names {
            if self.running.contains_key(&name) {
                continue;
            }
            let stop = CancellationToken::new();
            self.running.insert(name.clone(), stop.clone().drop_guard());
            let (api, state) = (Arc::clone(api), Arc::clone(state));
            self.tasks.spawn(async move {
                stop.run_until_cancelled(one(&api, &state, &name)).await;
            });
        }
        while self.tasks.try_join_next().is_some() {}
    }
}

impl<'a> Follower<'a> {
    pub(crate) fn new(api: Arc<ConsulClient>, hold: Duration, snapshots: &'a watch::Sender<Arc<Snapshot>>) -> Self {
        let state = State { found: Mutex::default(), changed: tokio::sync::Notify::new(), hold };
        Self { api, state: Arc::new(state), snapshots }
    }

    pub(crate) async fn run(self) {
        let listing = self.list();
        let showing = self.show();
        tokio::join!(listing, showing);
    }

    /// Follows the list of services, and begins and ends one follower per service.
    async fn list(&self) {
        let mut services = Services::default();
        let (mut index, mut backoff) = (0, Backoff::default());
        loop {
            match self.api.read::<BTreeMap<String, Vec<String>>>("/v1/catalog/services", index).await {
                Ok(ConsulRead { value, index: next, reset, led }) => {
                    backoff.reset();
                    index = next;
                    let names = members(&value);
                    let fresh = services.fresh(&names);
                    self.state.change(|seen| {
                        self.state.answers(seen, LIST, reset || !led);
                        seen.listed(&names, fresh);
                    });
                    services.set(names, &self.api, &self.state);
                }
                Err(error) => {
                    self.state.fails(LIST, &error);
                    index = 0;
                    backoff.pause().await;
                }
            }
        }
    }

    /// Publishes what was found, whenever it changes and when the time of what is held is over.
    async fn show(&self) {
        loop {
            let again = self.publish();
            let over = async {
                match again {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.state.changed.notified() => {}
                () = over => {}
            }
        }
    }

    fn publish(&self) -> Option<Instant> {
        let (found, stale, hold, again) = {
            let seen = self.state.found.lock().unwrap_or_else(PoisonError::into_inner);
            // A snapshot with some services missing would look as if they were gone.
            if !seen.begun || (!seen.awaited.is_empty() && self.snapshots.borrow().revision == 0) {
                return None;
            }
            (seen.found.clone(), !seen.failing.is_empty(), seen.hold_until, seen.again.clone())
        };
        let held = hold.filter(|until| *until > Instant::now());
        self.snapshots.send_if_modified(|present| {
            let mut services = by_service(found);
            if held.is_some() || stale {
                keep(&mut services, &present.services, |id| stale || !again.contains(id));
            }
            if present.revision > 0 && present.services == services && present.stale == stale {
                return false;
            }
            *present = Arc::new(Snapshot { services, stale, revision: present.revision + 1 });
            true
        });
        held
    }
}

/// Follows the instances of one name.
async fn one(api: &ConsulClient, state: &State, name: &str) {
    let Some(service) = entry::service_id(name) else { return };
    let path = format!("/v1/health/service/{name}");
    let (mut index, mut backoff) = (0, Backoff::default());
    loop {
        match api.read::<Vec<Entry>>(&path, index).await {
            Ok(ConsulRead { value, index: next, reset, led }) => {
                backoff.reset();
                index = next;
                let mut instances = Vec::with_capacity(value.len());
                for entry in value {
                    instances.extend(entry.instance(&service).await);
                }
                distinguish(&mut instances);
                state.change(|seen| {
                    state.answers(seen, name, reset || !led);
                    seen.awaited.remove(name);
                    seen.again.extend(instances.iter().map(|instance| instance.id.clone()));
                    seen.found.insert(name.to_owned(), instances);
                });
            }
            Err(error) => {
                state.fails(name, &error);
                index = 0;
                backoff.pause().await;
            }
        }
    }
}

/// The names that are members: tagged, or the gateways. A name that cannot be a service's is told once per change of the list.
fn members(listed: &BTreeMap<String, Vec<String>>) -> BTreeSet<String> {
    let gateways = entry::name(&ServiceId::gateway());
    let tagged =
        |(name, tags): &(&String, &Vec<String>)| tags.iter().any(|tag| tag == entry::TAG) || **name == gateways;
    let usable = |name: &String| {
        let usable = entry::service_id(name).is_some();
        if !usable {
            tracing::warn!(
                name,
                "a service in Consul has the tag mcp, but its name cannot be used: 1 to 16 of a-z, 0-9 and -"
            );
        }
        usable
    };
    listed.iter().filter(tagged).map(|(name, _)| name.clone()).filter(usable).collect()
}

/// An id is unique at its agent only; the same on two nodes is told apart by the node.
fn distinguish(instances: &mut [Instance]) {
    let mut seen = HashSet::new();
    let twice: HashSet<String> =
        instances.iter().filter(|it| !seen.insert(it.id.clone())).map(|it| it.id.clone()).collect();
    for instance in instances.iter_mut().filter(|it| twice.contains(&it.id)) {
        let node = instance.meta.get("node").cloned().unwrap_or_default();
        instance.id = format!("{}@{node}", instance.id);
    }
    instances.sort_by(|a, b| a.id.cmp(&b.id));
}

/// Two names may mean the same service (`mcp-a` and `a`): ours come first and the other is not mixed in.
fn by_service(found: Found) -> BTreeMap<ServiceId, Vec<Instance>> {
    let mut services: BTreeMap<ServiceId, (bool, Vec<Instance>)> = BTreeMap::new();
    for (name, instances) in found {
        let Some(service) = entry::service_id(&name) else { continue };
        let own = name == entry::name(&service);
        match services.get(&service) {
            Some((known, _)) if *known || !own => {
                tracing::warn!(name, %service, "two names in Consul mean one service; this one is left out");
            }
            _ => {
                services.insert(service, (own, instances));
            }
        }
    }
    services.into_iter().filter(|(_, (_, all))| !all.is_empty()).map(|(id, (_, all))| (id, all)).collect()
}

/// Adds what was shown before, is not found now and `stays`.
fn keep(
    services: &mut BTreeMap<ServiceId, Vec<Instance>>,
    before: &BTreeMap<ServiceId, Vec<Instance>>,
    stays: impl Fn(&str) -> bool,
) {
    for (service, instances) in before {
        let now = services.entry(service.clone()).or_default();
        let missing: Vec<_> = instances
            .iter()
            .filter(|it| stays(&it.id) && !now.iter().any(|known| known.id == it.id))
            .cloned()
            .collect();
        now.extend(missing);
        now.sort_by(|a, b| a.id.cmp(&b.id));
    }
    services.retain(|_, instances| !instances.is_empty());
}
