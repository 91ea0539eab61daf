//! Work on a file → a connection for as long as it takes: one of a few that read, or the one that writes; taken back clean or not at all.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use rusqlite::Connection;
use weft_kit::{Call, ToolError};

use super::{STEPS, Shared, errors};
use crate::fault;

impl Shared {
    /// Runs `work` on a connection that only reads.
    pub(super) async fn read<T, F>(self: &Arc<Self>, call: &Call, work: F) -> Result<T, ToolError>
    where
        T: Send + 'static,
        F: FnOnce(&Call, &mut Connection, &Self) -> Result<T, ToolError> + Send + 'static,
    {
        let place = call
            .run(tokio::time::timeout(Duration::from_millis(self.limits.acquire_ms), self.places.acquire()))
            .await?;
        let Ok(Ok(_place)) = place else { return Err(fault::busy(&self.name)) };
        let shared = Arc::clone(self);
        call.blocking(move |call| {
            let free = shared.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut connection = match free {
                Some(connection) => connection,
                None => shared.connect(false).map_err(|error| errors::tool(&shared.name, &error))?,
            };
            let out = shared.guarded(call, &mut connection, work)?;
            shared.readers.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            out
        })
        .await
    }

    /// Runs `work` on the connection that writes.
    pub(super) async fn write<T, F>(self: &Arc<Self>, call: &Call, work: F) -> Result<T, ToolError>
    where
        T: Send + 'static,
        F: FnOnce(&Call, &mut Connection, &Self) -> Result<T, ToolError> + Send + 'static,
    {
        if !self.writable {
            return Err(ToolError::refused("this only reads"));
        }
        let mut writer = call.run(Arc::clone(&self.writer).lock_owned()).await?;
        let shared = Arc::clone(self);
        call.blocking(move |call| {
            let mut connection = match writer.take() {
                Some(connection) => connection,
                None => shared.connect(true).map_err(|error| errors::tool(&shared.name, &error))?,
            };
            let out = shared.guarded(call, &mut connection, work)?;
            *writer = Some(connection);
            out
        })
        .await
    }

    /// Runs `work` until it ends, the call does, or its time is over. A connection that cannot be made clean is not kept.
    fn guarded<T, F>(
        &self,
        call: &Call,
        connection: &mut Connection,
        work: F,
    ) -> Result<Result<T, ToolError>, ToolError>
    where
        F: FnOnce(&Call, &mut Connection, &Self) -> Result<T, ToolError>,
    {
        let wrong = |error: rusqlite::Error| errors::tool(&self.name, &error);
        let until = std::time::Instant::now() + Duration::from_millis(self.limits.statement_ms);
        let watched = call.clone();
        let over = move || watched.check().is_err() || std::time::Instant::now() > until;
        connection.progress_handler(STEPS, Some(over)).map_err(wrong)?;
        let out = work(call, connection, self);
        connection.progress_handler(STEPS, None::<fn() -> bool>).map_err(wrong)?;
        connection
            .authorizer(None::<fn(rusqlite::hooks::AuthContext<'_>) -> rusqlite::hooks::Authorization>)
            .map_err(wrong)?;
        if !connection.is_autocommit() {
            connection.execute_batch("ROLLBACK").map_err(wrong)?;
        }
        Ok(out.map_err(|error| match call.check() {
            Err(stopped) => stopped,
            Ok(()) => error,
        }))
    }
}
