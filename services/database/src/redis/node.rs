//! One server: the line that all plain commands share, opened when it is needed and again when it broke.
//!
//! A line multiplexes, so one is enough for any number of calls. What holds a connection for itself (a watched transaction, a
//! subscription) gets its own, an [`Own`]. Whether a command reached the server decides if it may be sent again, so every
//! failure says so.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use redis::{AsyncConnectionConfig, Client, Cmd, FromRedisValue, Pipeline, RedisError, RedisResult, Value};
use tokio::sync::Semaphore;

use super::line::Line;
use super::place::Address;

/// A server that just refused a connection is not asked again for so long.
const PAUSE: Duration = Duration::from_millis(100);
/// A line that was silent for so long is asked whether it still stands before it carries a change.
const SILENCE: Duration = Duration::from_secs(1);

/// A command that failed.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It never reached the server.
    Unsent(RedisError),
    /// It may have been carried out, unless the server itself says no.
    Sent(RedisError),
}

impl Trouble {
    pub(super) fn error(&self) -> &RedisError {
        match self {
            Self::Unsent(error) | Self::Sent(error) => error,
        }
    }
}

enum State {
    Closed,
    /// `doubt`: something on it was not answered in time.
    Open {
        line: Line,
        used: Instant,
        doubt: bool,
    },
    Refused {
        at: Instant,
        why: RedisError,
    },
}

/// A connection that one call holds alone.
pub(super) struct Own(Line);

impl Own {
    pub(super) async fn open(node: &Node) -> RedisResult<Self> {
        node.own().await.map(Self)
    }

    pub(super) async fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> RedisResult<T> {
        redis::from_redis_value(self.0.ask(command).await?).map_err(Into::into)
    }

    /// Every reply, errors among them.
    pub(super) async fn ask_all(&mut self, commands: &Pipeline) -> RedisResult<Vec<Value>> {
        self.0.ask_all(commands).await
    }
}

/// One server.
pub(super) struct Node {
    pub(super) address: Address,
    client: Client,
    timeout: Duration,
    line: Mutex<State>,
    /// One opens, the others wait for it.
    opening: Semaphore,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Node {
    pub(super) fn new(address: Address, client: Client, timeout: Duration) -> Self {
        Self { address, client, timeout, line: Mutex::new(State::Closed), opening: Semaphore::new(1) }
    }

    async fn own(&self) -> RedisResult<Line> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeout.min(Duration::from_secs(5))))
            .set_response_timeout(Some(self.timeout));
        let connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        Ok(Line::new(connection, self.client.clone()))
    }

    /// A connection that messages come in on.
    pub(super) async fn ear(&self) -> RedisResult<redis::aio::PubSub> {
        let opened = tokio::time::timeout(self.timeout, self.client.get_async_pubsub()).await;
        opened.unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))
    }

    /// Sends a command; `sure` asks first whether a silent line still stands.
    pub(super) async fn send(&self, command: &Cmd, sure: bool) -> Result<Value, Trouble> {
        let mut line = self.ready(sure).await.map_err(Trouble::Unsent)?;
        let sent = line.ask(command).await;
        sent.map_err(|error| self.broken(error))
    }

    /// Sends commands together and gives every reply, errors among them.
    pub(super) async fn send_all(&self, commands: &Pipeline, sure: bool) -> Result<Vec<Value>, Trouble> {
        let mut line = self.ready(sure).await.map_err(Trouble::Unsent)?;
        let sent = line.ask_all(commands).await;
        sent.map_err(|error| self.broken(error))
    }

    async fn ready(&self, sure: bool) -> RedisResult<Line> {
        let (silent, doubt) = self.standing();
        let mut line = self.open().await?;
        if doubt || sure && silent > SILENCE {
            let alive = line.ask(&redis::cmd("PING")).await;
            // A server that forbids PING answers all the same.
            if alive.is_err_and(|error| error.is_io_error()) {
                self.set(State::Closed);
                line = self.open().await?;
            } else {
                self.set(State::Open { line: line.clone(), used: Instant::now(), doubt: false });
            }
        }
        Ok(line)
    }

    async fn open(&self) -> RedisResult<Line> {
        if let Some(known) = self.known() {
            return known;
        }
        let _alone = self.opening.acquire().await;
        if let Some(known) = self.known() {
            return known;
        }
        let opened = self.own().await;
        self.set(match &opened {
            Ok(line) => State::Open { line: line.clone(), used: Instant::now(), doubt: false },
            Err(why) => State::Refused { at: Instant::now(), why: why.clone() },
        });
        opened
    }

    fn known(&self) -> Option<RedisResult<Line>> {
        match &mut *self.line.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Open { line, used, .. } => {
                *used = Instant::now();
                Some(Ok(line.clone()))
            }
            State::Refused { at, why } if at.elapsed() < PAUSE => Some(Err(why.clone())),
            State::Closed | State::Refused { .. } => None,
        }
    }

    /// How long the line was silent, and whether it is in doubt.
    fn standing(&self) -> (Duration, bool) {
        match &*self.line.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Open { used, doubt, .. } => (used.elapsed(), *doubt),
            State::Closed | State::Refused { .. } => (Duration::ZERO, false),
        }
    }

    fn broken(&self, error: RedisError) -> Trouble {
        if error.is_timeout() {
            if let State::Open { doubt, .. } = &mut *self.line.lock().unwrap_or_else(PoisonError::into_inner) {
                *doubt = true;
            }
        } else if error.is_io_error() || error.is_unrecoverable_error() {
            self.set(State::Closed);
        }
        Trouble::Sent(error)
    }

    /// Lets go of the line: the next command opens a new one.
    pub(super) fn close(&self) {
        self.set(State::Closed);
    }

    fn set(&self, line: State) {
        *self.line.lock().unwrap_or_else(PoisonError::into_inner) = line;
    }
}
