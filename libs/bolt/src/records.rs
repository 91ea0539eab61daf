//! The rows of a query, one by one: a batch is asked for when the one before it is used up, so that a server never sends
//! more than somebody wants.

use weft_telemetry::Span;

use crate::{connection::Connection, error::BoltError, packstream::Malformed, summary::Summary, value::Value};

/// The rows of a query that runs.
#[derive(Debug)]
pub struct Records<'c> {
    connection: &'c mut Connection,
    fields: Vec<String>,
    summary: Option<Summary>,
    /// Of the query, until its last row.
    span: Span,
}

impl<'c> Records<'c> {
    pub(crate) fn new(connection: &'c mut Connection, fields: Vec<String>, span: Span) -> Self {
        Self { connection, fields, summary: None, span }
    }

    /// The names of the columns.
    pub fn fields(&self) -> &[String] {
        &self.fields
    }

    /// The next row, as many values as there are columns; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<Value>>, BoltError> {
        if self.summary.is_some() {
            return Ok(None);
        }
        let more = self.connection.next_batch();
        match self.connection.record(more).await.inspect_err(|error| self.span.fail(error.kind().to_owned()))? {
            Ok(values) if values.len() == self.fields.len() => Ok(Some(values)),
            Ok(_) => Err(Malformed::Message("a row has not as many values as there are columns").into()),
            Err(about) => {
                self.summary = Some(Summary::of(&about));
                self.span.end();
                Ok(None)
            }
        }
    }

    /// What the server says about the query. Rows that were not read are skipped, by the server where it can.
    pub async fn finish(self) -> Result<Summary, BoltError> {
        match self.summary {
            Some(summary) => Ok(summary),
            None => {
                let drained = self.connection.drain().await;
                Ok(Summary::of(&drained.inspect_err(|error| self.span.fail(error.kind().to_owned()))?))
            }
        }
    }
}
