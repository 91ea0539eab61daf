//! A client of Bolt, the protocol of Neo4j and of what is compatible with it: versions 4.3, 4.4 and 5.0 to 5.4.
//!
//! A [`Client`] keeps connections to one server, or to the members of a cluster, and lends them out as [`Transaction`]s.
//! A query's [`Records`] are read one by one, so that nobody holds more than a batch. Dropping anything half done closes its
//! connection, and with it the server ends what was running. What a server sends is bounded by [`Limits`] in size, depth and
//! number before memory is taken for it. It stands apart because no published client speaks Bolt 5 with the TLS of this
//! project (`docs/adr/0013-data-services.md`).
//!
//! ```no_run
//! use weft_bolt::{Client, Config, Map, Options};
//!
//! # async fn example() -> Result<(), weft_bolt::BoltError> {
//! let client = Client::new(Config::new("bolt://localhost:7687").user("reader", "secret"))?;
//! let mut transaction = client.begin(&Options::read()).await?;
//! let mut records = transaction.run("MATCH (n) RETURN n LIMIT 10", &Map::new()).await?;
//! while let Some(row) = records.next().await? {
//!     println!("{row:?}");
//! }
//! transaction.rollback().await
//! # }
//! ```

mod address;
mod chunk;
mod client;
mod connection;
mod dial;
mod error;
mod graph;
mod handshake;
mod message;
pub mod packstream;
mod pool;
mod records;
mod routing;
mod structure;
mod summary;
mod temporal;
mod transaction;
mod value;

pub use crate::address::Address;
pub use crate::client::{Client, Config, Mode, Options};
pub use crate::connection::{Connection, Server};
pub use crate::error::{BoltError, Failure};
pub use crate::graph::{Node, Path, Point, Relationship, UnboundRelationship};
pub use crate::handshake::Version;
pub use crate::packstream::{Limits, Malformed};
pub use crate::pool::{Lent, PoolLimits};
pub use crate::records::Records;
pub use crate::summary::{Counters, Kind, Notification, Plan, Summary};
pub use crate::temporal::Temporal;
pub use crate::transaction::Transaction;
pub use crate::value::{Map, Value};
