//! A transaction and the connection that it alone has. Dropped without an end, it is undone by closing the connection.

use crate::{client::Options, connection::Server, error::BoltError, pool::Lent, records::Records, value::Map};

/// An open transaction.
#[derive(Debug)]
pub struct Transaction {
    lent: Lent,
}

impl Transaction {
    pub(crate) async fn begin(mut lent: Lent, options: &Options) -> Result<Self, BoltError> {
        lent.begin(options).await?;
        Ok(Self { lent })
    }

    /// The server that it is open at.
    pub fn server(&self) -> &Server {
        self.lent.server()
    }

    /// Runs a query. What is left of the one before it is skipped. After a failure the transaction is undone.
    pub async fn run(&mut self, query: &str, parameters: &Map) -> Result<Records<'_>, BoltError> {
        if !self.lent.is_in_transaction() {
            let gone = "the transaction ended with the failure before; begin another one";
            return Err(crate::packstream::Malformed::Message(gone).into());
        }
        self.lent.run(query, parameters, &Options::default()).await
    }

    /// Makes what was done last; a bookmark, if the server gives one.
    pub async fn commit(mut self) -> Result<Option<String>, BoltError> {
        self.lent.commit().await
    }

    /// Undoes what was done, and ends what still runs.
    pub async fn rollback(mut self) -> Result<(), BoltError> {
        self.lent.rollback().await
    }
}
