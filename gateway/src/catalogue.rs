//! What the mesh offers: tools, prompts, resources and templates of every service, merged and ready to be answered.
//!
//! Lists are answered from memory, never by asking servers; a dead service keeps its last known entries and is named
//! under `_meta`. Each service's entries live on its [`shelf::Shelf`]; any change builds a new immutable [`View`].

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;
use weft_mesh::ServiceId;

pub(crate) mod fetch;
pub(crate) mod follow;
pub(crate) mod rank;
pub(crate) mod shelf;
pub(crate) mod view;

use shelf::Shelf;
pub(crate) use view::{Kind, Tool, View};

/// Which lists have changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) tools: bool,
    pub(crate) prompts: bool,
    pub(crate) resources: bool,
}

impl Changed {
    const fn any(self) -> bool {
        self.tools || self.prompts || self.resources
    }

    const fn or(self, other: Self) -> Self {
        Self {
            tools: self.tools || other.tools,
            prompts: self.prompts || other.prompts,
            resources: self.resources || other.resources,
        }
    }

    /// The notifications that tell of it.
    pub(crate) fn methods(self) -> impl Iterator<Item = &'static str> {
        [
            (self.tools, "notifications/tools/list_changed"),
            (self.prompts, "notifications/prompts/list_changed"),
            (self.resources, "notifications/resources/list_changed"),
        ]
        .into_iter()
        .filter_map(|(changed, method)| changed.then_some(method))
    }
}

/// The catalogue of the mesh.
#[derive(Debug)]
pub(crate) struct Catalogue {
    name: String,
    instructions: Option<String>,
    view: ArcSwap<View>,
    shelves: Mutex<BTreeMap<ServiceId, Shelf>>,
    pending: Mutex<Changed>,
    wake: Notify,
    changes: broadcast::Sender<Changed>,
}

impl Catalogue {
    pub(crate) fn new(name: &str, instructions: Option<String>) -> Self {
        let view = View::build(name, instructions.as_deref(), &BTreeMap::new(), None);
        Self {
            name: name.to_owned(),
            instructions,
            view: ArcSwap::from_pointee(view),
            shelves: Mutex::default(),
            pending: Mutex::default(),
            wake: Notify::new(),
            changes: broadcast::Sender::new(64),
        }
    }

    /// The present view; it does not change while it is held.
    pub(crate) fn view(&self) -> Arc<View> {
        self.view.load_full()
    }

    /// Changes from now on, already gathered over the debounce time.
    pub(crate) fn changes(&self) -> broadcast::Receiver<Changed> {
        self.changes.subscribe()
    }

    /// Puts a service's fresh entries in the place of its old ones.
    pub(crate) fn put(&self, service: &ServiceId, shelf: Shelf) {
        self.update(|shelves| {
            shelves.insert(service.clone(), shelf);
        });
    }

    /// Marks what is known of a service as old, or as fresh again.
    pub(crate) fn mark_stale(&self, service: &ServiceId, stale: bool) {
        let differs = self.lock().get(service).is_some_and(|shelf| shelf.stale != stale);
        if differs {
            self.update(|shelves| {
                if let Some(shelf) = shelves.get_mut(service) {
                    shelf.stale = stale;
                }
            });
        }
    }

    /// Forgets a service that left.
    pub(crate) fn remove(&self, service: &ServiceId) {
        self.update(|shelves| {
            shelves.remove(service);
        });
    }

    /// True when the service's entries are known, fresh or not.
    pub(crate) fn knows(&self, service: &ServiceId) -> bool {
        self.lock().contains_key(service)
    }

    fn update(&self, change: impl FnOnce(&mut BTreeMap<ServiceId, Shelf>)) {
        let mut shelves = self.lock();
        change(&mut shelves);
        let before = self.view.load_full();
        let view = View::build(&self.name, self.instructions.as_deref(), &shelves, Some(&before));
        view.publish();
        let changed = view.differs(&before);
        self.view.store(Arc::new(view));
        drop(shelves);
        if changed.any() {
            let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            *pending = pending.or(changed);
            self.wake.notify_one();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<ServiceId, Shelf>> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of changes, gathered: a deployment that moves ten services makes clients ask once.
    pub(crate) async fn announce(&self, debounce: Duration, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.wake.notified() => {}
            }
            tokio::time::sleep(debounce).await;
            let changed = std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner));
            // No receiver is the usual case before the first client, not a failure.
            let _ = self.changes.send(changed);
        }
    }
}
