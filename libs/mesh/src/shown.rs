//! The snapshots that a source has shown, for sources that find everything anew each time.

use std::{collections::BTreeMap, fmt, sync::Arc};

use tokio::sync::watch;

use crate::{Instance, ServiceId, Snapshot};

/// What watchers see.
#[derive(Debug)]
pub(crate) struct Shown(watch::Sender<Arc<Snapshot>>);

impl Shown {
    /// Nothing has been found yet.
    pub(crate) fn nothing() -> Self {
        Self(watch::Sender::new(Arc::default()))
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.0.subscribe()
    }

    /// Shows what was found; instances are put in the order of their ids. The same as before wakes nobody.
    pub(crate) fn set(&self, mut services: BTreeMap<ServiceId, Vec<Instance>>) {
        services.retain(|_, instances| !instances.is_empty());
        services.values_mut().for_each(|instances| instances.sort_by(|a, b| a.id.cmp(&b.id)));
        self.0.send_if_modified(|present| {
            if present.revision > 0 && !present.stale && present.services == services {
                return false;
            }
            *present = Arc::new(Snapshot { services, stale: false, revision: present.revision + 1 });
            true
        });
    }

    /// The source is away: what is shown stays, marked stale.
    pub(crate) fn mark_stale(&self, why: &dyn fmt::Display) {
        self.0.send_if_modified(|present| {
            if present.stale {
                return false;
            }
            tracing::warn!(%why, "the registry is away; the last known instances stay in use");
            let mut next = Snapshot::clone(present);
            next.stale = true;
            next.revision += 1;
            *present = Arc::new(next);
            true
        });
    }
}
