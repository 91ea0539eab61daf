//! What ends a statement in the server when nobody waits for it any more.

use sqlx::{ConnectOptions as _, Connection as _, postgres::PgConnectOptions};

/// Cancels the statement of one server process, over a connection of its own: the pool may have none to give.
pub(super) fn cancel(options: PgConnectOptions, pid: i32) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    runtime.spawn(async move {
        // Where no connection is to be had, the statement's own time limit ends it.
        let Ok(mut connection) = options.connect().await else { return };
        let cancelled = sqlx::query("SELECT pg_cancel_backend($1)").bind(pid).execute(&mut connection).await;
        tracing::debug!(pid, ok = cancelled.is_ok(), "a statement was cancelled");
        let _ = connection.close().await;
    });
}
