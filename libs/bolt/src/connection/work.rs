//! Queries and transactions on a connection, each a span in the trace of the call that asks for it.
//!
//! A trace shows which clause a query begins with, never its text: values may be written into it.

use weft_telemetry::{Span, database::Database};

use super::Connection;
use crate::{
    client::Options,
    error::BoltError,
    message::Request,
    records::Records,
    value::{Map, Value},
};

/// What a query may begin with. Another word is not shown.
const CLAUSES: [&str; 20] = [
    "MATCH", "OPTIONAL", "CREATE", "MERGE", "UNWIND", "WITH", "RETURN", "CALL", "SHOW", "EXPLAIN", "PROFILE",
    "FOREACH", "DROP", "ALTER", "LOAD", "USE", "SET", "DELETE", "DETACH", "REMOVE",
];

/// The clause that a query begins with.
fn clause(query: &str) -> &'static str {
    let word = query.trim_start().split(|letter: char| !letter.is_ascii_alphabetic()).next().unwrap_or_default();
    CLAUSES.into_iter().find(|clause| clause.eq_ignore_ascii_case(word)).unwrap_or("RUN")
}

impl Connection {
    fn span(&self, database: Option<&str>, operation: impl FnOnce() -> &'static str) -> Span {
        let address = &self.server.address;
        let namespace = database.unwrap_or_default();
        let server = Database { system: "neo4j", host: &address.host, port: address.port, namespace };
        Span::backend(|| server.operation(operation()))
    }

    /// Runs a query in the transaction that is open, or in one of its own if there is none. The options are those of its
    /// own one.
    pub async fn run(&mut self, query: &str, parameters: &Map, options: &Options) -> Result<Records<'_>, BoltError> {
        if self.streaming {
            self.drain().await?;
        }
        let database = if self.in_transaction { &self.database } else { &options.database };
        let span = self.span(database.as_deref(), || clause(query));
        let begun = self.start(query, parameters, options).await;
        let fields = begun.inspect_err(|error| span.fail(error.kind().to_owned()))?;
        Ok(Records::new(self, fields, span))
    }

    /// Sends a query; the names of its columns.
    async fn start(&mut self, query: &str, parameters: &Map, options: &Options) -> Result<Vec<String>, BoltError> {
        let extra = if self.in_transaction { Map::new() } else { options.extra() };
        let first = self.next_batch();
        self.send(&[Request::Run { query, parameters, extra: &extra }, first]).await?;
        self.streaming = true;
        let about = self.answer().await?;
        let fields = about.get("fields").and_then(Value::as_list).unwrap_or_default();
        Ok(fields.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    }

    /// Opens a transaction.
    pub async fn begin(&mut self, options: &Options) -> Result<(), BoltError> {
        let span = self.span(options.database.as_deref(), || "BEGIN");
        self.database.clone_from(&options.database);
        let begun = async {
            self.send(&[Request::Begin(&options.extra())]).await?;
            self.in_transaction = true;
            self.answer().await.map(drop)
        };
        begun.await.inspect_err(|error| span.fail(error.kind().to_owned()))
    }

    /// Makes the transaction last; a bookmark, if the server gives one.
    pub async fn commit(&mut self) -> Result<Option<String>, BoltError> {
        if self.streaming {
            self.drain().await?;
        }
        let span = self.span(self.database.as_deref(), || "COMMIT");
        let committed = async {
            self.send(&[Request::Commit]).await?;
            self.answer().await
        };
        let about = committed.await.inspect_err(|error| span.fail(error.kind().to_owned()))?;
        self.in_transaction = false;
        Ok(about.get("bookmark").and_then(Value::as_str).map(str::to_owned))
    }

    /// Undoes the transaction, whatever it is doing.
    pub async fn rollback(&mut self) -> Result<(), BoltError> {
        if self.streaming || self.owed > 0 {
            return self.reset().await;
        }
        if self.in_transaction {
            let span = self.span(self.database.as_deref(), || "ROLLBACK");
            let undone = async {
                self.send(&[Request::Rollback]).await?;
                self.answer().await
            };
            undone.await.inspect_err(|error| span.fail(error.kind().to_owned()))?;
            self.in_transaction = false;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_known_by_its_first_clause_alone() {
        assert_eq!(clause("\n match (n {name: 'secret'}) RETURN n"), "MATCH");
        assert_eq!(clause("UNWIND $rows AS row"), "UNWIND");
        assert_eq!(clause("// secret\nMATCH (n)"), "RUN");
        assert_eq!(clause("secret"), "RUN");
        assert_eq!(clause(""), "RUN");
    }
}
