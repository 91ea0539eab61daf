//! Questions → records. The graph gives documents by key, term, node and time; they are filtered here.
//!
//! Vectors are kept as text (base64) and compared here: not every server that speaks Bolt has functions or types for them.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use weft_bolt::{Map, Value};

use super::{
    Fault, Neo4j,
    ask::{number, with},
    key, keys,
};
use crate::{
    filter::Filter,
    model::{Record, Uses},
    moment::Moment,
    store::{Census, Row, best},
    words,
};

/// Documents that are read at once.
const PART: usize = 500;

pub(super) async fn ping(store: &Neo4j) -> Result<(), Fault> {
    store.ready().await?.rows("RETURN 1 AS one", &Map::new()).await.map(drop)
}

fn text(row: &[Value], place: usize) -> Result<&str, Fault> {
    row.get(place).and_then(Value::as_str).ok_or_else(|| Fault::Broken(format!("column {place} is no text")))
}

fn int(row: &[Value], place: usize) -> Option<i64> {
    row.get(place).and_then(Value::as_int)
}

fn count_in(row: &[Value], place: usize) -> u64 {
    int(row, place).unwrap_or(0).unsigned_abs()
}

fn record(doc: &str) -> Result<Record, Fault> {
    serde_json::from_str(doc).map_err(|error| Fault::Broken(error.to_string()))
}

/// The documents of the first column.
fn docs(rows: &[Vec<Value>]) -> Result<Vec<Record>, Fault> {
    rows.iter().map(|row| record(text(row, 0)?)).collect()
}

pub(super) async fn get(store: &Neo4j, space: &str, ids: &[String]) -> Result<Vec<Record>, Fault> {
    let space = store.space(space);
    let mut found = Vec::new();
    for part in ids.chunks(PART) {
        let own = with([("keys", keys(&space, part))]);
        let rows = store.ready().await?.rows("MATCH (r:MemoryRecord) WHERE r.key IN $keys RETURN r.doc", &own).await?;
        found.extend(docs(&rows)?);
    }
    found.sort_by_key(|own| ids.iter().position(|id| *id == own.id));
    Ok(found)
}

pub(super) async fn history(store: &Neo4j, space: &str, id: &str) -> Result<Vec<Row>, Fault> {
    let own = with([("key", key(&store.space(space), id).into())]);
    let statement =
        "MATCH (v:MemoryVersion) WHERE v.record = $key RETURN v.doc, v.ended_at, v.version ORDER BY v.version DESC";
    let rows = store.ready().await?.rows(statement, &own).await?;
    let row =
        |row: &Vec<Value>| Ok(Row { record: record(text(row, 0)?)?, ended_at: int(row, 1).map(Moment::from_micros) });
    rows.iter().map(row).collect()
}

pub(super) async fn newest(
    store: &Neo4j,
    space: &str,
    before: Option<(Moment, String)>,
    filter: &Filter,
    limit: usize,
) -> Result<Vec<Record>, Fault> {
    let (mut moment, mut last) = before.map_or((i64::MAX, String::new()), |(moment, id)| (moment.micros(), id));
    let mut found = Vec::new();
    loop {
        let own = with([
            ("space", store.space(space).into()),
            ("moment", moment.into()),
            ("last", last.as_str().into()),
            ("part", number(PART as u64)),
        ]);
        let statement = "MATCH (r:MemoryRecord) WHERE r.space = $space \
             AND (r.recorded_at < $moment OR (r.recorded_at = $moment AND r.name < $last)) \
             RETURN r.doc ORDER BY r.recorded_at DESC, r.name DESC LIMIT $part";
        let part = docs(&store.ready().await?.rows(statement, &own).await?)?;
        let is_last = part.len() < PART;
        if let Some(own) = part.last() {
            (moment, last) = (own.recorded_at.micros(), own.id.clone());
        }
        found.extend(part.into_iter().filter(|own| filter.admits(own)));
        if is_last || found.len() >= limit {
            found.truncate(limit);
            return Ok(found);
        }
    }
}

pub(super) async fn believed(store: &Neo4j, space: &str, at: Moment, filter: &Filter) -> Result<Vec<Record>, Fault> {
    let own = with([("space", store.space(space).into()), ("at", at.micros().into())]);
    let statement = "MATCH (v:MemoryVersion) WHERE v.space = $space AND v.recorded_at <= $at \
         AND (v.ended_at IS NULL OR v.ended_at > $at) RETURN v.doc ORDER BY v.record";
    let all = docs(&store.ready().await?.rows(statement, &own).await?)?;
    Ok(all.into_iter().filter(|own| filter.admits(own)).collect())
}

/// Documents in the order of a statement that has `SKIP $skip LIMIT $part`, part by part as long as there are not enough.
async fn in_parts(
    store: &Neo4j,
    statement: &str,
    keys: Value,
    filter: &Filter,
    limit: usize,
) -> Result<Vec<Record>, Fault> {
    let mut found = Vec::new();
    for part in 0.. {
        let own = with([("keys", keys.clone()), ("skip", number((part * PART) as u64)), ("part", number(PART as u64))]);
        let docs = docs(&store.ready().await?.rows(statement, &own).await?)?;
        let is_last = docs.len() < PART;
        found.extend(docs.into_iter().filter(|own| filter.admits(own)));
        if is_last || found.len() >= limit {
            break;
        }
    }
    found.truncate(limit);
    Ok(found)
}

pub(super) async fn matching(
    store: &Neo4j,
    space: &str,
    tokens: &[String],
    filter: &Filter,
    limit: usize,
) -> Result<Vec<Record>, Fault> {
    if tokens.is_empty() {
        return Ok(Vec::new());
    }
    let statement = "MATCH (t:MemoryTerm)<-[:SAYS]-(r:MemoryRecord) WHERE t.key IN $keys WITH r, count(t) AS times \
         RETURN r.doc ORDER BY times DESC, r.recorded_at DESC, r.name SKIP $skip LIMIT $part";
    in_parts(store, statement, keys(&store.space(space), tokens), filter, limit).await
}

pub(super) async fn touching(
    store: &Neo4j,
    space: &str,
    nodes: &[String],
    filter: &Filter,
    limit: usize,
) -> Result<Vec<Record>, Fault> {
    if nodes.is_empty() {
        return Ok(Vec::new());
    }
    let statement = "MATCH (n:MemoryNode)<-[:TOUCHES]-(r:MemoryRecord) WHERE n.key IN $keys WITH DISTINCT r \
         RETURN r.doc ORDER BY r.recorded_at DESC, r.name DESC SKIP $skip LIMIT $part";
    in_parts(store, statement, keys(&store.space(space), nodes), filter, limit).await
}

pub(super) async fn nearest(
    store: &Neo4j,
    space: &str,
    vector: &[f32],
    filter: &Filter,
    limit: usize,
) -> Result<Vec<(Record, f64)>, Fault> {
    let own = with([("space", store.space(space).into())]);
    let statement = "MATCH (r:MemoryRecord) WHERE r.space = $space AND r.packed IS NOT NULL RETURN r.name, r.packed";
    let rows = store.ready().await?.rows(statement, &own).await?;
    let mut scored: Vec<(f64, String)> = Vec::new();
    for row in &rows {
        let bytes = STANDARD.decode(text(row, 1)?).map_err(|error| Fault::Broken(error.to_string()))?;
        let alike = words::similarity_of_bytes(&bytes, vector);
        if alike > 0.0 {
            scored.push((alike, text(row, 0)?.to_owned()));
        }
    }
    scored.sort_by(|left, right| right.0.total_cmp(&left.0).then_with(|| left.1.cmp(&right.1)));
    let mut found = Vec::new();
    for part in scored.chunks(PART) {
        let ids: Vec<String> = part.iter().map(|(_, id)| id.clone()).collect();
        let scores: BTreeMap<&str, f64> = part.iter().map(|(alike, id)| (id.as_str(), *alike)).collect();
        for own in get(store, space, &ids).await?.into_iter().filter(|own| filter.admits(own)) {
            let score = scores.get(own.id.as_str()).copied().unwrap_or_default();
            found.push((own, score));
        }
        if found.len() >= limit {
            break;
        }
    }
    Ok(best(found, limit))
}

pub(super) async fn uses(store: &Neo4j, space: &str, ids: &[String]) -> Result<BTreeMap<String, Uses>, Fault> {
    let own = with([("keys", keys(&store.space(space), ids))]);
    let graph = store.ready().await?;
    let statement = "MATCH (u:MemoryUse) WHERE u.key IN $keys RETURN u.name, u.used, u.misled, u.last";
    let mut found = BTreeMap::new();
    for row in &graph.rows(statement, &own).await? {
        let last = int(row, 3).map(Moment::from_micros);
        found.insert(
            text(row, 0)?.to_owned(),
            Uses { used: count_in(row, 1), misled: count_in(row, 2), recalled: 0, last },
        );
    }
    let statement =
        "MATCH (r:MemoryRecord) WHERE r.key IN $keys AND r.recalled > 0 RETURN r.name, r.recalled, r.recalled_at";
    for row in &graph.rows(statement, &own).await? {
        let uses: &mut Uses = found.entry(text(row, 0)?.to_owned()).or_default();
        uses.recalled = count_in(row, 1);
        uses.last = uses.last.max(int(row, 2).map(Moment::from_micros));
    }
    Ok(found)
}

pub(super) async fn count(store: &Neo4j, space: &str) -> Result<u64, Fault> {
    let own = with([("space", store.space(space).into())]);
    let statement = "MATCH (r:MemoryRecord) WHERE r.space = $space RETURN count(r)";
    let rows = store.ready().await?.rows(statement, &own).await?;
    Ok(rows.first().map_or(0, |row| count_in(row, 0)))
}

pub(super) async fn census(store: &Neo4j, space: &str) -> Result<Census, Fault> {
    let own = with([("space", store.space(space).into())]);
    let graph = store.ready().await?;
    let statement = "MATCH (r:MemoryRecord) WHERE r.space = $space RETURN r.kind AS kind, count(r) AS many";
    let kinds = graph.rows(statement, &own).await?;
    let kinds = kinds.iter().map(|row| Ok((text(row, 0)?.to_owned(), count_in(row, 1)))).collect::<Result<_, Fault>>();
    let statement = "MATCH (v:MemoryVersion) WHERE v.space = $space RETURN count(v)";
    let versions = graph.rows(statement, &own).await?;
    Ok(Census { kinds: kinds?, versions: versions.first().map_or(0, |row| count_in(row, 0)) })
}

pub(super) async fn spaces(store: &Neo4j) -> Result<Vec<String>, Fault> {
    let begins = store.space("");
    let own = with([("begins", begins.as_str().into())]);
    let statement = "MATCH (r:MemoryRecord) WHERE r.space STARTS WITH $begins RETURN DISTINCT r.space";
    let rows = store.ready().await?.rows(statement, &own).await?;
    let space = |row: &Vec<Value>| Ok(text(row, 0)?.strip_prefix(&begins).map(str::to_owned));
    Ok(rows.iter().map(space).collect::<Result<Vec<_>, Fault>>()?.into_iter().flatten().collect())
}
