//! Connections to one server, lent out and taken back. What comes back in the middle of something is closed: whoever dropped
//! it wants the server to stop, and nobody else may see the rest of its answers. What is lent again is reset first.

use std::{
    ops::{Deref, DerefMut},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

use crate::{address::Address, connection::Connection, dial::Dialer, error::BoltError};

/// How many connections, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolLimits {
    /// Connections to one server at once.
    pub connections: usize,
    /// How long to wait for a free one.
    pub wait: Duration,
    /// How long an unused one is kept.
    pub idle: Duration,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self { connections: 8, wait: Duration::from_secs(5), idle: Duration::from_secs(300) }
    }
}

/// The connections to one server.
pub(crate) struct Pool {
    pub(crate) address: Address,
    dialer: Arc<Dialer>,
    limits: PoolLimits,
    places: Arc<Semaphore>,
    idle: Mutex<Vec<(Connection, Instant)>>,
    /// The server said that its role in the cluster has changed.
    misplaced: AtomicBool,
}

/// A connection on loan.
#[derive(Debug)]
pub struct Lent {
    connection: Option<Connection>,
    home: Arc<Pool>,
    _place: OwnedSemaphorePermit,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Pool").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Pool {
    pub(crate) fn new(address: Address, dialer: Arc<Dialer>, limits: PoolLimits) -> Self {
        let places = Arc::new(Semaphore::new(limits.connections.clamp(1, Semaphore::MAX_PERMITS)));
        Self { address, dialer, limits, places, idle: Mutex::default(), misplaced: AtomicBool::new(false) }
    }

    /// A connection, new or used.
    pub(crate) async fn lend(self: &Arc<Self>) -> Result<Lent, BoltError> {
        let free = timeout(self.limits.wait, Arc::clone(&self.places).acquire_owned()).await;
        let Ok(Ok(place)) = free else { return Err(BoltError::Busy(self.limits.wait)) };
        let connection = match self.used().await {
            Some(connection) => connection,
            // Rare and large: callers should not carry its state along.
            None => Box::pin(self.dialer.open(&self.address)).await?,
        };
        Ok(Lent { connection: Some(connection), home: Arc::clone(self), _place: place })
    }

    /// A used connection that still answers. If one does not, the server is likely a new one, and none will.
    async fn used(&self) -> Option<Connection> {
        let mut connection = self.take()?;
        match timeout(self.dialer.patience, connection.reset()).await {
            Ok(Ok(())) => Some(connection),
            _ => {
                self.kept().clear();
                None
            }
        }
    }

    fn take(&self) -> Option<Connection> {
        let mut kept = self.kept();
        kept.retain(|(_, since)| since.elapsed() < self.limits.idle);
        kept.pop().map(|(connection, _)| connection)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Vec<(Connection, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the server said, since this was last asked, that its role has changed.
    pub(crate) fn was_misplaced(&self) -> bool {
        self.misplaced.swap(false, Ordering::Relaxed)
    }

    /// Says goodbye to those that nobody uses.
    pub(crate) async fn close(&self) {
        let idle = std::mem::take(&mut *self.kept());
        for (connection, _) in idle {
            // Who does not take leave in time is left.
            let _ = timeout(Duration::from_millis(200), connection.close()).await;
        }
    }
}

impl Deref for Lent {
    type Target = Connection;

    #[expect(clippy::expect_used, reason = "the connection is taken by drop alone")]
    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("a connection on loan is there until it is dropped")
    }
}

impl DerefMut for Lent {
    #[expect(clippy::expect_used, reason = "the connection is taken by drop alone")]
    fn deref_mut(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("a connection on loan is there until it is dropped")
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        if connection.is_misplaced() {
            self.home.misplaced.store(true, Ordering::Relaxed);
        }
        if connection.is_clean() {
            self.home.kept().push((connection, Instant::now()));
        }
    }
}
