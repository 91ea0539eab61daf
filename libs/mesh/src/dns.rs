//! A registry in the DNS: SRV records (RFC 2782), or the addresses of a host, into instances. Apart from other sources,
//! because the DNS is asked again and again and never tells: every answer says for how long it is good.
//!
//! An answer is held for its TTL, at least 1 s and at most 60 s. What failure and absence do is in `dns/held.rs`. With
//! several names, one that cannot be resolved marks the whole snapshot stale, and changes nothing of the others.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use hickory_resolver::{
    Resolver, TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig},
    net::{NetError, runtime::TokioRuntimeProvider},
};
use tokio::{sync::watch, time::Instant};

use self::held::{Answer, Held};
use crate::{
    Snapshot, Watch,
    latest::{Latest, Services},
};

mod ask;
mod held;
mod target;

pub use target::DnsTarget;

/// A name server that is given by hand has so long, twice; the one of the system as long as the system says.
const TRY: Duration = Duration::from_secs(2);

/// Why the DNS cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    /// There is nothing to ask for.
    #[error("no names to ask the DNS for; give one for each service")]
    NoNames,
    /// The system does not say whom to ask.
    #[error(
        "cannot learn from the system which name server to ask for {name:?}; mend /etc/resolv.conf or add ?nameserver="
    )]
    NoServer {
        /// The name.
        name: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// A registry in the DNS.
pub struct Dns {
    names: Vec<(DnsTarget, TokioResolver)>,
    held: Mutex<Vec<Held>>,
    latest: Latest,
}

impl Dns {
    /// Prepares to ask for these names; [`Self::follow`] asks. Until the first answers the snapshot is empty and stale.
    pub fn open(targets: Vec<DnsTarget>) -> Result<Arc<Self>, DnsError> {
        if targets.is_empty() {
            return Err(DnsError::NoNames);
        }
        let with_resolver = |target: DnsTarget| match resolver(target.nameserver) {
            Ok(resolver) => Ok((target, resolver)),
            Err(source) => Err(DnsError::NoServer { name: target.name, source: source.into() }),
        };
        let names = targets.into_iter().map(with_resolver).collect::<Result<Vec<_>, _>>()?;
        let held = Mutex::new(names.iter().map(|_| Held::default()).collect());
        Ok(Arc::new(Self { names, held, latest: Latest::new(Services::new(), true) }))
    }

    /// Asks for every name whenever its last answer has been held for long enough; never returns. Its owner aborts it.
    pub async fn follow(&self) {
        join_all((0..self.names.len()).map(|index| self.follow_one(index))).await;
    }

    async fn follow_one(&self, index: usize) {
        let (target, resolver) = &self.names[index];
        loop {
            let answer = ask::ask(resolver, target).await;
            tokio::time::sleep(self.take(index, answer)).await;
        }
    }

    fn take(&self, index: usize, answer: Answer) -> Duration {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let was_stale = held[index].is_stale();
        let name = &self.names[index].0.name;
        let why = match &answer {
            Answer::Found(..) => "",
            Answer::Gone => "the name has no records",
            Answer::Failed(why) => why,
        }
        .to_owned();
        let wait = held[index].take(answer, Instant::now().into_std(), fastrand::f64());
        match (was_stale, held[index].is_stale()) {
            (false, true) => tracing::warn!(name, why, "the last good set of instances stays in use"),
            (true, false) => tracing::info!(name, instances = held[index].instances().len(), "the DNS answers"),
            (true, true) => tracing::debug!(name, why, "the DNS does not answer"),
            (false, false) => {}
        }
        self.latest.replace(services(&held), held.iter().any(Held::is_stale));
        wait
    }
}

impl Watch for Dns {
    fn watch(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.latest.watch()
    }
}

/// An instance that is found under two names is one.
fn services(held: &[Held]) -> Services {
    let mut services = Services::new();
    for instance in held.iter().flat_map(Held::instances) {
        let instances = services.entry(instance.service.clone()).or_default();
        if instances.iter().all(|known| known.id != instance.id) {
            instances.push(instance.clone());
        }
    }
    services
}

/// No cache of its own: [`Held`] is the only place where an answer grows old.
fn resolver(nameserver: Option<SocketAddr>) -> Result<TokioResolver, NetError> {
    let mut builder = match nameserver {
        None => TokioResolver::builder_tokio()?,
        Some(address) => {
            let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
            connections.iter_mut().for_each(|connection| connection.port = address.port());
            let server = NameServerConfig::new(address.ip(), true, connections);
            let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
            let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
            builder.options_mut().use_hosts_file = ResolveHosts::Never;
            builder.options_mut().timeout = TRY;
            builder.options_mut().attempts = 1;
            builder
        }
    };
    builder.options_mut().cache_size = 0;
    builder.build()
}
