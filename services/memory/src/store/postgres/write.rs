//! Batches → rows, each batch in one transaction that holds the rows that it replaces.

use sqlx::{Error, PgConnection};

use super::Postgres;
use crate::{
    moment::Moment,
    store::{Committed, Refit, Write},
};

/// How a record was written.
#[derive(PartialEq)]
enum Put {
    Done,
    Clash,
}

pub(super) async fn commit(store: &Postgres, space: &str, mut batch: Vec<Write>) -> Result<Committed, Error> {
    store.ready().await?;
    // In one order everywhere, so that two batches do not wait for each other.
    batch.sort_by(|left, right| left.record.id.cmp(&right.record.id));
    let mut transaction = store.pool.begin().await?;
    for write in &batch {
        let put = match put(&mut transaction, space, write).await {
            Err(Error::Database(said)) if said.is_unique_violation() => Put::Clash,
            other => other?,
        };
        if put == Put::Clash {
            transaction.rollback().await?;
            return Ok(Committed::Clash(write.record.id.clone()));
        }
        notify(store, &mut transaction, space, &write.record.id).await?;
    }
    transaction.commit().await?;
    Ok(Committed::Done)
}

async fn notify(store: &Postgres, connection: &mut PgConnection, space: &str, id: &str) -> Result<(), Error> {
    sqlx::query("SELECT pg_notify($1, $2)")
        .bind(&store.schema)
        .bind(format!("{} {space} {id}", store.origin))
        .execute(connection)
        .await
        .map(drop)
}

async fn put(connection: &mut PgConnection, space: &str, write: &Write) -> Result<Put, Error> {
    let record = &write.record;
    let current: Option<i64> =
        sqlx::query_scalar("SELECT version FROM rows WHERE space = $1 AND id = $2 AND ended_at IS NULL FOR UPDATE")
            .bind(space)
            .bind(&record.id)
            .fetch_optional(&mut *connection)
            .await?;
    if current.unwrap_or(0) != number(write.expected) {
        return Ok(Put::Clash);
    }
    if let Some(version) = current {
        sqlx::query("UPDATE rows SET ended_at = $4, terms = NULL, vector = NULL, nodes = NULL WHERE space = $1 AND id = $2 AND version = $3")
            .bind(space)
            .bind(&record.id)
            .bind(version)
            .bind(record.recorded_at.micros())
            .execute(&mut *connection)
            .await?;
    }
    let doc = serde_json::to_string(record).map_err(|error| Error::Encode(error.into()))?;
    sqlx::query(
        "INSERT INTO rows (space, id, version, recorded_at, expires_at, kind, doc, terms, vector, nodes) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, array_to_tsvector($8), $9, $10)",
    )
    .bind(space)
    .bind(&record.id)
    .bind(number(record.version))
    .bind(record.recorded_at.micros())
    .bind(record.expires_at.map(Moment::micros))
    .bind(if record.forgotten { "forgotten" } else { record.kind.name() })
    .bind(doc)
    .bind(write.index.as_ref().map(|index| index.tokens.clone()))
    .bind(write.index.as_ref().map(|index| index.vector.clone()).filter(|vector| !vector.is_empty()))
    .bind(&write.nodes)
    .execute(connection)
    .await?;
    Ok(Put::Done)
}

/// Replaces the vectors of those that are still at that version.
pub(super) async fn refit(store: &Postgres, space: &str, batch: Vec<Refit>) -> Result<(), Error> {
    store.ready().await?;
    let mut transaction = store.pool.begin().await?;
    for Refit { id, version, vector } in batch {
        sqlx::query("UPDATE rows SET vector = $4 WHERE space = $1 AND id = $2 AND version = $3 AND ended_at IS NULL")
            .bind(space)
            .bind(id)
            .bind(number(version))
            .bind(vector)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await
}

fn number(version: u64) -> i64 {
    i64::try_from(version).unwrap_or(i64::MAX)
}

pub(super) async fn erase(store: &Postgres, space: &str, ids: &[String]) -> Result<u64, Error> {
    store.ready().await?;
    let mut transaction = store.pool.begin().await?;
    let gone = sqlx::query("DELETE FROM rows WHERE space = $1 AND id = ANY($2)")
        .bind(space)
        .bind(ids)
        .execute(&mut *transaction)
        .await?;
    sqlx::query("DELETE FROM uses WHERE space = $1 AND id = ANY($2)")
        .bind(space)
        .bind(ids)
        .execute(&mut *transaction)
        .await?;
    for id in ids {
        notify(store, &mut transaction, space, id).await?;
    }
    transaction.commit().await?;
    Ok(gone.rows_affected())
}

pub(super) async fn sweep(store: &Postgres, now: Moment) -> Result<u64, Error> {
    store.ready().await?;
    let past: Vec<(String, String)> = sqlx::query_as(
        "SELECT space, id FROM rows WHERE expires_at IS NOT NULL AND expires_at <= $1 AND ended_at IS NULL LIMIT 1000",
    )
    .bind(now.micros())
    .fetch_all(&store.pool)
    .await?;
    for (space, id) in &past {
        erase(store, space, std::slice::from_ref(id)).await?;
    }
    Ok(past.len() as u64)
}

pub(super) async fn count_use(
    store: &Postgres,
    space: &str,
    ids: &[String],
    misled: bool,
    at: Moment,
) -> Result<(), Error> {
    store.ready().await?;
    let mut ids = ids.to_vec();
    ids.sort();
    ids.dedup();
    sqlx::query(
        "INSERT INTO uses (space, id, used, misled, last) SELECT $1, id, $3, $4, $5 FROM unnest($2::text[]) AS asked (id) \
         ON CONFLICT (space, id) DO UPDATE SET used = uses.used + $3, misled = uses.misled + $4, last = greatest(uses.last, $5)",
    )
    .bind(space)
    .bind(ids)
    .bind(i64::from(!misled))
    .bind(i64::from(misled))
    .bind(at.micros())
    .execute(&store.pool)
    .await
    .map(drop)
}

/// Adds one to the recalls of each that is there. Those that somebody changes just now are left out: nobody waits for this.
pub(super) async fn count_recall(store: &Postgres, space: &str, ids: &[String], at: Moment) -> Result<(), Error> {
    store.ready().await?;
    sqlx::query(
        "INSERT INTO uses (space, id, used, misled, recalled, last) SELECT space, id, 0, 0, 1, $3 FROM \
         (SELECT space, id FROM rows WHERE space = $1 AND id = ANY($2) AND ended_at IS NULL ORDER BY id \
         FOR KEY SHARE SKIP LOCKED) AS there \
         ON CONFLICT (space, id) DO UPDATE SET recalled = uses.recalled + 1, last = greatest(uses.last, $3)",
    )
    .bind(space)
    .bind(ids)
    .bind(at.micros())
    .execute(&store.pool)
    .await
    .map(drop)
}
