//! A registry inside one process: `weft up`, and tests.

use std::sync::Arc;

use tokio::sync::watch;

use crate::{BoxFuture, Instance, Register, RegistryError, Snapshot, Watch};

/// The registry of one process.
#[derive(Debug)]
pub struct Local {
    snapshots: watch::Sender<Arc<Snapshot>>,
}

impl Local {
    /// An empty registry.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { snapshots: watch::Sender::new(Arc::default()) })
    }

    /// Applies a change that says whether it was one.
    fn change(&self, change: impl FnOnce(&mut Snapshot) -> bool) {
        self.snapshots.send_if_modified(|present| {
            let mut next = Snapshot::clone(present);
            let changed = change(&mut next);
            if changed {
                next.services.retain(|_, instances| !instances.is_empty());
                next.revision += 1;
                *present = Arc::new(next);
            }
            changed
        });
    }
}

impl Register for Local {
    fn announce(&self, instance: Instance) -> BoxFuture<'_, Result<(), RegistryError>> {
        Box::pin(async move {
            // One step: two that announce the same id at once cannot both find it free.
            let mut taken = None;
            self.change(|snapshot| {
                let mut known = snapshot.services.values().flatten().filter(|known| known.id == instance.id);
                if known.any(|known| known.address != instance.address || known.service != instance.service) {
                    taken = Some(instance.id);
                    return false;
                }
                let instances = snapshot.services.entry(instance.service.clone()).or_default();
                if instances.contains(&instance) {
                    return false;
                }
                instances.retain(|known| known.id != instance.id);
                let place = instances.partition_point(|known| known.id < instance.id);
                instances.insert(place, instance);
                true
            });
            taken.map_or(Ok(()), |id| Err(RegistryError::Taken(id)))
        })
    }

    fn withdraw<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), RegistryError>> {
        Box::pin(async move {
            self.change(|snapshot| {
                let before: usize = snapshot.services.values().map(Vec::len).sum();
                snapshot.services.values_mut().for_each(|instances| instances.retain(|known| known.id != id));
                before != snapshot.services.values().map(Vec::len).sum::<usize>()
            });
            Ok(())
        })
    }
}

impl Watch for Local {
    fn watch(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn announced_instances_are_seen_and_withdrawn_ones_are_not() {
        let registry = Local::new();
        let mut watch = registry.watch();
        let one = Instance::new("echo".parse().unwrap(), 1, "127.0.0.1:1".parse().unwrap());
        let two = Instance::new("echo".parse().unwrap(), 2, "127.0.0.1:2".parse().unwrap());
        registry.announce(two).await.unwrap();
        registry.announce(one.clone()).await.unwrap();
        registry.announce(one.clone()).await.unwrap();
        let snapshot = Arc::clone(&watch.borrow_and_update());
        let ids: Vec<_> = snapshot.services.values().flatten().map(|instance| instance.id.as_str()).collect();
        assert_eq!(ids, ["mcp-echo-1", "mcp-echo-2"]);
        let elsewhere = Instance { address: "127.0.0.1:9".parse().unwrap(), ..one };
        assert!(matches!(registry.announce(elsewhere).await, Err(RegistryError::Taken(_))));
        registry.withdraw("mcp-echo-1").await.unwrap();
        registry.withdraw("mcp-echo-2").await.unwrap();
        registry.withdraw("mcp-none-1").await.unwrap();
        assert!(watch.borrow_and_update().services.is_empty());
    }
}
