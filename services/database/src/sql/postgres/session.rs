//! One transaction on a pooled connection, and what becomes of it when nobody waits for it any more.

use sqlx::{Postgres as Pg, pool::PoolConnection};
use weft_kit::{Call, ToolError};

use super::{Shared, cancel, errors};

/// What makes a connection as good as a new one: all of `DISCARD ALL`, but that it would take the prepared statements that the pool
/// knows of. Allowed functions may leave settings, locks and temporary tables behind that would answer the next caller.
macro_rules! reset {
    () => {
        "SET SESSION AUTHORIZATION DEFAULT; RESET ALL; CLOSE ALL; UNLISTEN *; SELECT pg_catalog.pg_advisory_unlock_all(); \
         DISCARD SEQUENCES; DISCARD TEMP"
    };
}

/// A connection with an open transaction. Dropped before its end, it cancels its statement in the server and closes the connection:
/// the cancellation can never meet a later user of it.
pub(super) struct Session<'s> {
    pub(super) shared: &'s Shared,
    pub(super) connection: PoolConnection<Pg>,
    /// The server's process, while its statement may be cancelled.
    pub(super) pid: Option<i32>,
    pub(super) is_open: bool,
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        if !self.is_open {
            return;
        }
        self.connection.close_on_drop();
        if let Some(pid) = self.pid {
            cancel::cancel(self.shared.options.clone(), pid);
        }
    }
}

impl Session<'_> {
    pub(super) fn wrong(&self, error: &sqlx::Error) -> ToolError {
        errors::tool(&self.shared.name, error)
    }

    /// Limits for this transaction alone, and whom to cancel.
    pub(super) async fn prepare(&mut self, call: &Call) -> Result<(), sqlx::Error> {
        let left = u64::try_from(call.left().as_millis()).unwrap_or(u64::MAX);
        let most = self.shared.limits.statement_ms.min(left).max(1).to_string();
        let tenant = self.shared.tenant_setting.as_deref().unwrap_or("weft.tenant");
        let pid = sqlx::query_scalar(
            "SELECT pg_backend_pid() FROM (SELECT set_config('statement_timeout', $1, true), \
             set_config('lock_timeout', $1, true), set_config('idle_in_transaction_session_timeout', '60000', true), \
             set_config($2, $3, true)) AS settings",
        )
        .bind(most)
        .bind(tenant)
        .bind(call.namespace())
        .fetch_one(&mut *self.connection)
        .await?;
        self.pid = Some(pid);
        Ok(())
    }

    /// Runs one of our own words.
    pub(super) async fn run(&mut self, statement: &'static str) -> Result<(), ToolError> {
        let ran = sqlx::raw_sql(statement).execute(&mut *self.connection).await;
        ran.map(drop).map_err(|error| self.wrong(&error))
    }

    /// Ends the transaction without a trace.
    pub(super) async fn rollback(mut self) {
        self.is_open = self.run(concat!("ROLLBACK; ", reset!())).await.is_err();
    }

    pub(super) async fn commit(mut self) -> Result<(), ToolError> {
        // From here on nothing may be cancelled: the answer must say what happened.
        self.pid = None;
        self.run("COMMIT").await?;
        // What was committed stays so; a connection that cannot be made clean is not used again.
        self.is_open = self.run(reset!()).await.is_err();
        Ok(())
    }

    /// Why this role may not be used, if so.
    pub(super) async fn role(&mut self) -> Result<Option<String>, ToolError> {
        if self.shared.allow_privileged {
            return Ok(None);
        }
        let connection = &mut *self.connection;
        let found = self.shared.role.get_or_try_init(|| async {
            let roles = "SELECT coalesce(string_agg(what, ', '), '') FROM (\
                SELECT 'the role is a superuser' AS what FROM pg_catalog.pg_roles WHERE rolname = current_user AND rolsuper \
                UNION ALL SELECT 'the role bypasses row security' FROM pg_catalog.pg_roles WHERE rolname = current_user AND rolbypassrls \
                UNION ALL SELECT 'the role is a member of ' || rolname FROM pg_catalog.pg_roles WHERE rolname IN \
                ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program', 'rds_superuser') \
                AND pg_catalog.pg_has_role(current_user, oid, 'member')) AS reasons";
            let why: String = sqlx::query_scalar(roles).fetch_one(connection).await?;
            Ok::<_, sqlx::Error>(Some(why).filter(|why| !why.is_empty()))
        });
        found.await.cloned().map_err(|error| errors::tool(&self.shared.name, &error))
    }

    /// Rows of one JSON column each, from our own text.
    pub(super) async fn json<T: serde::de::DeserializeOwned>(
        &mut self,
        sql: &'static str,
        params: &[Option<String>],
    ) -> Result<Vec<T>, ToolError> {
        let mut query = sqlx::query_scalar::<_, String>(sql);
        for param in params {
            query = query.bind(param.clone());
        }
        let rows = query.fetch_all(&mut *self.connection).await.map_err(|error| self.wrong(&error))?;
        rows.iter().map(|row| serde_json::from_str(row).map_err(|error| ToolError::internal(&error))).collect()
    }
}
