//! Statements → rows: one by itself, or several in a transaction. It knows Bolt and nothing of memory.

use std::time::Duration;

use tokio::sync::OnceCell;
use weft_bolt::{BoltError, Client, Map, Options, Transaction, Value};

/// Why it did not work.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The server, or the way to it.
    #[error(transparent)]
    Bolt(#[from] BoltError),
    /// What is in the graph is not what this program wrote.
    #[error("a record cannot be read: {0}")]
    Broken(String),
}

impl Fault {
    /// Another transaction was in the way: the same again will work.
    pub(super) fn is_transient(&self) -> bool {
        let Self::Bolt(BoltError::Failure(said)) = self else { return false };
        // Two that make the same node at the same time: the second finds it when it tries again.
        said.is_transient() || said.code == "Neo.ClientError.Schema.ConstraintValidationFailed"
    }
}

/// A graph, and whether its keys are unique yet.
#[derive(Debug)]
pub(super) struct Graph {
    client: Client,
    options: Options,
    pub(super) made: OnceCell<()>,
}

/// Values by name.
pub(super) fn with<const N: usize>(values: [(&str, Value); N]) -> Map {
    values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A number as the graph has them.
pub(super) fn number(value: u64) -> Value {
    Value::Int(i64::try_from(value).unwrap_or(i64::MAX))
}

impl Graph {
    pub(super) fn new(client: Client, database: Option<String>, timeout: Duration) -> Self {
        // The mode for writing, for reads too: a member of a cluster that only reads may not have the newest yet.
        let options = Options { database, timeout: Some(timeout), ..Options::default() };
        Self { client, options, made: OnceCell::new() }
    }

    /// All rows of one statement that is a transaction of its own.
    pub(super) async fn rows(&self, statement: &str, values: &Map) -> Result<Vec<Vec<Value>>, Fault> {
        let mut lent = self.client.lend(&self.options).await?;
        let mut records = lent.run(statement, values, &self.options).await?;
        let mut rows = Vec::new();
        while let Some(row) = records.next().await? {
            rows.push(row);
        }
        Ok(rows)
    }

    pub(super) async fn begin(&self) -> Result<Transaction, Fault> {
        Ok(self.client.begin(&self.options).await?)
    }

    pub(super) async fn close(&self) {
        self.client.close().await;
    }
}

/// All rows of a statement within a transaction.
pub(super) async fn rows(
    transaction: &mut Transaction,
    statement: &str,
    values: &Map,
) -> Result<Vec<Vec<Value>>, Fault> {
    let mut records = transaction.run(statement, values).await?;
    let mut rows = Vec::new();
    while let Some(row) = records.next().await? {
        rows.push(row);
    }
    Ok(rows)
}

/// Runs a statement within a transaction for what it does.
pub(super) async fn run(transaction: &mut Transaction, statement: &str, values: &Map) -> Result<(), Fault> {
    transaction.run(statement, values).await?.finish().await?;
    Ok(())
}
