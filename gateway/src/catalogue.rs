//! What the mesh offers: tools, prompts, resources and templates of every service, merged and ready to be answered.
//!
//! Lists are answered from memory, never by asking servers; a dead service keeps its last known entries and is named
//! under `_meta`. Each service's entries live on its [`shelf::Shelf`]; any change builds a new immutable [`View`] of the whole,
//! and one of each virtual server.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;
use weft_mesh::ServiceId;

mod face;
pub(crate) mod fetch;
pub(crate) mod follow;
pub(crate) mod lean;
pub(crate) mod lens;
pub(crate) mod listed;
pub(crate) mod rank;
mod readers;
pub(crate) mod shape;
pub(crate) mod shelf;
pub(crate) mod view;

use face::Face;
use lens::Lens;
use shape::Shaper;
use shelf::Shelf;
pub(crate) use view::{Kind, Tool, View};

use crate::{
    authorize::Role,
    door::Surface,
    settings::{Settings, virtuals},
};

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

    /// What a notification of a server tells of.
    pub(crate) fn of(method: &str) -> Option<Self> {
        let none = Self::default();
        match method {
            "notifications/tools/list_changed" => Some(Self { tools: true, ..none }),
            "notifications/prompts/list_changed" => Some(Self { prompts: true, ..none }),
            "notifications/resources/list_changed" => Some(Self { resources: true, ..none }),
            _ => None,
        }
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
    whole: Face,
    virtuals: HashMap<String, (Arc<Lens>, Face)>,
    shapers: HashMap<ServiceId, Shaper>,
    /// What the endpoints of shaped services show.
    shaped: ArcSwap<HashMap<ServiceId, Arc<View>>>,
    /// There may be callers who do not see everything.
    has_readers: bool,
    /// What the endpoints of services show to readers.
    readable: ArcSwap<HashMap<ServiceId, Arc<View>>>,
    shelves: Mutex<BTreeMap<ServiceId, Shelf>>,
    wake: Notify,
}

impl Catalogue {
    /// An empty catalogue, or everything that is wrong with the settings.
    pub(crate) fn new(settings: &Settings) -> Result<Self, Vec<String>> {
        let (name, shelves) = (settings.name.clone(), BTreeMap::new());
        let has_readers = settings.auth.has_roles();
        let mut view = View::build(&name, settings.instructions.as_deref(), &shelves, None);
        if has_readers {
            readers::add(&mut view, settings.instructions.as_deref(), &shelves);
        }
        let virtuals = virtuals::lenses(&settings.virtuals)?
            .into_iter()
            .map(|(id, lens)| {
                let lens = Arc::new(lens);
                let face = Face::new(lens.look(&name, &shelves, &view));
                (id, (lens, face))
            })
            .collect();
        Ok(Self {
            name,
            instructions: settings.instructions.clone(),
            whole: Face::new(view),
            virtuals,
            shapers: settings.shapes().filter_map(|(id, shape)| Some((id, Shaper::new(shape)?))).collect(),
            shaped: ArcSwap::default(),
            has_readers,
            readable: ArcSwap::default(),
            shelves: Mutex::new(shelves),
            wake: Notify::new(),
        })
    }

    /// The present view of the whole; it does not change while it is held.
    pub(crate) fn view(&self) -> Arc<View> {
        self.whole.view()
    }

    /// The present view that a caller has of an endpoint: of a virtual server, of a shaped service, otherwise of the whole; none
    /// when there is no such server, or it is not known yet what the service offers.
    pub(crate) fn view_of(&self, surface: &Surface, role: Role) -> Option<Arc<View>> {
        match surface {
            Surface::Service(id) if role == Role::Reader => self.readable.load().get(id).cloned(),
            Surface::Service(id) if self.is_shaped(id, role) => self.shaped.load().get(id).cloned(),
            _ if role == Role::Reader => self.face(surface)?.view().readers.clone(),
            _ => self.face(surface).map(Face::view),
        }
    }

    /// True when a service's tools are not shown as the service shows them; to a reader none are.
    pub(crate) fn is_shaped(&self, service: &ServiceId, role: Role) -> bool {
        role == Role::Reader || (!self.shapers.is_empty() && self.shapers.contains_key(service))
    }

    /// Changes of what an endpoint shows from now on, already gathered over the debounce time.
    pub(crate) fn changes(&self, surface: &Surface) -> broadcast::Receiver<Changed> {
        self.face(surface).unwrap_or(&self.whole).changes()
    }

    fn face(&self, surface: &Surface) -> Option<&Face> {
        match surface {
            Surface::Virtual(name) => self.virtuals.get(&**name).map(|(_, face)| face),
            Surface::Aggregate | Surface::Service(_) => Some(&self.whole),
        }
    }

    /// Puts a service's fresh entries, shaped, in the place of its old ones; `vouched` when its word counts.
    pub(crate) fn put(&self, service: &ServiceId, shelf: Shelf, vouched: bool) {
        let mut shelf = match self.shapers.get(service) {
            Some(shaper) => shaper.shape(shelf),
            None => shelf,
        };
        shelf.vouch(vouched);
        self.update(|shelves| {
            let unknown = shelf.unknown.clone();
            let before = shelves.insert(service.clone(), shelf).map(|before| before.unknown).unwrap_or_default();
            if !unknown.is_empty() && unknown != before {
                tracing::warn!(%service, ?unknown, "the settings name tools that the service does not have");
            }
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
        let instructions = self.instructions.as_deref();
        let mut view = View::build(&self.name, instructions, &shelves, Some(&self.whole.view()));
        view.publish();
        if self.has_readers {
            readers::add(&mut view, instructions, &shelves);
            self.readable.store(Arc::new(readers::own_views(&shelves)));
        }
        let mut changed = false;
        for (lens, face) in self.virtuals.values() {
            changed |= face.show(lens.look(&self.name, &shelves, &view));
        }
        changed |= self.whole.show(view);
        if !self.shapers.is_empty() {
            let shaped = shelves.iter().filter(|(service, _)| self.shapers.contains_key(service));
            let own =
                |(service, shelf): (&ServiceId, &Shelf)| (service.clone(), shape::own_view(service, shelf).into());
            self.shaped.store(Arc::new(shaped.map(own).collect()));
        }
        drop(shelves);
        if changed {
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
            for face in self.virtuals.values().map(|(_, face)| face).chain([&self.whole]) {
                face.announce();
            }
        }
    }
}
