//! A registry in DNS: the addresses behind names, asked for again when their time to live is over.
//!
//! A name that begins with an underscore is asked for its SRV records (RFC 2782), which give ports and weights; of these
//! only the most preferred priority is used. Any other name is asked for its addresses, the port being told. An answer
//! that fails keeps the last set, marked stale; a name that is said not to exist is believed at the third time.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig},
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::rr::{RData, RecordType},
};
use tokio::sync::watch;

use crate::{Instance, Query, RegistryError, ServiceId, Snapshot, Watch, shown::Shown};

/// An answer is asked for again after its time to live, but not more often than this …
const LEAST: Duration = Duration::from_secs(1);
/// … and at least this often.
const MOST: Duration = Duration::from_secs(60);
/// After an answer that failed.
const RETRY: Duration = Duration::from_secs(2);
/// "There is no such name" is believed when it was said so often in a row.
const BELIEVED: u32 = 3;

/// What is the same for all names.
#[derive(Debug, Clone)]
struct Usual {
    port: Option<u16>,
    path: Option<String>,
    identity: Option<String>,
    sessions: bool,
}

/// A registry in DNS.
pub struct Dns {
    resolver: TokioResolver,
    names: Vec<(ServiceId, String)>,
    usual: Usual,
    shown: Shown,
}

impl std::fmt::Debug for Dns {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Dns").field(&self.names).finish()
    }
}

impl Dns {
    /// Reads `NAME[,NAME…][?key=value&…]`. Keys: `service` (of a single name; otherwise the first label, without `_` and
    /// `mcp-`), `port` (needed unless the name is one of SRV records), `path`, `identity` (what the instances prove; plain
    /// HTTP without it), `sessions` (`false` when they keep none), `nameserver` (`IP:PORT`; the system's without it).
    pub fn parse(text: &str) -> Result<Arc<Self>, RegistryError> {
        let wrong = |why: String| RegistryError::Settings(format!("dns://{text}: {why}"));
        let mut query = Query::parse(text)?;
        let own = query.take("service");
        let names: Vec<&str> = query.base.split(',').filter(|name| !name.is_empty()).collect();
        if names.is_empty() || (own.is_some() && names.len() > 1) {
            return Err(wrong("write one name, or several without service=".into()));
        }
        let service = |name: &str| {
            let label = name.split('.').next().unwrap_or_default().trim_start_matches('_');
            let text = own.as_deref().unwrap_or_else(|| label.strip_prefix("mcp-").unwrap_or(label));
            text.parse::<ServiceId>().map_err(|error| wrong(format!("{error}; say it with service=")))
        };
        let names = names
            .iter()
            .map(|name| Ok::<_, RegistryError>((service(name)?, (*name).to_owned())))
            .collect::<Result<Vec<_>, _>>()?;
        let port = match query.take("port") {
            Some(text) => Some(text.parse().map_err(|_| wrong(format!("port={text} is no port")))?),
            None => None,
        };
        if let Some((_, name)) = names.iter().find(|(_, name)| !name.starts_with('_') && port.is_none()) {
            return Err(wrong(format!("{name:?} needs port= (only SRV records tell one)")));
        }
        let server = match query.take("nameserver") {
            Some(text) => Some(text.parse::<SocketAddr>().map_err(|_| wrong(format!("{text:?} is not IP:PORT")))?),
            None => None,
        };
        let usual = Usual {
            port,
            path: query.take("path"),
            identity: query.take("identity"),
            sessions: query.take("sessions").is_none_or(|text| text != "false"),
        };
        query.end()?;
        let resolver = resolver(server).map_err(|error| wrong(error.to_string()))?;
        Ok(Arc::new(Self { resolver, names, usual, shown: Shown::nothing() }))
    }

    /// Keeps asking; never returns. Its owner aborts it.
    pub async fn follow(&self) {
        let mut known: BTreeMap<&str, Known> = BTreeMap::new();
        loop {
            let mut wait = MOST;
            let mut failed = None;
            for (service, name) in &self.names {
                let answer = self.ask(service, name).await;
                let (again, failure) = known.entry(name).or_default().take(answer);
                wait = wait.min(again);
                failed = failed.or(failure);
            }
            match failed {
                Some(error) => self.shown.mark_stale(&error),
                None => self.show(&known),
            }
            tokio::time::sleep(wait.max(LEAST)).await;
        }
    }

    fn show(&self, known: &BTreeMap<&str, Known>) {
        let mut services: BTreeMap<ServiceId, Vec<Instance>> = BTreeMap::new();
        for (service, name) in &self.names {
            let found = known.get(name.as_str()).map(|known| known.instances.clone()).unwrap_or_default();
            services.entry(service.clone()).or_default().extend(found);
        }
        self.shown.set(services);
    }

    async fn ask(&self, service: &ServiceId, name: &str) -> Result<(Vec<Instance>, Instant), NetError> {
        if !name.starts_with('_') {
            let found = self.resolver.lookup_ip(name).await?;
            let port = self.usual.port.unwrap_or_default();
            let instances = found.iter().map(|ip| self.instance(service, SocketAddr::new(ip, port), 1)).collect();
            return Ok((instances, found.valid_until()));
        }
        let found = self.resolver.lookup(name, RecordType::SRV).await?;
        let mut valid_until = found.valid_until();
        let records = found.answers().iter().filter_map(|record| match &record.data {
            RData::SRV(srv) => Some(srv),
            _ => None,
        });
        let best = records.clone().map(|srv| srv.priority).min();
        let mut instances = Vec::new();
        for srv in records.filter(|srv| Some(srv.priority) == best) {
            let addresses = self.resolver.lookup_ip(srv.target.clone()).await?;
            valid_until = valid_until.min(addresses.valid_until());
            let weight = u32::from(srv.weight.max(1));
            instances.extend(addresses.iter().map(|ip| self.instance(service, SocketAddr::new(ip, srv.port), weight)));
        }
        Ok((instances, valid_until))
    }

    fn instance(&self, service: &ServiceId, address: SocketAddr, weight: u32) -> Instance {
        let mut instance = Instance::new(service.clone(), 0, address);
        instance.id = format!("mcp-{service}-{address}");
        instance.weight = weight;
        instance.identity.clone_from(&self.usual.identity);
        instance.sessions = self.usual.sessions;
        if let Some(path) = &self.usual.path {
            instance.path.clone_from(path);
        }
        instance
    }
}

/// What is known of one name.
#[derive(Default)]
struct Known {
    instances: Vec<Instance>,
    /// How often in a row it was said not to exist.
    denials: u32,
}

impl Known {
    /// Takes an answer; gives when to ask again, and the error that makes what is known stale.
    fn take(&mut self, answer: Result<(Vec<Instance>, Instant), NetError>) -> (Duration, Option<NetError>) {
        let error = match answer {
            Ok((instances, valid_until)) => {
                *self = Self { instances, denials: 0 };
                return (valid_until.saturating_duration_since(Instant::now()), None);
            }
            Err(error) => error,
        };
        self.denials = if error.is_no_records_found() { self.denials + 1 } else { 0 };
        if self.denials >= BELIEVED || (self.denials > 0 && self.instances.is_empty()) {
            self.instances.clear();
            return (RETRY, None);
        }
        (RETRY, Some(error))
    }
}

impl Watch for Dns {
    fn watch(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.shown.watch()
    }
}

fn resolver(server: Option<SocketAddr>) -> Result<TokioResolver, NetError> {
    let mut builder = match server {
        None => TokioResolver::builder_tokio()?,
        Some(server) => {
            let over = |mut config: ConnectionConfig| {
                config.port = server.port();
                config
            };
            let ip: IpAddr = server.ip();
            let connections = vec![over(ConnectionConfig::udp()), over(ConnectionConfig::tcp())];
            let config = ResolverConfig::from_name_servers(vec![NameServerConfig::new(ip, true, connections)]);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
    };
    // We keep the answers ourselves, with their time.
    builder.options_mut().cache_size = 0;
    builder.build()
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::{
        op::{Message, Query, ResponseCode},
        rr::{
            Name, Record,
            rdata::{A, SRV},
        },
    };
    use tokio::net::UdpSocket;

    use super::{Dns, *};

    fn records(query: &Query) -> Vec<Record> {
        let record = |data| Record::from_rdata(query.name().clone(), 1, data);
        let srv = |priority, weight, port| {
            let target = "one.mesh.test.".parse::<Name>().unwrap();
            record(RData::SRV(SRV::new(priority, weight, port, target)))
        };
        match query.query_type() {
            RecordType::SRV => vec![srv(1, 5, 8501), srv(1, 0, 8502), srv(9, 5, 8503)],
            RecordType::A => vec![record(RData::A(A::new(10, 0, 0, 7)))],
            _ => Vec::new(),
        }
    }

    /// A name server of two instances, which can be told to be without an answer.
    async fn server(say: watch::Receiver<ResponseCode>) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let asked = Message::from_vec(&buffer[..length]).unwrap();
                let query = asked.queries[0].clone();
                let mut answer = Message::response(asked.metadata.id, asked.metadata.op_code);
                answer.add_query(query.clone());
                answer.metadata.response_code = *say.borrow();
                if *say.borrow() == ResponseCode::NoError {
                    answer.add_answers(records(&query));
                }
                socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
            }
        });
        address
    }

    #[tokio::test]
    async fn names_become_instances_and_an_outage_keeps_them() {
        let (say, said) = watch::channel(ResponseCode::NoError);
        let server = server(said).await;
        let text = format!("_mcp-echo._tcp.mesh.test.,files.mesh.test.?port=80&nameserver={server}");
        let dns = Dns::parse(&text).unwrap();
        let mut watch = dns.watch();
        let following = tokio::spawn({
            let dns = Arc::clone(&dns);
            async move { dns.follow().await }
        });
        let patience = Duration::from_secs(20);
        tokio::time::timeout(patience, watch.wait_for(|seen| seen.services.len() == 2)).await.unwrap().unwrap();
        let seen = Arc::clone(&watch.borrow());
        let found: Vec<_> = seen.services.values().flatten().map(|it| (it.address.to_string(), it.weight)).collect();
        assert_eq!(found, [("10.0.0.7:8501".into(), 5), ("10.0.0.7:8502".into(), 1), ("10.0.0.7:80".into(), 1)]);
        say.send(ResponseCode::ServFail).unwrap();
        let stale = tokio::time::timeout(patience, watch.wait_for(|seen| seen.stale)).await.unwrap().unwrap().clone();
        assert_eq!(stale.services, seen.services);
        say.send(ResponseCode::NXDomain).unwrap();
        tokio::time::timeout(patience, watch.wait_for(|seen| seen.services.is_empty())).await.unwrap().unwrap();
        following.abort();
    }

    #[test]
    fn what_is_missing_is_said() {
        for (text, hint) in [("", "name"), ("a.test", "port="), ("A_b.test?port=1", "service="), ("a?port=x", "port")] {
            let error = Dns::parse(text).unwrap_err().to_string();
            assert!(error.contains(hint), "{error}");
        }
    }
}
