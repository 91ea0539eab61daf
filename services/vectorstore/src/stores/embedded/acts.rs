//! How an act on an embedded collection is run: on which thread, by whose leave, and what ends it.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use weft_kit::ToolError;

use super::{
    alias::Aliases,
    fault::Fault,
    folder::{self, Folder, OpenError},
    graph::Graph,
    shelf::Shelf,
    table::Sight,
    write::Change,
};
use crate::{check, model::Spec, stores::draft};

/// Acts at once; below the readers that a collection allows.
const PLACES: usize = 64;

/// Collections of one tenant; each takes address space and file handles.
const COLLECTIONS: usize = 256;

/// An embedded store.
#[derive(Debug)]
pub(crate) struct Embedded {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) folder: Folder,
    pub(super) aliases: Aliases,
    bytes: usize,
    open: Mutex<HashMap<(String, String), Arc<Shelf>>>,
    /// Collections appear and disappear one after the other.
    pub(super) arranging: tokio::sync::Mutex<()>,
    places: Arc<Semaphore>,
    /// Graphs that are being built.
    following: TaskTracker,
    /// Ends the building of graphs.
    settling: CancellationToken,
    pub(super) ending: CancellationToken,
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.inner.ending.cancel();
    }
}

impl Embedded {
    /// Opens or makes the store in `folder`; a collection may grow to `max_gib`.
    pub(crate) fn open(folder: &Path, max_gib: u32) -> Result<Self, OpenError> {
        let bytes = usize::try_from(max_gib).unwrap_or(usize::MAX).saturating_mul(1 << 30);
        let ending = CancellationToken::new();
        let taken = Folder::take(folder)?;
        let fault = |why: std::io::Error| OpenError::Folder { path: folder.to_owned(), why: why.to_string() };
        Ok(Self {
            inner: Arc::new(Inner {
                aliases: Aliases::open(folder).map_err(fault)?,
                folder: taken,
                bytes,
                open: Mutex::default(),
                arranging: tokio::sync::Mutex::default(),
                places: Arc::new(Semaphore::new(PLACES)),
                following: TaskTracker::new(),
                settling: ending.child_token(),
                ending,
            }),
        })
    }

    /// Runs `act` on a thread that may block; dropping the future stops it.
    pub(super) async fn act<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Inner, &CancellationToken) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, ToolError> {
        let closing = |_| ToolError::unavailable("the store is closing");
        let place = Arc::clone(&self.inner.places).acquire_owned().await.map_err(closing)?;
        let (inner, stop) = (Arc::clone(&self.inner), self.inner.ending.child_token());
        let _told = stop.clone().drop_guard();
        let acting = tokio::task::spawn_blocking(move || {
            let _place = place;
            act(&inner, &stop)
        });
        Ok(acting.await.map_err(|error| ToolError::internal(&error))??)
    }

    /// Reads one collection.
    pub(super) async fn see<T: Send + 'static>(
        &self,
        tenant: &str,
        name: &str,
        act: impl FnOnce(Sight<'_>, Option<&Graph>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, ToolError> {
        let (tenant, name, ours) = (tenant.to_owned(), name.to_owned(), self.inner.clone());
        self.act(move |inner, stop| {
            let shelf = inner.shelf(&tenant, &name)?;
            if shelf.is_first_look() {
                ours.tend(Arc::clone(&shelf));
            }
            let graph = shelf.graph();
            shelf.read(stop, |sight| act(sight, graph.as_deref()))
        })
        .await
    }

    /// Changes one collection.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        tenant: &str,
        name: &str,
        act: impl FnOnce(Change<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, ToolError> {
        let (tenant, name) = (tenant.to_owned(), name.to_owned());
        let shelf = self.act(move |inner, _| inner.shelf(&tenant, &name)).await?;
        let writing = Arc::clone(&shelf.writing).lock_owned().await;
        let changed = Arc::clone(&shelf);
        let done = self
            .act(move |_, stop| {
                // The place is given back when the work ends, not when the caller stops waiting.
                let _writing = writing;
                act(changed.change(stop)?)
            })
            .await?;
        self.inner.tend(shelf);
        Ok(done)
    }

    /// Ends the building of graphs, and waits for that and until their files are whole.
    pub(super) async fn settled(&self) {
        self.inner.settling.cancel();
        self.inner.following.close();
        self.inner.following.wait().await;
        let inner = Arc::clone(&self.inner);
        let kept = tokio::task::spawn_blocking(move || {
            let open: Vec<_> = inner.open.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
            open.iter().try_for_each(|shelf| shelf.keep())
        });
        if let Ok(Err(fault)) = kept.await {
            tracing::warn!(cause = ?fault, "a graph could not be kept; what its file lacks is linked again");
        }
    }
}

impl Inner {
    /// Lets the graph of a collection follow if it lags.
    fn tend(&self, shelf: Arc<Shelf>) {
        let stop = self.settling.clone();
        self.following.spawn_blocking(move || match shelf.keep_up(&stop) {
            Ok(()) | Err(Fault::Stopped) => {}
            Err(fault) => tracing::warn!(cause = ?fault, "a graph could not follow; searches scan what it lacks"),
        });
    }

    pub(super) fn shelf(&self, tenant: &str, name: &str) -> Result<Arc<Shelf>, Fault> {
        let unknown = || {
            ToolError::not_found(format!("there is no collection `{}`", check::shorten(name)))
                .hint("list_collections shows those that there are")
        };
        let key = (tenant.to_owned(), name.to_owned());
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shelf) = open.get(&key) {
            return Ok(Arc::clone(shelf));
        }
        let folder = self.folder.find(tenant, name)?.ok_or_else(unknown)?;
        let shelf = Arc::new(Shelf::open(folder, self.bytes)?);
        open.insert(key, Arc::clone(&shelf));
        Ok(shelf)
    }

    pub(super) fn create(&self, tenant: &str, spec: &Spec) -> Result<bool, Fault> {
        let there = self.folder.collections(tenant)?;
        if there.iter().any(|(name, _)| *name == spec.name) {
            return if self.shelf(tenant, &spec.name)?.spec()? == *spec {
                Ok(false)
            } else {
                Err(differs(spec).into())
            };
        }
        roomy(there.len())?;
        let place = self.folder.place(tenant)?;
        Shelf::make(&place, self.bytes, spec)?;
        self.folder.publish(tenant, &place, &spec.name)?;
        Ok(true)
    }

    pub(super) fn draft(&self, tenant: &str, spec: &Spec) -> Result<String, Fault> {
        let there = self.folder.collections(tenant)?;
        if there.iter().all(|(name, _)| *name != spec.name) {
            roomy(there.len())?;
        }
        let name = draft::of(&spec.name);
        let place = self.folder.place(tenant)?;
        Shelf::make(&place, self.bytes, spec)?;
        self.folder.hide(tenant, &place, &name)?;
        Ok(name)
    }

    pub(super) fn publish(&self, tenant: &str, draft: &str) -> Result<(), Fault> {
        let shelf = self.shelf(tenant, draft)?;
        let name = draft::target(draft);
        let key = |name: &str| (tenant.to_owned(), name.to_owned());
        // Held over the instant, so that nobody opens what is going under a name that is not its own any more.
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.folder.find(tenant, name)?;
        folder::succeed(shelf.folder(), old.as_deref())?;
        open.remove(&key(draft));
        open.insert(key(name), Arc::clone(&shelf));
        drop(open);
        if let Some(old) = old {
            std::fs::remove_dir_all(self.folder.withdraw(tenant, &old)?)?;
        }
        Ok(folder::settle(shelf.folder())?)
    }

    pub(super) fn withdraw(&self, tenant: &str, name: &str) -> Result<(), Fault> {
        let shelf = self.shelf(tenant, name)?;
        let gone = self.folder.withdraw(tenant, shelf.folder())?;
        let key = (tenant.to_owned(), name.to_owned());
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        self.aliases.change(tenant, |own| own.retain(|_, target| target != name))?;
        Ok(std::fs::remove_dir_all(gone)?)
    }
}

/// Whether one more collection may be made.
fn roomy(there: usize) -> Result<(), ToolError> {
    if there < COLLECTIONS {
        return Ok(());
    }
    let many = ToolError::too_large(format!("there are {COLLECTIONS} collections already"));
    Err(many.hint("delete one, or tell points apart by a field of their metadata"))
}

fn differs(spec: &Spec) -> ToolError {
    ToolError::conflict(format!("a collection `{}` with other settings exists", spec.name))
        .hint("describe_collection shows them; take another name, or delete that one first")
}
