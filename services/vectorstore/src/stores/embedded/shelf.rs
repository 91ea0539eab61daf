//! One collection on disk, open: its tables, and its graph as soon as it has one.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use heed::{Env, WithoutTls};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::{
    fault::Fault,
    graph::Graph,
    table::{Sight, Tables, environment},
    write::Change,
};
use crate::model::{Collection, Spec};

/// An open collection.
#[derive(Debug)]
pub(crate) struct Shelf {
    folder: PathBuf,
    env: Env<WithoutTls>,
    tables: Tables,
    graph: RwLock<Option<Arc<Graph>>>,
    /// One writer at a time, waiting without a thread.
    pub(crate) writing: Arc<tokio::sync::Mutex<()>>,
    /// The graph is being brought up to date.
    following: AtomicBool,
    /// Someone looked into it since it was opened.
    seen: AtomicBool,
}

impl Shelf {
    /// Makes the files of a new collection in a folder that nobody looks into yet.
    pub(crate) fn make(folder: &Path, bytes: usize, spec: &Spec) -> Result<(), Fault> {
        let env = environment(folder, bytes)?;
        let tables = Tables::open(&env)?;
        let mut txn = env.write_txn()?;
        tables.put_spec(&mut txn, spec)?;
        txn.commit()?;
        env.prepare_for_closing().wait();
        Ok(())
    }

    pub(crate) fn open(folder: PathBuf, bytes: usize) -> Result<Self, Fault> {
        let env = environment(&folder, bytes)?;
        let tables = Tables::open(&env)?;
        let shelf = Self {
            folder,
            env,
            tables,
            graph: RwLock::default(),
            writing: Arc::default(),
            following: AtomicBool::default(),
            seen: AtomicBool::default(),
        };
        if shelf.graph_folder().is_dir() {
            shelf.read(&CancellationToken::new(), |sight| shelf.open_graph(sight))?;
        }
        Ok(shelf)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn spec(&self) -> Result<Spec, Fault> {
        self.tables.spec(&*self.env.read_txn()?)
    }

    /// True once: what the graph lacks after a crash is linked when someone needs it.
    pub(crate) fn is_first_look(&self) -> bool {
        !self.seen.swap(true, Ordering::AcqRel)
    }

    /// Reads one consistent state.
    pub(crate) fn read<T>(
        &self,
        stop: &CancellationToken,
        act: impl FnOnce(Sight<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let txn = self.env.read_txn()?;
        let (spec, live) = (self.tables.spec(&txn)?, self.tables.live(&txn)?);
        act(Sight { tables: &self.tables, txn: &txn, spec: &spec, live: &live, stop })
    }

    /// Begins a change; waits for the one before it.
    pub(crate) fn change<'s>(&'s self, stop: &'s CancellationToken) -> Result<Change<'s>, Fault> {
        Change::begin(&self.env, &self.tables, stop)
    }

    pub(crate) fn graph(&self) -> Option<Arc<Graph>> {
        self.graph.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets the graph follow as long as it is too far behind, unless someone sees to it already, and writes its file.
    pub(crate) fn keep_up(&self, stop: &CancellationToken) -> Result<(), Fault> {
        while self.lags(stop)? {
            if self.following.swap(true, Ordering::AcqRel) {
                return Ok(());
            }
            let _done = Done(&self.following);
            let followed = self.follow(stop);
            if let Some(graph) = self.graph() {
                graph.save(followed.is_err())?;
            }
            // Even if there was nothing to do: whoever wrote meanwhile saw us at work and went away.
            followed?;
        }
        Ok(())
    }

    /// Writes what the graph's file lacks.
    pub(crate) fn keep(&self) -> Result<(), Fault> {
        self.graph().map_or(Ok(()), |graph| graph.save(true))
    }

    fn lags(&self, stop: &CancellationToken) -> Result<bool, Fault> {
        self.read(stop, |sight| Ok(Graph::serves(sight.spec) && Graph::lags(self.graph().as_deref(), sight.live)))
    }

    /// Brings the graph up to date: it does not lag behind what it saw.
    fn follow(&self, stop: &CancellationToken) -> Result<(), Fault> {
        self.read(stop, |sight| {
            let graph = match self.graph() {
                Some(graph) => graph,
                None => self.open_graph(sight)?,
            };
            graph.follow(sight)
        })
    }

    /// What the collection is now.
    pub(crate) fn describe(&self) -> Result<Collection, Fault> {
        let stop = CancellationToken::new();
        self.read(&stop, |sight| {
            let (held, graph_bytes) = match self.graph() {
                Some(graph) => (Some(graph.held()), graph.bytes()),
                None => (None, 0),
            };
            let mut facts = Map::new();
            facts.insert("index".to_owned(), json!(if held.is_some() { "hnsw" } else { "exact" }));
            if let Some(held) = held {
                facts.insert("indexed".to_owned(), json!((&held & sight.live).len()));
                facts.insert("scanned".to_owned(), json!((sight.live - &held).len()));
            }
            facts.insert("bytes".to_owned(), Value::from(self.env.real_disk_size()? + graph_bytes));
            Ok(Collection { spec: sight.spec.clone(), points: sight.live.len(), facts })
        })
    }

    fn open_graph(&self, sight: Sight<'_>) -> Result<Arc<Graph>, Fault> {
        let next = sight.tables.number(sight.txn, "next")?;
        let graph = Arc::new(Graph::open(&self.graph_folder(), sight.spec, next)?);
        *self.graph.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&graph));
        Ok(graph)
    }

    fn graph_folder(&self) -> PathBuf {
        self.folder.join("graph")
    }
}

/// Marks the end of a build however it ends.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
