//! Neo4j, shared by all instances: a record is a node that is joined to its versions, its terms and the nodes that it is about.
//!
//! Whoever writes holds the one journal node of its prefix until the end of its transaction, so batches come one after the other, none
//! is lost, and the numbers of the journal tell in which order. A database tells nobody what is written to it: the journal is asked,
//! often and by its key alone. Reads go to the member that writes, so that everybody reads what was written.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use weft_bolt::{BoltError, Client, Config, PoolLimits, Value};
use weft_kit::ToolError;

mod ask;
mod find;
mod follow;
mod tables;
mod write;

use self::ask::{Fault, Graph};
use super::{Answer, Census, Committed, Refit, Row, Store, Tell, Write};
use crate::{
    filter::Filter,
    model::{Record, Uses},
    moment::Moment,
    settings::Neo4jSettings,
};

/// The longest that one transaction may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Rows that are fetched at once.
const FETCH: u32 = 1_000;

/// Memory in Neo4j.
#[derive(Debug)]
pub(crate) struct Neo4j {
    graph: Graph,
    prefix: String,
    /// Tells what this process wrote from what others did.
    origin: String,
}

/// What Neo4j says → what a caller can do about it.
fn fault(fault: Fault) -> ToolError {
    let away = |error: &BoltError| {
        tracing::warn!(%error, "the store of memory cannot be reached");
        ToolError::unavailable("memory cannot be reached now").hint("try again in a moment")
    };
    match fault {
        Fault::Broken(why) => ToolError::internal(&why),
        Fault::Bolt(BoltError::Busy(_)) => ToolError::unavailable("memory is busy").hint("try again in a moment"),
        Fault::Bolt(BoltError::Failure(said)) if said.code.ends_with("TransactionTimedOut") => ToolError::deadline(),
        Fault::Bolt(BoltError::Failure(said)) if said.is_transient() => {
            ToolError::conflict("others write the same records").retryable()
        }
        Fault::Bolt(BoltError::Failure(said)) if said.code.contains(".Security.") => {
            tracing::error!(code = said.code, "the store of memory refuses its user: check user, password and rights");
            ToolError::unavailable("memory cannot be used now")
        }
        Fault::Bolt(error @ (BoltError::Failure(_) | BoltError::Malformed(_))) => ToolError::internal(&error),
        Fault::Bolt(error) => away(&error),
    }
}

impl Neo4j {
    /// Checks the settings; the server is reached when it is first needed.
    pub(crate) fn open(own: &Neo4jSettings) -> Result<Self, anyhow::Error> {
        let fits = |letter: char| letter.is_ascii_alphanumeric() || ":_-.".contains(letter);
        anyhow::ensure!(
            (1..=64).contains(&own.prefix.len()) && own.prefix.chars().all(fits),
            "the prefix has 1 to 64 letters, digits and :_-. in it: {:?}",
            own.prefix
        );
        let mut config = Config::new(own.url.clone());
        if let Some(user) = &own.user {
            let password = own.password.as_ref().map(weft_kit::Reference::value).transpose()?;
            config = config.user(user, password.unwrap_or_default());
        }
        config.authorities.clone_from(&own.authorities);
        config.fetch = FETCH;
        config.pool = PoolLimits { connections: own.pool.max(2) as usize, ..PoolLimits::default() };
        let graph = Graph::new(Client::new(config)?, own.database.clone(), PATIENCE);
        Ok(Self { graph, prefix: own.prefix.clone(), origin: uuid::Uuid::new_v4().simple().to_string() })
    }

    /// The graph, with what keeps its keys unique.
    async fn ready(&self) -> Result<&Graph, Fault> {
        tables::make(&self.graph).await?;
        Ok(&self.graph)
    }

    /// A partition as it stands in the keys of its nodes. Neither half has a space in it.
    fn space(&self, space: &str) -> String {
        format!("{} {space}", self.prefix)
    }
}

/// The key of what belongs to a partition: a record by its id, a term, a node by its name.
fn key(space: &str, name: &str) -> String {
    format!("{space} {name}")
}

fn keys(space: &str, names: &[String]) -> Value {
    Value::from(names.iter().map(|name| key(space, name)).collect::<Vec<_>>())
}

impl Store for Neo4j {
    fn kind(&self) -> &'static str {
        "neo4j"
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
        Box::pin(async move { find::newest(self, space, before.cloned(), filter, limit).await.map_err(fault) })
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
        Box::pin(follow::watch(self, tell, stop))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.graph.close())
    }
}
