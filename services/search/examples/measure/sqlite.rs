//! The same documents in SQLite's FTS5, the full-text search that most programs have at hand: what the embedded index is measured by.

use std::path::Path;

use anyhow::Result;
use rusqlite::{Connection, params};
use serde_json::Value;

/// A table of texts, and one of what they are filtered by.
pub(crate) struct Fts(Connection);

impl Fts {
    pub(crate) fn open(place: &Path) -> Result<Self> {
        let connection = Connection::open(place.join("fts.db"))?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE about (id INTEGER PRIMARY KEY, tag TEXT, year INTEGER);
             CREATE INDEX about_tag ON about (tag);
             CREATE VIRTUAL TABLE texts USING fts5 (title, body, tokenize = 'porter unicode61');",
        )?;
        Ok(Self(connection))
    }

    pub(crate) fn write(&mut self, documents: &[Value]) -> Result<()> {
        let change = self.0.transaction()?;
        {
            let mut about = change.prepare_cached("INSERT INTO about VALUES (?, ?, ?)")?;
            let mut texts = change.prepare_cached("INSERT INTO texts (rowid, title, body) VALUES (?, ?, ?)")?;
            for document in documents {
                let text = |name: &str| document[name].as_str().unwrap_or_default();
                let id: i64 = text("id").parse()?;
                about.execute(params![id, text("tag"), document["year"].as_i64()])?;
                texts.execute(params![id, text("title"), text("body")])?;
            }
        }
        Ok(change.commit()?)
    }

    /// The ten best for a query of FTS5, as (id, title), with a filter or without; and how many there are in all, as ours tells.
    pub(crate) fn search(&self, query: &str, tag: Option<&str>) -> Result<usize> {
        let filter =
            if tag.is_some() { "AND rowid IN (SELECT id FROM about WHERE tag = ?2)" } else { "AND ?2 IS NULL" };
        let count = format!("SELECT count(*) FROM texts WHERE texts MATCH ?1 {filter}");
        let total: i64 = self.0.prepare_cached(&count)?.query_row(params![query, tag], |row| row.get(0))?;
        let best = format!(
            "SELECT rowid, title, body FROM texts WHERE texts MATCH ?1 {filter} ORDER BY bm25(texts, 2.0, 1.0) LIMIT 10"
        );
        let mut best = self.0.prepare_cached(&best)?;
        let mut rows = best.query(params![query, tag])?;
        while let Some(row) = rows.next()? {
            let _: (i64, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        }
        Ok(usize::try_from(total)?)
    }

    /// The rows of the ten best for a query of FTS5.
    pub(crate) fn best(&self, query: &str) -> Result<Vec<i64>> {
        let order = "SELECT rowid FROM texts WHERE texts MATCH ?1 ORDER BY bm25(texts, 2.0, 1.0), rowid LIMIT 10";
        let mut best = self.0.prepare_cached(order)?;
        let rows = best.query_map(params![query], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}
