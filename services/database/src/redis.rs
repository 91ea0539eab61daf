//! One Redis connection: named keys in, typed answers out, whatever stands behind it (a server, a cluster, Sentinels).
//!
//! Every tool works in a [`Scope`]: this connection, this call, this caller's prefix. Keys get the prefix there and nowhere else,
//! and every command has to say which key it is for, so there is no way to send one that a prefix does not hold.

use std::{sync::Arc, time::Duration};

use redis::{Cmd, FromRedisValue, RedisError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use weft_kit::{Call, ToolError};

pub(crate) mod batch;
pub(crate) mod command;
mod fault;
mod glob;
pub(crate) mod health;
mod known;
mod line;
pub(crate) mod listen;
#[cfg(test)]
mod live;
pub(crate) mod look;
mod node;
mod place;
mod prefix;
pub(crate) mod read;
pub(crate) mod remove;
pub(crate) mod resource;
pub(crate) mod scan;
mod settings;
mod sweep;
pub(crate) mod value;
mod view;
mod wire;
pub(crate) mod write;

use fault::Effect;
use place::{Greeting, Layout, Place};
use prefix::{Prefix, Rule};
pub use settings::{Dangerous, RedisFault, RedisSettings};
use value::{Bytes, Shown};
use view::Guide;
use wire::{Failed, To, Wire};

/// Bytes that a key may have.
const LONGEST_KEY: usize = 4 << 10;

/// A connection.
#[derive(Debug)]
pub(crate) struct Redis {
    settings: RedisSettings,
    prefix: Rule,
    channels: Vec<Rule>,
    wire: Wire,
    /// Connections that may be held by one call alone.
    own: Arc<Semaphore>,
}

impl Redis {
    /// Checks the settings. Nothing is connected before it is needed.
    pub(crate) fn open(settings: &RedisSettings) -> Result<Self, RedisFault> {
        settings.check()?;
        let place = Place::parse(&settings.url).ok_or(RedisFault::Url)?;
        if place.layout == Layout::Cluster && settings.database != 0 {
            return Err(RedisFault::Database);
        }
        let greeting = Greeting::new(settings, place.tls)?;
        let timeout = Duration::from_millis(settings.timeout_ms);
        Ok(Self {
            prefix: Rule::new(&settings.prefix)?,
            channels: settings.channels.iter().map(|text| Rule::new(text)).collect::<Result<_, _>>()?,
            wire: Wire::new(Guide::new(place, greeting, timeout)),
            own: Arc::new(Semaphore::new(settings.pool)),
            settings: settings.clone(),
        })
    }

    /// What callers name it.
    pub(crate) fn name(&self) -> &str {
        &self.settings.name
    }

    /// Lets go of all connections.
    pub(crate) fn close(&self) {
        self.wire.close();
    }

    /// This connection for this call.
    pub(crate) fn scope<'a>(&'a self, call: &'a Call) -> Scope<'a> {
        Scope { redis: self, call, prefix: self.prefix.of(call.namespace()) }
    }

    fn allows(&self, group: Dangerous) -> bool {
        self.settings.allow.contains(&group)
    }

    fn told(&self, failed: &Failed) -> ToolError {
        fault::told(self.name(), &failed.error, failed.effect)
    }

    fn unread(&self, error: &RedisError) -> ToolError {
        fault::told(self.name(), error, Effect::None)
    }
}

/// One connection, one call, one caller's keys.
pub(crate) struct Scope<'a> {
    redis: &'a Redis,
    call: &'a Call,
    prefix: Prefix,
}

/// A key as it is on the server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key(Vec<u8>);

impl Key {
    /// A command whose first argument it is.
    fn cmd(&self, name: &str) -> Cmd {
        let mut command = redis::cmd(name);
        command.arg(&self.0);
        command
    }
}

impl Scope<'_> {
    /// The key that a caller names.
    pub(crate) fn key(&self, name: &Bytes) -> Result<Key, ToolError> {
        self.raw_key(&name.get()?)
    }

    /// The same from its bytes.
    pub(crate) fn raw_key(&self, name: &[u8]) -> Result<Key, ToolError> {
        if name.len() > LONGEST_KEY {
            return Err(ToolError::too_large(format!("a key has at most {LONGEST_KEY} bytes here")));
        }
        if name.is_empty() && self.prefix.is_empty() {
            return Err(ToolError::invalid("a key must be named"));
        }
        Ok(Key(self.prefix.key(name)))
    }

    /// What the caller calls a key.
    pub(crate) fn shown(&self, key: &Key) -> Shown {
        Shown::of(self.prefix.strip(&key.0).unwrap_or_default(), LONGEST_KEY)
    }

    /// Fails where nothing may be changed.
    pub(crate) fn writable(&self) -> Result<(), ToolError> {
        if self.redis.settings.read_only {
            let name = self.redis.name();
            return Err(ToolError::refused(format!("you may only read here: connection {name:?}"))
                .hint("list_connections says what each connection allows"));
        }
        Ok(())
    }

    /// Bytes of one value where several are shown.
    fn longest(&self) -> usize {
        self.redis.settings.max_bytes / 8
    }

    /// Sends a command that changes nothing.
    async fn read<T: FromRedisValue>(&self, key: &Key, command: &Cmd) -> Result<T, ToolError> {
        self.send(key, command, true).await
    }

    /// Sends a command that changes something.
    async fn change<T: FromRedisValue>(&self, key: &Key, command: &Cmd) -> Result<T, ToolError> {
        self.writable()?;
        self.send(key, command, false).await
    }

    async fn send<T: FromRedisValue>(&self, key: &Key, command: &Cmd, reads: bool) -> Result<T, ToolError> {
        match self.call.run(Box::pin(self.redis.wire.send(To::Holder(&key.0), command, reads))).await? {
            Ok(value) => redis::from_redis_value(value).map_err(|error| self.redis.unread(&error.into())),
            Err(failed) if fault::is_wrong_kind(&failed.error) => Err(self.wrong_kind(key).await),
            Err(failed) => Err(self.redis.told(&failed)),
        }
    }

    /// Sends a command that changes nothing to one master, whatever keys it holds.
    async fn look<T: FromRedisValue>(&self, master: usize, command: &Cmd) -> Result<T, ToolError> {
        let sent = self.call.run(Box::pin(self.redis.wire.send(To::Master(master), command, true))).await?;
        let value = sent.map_err(|failed| self.redis.told(&failed))?;
        redis::from_redis_value(value).map_err(|error| self.redis.unread(&error.into()))
    }

    /// Sends a command that changes one master as a whole.
    async fn tell(&self, master: usize, command: &Cmd) -> Result<(), ToolError> {
        self.writable()?;
        let sent = self.call.run(Box::pin(self.redis.wire.send(To::Master(master), command, false))).await?;
        sent.map(drop).map_err(|failed| self.redis.told(&failed))
    }

    /// How many masters there are, and a text that changes when they do.
    async fn masters(&self) -> Result<(usize, String), ToolError> {
        let view = self.call.run(Box::pin(self.redis.wire.view())).await?.map_err(|error| self.redis.unread(&error))?;
        Ok((view.masters.len(), view.version()))
    }

    /// The kind of value that a key holds; `none` without one.
    async fn kind(&self, key: &Key) -> Result<String, ToolError> {
        self.read(key, &key.cmd("TYPE")).await
    }

    async fn wrong_kind(&self, key: &Key) -> ToolError {
        let command = key.cmd("TYPE");
        let sent = self.call.run(Box::pin(self.redis.wire.send(To::Holder(&key.0), &command, true))).await;
        let kind = sent.ok().and_then(Result::ok).and_then(|kind| redis::from_redis_value::<String>(kind).ok());
        match kind {
            Some(kind) => ToolError::invalid(format!("the key holds a {kind}, and this is not for a {kind}"))
                .hint("redis_read shows what it holds"),
            None => ToolError::invalid("the key holds another kind of value"),
        }
    }

    /// The right to hold a connection alone, waited for as long as one command may take.
    async fn place(&self) -> Result<OwnedSemaphorePermit, ToolError> {
        let wait = Duration::from_millis(self.redis.settings.timeout_ms);
        let place = tokio::time::timeout(wait, Arc::clone(&self.redis.own).acquire_owned());
        match self.call.run(place).await? {
            Ok(Ok(place)) => Ok(place),
            _ => Err(ToolError::unavailable(format!("all connections to {:?} are busy", self.redis.name()))
                .hint("try again in a moment")),
        }
    }
}
