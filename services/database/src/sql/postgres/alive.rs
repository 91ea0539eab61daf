//! Whether the server answers, and whether it knows what a statement names: nothing of it runs.

use sqlx::{AssertSqlSafe, Executor as _, SqlSafeStr as _};

use super::Shared;
use crate::sql::Checked;

/// Asks for a sign of life; where all connections are at work there is one.
pub(super) async fn probe(shared: &Shared) -> Result<(), String> {
    let pool = &shared.pool;
    if pool.num_idle() == 0 && pool.size() >= shared.limits.pool {
        return Ok(());
    }
    // The pool asks a connection that was idle whether it lives, before it gives it.
    pool.acquire().await.map(drop).map_err(|error| match error {
        sqlx::Error::Database(_) => "it refuses the login: look at role, password and database".to_owned(),
        sqlx::Error::Tls(_) => "its certificate is not taken".to_owned(),
        _ => "it cannot be reached".to_owned(),
    })
}

/// Lets the server understand a statement; a server that is away says nothing about it.
pub(super) async fn prepares(shared: &Shared, checked: &Checked) -> Result<(), String> {
    let Ok(mut connection) = shared.pool.acquire().await else { return Ok(()) };
    let sql = AssertSqlSafe(checked.text.clone()).into_sql_str();
    match (&mut *connection).prepare_with(sql, &[]).await {
        Err(sqlx::Error::Database(error)) => Err(error.message().to_owned()),
        _ => Ok(()),
    }
}
