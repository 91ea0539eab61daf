//! Graph databases: what a statement may do, what a server gives, and the questions that are asked again and again.
//!
//! Reading is guarded at three depths: the tokens of the statement (`guard.rs`), the server's own plan of it (`plan.rs`),
//! and a transaction of access mode read that is always rolled back (`read.rs`). None relies on another.

use std::time::Duration;

use anyhow::Context as _;
use tokio::time::timeout;
use weft_bolt::{BoltError, Client, Config, Mode, Options, PoolLimits, Transaction};
use weft_kit::{Call, ToolError};

mod cypher;
mod explore;
mod fault;
mod guard;
mod health;
mod names;
mod plan;
mod read;
mod schema;
mod settings;
mod sheet;
#[cfg(test)]
mod tests;
mod values;
mod write;

pub(crate) use explore::{Direction, Neighbours, Place, Walk};
pub(crate) use health::Health;
pub(crate) use schema::{Asked, Schema};
pub use settings::GraphSettings;
pub(crate) use sheet::{GraphRows, Sheet};
pub(crate) use values::parameters;
pub(crate) use write::Changes;

/// One graph database.
pub(crate) struct Graph {
    name: String,
    client: Client,
    own: GraphSettings,
    procedures: guard::Procedures,
}

impl std::fmt::Debug for Graph {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Graph").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Graph {
    /// The connection called `name`. Nothing is connected before it is needed.
    pub(crate) fn open(name: &str, own: &GraphSettings) -> Result<Self, anyhow::Error> {
        let mut config = Config::new(own.url.clone());
        if let Some(user) = &own.user {
            let password = own.password.as_ref().map(weft_kit::Reference::value).transpose();
            config = config.user(user, password.context("the password")?.unwrap_or_default());
        }
        config.authorities.clone_from(&own.authorities);
        config.pool = PoolLimits { connections: own.pool, ..PoolLimits::default() };
        let client = Client::new(config)?;
        let procedures = guard::Procedures::new(&own.procedures);
        Ok(Self { name: name.to_owned(), client, own: own.clone(), procedures })
    }

    /// What callers name it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Closes the connections that nobody uses.
    pub(crate) async fn close(&self) {
        self.client.close().await;
    }

    fn tell(&self, error: BoltError) -> ToolError {
        fault::tell(&self.name, error)
    }

    /// The server ends the transaction by itself when nobody waits for it any more, and can tell whose it is.
    fn options(&self, call: &Call, mode: Mode) -> Options {
        let timeout = Some(self.patience().min(call.left()));
        let about = [("app", "weft"), ("tool", call.tool()), ("caller", call.caller().id.as_str())];
        let metadata = about.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
        Options { database: self.own.database.clone(), mode, timeout, metadata, ..Options::default() }
    }

    fn patience(&self) -> Duration {
        Duration::from_millis(self.own.timeout_ms)
    }

    /// Waits for `work` as long as the call and the settings allow. Dropping it closes its connection.
    async fn within<T>(&self, call: &Call, work: impl Future<Output = Result<T, ToolError>>) -> Result<T, ToolError> {
        let outcome = call.run(timeout(self.patience(), work)).await?;
        outcome.map_err(|_| ToolError::deadline())?
    }

    async fn begin(&self, call: &Call, mode: Mode) -> Result<Transaction, ToolError> {
        self.client.begin(&self.options(call, mode)).await.map_err(|error| self.tell(error))
    }

    /// A statement of free text can be confined to labels by nobody but the server.
    fn must_be_unconfined(&self) -> Result<(), ToolError> {
        if self.own.labels.is_empty() {
            return Ok(());
        }
        let message =
            format!("the connection {:?} shows some labels only: statements of free text cannot be run", self.name);
        Err(ToolError::refused(message).hint("graph_schema, graph_path and graph_neighbours can be used"))
    }
}
