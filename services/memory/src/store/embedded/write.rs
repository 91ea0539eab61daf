//! Batches → rows, each batch in one transaction that begins by taking the write lock, so that what it checks stays true.

use std::time::Duration;

use rusqlite::{Connection, Error, OptionalExtension as _, Transaction, TransactionBehavior, params};

use crate::{
    moment::Moment,
    store::{Committed, Refit, Write, bytes},
};

/// Rows of the journal that are kept for other processes to read.
const JOURNAL: i64 = 10_000;

fn begin(connection: &mut Connection) -> Result<Transaction<'_>, Error> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

/// Writes the batch if every record is at the version that is expected.
pub(super) fn commit(
    connection: &mut Connection,
    origin: i64,
    space: &str,
    batch: &[Write],
) -> Result<Committed, Error> {
    let transaction = begin(connection)?;
    for write in batch {
        if !put(&transaction, space, write)? {
            return Ok(Committed::Clash(write.record.id.clone()));
        }
        note(&transaction, origin, space, &write.record.id)?;
    }
    transaction.commit()?;
    Ok(Committed::Done)
}

fn note(connection: &Connection, origin: i64, space: &str, id: &str) -> Result<(), Error> {
    let mut insert = connection.prepare_cached("INSERT INTO journal (origin, space, id) VALUES (?, ?, ?)")?;
    insert.execute(params![origin, space, id]).map(drop)
}

/// Writes one; false if another version is there than the one expected.
fn put(connection: &Connection, space: &str, write: &Write) -> Result<bool, Error> {
    let record = &write.record;
    let mut current =
        connection.prepare_cached("SELECT seq, version FROM rows WHERE space = ? AND id = ? AND ended_at IS NULL")?;
    let current: Option<(i64, u64)> =
        current.query_row(params![space, record.id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    if current.map_or(0, |(_, version)| version) != write.expected {
        return Ok(false);
    }
    if let Some((seq, _)) = current {
        forget_index(connection, seq)?;
        let mut end = connection.prepare_cached("UPDATE rows SET ended_at = ? WHERE seq = ?")?;
        end.execute(params![record.recorded_at.micros(), seq])?;
    }
    let doc = serde_json::to_string(record).map_err(|error| Error::ToSqlConversionFailure(error.into()))?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO rows (space, id, version, recorded_at, expires_at, kind, doc) VALUES (?, ?, ?, ?, ?, ?, ?)",
    )?;
    let expires = record.expires_at.map(Moment::micros);
    let kind = if record.forgotten { "forgotten" } else { record.kind.name() };
    insert.execute(params![space, record.id, record.version, record.recorded_at.micros(), expires, kind, doc])?;
    index(connection, connection.last_insert_rowid(), space, write)?;
    Ok(true)
}

fn index(connection: &Connection, seq: i64, space: &str, write: &Write) -> Result<(), Error> {
    if let Some(index) = &write.index {
        let tokens = format!("{} {}", super::find::space_token(space), index.tokens.join(" "));
        connection.prepare_cached("INSERT INTO terms (rowid, tokens) VALUES (?, ?)")?.execute(params![seq, tokens])?;
        if let Some(bytes) = index.bytes() {
            let mut insert = connection.prepare_cached("INSERT INTO vectors (seq, space, vector) VALUES (?, ?, ?)")?;
            insert.execute(params![seq, space, bytes])?;
        }
    }
    for node in &write.nodes {
        let mut insert = connection.prepare_cached("INSERT INTO nodes (space, node, seq) VALUES (?, ?, ?)")?;
        insert.execute(params![space, node, seq])?;
    }
    Ok(())
}

fn forget_index(connection: &Connection, seq: i64) -> Result<(), Error> {
    for delete in
        ["DELETE FROM terms WHERE rowid = ?", "DELETE FROM vectors WHERE seq = ?", "DELETE FROM nodes WHERE seq = ?"]
    {
        connection.prepare_cached(delete)?.execute([seq])?;
    }
    Ok(())
}

/// Removes all versions of these, and everything that was made of them.
pub(super) fn erase(connection: &mut Connection, origin: i64, space: &str, ids: &[String]) -> Result<u64, Error> {
    let transaction = begin(connection)?;
    let mut removed = 0;
    for id in ids {
        removed += remove(&transaction, space, id)?;
        note(&transaction, origin, space, id)?;
    }
    transaction.commit()?;
    // The log still has the pages as they were: it is written back and emptied. With readers in the way it is emptied later.
    connection.busy_timeout(Duration::from_millis(500))?;
    let emptied = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    connection.busy_timeout(super::open::PATIENCE)?;
    emptied.map(|()| removed)
}

fn remove(connection: &Connection, space: &str, id: &str) -> Result<u64, Error> {
    let mut rows = connection.prepare_cached("SELECT seq FROM rows WHERE space = ? AND id = ?")?;
    let rows: Vec<i64> = rows.query_map([space, id], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for seq in &rows {
        forget_index(connection, *seq)?;
    }
    connection.prepare_cached("DELETE FROM uses WHERE space = ? AND id = ?")?.execute([space, id])?;
    let removed = connection.prepare_cached("DELETE FROM rows WHERE space = ? AND id = ?")?.execute([space, id])?;
    Ok(removed as u64)
}

/// Removes what is past its time.
pub(super) fn sweep(connection: &mut Connection, origin: i64, now: Moment) -> Result<u64, Error> {
    let transaction = begin(connection)?;
    let past: Vec<(String, String)> = {
        let mut past = transaction.prepare_cached(
            "SELECT space, id FROM rows WHERE expires_at IS NOT NULL AND expires_at <= ? AND ended_at IS NULL LIMIT 1000",
        )?;
        past.query_map([now.micros()], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?
    };
    for (space, id) in &past {
        remove(&transaction, space, id)?;
        note(&transaction, origin, space, id)?;
    }
    transaction.execute("DELETE FROM journal WHERE seq <= (SELECT max(seq) FROM journal) - ?", [JOURNAL])?;
    transaction.commit()?;
    Ok(past.len() as u64)
}

/// Replaces the vectors of those that are still at that version.
pub(super) fn refit(connection: &mut Connection, space: &str, batch: &[Refit]) -> Result<(), Error> {
    let transaction = begin(connection)?;
    for Refit { id, version, vector } in batch {
        let mut put = transaction.prepare_cached(
            "INSERT OR REPLACE INTO vectors (seq, space, vector) \
             SELECT seq, space, ?4 FROM rows WHERE space = ?1 AND id = ?2 AND version = ?3 AND ended_at IS NULL",
        )?;
        put.execute(params![space, id, version, bytes(vector)])?;
    }
    transaction.commit()
}

/// Adds one to the counter of each.
pub(super) fn count_use(
    connection: &mut Connection,
    space: &str,
    ids: &[String],
    misled: bool,
    at: Moment,
) -> Result<(), Error> {
    let transaction = begin(connection)?;
    for id in ids {
        let mut add = transaction.prepare_cached(
            "INSERT INTO uses (space, id, used, misled, last) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (space, id) \
             DO UPDATE SET used = used + ?3, misled = misled + ?4, last = max(last, ?5)",
        )?;
        add.execute(params![space, id, !misled, misled, at.micros()])?;
    }
    transaction.commit()
}

/// Adds one to the recalls of each that is there.
pub(super) fn count_recall(connection: &mut Connection, space: &str, ids: &[String], at: Moment) -> Result<(), Error> {
    let transaction = begin(connection)?;
    for id in ids {
        let mut add = transaction.prepare_cached(
            "INSERT INTO uses (space, id, used, misled, recalled, last) \
             SELECT space, id, 0, 0, 1, ?3 FROM rows WHERE space = ?1 AND id = ?2 AND ended_at IS NULL \
             ON CONFLICT (space, id) DO UPDATE SET recalled = recalled + 1, last = max(last, ?3)",
        )?;
        add.execute(params![space, id, at.micros()])?;
    }
    transaction.commit()
}
