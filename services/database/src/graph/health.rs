//! Whether a server answers, and who it is.

use std::time::Instant;

use schemars::JsonSchema;
use serde::Serialize;
use weft_bolt::{Map, Mode, Options};
use weft_kit::{Call, ToolError};

use super::Graph;

/// How a server is.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Health {
    /// What it calls itself.
    pub(crate) server: String,
    /// The version of Bolt that is spoken.
    pub(crate) protocol: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) database: Option<String>,
    /// Nodes in all, where the server can tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) nodes: Option<i64>,
    /// Relationships in all, where the server can tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) relationships: Option<i64>,
    /// Milliseconds for a statement and back.
    pub(crate) answer_ms: f64,
}

impl Graph {
    /// Whether the server begins a transaction; otherwise why not.
    pub(crate) async fn probe(&self) -> Result<(), String> {
        let options = Options { database: self.own.database.clone(), mode: Mode::Read, ..Options::default() };
        let work = async {
            let begun = self.client.begin(&options).await.map_err(|error| self.tell(error))?;
            self.undo(begun).await
        };
        work.await.map_err(|error| error.message().to_owned())
    }

    /// Asks the server for a sign of life.
    pub(crate) async fn health(&self, call: &Call) -> Result<Health, ToolError> {
        let work = async {
            let mut transaction = self.begin(call, Mode::Read).await?;
            let asked = Instant::now();
            self.rows(&mut transaction, "RETURN 1 AS one", &Map::new()).await?;
            let answer_ms = (asked.elapsed().as_secs_f64() * 1e5).round() / 100.0;
            let count = async |transaction: &mut _, text| {
                let rows = self.rows(transaction, text, &Map::new()).await?;
                Ok::<_, ToolError>(rows.first().and_then(|row| row.first()?.as_int()))
            };
            let nodes = count(&mut transaction, "MATCH (n) RETURN count(n) AS count").await?;
            let links = count(&mut transaction, "MATCH ()-[r]->() RETURN count(r) AS count").await?;
            let (server, database) = (transaction.server().clone(), self.own.database.clone());
            self.undo(transaction).await?;
            let confined = !self.own.labels.is_empty();
            Ok(Health {
                server: server.agent,
                protocol: server.version.to_string(),
                database,
                nodes: nodes.filter(|_| !confined),
                relationships: links.filter(|_| !confined),
                answer_ms,
            })
        };
        self.within(call, work).await
    }
}
