//! A registry inside one process: `weft up`, and tests.

use std::sync::Arc;

use tokio::sync::watch;

use crate::{
    BoxFuture, Instance, Register, RegistryError, Snapshot, Watch,
    latest::{Latest, Services},
};

/// The registry of one process.
#[derive(Debug)]
pub struct Local {
    latest: Latest,
}

impl Local {
    /// An empty registry.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { latest: Latest::new(Services::new(), false) })
    }
}

impl Register for Local {
    fn announce(&self, instance: Instance) -> BoxFuture<'_, Result<(), RegistryError>> {
        Box::pin(async move {
            let taken = self.latest.change(|snapshot| {
                let taken = snapshot.services.values().flatten().any(|known| is_another(known, &instance));
                if taken {
                    return Some(instance.id);
                }
                let instances = snapshot.services.entry(instance.service.clone()).or_default();
                instances.retain(|known| known.id != instance.id);
                instances.push(instance);
                None
            });
            taken.map_or(Ok(()), |id| Err(RegistryError::Taken(id)))
        })
    }

    fn withdraw<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), RegistryError>> {
        Box::pin(async move {
            self.latest.change(|snapshot| {
                for instances in snapshot.services.values_mut() {
                    instances.retain(|known| known.id != id);
                }
            });
            Ok(())
        })
    }
}

/// Has the id of `new` but is not the same process.
fn is_another(known: &Instance, new: &Instance) -> bool {
    known.id == new.id && (known.address != new.address || known.service != new.service)
}

impl Watch for Local {
    fn watch(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.latest.watch()
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
    fn numbered(port: u16) -> Instance {
        Instance::new("echo".parse().unwrap(), 1, ([127, 0, 0, 1], port).into())
    }

    #[tokio::test]
    async fn what_changes_nothing_wakes_nobody() {
        let registry = Local::new();
        registry.announce(numbered(1)).await.unwrap();
        let mut watch = registry.watch();
        let before = watch.borrow_and_update().revision;
        registry.announce(numbered(1)).await.unwrap();
        registry.announce(numbered(2)).await.unwrap_err();
        registry.withdraw("mcp-none-1").await.unwrap();
        assert!(!watch.has_changed().unwrap());
        assert_eq!(watch.borrow().revision, before);
        registry.announce(Instance { weight: 2, ..numbered(1) }).await.unwrap();
        assert!(watch.has_changed().unwrap());
    }

    #[test]
    fn of_many_who_announce_one_id_at_once_one_wins() {
        for _ in 0..50 {
            let registry = Local::new();
            let start = std::sync::Barrier::new(4);
            let announce = |port| {
                start.wait();
                futures_util::FutureExt::now_or_never(registry.announce(numbered(port))).unwrap().is_ok()
            };
            let won = std::thread::scope(|scope| {
                let announce = &announce;
                let threads: Vec<_> = (1..=4).map(|port| scope.spawn(move || announce(port))).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).filter(|won| *won).count()
            });
            assert_eq!(won, 1);
            assert_eq!(registry.watch().borrow().services.values().flatten().count(), 1);
        }
    }
}
