//! One endpoint's side of the catalogue: its present view, and who is told when its own lists change.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::broadcast;

use super::{Changed, View};

/// What one endpoint shows.
#[derive(Debug)]
pub(super) struct Face {
    view: ArcSwap<View>,
    pending: Mutex<Changed>,
    changes: broadcast::Sender<Changed>,
}

impl Face {
    pub(super) fn new(view: View) -> Self {
        Self { view: ArcSwap::from_pointee(view), pending: Mutex::default(), changes: broadcast::Sender::new(64) }
    }

    pub(super) fn view(&self) -> Arc<View> {
        self.view.load_full()
    }

    pub(super) fn changes(&self) -> broadcast::Receiver<Changed> {
        self.changes.subscribe()
    }

    /// Shows `view` from now on; true when clients would see a difference.
    pub(super) fn show(&self, view: View) -> bool {
        let changed = view.differs(&self.view.load());
        self.view.store(Arc::new(view));
        if changed.any() {
            let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            *pending = pending.or(changed);
        }
        changed.any()
    }

    /// Tells of what has changed since the last time.
    pub(super) fn announce(&self) {
        let changed = std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner));
        if changed.any() {
            // No receiver is the usual case before the first client, not a failure.
            let _ = self.changes.send(changed);
        }
    }
}
