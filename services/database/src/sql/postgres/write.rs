//! A write: all statements in one transaction, counted, and committed only if that was asked for and the count is the expected one.

use sqlx::AssertSqlSafe;
use weft_kit::{Call, ToolError};

use super::{Mode, Session, Shared, read, surface};
use crate::sql::{Act, Done, Kind, Write};

/// Runs a write, or tries it.
pub(super) async fn write(shared: &Shared, call: &Call, write: Write<'_>) -> Result<Vec<Done>, ToolError> {
    let mut session = shared.begin(call, Mode::Write(write.isolation)).await?;
    match all(&mut session, call, write).await {
        Ok(done) if write.commit => {
            call.check()?;
            session.commit().await?;
            Ok(done)
        }
        outcome => {
            session.rollback().await;
            outcome
        }
    }
}

async fn all(session: &mut Session<'_>, call: &Call, write: Write<'_>) -> Result<Vec<Done>, ToolError> {
    let mut done: Vec<Done> = Vec::with_capacity(write.acts.len());
    let mut changed = 0;
    let mut counted = session.counted().await?;
    for (place, act) in write.acts.iter().enumerate() {
        call.check()?;
        let mut one = one(session, act, write.take)
            .await
            .map_err(|error| crate::sql::numbered(error, place, write.acts.len()))?;
        counted = widen(session, &mut one, counted).await?;
        changed += one.affected.unwrap_or(0);
        within(session, changed)?;
        done.push(one);
        #[expect(clippy::cast_precision_loss, reason = "a few statements")]
        call.progress((place + 1) as f64, Some(write.acts.len() as f64), None);
    }
    // What would only happen while it is committed happens now: it must be counted, and a trial must fail where that would.
    session.run("SET CONSTRAINTS ALL IMMEDIATE").await?;
    let late = session.counted().await?.saturating_sub(counted);
    if let Some(last) = done.iter_mut().rev().find(|one| one.affected.is_some()) {
        last.affected = last.affected.map(|affected| affected + late);
        last.cascaded += late;
        changed += late;
    }
    within(session, changed)?;
    crate::sql::as_expected(changed, write.expected)?;
    Ok(done)
}

fn within(session: &Session<'_>, changed: u64) -> Result<(), ToolError> {
    let most = session.shared.limits.changed_rows;
    if changed > most { Err(crate::sql::too_many(changed, most)) } else { Ok(()) }
}

/// Adds what references and triggers changed: the server tells only the rows of the statement itself, but counts all rows that the
/// transaction has touched. Gives that count.
async fn widen(session: &mut Session<'_>, done: &mut Done, before: u64) -> Result<u64, ToolError> {
    let Some(affected) = done.affected else { return session.counted().await };
    let now = session.counted().await?;
    done.cascaded = now.saturating_sub(before).saturating_sub(affected);
    done.affected = Some(affected + done.cascaded);
    Ok(now)
}

impl Session<'_> {
    /// Rows that this transaction has added, changed and deleted so far, by whatever means; only its growth means something.
    async fn counted(&mut self) -> Result<u64, ToolError> {
        let sql = "SELECT coalesce(sum(pg_catalog.pg_stat_get_xact_tuples_inserted(c.oid) + pg_catalog.pg_stat_get_xact_tuples_updated(c.oid) \
                   + pg_catalog.pg_stat_get_xact_tuples_deleted(c.oid)), 0)::bigint FROM pg_catalog.pg_class c WHERE c.relkind = 'r' \
                   AND c.relnamespace NOT IN (SELECT n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname IN ('pg_catalog', 'information_schema'))";
        let counted: i64 =
            sqlx::query_scalar(sql).fetch_one(&mut *self.connection).await.map_err(|error| self.wrong(&error))?;
        Ok(u64::try_from(counted).unwrap_or(0))
    }
}

async fn one(session: &mut Session<'_>, act: &Act, take: usize) -> Result<Done, ToolError> {
    surface::check(session, &act.checked).await?;
    if act.checked.kind == Kind::Schema {
        let ran = sqlx::query(AssertSqlSafe(act.checked.text.clone()))
            .persistent(false)
            .execute(&mut *session.connection)
            .await;
        ran.map_err(|error| session.wrong(&error))?;
        return Ok(Done::default());
    }
    let ready = read::prepare(session, &act.checked, &act.params).await?;
    session.affordable(&ready.text, &ready.values).await?;
    if !act.checked.returning {
        let mut query = sqlx::query(AssertSqlSafe(ready.text)).persistent(false);
        for value in ready.values {
            query = query.bind(value);
        }
        let ran = query.execute(&mut *session.connection).await.map_err(|error| session.wrong(&error))?;
        return Ok(Done { affected: Some(ran.rows_affected()), ..Done::default() });
    }
    let limits = session.shared.limits;
    // A statement that writes must run to its end, so the rows are limited by the reader and counted beside them.
    let sql = if act.checked.kind == Kind::Read {
        format!(
            "SELECT {} FROM ({}) AS q({}) LIMIT {}",
            read::expressions(&ready.cells, limits.cell_bytes),
            ready.text,
            read::names(ready.cells.len()),
            take + 1
        )
    } else {
        format!(
            "WITH q({}) AS ({}) SELECT {}, (SELECT count(*) FROM q)::text FROM q LIMIT {}",
            read::names(ready.cells.len()),
            ready.text,
            read::expressions(&ready.cells, limits.cell_bytes),
            take.max(1) + 1
        )
    };
    if act.checked.kind == Kind::Read {
        let returned = session.rows(sql, &ready, take, limits.bytes).await?;
        return Ok(Done { affected: Some(0), returned, ..Done::default() });
    }
    let mut counted = read::Ready { cells: ready.cells.clone(), text: String::new(), values: ready.values };
    counted.cells.push(super::cells::Cell::count());
    // The count stands beside a row, so one is read even if none is wanted.
    let mut returned = session.rows(sql, &counted, take.max(1), limits.bytes).await?;
    returned.columns.pop();
    let mut affected = 0;
    for row in &mut returned.rows {
        affected = row.pop().and_then(|value| value.as_u64()).unwrap_or(affected);
    }
    returned.rows.truncate(take);
    Ok(Done { affected: Some(affected), returned, ..Done::default() })
}
