//! Redis, shared by all instances: documents in hashes, what finds them in sets, time in sorted sets, and one key per record that is
//! watched (`WATCH`) while a batch is prepared, so that the batch is dropped if any of them moved.
//!
//! A write is acknowledged when Redis has it; whether it survives the loss of power is for the server to say (`appendfsync always`).
//! All keys of a partition share a hash tag, and a batch touches one partition. Reads share a connection; a batch has one of its own,
//! which is given back only if the batch came to its end.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures_util::{StreamExt as _, future::BoxFuture};
use redis::{
    AsyncConnectionConfig, Client, RedisError,
    aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection},
};
use tokio::sync::{OnceCell, Semaphore};
use tokio_util::sync::CancellationToken;
use weft_kit::{Reference, ToolError};

mod find;
mod keys;
mod line;
mod write;

use self::{keys::Keys, line::Line};
use super::{Answer, Census, Committed, Refit, Row, Store, Tell, Write};
use crate::{
    filter::Filter,
    model::{Record, Uses},
    moment::Moment,
};

/// The longest that Redis may take for one answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two tries to listen.
const AGAIN: Duration = Duration::from_millis(500);

/// Memory in Redis.
#[derive(Debug)]
pub(crate) struct Redis {
    client: Client,
    prefix: String,
    /// Tells what this process wrote from what others did.
    origin: String,
    shared: OnceCell<ConnectionManagerOf>,
    /// Connections for batches, and how many there may be.
    free: Mutex<Vec<Line<MultiplexedConnection>>>,
    places: Semaphore,
}

/// The connection that reads share; it connects again by itself.
#[derive(Clone)]
struct ConnectionManagerOf(ConnectionManager);

impl std::fmt::Debug for ConnectionManagerOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("connection")
    }
}

/// What Redis says → what a caller can do about it.
fn fault(error: RedisError) -> ToolError {
    if error.is_io_error() || error.is_timeout() || error.is_connection_dropped() || error.is_connection_refusal() {
        tracing::warn!(%error, "the store of memory cannot be reached");
        return ToolError::unavailable("memory cannot be reached now").hint("try again in a moment");
    }
    match error.code() {
        Some("OOM") => ToolError::new("storage_full", "no space is left for this"),
        Some("LOADING" | "BUSY" | "READONLY" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN") => {
            ToolError::unavailable("memory cannot be used now").hint("try again in a moment")
        }
        _ => ToolError::internal(&error),
    }
}

/// A document that cannot be read.
fn broken(error: serde_json::Error) -> RedisError {
    RedisError::from((redis::ErrorKind::Parse, "a record cannot be read", error.to_string()))
}

impl Redis {
    /// Checks the settings; the server is reached when it is first needed.
    pub(crate) fn open(url: &Reference, prefix: &str, pool: u32) -> Result<Self, anyhow::Error> {
        let fits = |letter: char| letter.is_ascii_alphanumeric() || ":_-.".contains(letter);
        anyhow::ensure!(
            (1..=64).contains(&prefix.len()) && prefix.chars().all(fits),
            "the prefix has 1 to 64 letters, digits and :_-. in it: {prefix:?}"
        );
        let client = Client::open(url.value()?)
            .map_err(|_| anyhow::anyhow!("the url of memory is none: redis://host:port/0"))?;
        let origin = uuid::Uuid::new_v4().simple().to_string();
        let places = Semaphore::new(pool.max(1) as usize);
        Ok(Self { client, prefix: prefix.to_owned(), origin, shared: OnceCell::new(), free: Mutex::default(), places })
    }

    fn keys(&self, space: &str) -> Keys {
        Keys::new(&self.prefix, space)
    }

    fn channel(&self) -> String {
        format!("{}:changed", self.prefix)
    }

    fn spaces(&self) -> String {
        format!("{}:spaces", self.prefix)
    }

    /// The connection that reads share.
    async fn reading(&self) -> Result<Line<ConnectionManager>, RedisError> {
        let connect = || async {
            let config = ConnectionManagerConfig::new()
                .set_response_timeout(Some(PATIENCE))
                .set_connection_timeout(Some(PATIENCE))
                .set_number_of_retries(2);
            self.client.get_connection_manager_with_config(config).await.map(ConnectionManagerOf)
        };
        self.shared.get_or_try_init(connect).await.map(|shared| Line::new(shared.0.clone(), &self.client))
    }

    /// A connection that nobody else uses; give it back with [`keep`](Self::keep) when nothing is watched any more.
    async fn writing(&self) -> Result<Line<MultiplexedConnection>, RedisError> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(connection) = free {
            return Ok(connection);
        }
        let config =
            AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE)).set_connection_timeout(Some(PATIENCE));
        let connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        Ok(Line::new(connection, &self.client))
    }

    fn keep(&self, connection: Line<MultiplexedConnection>) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }

    async fn listen(&self, tell: &Tell) -> Result<(), RedisError> {
        let mut pubsub = self.client.get_async_pubsub().await?;
        pubsub.subscribe(self.channel()).await?;
        let mut messages = pubsub.on_message();
        while let Some(message) = messages.next().await {
            let said: String = message.get_payload()?;
            let mut words = said.splitn(3, ' ');
            if let (Some(origin), Some(space), Some(id)) = (words.next(), words.next(), words.next())
                && origin != self.origin
            {
                tell(space, id);
            }
        }
        Ok(())
    }
}

impl Store for Redis {
    fn kind(&self) -> &'static str {
        "redis"
    }

    fn healthy(&self) -> Answer<'_, ()> {
        Box::pin(async move { find::ping(self).await.map_err(fault) })
    }

    fn get<'a>(&'a self, space: &'a str, ids: &'a [String]) -> Answer<'a, Vec<Record>> {
        Box::pin(async move { find::get(self, space, ids).await.map_err(fault) })
    }

    fn history<'a>(&'a self, space: &'a str, id: &'a str) -> Answer<'a, Vec<Row>> {
        Box::pin(async move { find::history(self, space, id).await.map_err(fault) })
    }

    fn commit<'a>(&'a self, space: &'a str, batch: Vec<Write>) -> Answer<'a, Committed> {
        Box::pin(async move { write::commit(self, space, &batch).await.map_err(fault) })
    }

    fn newest<'a>(
        &'a self,
        space: &'a str,
        before: Option<&'a (Moment, String)>,
        filter: &'a Filter,
        limit: usize,
    ) -> Answer<'a, Vec<Record>> {
        Box::pin(async move { find::newest(self, space, before, filter, limit).await.map_err(fault) })
    }

    fn believed<'a>(&'a self, space: &'a str, at: Moment, filter: &'a Filter) -> Answer<'a, Vec<Record>> {
        Box::pin(async move { find::believed(self, space, at, filter).await.map_err(fault) })
    }

    fn matching<'a>(
        &'a self,
        space: &'a str,
        tokens: &'a [String],
        filter: &'a Filter,
        limit: usize,
    ) -> Answer<'a, Vec<Record>> {
        Box::pin(async move { find::matching(self, space, tokens, filter, limit).await.map_err(fault) })
    }

    fn nearest<'a>(
        &'a self,
        space: &'a str,
        vector: &'a [f32],
        filter: &'a Filter,
        limit: usize,
    ) -> Answer<'a, Vec<(Record, f64)>> {
        Box::pin(async move { find::nearest(self, space, vector, filter, limit).await.map_err(fault) })
    }

    fn touching<'a>(
        &'a self,
        space: &'a str,
        nodes: &'a [String],
        filter: &'a Filter,
        limit: usize,
    ) -> Answer<'a, Vec<Record>> {
        Box::pin(async move { find::touching(self, space, nodes, filter, limit).await.map_err(fault) })
    }

    fn refit<'a>(&'a self, space: &'a str, batch: Vec<Refit>) -> Answer<'a, ()> {
        Box::pin(async move { write::refit(self, space, &batch).await.map_err(fault) })
    }

    fn count_use<'a>(&'a self, space: &'a str, ids: &'a [String], misled: bool, at: Moment) -> Answer<'a, ()> {
        Box::pin(async move { write::count_use(self, space, ids, misled, at).await.map_err(fault) })
    }

    fn count_recall<'a>(&'a self, space: &'a str, ids: &'a [String], at: Moment) -> Answer<'a, ()> {
        Box::pin(async move { write::count_recall(self, space, ids, at).await.map_err(fault) })
    }

    fn uses<'a>(&'a self, space: &'a str, ids: &'a [String]) -> Answer<'a, BTreeMap<String, Uses>> {
        Box::pin(async move { find::uses(self, space, ids).await.map_err(fault) })
    }

    fn erase<'a>(&'a self, space: &'a str, ids: &'a [String]) -> Answer<'a, u64> {
        Box::pin(async move { write::erase(self, space, ids).await.map_err(fault) })
    }

    fn count<'a>(&'a self, space: &'a str) -> Answer<'a, u64> {
        Box::pin(async move { find::count(self, space).await.map_err(fault) })
    }

    fn census<'a>(&'a self, space: &'a str) -> Answer<'a, Census> {
        Box::pin(async move { find::census(self, space).await.map_err(fault) })
    }

    fn spaces(&self) -> Answer<'_, Vec<String>> {
        Box::pin(async move { find::spaces(self).await.map_err(fault) })
    }

    fn sweep(&self, now: Moment) -> Answer<'_, u64> {
        Box::pin(async move { write::sweep(self, now).await.map_err(fault) })
    }

    fn watch(&self, tell: Tell, stop: CancellationToken) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            while let Some(ended) = stop.run_until_cancelled(self.listen(&tell)).await {
                tracing::warn!(ended = ?ended.err(), "what other instances write to memory is not heard now");
                let _ = stop.run_until_cancelled(tokio::time::sleep(AGAIN)).await;
            }
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move { self.free.lock().unwrap_or_else(PoisonError::into_inner).clear() })
    }
}
