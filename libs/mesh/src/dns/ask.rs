//! One question to the DNS, and what its records say: an [`Answer`]. The only file that knows the records.

use std::{
    cmp::Reverse,
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use futures_util::future::{join, join_all};
use hickory_resolver::{
    TokioResolver,
    lookup::Lookup,
    net::{DnsError as Semantic, NetError},
    proto::{
        op::ResponseCode,
        rr::{Name, RData, Record, RecordType, rdata::SRV},
    },
};

use super::{
    DnsTarget,
    held::{Answer, LONGEST, SHORTEST},
};
use crate::Instance;

/// All that a question may take, however many records it leads to.
const PATIENCE: Duration = Duration::from_secs(10);

/// The largest share of the calls: what the balancer's rings still tell apart.
const LARGEST: u64 = 64;

/// Why there are no records.
enum Missing {
    Gone,
    Failed(String),
}

struct Addresses {
    all: Vec<IpAddr>,
    ttl: Duration,
}

/// Asks once.
pub(super) async fn ask(resolver: &TokioResolver, target: &DnsTarget) -> Answer {
    let asking = async {
        match target.port {
            None => services(resolver, target).await,
            Some(port) => hosts(resolver, target, port).await,
        }
    };
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(Ok((instances, ttl))) if !instances.is_empty() => Answer::Found(instances, ttl),
        Ok(Ok(_) | Err(Missing::Gone)) => Answer::Gone,
        Ok(Err(Missing::Failed(why))) => Answer::Failed(why),
        Err(_) => Answer::Failed(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

type Found = (Vec<Instance>, Duration);

async fn hosts(resolver: &TokioResolver, target: &DnsTarget, port: u16) -> Result<Found, Missing> {
    let name = Name::from_utf8(&target.name).map_err(|error| Missing::Failed(error.to_string()))?;
    let found = addresses(resolver, name).await?;
    let instances = found.all.into_iter().map(|ip| instance(target, SocketAddr::new(ip, port), 1)).collect();
    Ok((instances, found.ttl))
}

/// RFC 2782. The instances of the lowest priority take the calls by their weights. The others are known but take none,
/// because a share of 0 is the only way to say "not yet" to the balancer; their priority is in their `meta`.
async fn services(resolver: &TokioResolver, target: &DnsTarget) -> Result<Found, Missing> {
    let lookup = lookup(resolver, Name::from_utf8(&target.name), RecordType::SRV).await?;
    let mut ttl = shortest(lookup.answers());
    let mut records: Vec<&SRV> = lookup.answers().iter().filter_map(srv).collect();
    // A target of "." means: this service is not here.
    records.retain(|record| !record.target.is_root());
    records.sort_by_key(|record| (record.priority, Reverse(record.weight), record.port));
    let first = records.first().map_or(0, |record| record.priority);
    let shares = shares(&records, first);
    let told = told(lookup.additionals());
    let found = join_all(records.iter().map(|record| async {
        match told.get(&record.target.to_lowercase()) {
            Some((all, ttl)) => Ok(Addresses { all: all.clone(), ttl: *ttl }),
            None => addresses(resolver, record.target.clone()).await,
        }
    }))
    .await;
    let mut instances = Vec::new();
    let mut failed = None;
    for ((record, share), found) in records.iter().zip(shares).zip(found) {
        match found {
            Ok(found) => {
                ttl = ttl.min(found.ttl);
                instances.extend(found.all.into_iter().map(|ip| {
                    let mut one = instance(target, SocketAddr::new(ip, record.port), share);
                    one.meta.insert("priority".into(), record.priority.to_string());
                    one
                }));
            }
            Err(Missing::Gone) => {}
            Err(Missing::Failed(why)) => failed = Some(why),
        }
    }
    match failed {
        Some(why) if instances.is_empty() => Err(Missing::Failed(why)),
        // The others do not wait for one host, but it is asked for again soon.
        Some(_) => Ok((instances, SHORTEST)),
        None => Ok((instances, ttl)),
    }
}

/// The addresses of one host. Some servers fail for a kind of address that they do not have, so one kind is enough.
async fn addresses(resolver: &TokioResolver, name: Name) -> Result<Addresses, Missing> {
    let four = lookup(resolver, Ok::<_, NetError>(name.clone()), RecordType::A);
    let six = lookup(resolver, Ok::<_, NetError>(name), RecordType::AAAA);
    let lookups = match join(four, six).await {
        (Ok(four), Ok(six)) => vec![four, six],
        (Ok(one), Err(_)) | (Err(_), Ok(one)) => vec![one],
        (Err(Missing::Failed(why)), Err(_)) | (Err(_), Err(Missing::Failed(why))) => return Err(Missing::Failed(why)),
        (Err(Missing::Gone), Err(Missing::Gone)) => return Err(Missing::Gone),
    };
    let records: Vec<Record> = lookups.iter().flat_map(Lookup::answers).cloned().collect();
    Ok(Addresses { all: records.iter().filter_map(ip).collect(), ttl: shortest(&records) })
}

async fn lookup<E: std::fmt::Display>(
    resolver: &TokioResolver,
    name: Result<Name, E>,
    kind: RecordType,
) -> Result<Lookup, Missing> {
    let name = name.map_err(|error| Missing::Failed(error.to_string()))?;
    resolver.lookup(name, kind).await.map_err(|error| match &error {
        NetError::Dns(Semantic::NoRecordsFound(none))
            if matches!(none.response_code, ResponseCode::NXDomain | ResponseCode::NoError) =>
        {
            Missing::Gone
        }
        _ => Missing::Failed(error.to_string()),
    })
}

/// The addresses that came along with SRV records (RFC 2782, "additional data").
fn told(additionals: &[Record]) -> HashMap<Name, (Vec<IpAddr>, Duration)> {
    let mut told: HashMap<Name, (Vec<IpAddr>, Duration)> = HashMap::new();
    for record in additionals {
        if let Some(ip) = ip(record) {
            let (all, ttl) = told.entry(record.name.to_lowercase()).or_insert((Vec::new(), LONGEST));
            all.push(ip);
            *ttl = (*ttl).min(seconds(record));
        }
    }
    told
}

/// The shares of the calls that the weights of SRV records ask for; all but those of the `first` priority take none.
/// A weight of 0 beside others means a very small share.
fn shares(records: &[&SRV], first: u16) -> Vec<u32> {
    let weights = || records.iter().filter(|record| record.priority == first).map(|record| u64::from(record.weight));
    let unit = weights().fold(0, greatest_common_divisor).max(1);
    let largest = weights().max().unwrap_or(0) / unit;
    let uneven = weights().any(|weight| weight == 0) || largest > LARGEST;
    let share = |weight: u64| match largest {
        0 => 1,
        _ if uneven => (weight / unit * LARGEST / largest).max(1),
        _ => weight / unit,
    };
    let shares = records.iter().map(|one| if one.priority == first { share(u64::from(one.weight)) } else { 0 });
    shares.map(|share| u32::try_from(share).unwrap_or(u32::MAX)).collect()
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// An instance is told from others by its address: behind another address is another process.
fn instance(target: &DnsTarget, address: SocketAddr, weight: u32) -> Instance {
    Instance {
        id: format!("mcp-{}-{address}", target.service),
        path: target.path.clone(),
        identity: target.identity.clone(),
        weight,
        ..Instance::new(target.service.clone(), 0, address)
    }
}

fn srv(record: &Record) -> Option<&SRV> {
    match &record.data {
        RData::SRV(srv) => Some(srv),
        _ => None,
    }
}

fn ip(record: &Record) -> Option<IpAddr> {
    match &record.data {
        RData::A(four) => Some(four.0.into()),
        RData::AAAA(six) => Some(six.0.into()),
        _ => None,
    }
}

fn shortest(records: &[Record]) -> Duration {
    records.iter().map(seconds).min().unwrap_or(SHORTEST)
}

fn seconds(record: &Record) -> Duration {
    Duration::from_secs(record.ttl.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(weights: &[(u16, u16)]) -> Vec<u32> {
        let all: Vec<SRV> =
            weights.iter().map(|(priority, weight)| SRV::new(*priority, *weight, 1, Name::root())).collect();
        shares(&all.iter().collect::<Vec<_>>(), 0)
    }

    #[test]
    fn weights_become_shares_that_keep_their_ratio() {
        assert_eq!(of(&[(0, 0), (0, 0)]), [1, 1]);
        assert_eq!(of(&[(0, 33), (0, 33), (0, 33)]), [1, 1, 1]);
        assert_eq!(of(&[(0, 30), (0, 10)]), [3, 1]);
        assert_eq!(of(&[(0, 65_535), (0, 32_768), (0, 1)]), [64, 32, 1]);
        assert_eq!(of(&[(0, 10), (0, 0)]), [64, 1]);
        assert_eq!(of(&[(0, 10), (1, 20)]), [1, 0]);
    }
}
