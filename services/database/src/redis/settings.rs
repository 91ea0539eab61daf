//! What a Redis connection can be told, and the rules that its settings must keep before anything is opened.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::Reference;

use crate::settings::Access;

/// Commands that are off unless they are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dangerous {
    /// Scripts and functions that only read (`EVAL_RO`, `FCALL_RO`).
    Scripting,
    /// The whole keyspace at once (`DBSIZE`, `RANDOMKEY`).
    Keys,
    /// Reading the server's configuration (`CONFIG GET`, secrets left out).
    Config,
    /// Emptying the whole database (`FLUSHDB`), by `redis_delete` and its plan.
    Flush,
}

/// A Redis server, a cluster, or a master that Sentinels name.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RedisSettings {
    /// What callers name it.
    pub name: String,
    /// `redis://host:port`, `redis-cluster://h1:p1,h2:p2` or `redis-sentinel://h1:p1,h2:p2/master`; with `rediss` in place of
    /// `redis` over TLS. No password in it.
    pub url: String,
    /// The user of the server's access list. It needs `+@read +@write +@connection +@transaction`, `+@pubsub` to listen,
    /// `+cluster|slots` in a cluster, and `+info +role` for the health to be known.
    #[serde(default)]
    pub user: Option<String>,
    /// The password.
    #[serde(default)]
    pub password: Option<Reference>,
    /// PEM file of the authorities that its certificate is checked against; the system's if not said.
    #[serde(default)]
    pub authorities: Option<PathBuf>,
    /// The database's number.
    #[serde(default)]
    pub database: u16,
    /// What all keys begin with: put before every key that a caller names, and taken off every key that is shown.
    /// `{tenant}` in it is the caller's namespace.
    #[serde(default)]
    pub prefix: String,
    /// Who may use it.
    #[serde(default)]
    pub access: Access,
    /// Nothing is changed through it: follows from `access`.
    #[serde(skip)]
    pub(crate) read_only: bool,
    /// Dangerous commands that may be used.
    #[serde(default)]
    pub allow: Vec<Dangerous>,
    /// Bytes of the values in one answer; more comes by pages.
    #[serde(default = "max_bytes")]
    pub max_bytes: usize,
    /// Items of one answer.
    #[serde(default = "max_items")]
    pub max_items: usize,
    /// Milliseconds that one command may take.
    #[serde(default = "timeout_ms")]
    pub timeout_ms: u64,
    /// Connections of their own that transactions and subscriptions may hold at once.
    #[serde(default = "pool")]
    pub pool: usize,
    /// Channels that may be listened to, as Redis patterns; none if empty. `{tenant}` is the caller's namespace.
    #[serde(default)]
    pub channels: Vec<String>,
}

fn max_bytes() -> usize {
    48 << 10
}

fn max_items() -> usize {
    500
}

fn timeout_ms() -> u64 {
    5_000
}

fn pool() -> usize {
    8
}

impl RedisSettings {
    /// A connection of this name to this address, everything else as if it were not said.
    pub fn new(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            url: url.into(),
            user: None,
            password: None,
            authorities: None,
            database: 0,
            prefix: String::new(),
            access: Access::default(),
            read_only: false,
            allow: Vec::new(),
            max_bytes: max_bytes(),
            max_items: max_items(),
            timeout_ms: timeout_ms(),
            pool: pool(),
            channels: Vec::new(),
        }
    }

    /// Everything that is wrong with it but its address.
    pub(super) fn check(&self) -> Result<(), RedisFault> {
        let numbers = [
            ("max_bytes", self.max_bytes, 1_024, 128 << 10),
            ("max_items", self.max_items, 1, 500),
            ("timeout_ms", usize::try_from(self.timeout_ms).unwrap_or(usize::MAX), 10, 120_000),
            ("pool", self.pool, 1, 256),
        ];
        for (name, value, least, most) in numbers {
            if !(least..=most).contains(&value) {
                return Err(RedisFault::Number { name, least, most });
            }
        }
        // These reach every key whatever its name.
        let whole = [Dangerous::Scripting, Dangerous::Keys, Dangerous::Flush];
        match self.allow.iter().find(|group| whole.contains(group)) {
            Some(group) if !self.prefix.is_empty() => Err(RedisFault::BeyondPrefix(*group)),
            _ => Ok(()),
        }
    }
}

/// Why a connection cannot be made from its settings.
#[derive(Debug, thiserror::Error)]
pub enum RedisFault {
    /// No address of the known forms. It is not shown: it may hold a password.
    #[error(
        "url must be redis://host:port, redis-cluster://h1:p1,h2:p2 or redis-sentinel://h1:p1,h2:p2/master (rediss… for \
         TLS), without user and password: these have settings of their own"
    )]
    Url,
    /// The password is a reference that leads nowhere.
    #[error("the password: {0}")]
    Password(#[from] weft_kit::InvalidReference),
    /// The authorities cannot be used.
    #[error("authorities: {path} must be a readable PEM file of certificates", path = .0.display())]
    Authorities(PathBuf),
    /// A number out of its range.
    #[error("{name} must be from {least} to {most}")]
    Number {
        /// Which.
        name: &'static str,
        /// The smallest.
        least: usize,
        /// The largest.
        most: usize,
    },
    /// A prefix that lets tenants meet.
    #[error(
        "in prefix and channels, {{tenant}} must be followed by one of : / | # ! so that no tenant's name begins another's"
    )]
    Prefix,
    /// A group that does not respect the prefix.
    #[error("allow = {0:?} reaches every key: it cannot be combined with a prefix")]
    BeyondPrefix(Dangerous),
    /// A cluster has one database.
    #[error("a cluster has only database 0")]
    Database,
}
