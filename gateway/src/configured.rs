//! Services that the settings say where they are: their addresses, looked up again from time to time, beside those of the registry.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use weft_mesh::{Instance, Origin, ServiceId, Snapshot};

use crate::settings::{
    ServiceSettings, Settings,
    service::{Address, address},
};

/// Between two looks at the names of hosts.
const LOOK: Duration = Duration::from_secs(30);
/// A name that is not found is looked up again after this long.
const AGAIN: Duration = Duration::from_secs(2);

/// The services of the settings that are found by their addresses.
///
/// `embedded` are instances that this process runs itself.
pub(crate) fn follow(
    settings: &Settings,
    embedded: Vec<Instance>,
    stop: CancellationToken,
) -> (watch::Receiver<Arc<Snapshot>>, JoinHandle<()>) {
    let services: Vec<ServiceSettings> =
        settings.service.iter().filter(|own| own.addresses().next().is_some()).cloned().collect();
    let own: Found = embedded.into_iter().map(|instance| (instance.service.clone(), vec![instance])).collect();
    let first = Snapshot { services: own.clone(), stale: false, revision: 1 };
    let (tell, told) = watch::channel(Arc::new(first));
    let task = tokio::spawn(async move {
        let mut known = BTreeMap::new();
        while !services.is_empty() {
            let (found, complete) = look(&services, &known).await;
            if found != known {
                known.clone_from(&found);
                let services: Found = own.clone().into_iter().chain(found).collect();
                tell.send_modify(|snapshot| {
                    *snapshot = Arc::new(Snapshot { services, stale: false, revision: snapshot.revision + 1 });
                });
            }
            let wait = tokio::time::sleep(if complete { LOOK } else { AGAIN });
            if stop.run_until_cancelled(wait).await.is_none() {
                return;
            }
        }
        stop.cancelled().await;
    });
    (told, task)
}

type Found = BTreeMap<ServiceId, Vec<Instance>>;

/// All instances; one whose name is not found now stays where it was last. Says whether all were found.
async fn look(services: &[ServiceSettings], before: &Found) -> (Found, bool) {
    let mut found = Found::new();
    let mut complete = true;
    for service in services {
        let Ok(id) = service.name.parse::<ServiceId>() else { continue };
        let mut instances = Vec::new();
        for (number, url) in (1..).zip(service.addresses()) {
            match instance(service, &id, number, url).await {
                Ok(instance) => instances.push(instance),
                Err(error) => {
                    complete = false;
                    tracing::warn!(service = %id, url, %error, "the host of a service is not found");
                    let name = format!("mcp-{id}-{number}");
                    let known = before.get(&id).and_then(|all| all.iter().find(|it| it.id == name));
                    instances.extend(known.cloned());
                }
            }
        }
        found.insert(id, instances);
    }
    (found, complete)
}

async fn instance(
    service: &ServiceSettings,
    id: &ServiceId,
    number: u32,
    url: &str,
) -> Result<Instance, std::io::Error> {
    let Address { tls, authority, host, port, path } = address(url).map_err(std::io::Error::other)?;
    let looked_up = tokio::time::timeout(Duration::from_secs(5), tokio::net::lookup_host((host.as_str(), port)));
    let mut all: Vec<SocketAddr> = looked_up.await??.collect();
    // The same one each time, for as long as the name has it; IPv4 first, because not every network has the other.
    all.sort_by_key(|address| (address.is_ipv6(), *address));
    let address = all.first().copied().ok_or_else(|| std::io::Error::other("the name has no address"))?;
    let mut instance = Instance::new(id.clone(), number, address);
    instance.path = path;
    instance.era = service.peer_era();
    instance.origin = Some(Origin { authority, tls });
    Ok(instance)
}

/// The registry's services and those of the settings, in one; where both name a service, the settings count.
pub(crate) fn merged(registry: &Snapshot, configured: &Snapshot) -> Snapshot {
    let mut services = registry.services.clone();
    services.extend(configured.services.iter().map(|(id, instances)| (id.clone(), instances.clone())));
    Snapshot { services, stale: registry.stale, revision: registry.revision + configured.revision }
}
