//! Questions → records, read from one state of the file each.

use std::collections::BTreeMap;

use rusqlite::{Connection, Error, OptionalExtension as _, Row as SqlRow, params, types::Type};

use crate::{
    filter::Filter,
    model::{Record, Uses},
    moment::Moment,
    store::{Census, Row, best},
    words,
};

/// What stands for a partition in the index of terms, so that no other is looked at.
pub(super) fn space_token(space: &str) -> String {
    words::token(space).replacen('t', "s", 1)
}

fn record(row: &SqlRow<'_>) -> Result<Record, Error> {
    let doc = row.get_ref(0)?.as_str()?;
    serde_json::from_str(doc).map_err(|error| Error::FromSqlConversionFailure(0, Type::Text, error.into()))
}

/// The first `limit` that the filter admits.
fn admitted(
    rows: impl Iterator<Item = Result<Record, Error>>,
    filter: &Filter,
    limit: usize,
) -> Result<Vec<Record>, Error> {
    let fits = |record: &Result<Record, Error>| record.as_ref().map_or(true, |record| filter.admits(record));
    rows.filter(fits).take(limit).collect()
}

pub(super) fn get(connection: &Connection, space: &str, ids: &[String]) -> Result<Vec<Record>, Error> {
    let mut find = connection.prepare_cached("SELECT doc FROM rows WHERE space = ? AND id = ? AND ended_at IS NULL")?;
    let mut found = Vec::new();
    for id in ids {
        found.extend(find.query_row([space, id], record).optional()?);
    }
    Ok(found)
}

pub(super) fn history(connection: &Connection, space: &str, id: &str) -> Result<Vec<Row>, Error> {
    let mut find =
        connection.prepare_cached("SELECT doc, ended_at FROM rows WHERE space = ? AND id = ? ORDER BY version DESC")?;
    let rows = find.query_map([space, id], |row| {
        let ended: Option<i64> = row.get(1)?;
        Ok(Row { record: record(row)?, ended_at: ended.map(Moment::from_micros) })
    })?;
    rows.collect()
}

pub(super) fn newest(
    connection: &Connection,
    space: &str,
    before: Option<(Moment, String)>,
    filter: &Filter,
    limit: usize,
) -> Result<Vec<Record>, Error> {
    let (moment, id) = before.map_or((i64::MAX, String::new()), |(moment, id)| (moment.micros(), id));
    let mut find = connection.prepare_cached(
        "SELECT doc FROM rows WHERE space = ? AND ended_at IS NULL AND (recorded_at, id) < (?, ?) \
         ORDER BY recorded_at DESC, id DESC",
    )?;
    admitted(find.query_map(params![space, moment, id], record)?, filter, limit)
}

pub(super) fn believed(
    connection: &Connection,
    space: &str,
    at: Moment,
    filter: &Filter,
) -> Result<Vec<Record>, Error> {
    let mut find = connection.prepare_cached(
        "SELECT doc FROM rows WHERE space = ?1 AND recorded_at <= ?2 AND (ended_at IS NULL OR ended_at > ?2) ORDER BY id",
    )?;
    admitted(find.query_map(params![space, at.micros()], record)?, filter, usize::MAX)
}

pub(super) fn matching(
    connection: &Connection,
    space: &str,
    tokens: &[String],
    filter: &Filter,
    limit: usize,
) -> Result<Vec<Record>, Error> {
    let asked = format!("{} AND ({})", space_token(space), tokens.join(" OR "));
    let mut find = connection.prepare_cached(
        "SELECT rows.doc FROM terms JOIN rows ON rows.seq = terms.rowid WHERE terms MATCH ? AND rows.space = ? \
         ORDER BY terms.rank, rows.seq DESC",
    )?;
    admitted(find.query_map([asked.as_str(), space], record)?, filter, limit)
}

pub(super) fn nearest(
    connection: &Connection,
    space: &str,
    vector: &[f32],
    filter: &Filter,
    limit: usize,
) -> Result<Vec<(Record, f64)>, Error> {
    let mut all = connection.prepare_cached("SELECT seq, vector FROM vectors WHERE space = ?")?;
    let scored = all.query_map([space], |row| {
        let (seq, bytes): (i64, _) = (row.get(0)?, row.get_ref(1)?.as_blob()?);
        Ok((seq, words::similarity_of_bytes(bytes, vector)))
    })?;
    let mut scored =
        scored.filter(|row| row.as_ref().map_or(true, |(_, alike)| *alike > 0.0)).collect::<Result<Vec<_>, _>>()?;
    scored.sort_by(|left, right| right.1.total_cmp(&left.1));
    let mut find = connection.prepare_cached("SELECT doc FROM rows WHERE seq = ?")?;
    let mut found: Vec<(Record, f64)> = Vec::new();
    for (seq, alike) in scored {
        // Those that are as alike as the last one are read too, so that the order among them is that of their ids.
        if found.len() >= limit && found.last().is_some_and(|(_, last)| alike < *last) {
            break;
        }
        let own = find.query_row([seq], record)?;
        if filter.admits(&own) {
            found.push((own, alike));
        }
    }
    Ok(best(found, limit))
}

pub(super) fn touching(
    connection: &Connection,
    space: &str,
    nodes: &[String],
    filter: &Filter,
    limit: usize,
) -> Result<Vec<Record>, Error> {
    let mut find = connection.prepare_cached(
        "SELECT rows.doc FROM nodes JOIN rows ON rows.seq = nodes.seq WHERE nodes.space = ? AND nodes.node = ? \
         ORDER BY rows.recorded_at DESC, rows.id DESC",
    )?;
    let mut found = BTreeMap::new();
    for node in nodes {
        for own in admitted(find.query_map([space, node], record)?, filter, limit)? {
            found.insert((own.recorded_at, own.id.clone()), own);
        }
    }
    Ok(found.into_values().rev().take(limit).collect())
}

pub(super) fn uses(connection: &Connection, space: &str, ids: &[String]) -> Result<BTreeMap<String, Uses>, Error> {
    let mut find =
        connection.prepare_cached("SELECT used, misled, recalled, last FROM uses WHERE space = ? AND id = ?")?;
    let mut found = BTreeMap::new();
    for id in ids {
        let uses = find.query_row([space, id], |row| {
            let last = Some(Moment::from_micros(row.get(3)?));
            Ok(Uses { used: row.get(0)?, misled: row.get(1)?, recalled: row.get(2)?, last })
        });
        if let Some(uses) = uses.optional()? {
            found.insert(id.clone(), uses);
        }
    }
    Ok(found)
}

pub(super) fn count(connection: &Connection, space: &str) -> Result<u64, Error> {
    let mut count = connection.prepare_cached("SELECT count(*) FROM rows WHERE space = ? AND ended_at IS NULL")?;
    count.query_row([space], |row| row.get(0))
}

pub(super) fn census(connection: &Connection, space: &str) -> Result<Census, Error> {
    let mut kinds = connection
        .prepare_cached("SELECT kind, count(*) FROM rows WHERE space = ? AND ended_at IS NULL GROUP BY kind")?;
    let kinds = kinds.query_map([space], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    let mut versions = connection.prepare_cached("SELECT count(*) FROM rows WHERE space = ?")?;
    Ok(Census { kinds, versions: versions.query_row([space], |row| row.get(0))? })
}

pub(super) fn spaces(connection: &Connection) -> Result<Vec<String>, Error> {
    let mut all = connection.prepare_cached("SELECT DISTINCT space FROM rows ORDER BY space")?;
    all.query_map([], |row| row.get(0))?.collect()
}
