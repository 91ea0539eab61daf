//! The way in: what a client is told, and what it gives.

use std::{path::PathBuf, sync::Arc, time::Duration};

use weft_identity::Public;

use crate::{
    address::Place,
    connection::Server,
    dial::Dialer,
    error::BoltError,
    packstream::Limits,
    pool::{Lent, PoolLimits},
    routing::Router,
    transaction::Transaction,
    value::{Map, Value},
};

/// Where a server is and how to speak to it.
#[derive(Clone)]
pub struct Config {
    url: String,
    user: Option<(String, String)>,
    /// PEM file of authorities that are trusted besides the system's.
    pub authorities: Option<PathBuf>,
    /// How long connecting may take, and a used connection's sign of life.
    pub patience: Duration,
    /// Rows that are asked for at once.
    pub fetch: u32,
    /// What the server may make us hold.
    pub limits: Limits,
    /// How many connections.
    pub pool: PoolLimits,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Config").field("url", &self.url).field("pool", &self.pool).finish_non_exhaustive()
    }
}

impl Config {
    /// `bolt://`, `bolt+s://`, `neo4j://` or `neo4j+s://` and `HOST:PORT`; the rest as usual.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            user: None,
            authorities: None,
            patience: Duration::from_secs(5),
            fetch: 200,
            limits: Limits::default(),
            pool: PoolLimits::default(),
        }
    }

    /// Logs in by name and password.
    pub fn user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        self.user = Some((name.into(), password.into()));
        self
    }
}

/// What a transaction may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Read and write.
    #[default]
    Write,
    /// Only read: the server refuses to write.
    Read,
}

/// What a transaction is told.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Options {
    /// The database; the user's home if not said.
    pub database: Option<String>,
    /// What it may do.
    pub mode: Mode,
    /// After which the server ends it.
    pub timeout: Option<Duration>,
    /// Shown by the server where it lists transactions.
    pub metadata: Map,
    /// Of transactions whose effects must be seen.
    pub bookmarks: Vec<String>,
}

impl Options {
    /// Only reading.
    pub fn read() -> Self {
        Self { mode: Mode::Read, ..Self::default() }
    }

    pub(crate) fn extra(&self) -> Map {
        let mut extra = Map::new();
        let mut put = |key: &str, value: Value| extra.insert(key.to_owned(), value);
        if let Some(database) = &self.database {
            put("db", database.as_str().into());
        }
        if self.mode == Mode::Read {
            put("mode", "r".into());
        }
        if let Some(timeout) = self.timeout {
            // Zero would mean no limit at all.
            put("tx_timeout", i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX).max(1).into());
        }
        if !self.metadata.is_empty() {
            put("tx_metadata", self.metadata.clone().into());
        }
        if !self.bookmarks.is_empty() {
            put("bookmarks", self.bookmarks.clone().into());
        }
        extra
    }
}

/// A client of one server or cluster. Cheap to clone; all clones share their connections.
#[derive(Clone)]
pub struct Client(Arc<Router>);

impl std::fmt::Debug for Client {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Client(..)")
    }
}

impl Client {
    /// A client. Nothing is connected before it is needed.
    pub fn new(config: Config) -> Result<Self, BoltError> {
        let place = Place::parse(&config.url)?;
        let tls = |source| BoltError::Tls { address: place.address.to_string(), source };
        let dialer = Dialer {
            tls: place.tls.then(|| Public::plain(config.authorities.as_deref())).transpose().map_err(tls)?,
            user: config.user,
            routed: place.routed,
            patience: config.patience,
            limits: config.limits,
            fetch: i64::from(config.fetch.max(1)),
        };
        Ok(Self(Arc::new(Router::new(place.address, Arc::new(dialer), config.pool))))
    }

    /// Opens a transaction.
    pub async fn begin(&self, options: &Options) -> Result<Transaction, BoltError> {
        Transaction::begin(self.lend(options).await?, options).await
    }

    /// A connection for what transactions cannot do: queries that make their own.
    pub async fn lend(&self, options: &Options) -> Result<Lent, BoltError> {
        self.0.lend(options.mode, options.database.as_deref()).await
    }

    /// Who answers, asked now.
    pub async fn server(&self, options: &Options) -> Result<Server, BoltError> {
        let mut lent = self.lend(options).await?;
        lent.reset().await?;
        Ok(lent.server().clone())
    }

    /// Says goodbye on the connections that nobody uses.
    pub async fn close(&self) {
        self.0.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_say_only_what_was_chosen() {
        assert_eq!(Options::default().extra(), Map::new());
        let options = Options {
            database: Some("movies".to_owned()),
            timeout: Some(Duration::ZERO),
            bookmarks: vec!["b".to_owned()],
            ..Options::read()
        };
        let extra = options.extra();
        assert_eq!(extra["db"], "movies".into());
        assert_eq!(extra["mode"], "r".into());
        assert_eq!(extra["tx_timeout"], 1.into());
        assert_eq!(extra["bookmarks"], vec!["b"].into());
    }

    #[test]
    fn a_config_does_not_show_its_password() {
        let shown = format!("{:?}", Config::new("bolt://h").user("u", "hunter2"));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
