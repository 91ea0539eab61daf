//! Where a model's weights are while they are in memory, and how they leave it after a time without use.
//!
//! The task that lets them go belongs to the weights: it ends with them.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::task::JoinHandle;

use super::model::Model;

/// Where the weights are while they are in memory.
#[derive(Debug, Default)]
pub(crate) struct Shelf(Mutex<Option<Loaded>>);

#[derive(Debug)]
struct Loaded {
    model: Arc<Model>,
    used: Instant,
    /// Lets the weights go; ends with them.
    keeper: Option<JoinHandle<()>>,
}

impl Drop for Loaded {
    fn drop(&mut self) {
        if let Some(keeper) = &self.keeper {
            keeper.abort();
        }
    }
}

impl Shelf {
    fn lock(&self) -> MutexGuard<'_, Option<Loaded>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The model if it is there, and how long nobody used it.
    pub(crate) fn look(&self) -> Option<(Arc<Model>, Duration)> {
        let shelf = self.lock();
        let loaded = shelf.as_ref()?;
        Some((Arc::clone(&loaded.model), loaded.used.elapsed()))
    }

    /// Lets the model go; work that has begun keeps it until it is done.
    pub(crate) fn clear(&self) {
        self.lock().take();
    }

    /// The model if it is there; it counts as used now.
    pub(crate) fn touch(&self) -> Option<Arc<Model>> {
        let mut shelf = self.lock();
        let loaded = shelf.as_mut()?;
        loaded.used = Instant::now();
        Some(Arc::clone(&loaded.model))
    }

    /// Keeps a model that was loaded, for `idle` after its last use.
    pub(crate) fn put(self: &Arc<Self>, model: Arc<Model>, idle: Option<Duration>) {
        let keeper = idle.map(|idle| {
            let shelf = Arc::downgrade(self);
            tokio::spawn(async move {
                let mut left = Some(idle);
                while let Some(pause) = left {
                    tokio::time::sleep(pause).await;
                    left = shelf.upgrade().and_then(|shelf| shelf.sweep(idle));
                }
            })
        });
        *self.lock() = Some(Loaded { model, used: Instant::now(), keeper });
    }

    /// Lets the model go if its time is over; otherwise what is left of it.
    fn sweep(&self, idle: Duration) -> Option<Duration> {
        let mut shelf = self.lock();
        let left = idle.saturating_sub(shelf.as_ref()?.used.elapsed());
        if left.is_zero() {
            shelf.take();
            tracing::info!("a local model was let go: nobody used it");
            return None;
        }
        Some(left)
    }
}
