//! The latest snapshot of a source. Every change is one step, so that two callers never build on the same past, and a
//! change that changes nothing wakes nobody.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::watch;

use crate::{Instance, ServiceId, Snapshot};

/// Instances by service.
pub(crate) type Services = BTreeMap<ServiceId, Vec<Instance>>;

/// The latest snapshot, and who waits for the next.
#[derive(Debug)]
pub(crate) struct Latest(watch::Sender<Arc<Snapshot>>);

impl Latest {
    /// Begins with what is known at the start.
    pub(crate) fn new(services: Services, stale: bool) -> Self {
        let mut snapshot = Snapshot { services, stale, revision: 1 };
        put_in_order(&mut snapshot.services);
        Self(watch::Sender::new(Arc::new(snapshot)))
    }

    /// Changes the snapshot in one step; says what `change` says.
    pub(crate) fn change<T: Default>(&self, change: impl FnOnce(&mut Snapshot) -> T) -> T {
        let mut said = T::default();
        self.0.send_if_modified(|present| {
            let mut next = Snapshot::clone(present);
            said = change(&mut next);
            put_in_order(&mut next.services);
            if next == **present {
                return false;
            }
            next.revision += 1;
            *present = Arc::new(next);
            true
        });
        said
    }

    /// Puts what the source says now in the place of what it said before.
    pub(crate) fn replace(&self, services: Services, stale: bool) {
        self.change(|snapshot| (snapshot.services, snapshot.stale) = (services, stale));
    }

    /// The source is away: what was known last stays in use. True when it was not marked before.
    pub(crate) fn mark_stale(&self) -> bool {
        self.change(|snapshot| !std::mem::replace(&mut snapshot.stale, true))
    }

    /// True when the source is away.
    pub(crate) fn is_stale(&self) -> bool {
        self.0.borrow().stale
    }

    /// The present snapshot, and every later one.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.0.subscribe()
    }
}

/// What a [`Snapshot`] promises: no service without instances, instances in the order of their ids.
fn put_in_order(services: &mut Services) {
    services.retain(|_, instances| !instances.is_empty());
    for instances in services.values_mut() {
        instances.sort_by(|one, other| one.id.cmp(&other.id));
    }
}
