//! SQLite in one file: write-ahead log, one writer, readers that do not wait, an index of terms (FTS5), vectors compared one by one.
//!
//! Current records alone are indexed; older versions are read by time. What is erased is overwritten (`secure_delete`, in the index
//! too), so that it is not in the file any more. A read that nobody waits for is interrupted.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::Context as _;
use futures_util::future::BoxFuture;
use rusqlite::Connection;
use tokio_util::sync::CancellationToken;
use weft_kit::ToolError;

mod find;
mod follow;
mod open;
mod write;

use super::{Answer, Census, Committed, Refit, Row, Store, Tell, Write};
use crate::{
    filter::Filter,
    model::{Record, Uses},
    moment::Moment,
};

/// Instructions of SQLite's machine between two looks at whether anyone still waits.
const STEPS: i32 = 2_000;
/// Readers that are kept.
const READERS: usize = 8;

/// Memory in a file.
#[derive(Debug)]
pub(crate) struct Embedded {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: std::path::PathBuf,
    /// Tells what this process wrote from what others did.
    origin: i64,
    writer: Mutex<Option<Connection>>,
    readers: Mutex<Vec<Connection>>,
}

impl Embedded {
    /// Opens the file, or makes it.
    pub(crate) fn open(path: &Path) -> Result<Self, anyhow::Error> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder of {}", path.display()))?;
        }
        let writer = open::writer(path).with_context(|| format!("cannot open {}", path.display()))?;
        let origin = i64::from_le_bytes(uuid::Uuid::new_v4().as_bytes()[..8].try_into().unwrap_or_default());
        let (path, writer) = (path.to_owned(), Mutex::new(Some(writer)));
        Ok(Self { shared: Arc::new(Shared { path, origin, writer, readers: Mutex::default() }) })
    }

    async fn read<T, F>(&self, work: F) -> Result<T, ToolError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        let waited = Waited::default();
        let gone = Arc::clone(&waited.gone);
        let ended = tokio::task::spawn_blocking(move || {
            let free = shared.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut connection = match free {
                Some(connection) => connection,
                None => open::reader(&shared.path)?,
            };
            connection.progress_handler(STEPS, Some(move || gone.load(Ordering::Relaxed)))?;
            let out = work(&connection);
            connection.progress_handler(STEPS, None::<fn() -> bool>)?;
            let mut readers = shared.readers.lock().unwrap_or_else(PoisonError::into_inner);
            if readers.len() < READERS {
                readers.push(connection);
            }
            out
        });
        ended.await.map_err(|error| ToolError::internal(&error))?.map_err(|error| fault(&error))
    }

    /// A write is short and is not interrupted: it is made whole even if nobody waits any more.
    async fn write<T, F>(&self, work: F) -> Result<T, ToolError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection, i64) -> Result<T, rusqlite::Error> + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        let ended = tokio::task::spawn_blocking(move || {
            let mut writer = shared.writer.lock().unwrap_or_else(PoisonError::into_inner);
            match writer.as_mut() {
                Some(connection) => work(connection, shared.origin).map_err(|error| fault(&error)),
                None => Err(ToolError::unavailable("the service is stopping")),
            }
        });
        ended.await.unwrap_or_else(|error| Err(ToolError::internal(&error)))
    }
}

/// Says so when it is dropped.
#[derive(Default)]
struct Waited {
    gone: Arc<AtomicBool>,
}

impl Drop for Waited {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::Relaxed);
    }
}

/// What SQLite says → what a caller can do about it.
fn fault(error: &rusqlite::Error) -> ToolError {
    use rusqlite::ErrorCode;
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            ToolError::unavailable("memory is busy").hint("try again in a moment")
        }
        Some(ErrorCode::DiskFull) => ToolError::new("storage_full", "no space is left for this"),
        Some(ErrorCode::OperationInterrupted) => ToolError::cancelled(),
        _ => ToolError::internal(error),
    }
}

impl Store for Embedded {
    fn kind(&self) -> &'static str {
        "embedded"
    }

    fn healthy(&self) -> Answer<'_, ()> {
        Box::pin(self.read(|connection| connection.query_row("SELECT 1", [], |_| Ok(()))))
    }

    fn get<'a>(&'a self, space: &'a str, ids: &'a [String]) -> Answer<'a, Vec<Record>> {
        let (space, ids) = (space.to_owned(), ids.to_vec());
        Box::pin(self.read(move |connection| find::get(connection, &space, &ids)))
    }

    fn history<'a>(&'a self, space: &'a str, id: &'a str) -> Answer<'a, Vec<Row>> {
        let (space, id) = (space.to_owned(), id.to_owned());
        Box::pin(self.read(move |connection| find::history(connection, &space, &id)))
    }

    fn commit<'a>(&'a self, space: &'a str, batch: Vec<Write>) -> Answer<'a, Committed> {
        let space = space.to_owned();
        Box::pin(self.write(move |connection, origin| write::commit(connection, origin, &space, &batch)))
    }

    fn newest<'a>(
        &'a self,
        space: &'a str,
        before: Option<&'a (Moment, String)>,
        filter: &'a Filter,
        limit: usize,
    ) -> Answer<'a, Vec<Record>> {
        let (space, before, filter) = (space.to_owned(), before.cloned(), filter.clone());
        Box::pin(self.read(move |connection| find::newest(connection, &space, before, &filter, limit)))
    }

    fn believed<'a>(&'a self, space: &'a str, at: Moment, filter: &'a Filter) -> Answer<'a, Vec<Record>> {
        let (space, filter) = (space.to_owned(), filter.clone());
        Box::pin(self.read(move |connection| find::believed(connection, &space, at, &filter)))
    }

    fn matching<'a>(
        &'a self,
        space: &'a str,
        tokens: &'a [String],
        filter: &'a Filter,
        limit: usize,
    ) -> Answer<'a, Vec<Record>> {
        let (space, tokens, filter) = (space.to_owned(), tokens.to_vec(), filter.clone());
        Box::pin(self.read(move |connection| find::matching(connection, &space, &tokens, &filter, limit)))
    }

    fn nearest<'a>(
        &'a self,
        space: &'a str,
        vector: &'a [f32],
        filter: &'a Filter,
        limit: usize,
    ) -> Answer<'a, Vec<(Record, f64)>> {
        let (space, vector, filter) = (space.to_owned(), vector.to_vec(), filter.clone());
        Box::pin(self.read(move |connection| find::nearest(connection, &space, &vector, &filter, limit)))
    }

    fn touching<'a>(
        &'a self,
        space: &'a str,
        nodes: &'a [String],
        filter: &'a Filter,
        limit: usize,
    ) -> Answer<'a, Vec<Record>> {
        let (space, nodes, filter) = (space.to_owned(), nodes.to_vec(), filter.clone());
        Box::pin(self.read(move |connection| find::touching(connection, &space, &nodes, &filter, limit)))
    }

    fn refit<'a>(&'a self, space: &'a str, batch: Vec<Refit>) -> Answer<'a, ()> {
        let space = space.to_owned();
        Box::pin(self.write(move |connection, _| write::refit(connection, &space, &batch)))
    }

    fn count_use<'a>(&'a self, space: &'a str, ids: &'a [String], misled: bool, at: Moment) -> Answer<'a, ()> {
        let (space, ids) = (space.to_owned(), ids.to_vec());
        Box::pin(self.write(move |connection, _| write::count_use(connection, &space, &ids, misled, at)))
    }

    fn count_recall<'a>(&'a self, space: &'a str, ids: &'a [String], at: Moment) -> Answer<'a, ()> {
        let (space, ids) = (space.to_owned(), ids.to_vec());
        Box::pin(self.write(move |connection, _| write::count_recall(connection, &space, &ids, at)))
    }

    fn uses<'a>(&'a self, space: &'a str, ids: &'a [String]) -> Answer<'a, std::collections::BTreeMap<String, Uses>> {
        let (space, ids) = (space.to_owned(), ids.to_vec());
        Box::pin(self.read(move |connection| find::uses(connection, &space, &ids)))
    }

    fn erase<'a>(&'a self, space: &'a str, ids: &'a [String]) -> Answer<'a, u64> {
        let (space, ids) = (space.to_owned(), ids.to_vec());
        Box::pin(self.write(move |connection, origin| write::erase(connection, origin, &space, &ids)))
    }

    fn count<'a>(&'a self, space: &'a str) -> Answer<'a, u64> {
        let space = space.to_owned();
        Box::pin(self.read(move |connection| find::count(connection, &space)))
    }

    fn census<'a>(&'a self, space: &'a str) -> Answer<'a, Census> {
        let space = space.to_owned();
        Box::pin(self.read(move |connection| find::census(connection, &space)))
    }

    fn spaces(&self) -> Answer<'_, Vec<String>> {
        Box::pin(self.read(find::spaces))
    }

    fn sweep(&self, now: Moment) -> Answer<'_, u64> {
        Box::pin(self.write(move |connection, origin| write::sweep(connection, origin, now)))
    }

    fn watch(&self, tell: Tell, stop: CancellationToken) -> BoxFuture<'_, ()> {
        Box::pin(follow::watch(Arc::clone(&self.shared), tell, stop))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.shared.readers.lock().unwrap_or_else(PoisonError::into_inner).clear();
            let shared = Arc::clone(&self.shared);
            let closed = tokio::task::spawn_blocking(move || {
                drop(shared.writer.lock().unwrap_or_else(PoisonError::into_inner).take());
            });
            let _ = closed.await;
        })
    }
}
