//! Questions → records. Sets and sorted sets give ids; documents are read in parts and filtered here.

use std::collections::BTreeMap;

use redis::{RedisError, aio::ConnectionManager};

use super::{Keys, Redis, broken, line::Line};
use crate::{
    filter::Filter,
    model::{Record, Uses},
    moment::Moment,
    store::{Census, Row, best},
    words,
};

/// Ids or documents that are read at once.
const PART: usize = 500;

pub(super) async fn ping(store: &Redis) -> Result<(), RedisError> {
    redis::cmd("PING").exec_async(&mut store.reading().await?).await
}

fn record(doc: &str) -> Result<Record, RedisError> {
    serde_json::from_str(doc).map_err(broken)
}

/// Current documents by id, in that order; what is not there is left out.
async fn docs(shared: &mut Line<ConnectionManager>, keys: &Keys, ids: &[String]) -> Result<Vec<Record>, RedisError> {
    let mut found = Vec::new();
    for part in ids.chunks(PART) {
        let docs: Vec<Option<String>> = redis::cmd("HMGET").arg(keys.current()).arg(part).query_async(shared).await?;
        for doc in docs.into_iter().flatten() {
            found.push(record(&doc)?);
        }
    }
    Ok(found)
}

/// Those that the filter admits, as long as there are not enough.
async fn admitted(
    shared: &mut Line<ConnectionManager>,
    keys: &Keys,
    ids: &[String],
    filter: &Filter,
    limit: usize,
) -> Result<Vec<Record>, RedisError> {
    let mut found = Vec::new();
    for part in ids.chunks(PART) {
        found.extend(docs(shared, keys, part).await?.into_iter().filter(|own| filter.admits(own)));
        if found.len() >= limit {
            break;
        }
    }
    found.truncate(limit);
    Ok(found)
}

pub(super) async fn get(store: &Redis, space: &str, ids: &[String]) -> Result<Vec<Record>, RedisError> {
    docs(&mut store.reading().await?, &store.keys(space), ids).await
}

async fn rows(shared: &mut Line<ConnectionManager>, keys: &Keys, id: &str) -> Result<Vec<Row>, RedisError> {
    let (docs, ended): (BTreeMap<u64, String>, BTreeMap<u64, i64>) =
        redis::pipe().atomic().hgetall(keys.versions(id)).hgetall(keys.ended(id)).query_async(shared).await?;
    let row = |(version, doc): (&u64, &String)| {
        Ok(Row { record: record(doc)?, ended_at: ended.get(version).copied().map(Moment::from_micros) })
    };
    docs.iter().rev().map(row).collect()
}

pub(super) async fn history(store: &Redis, space: &str, id: &str) -> Result<Vec<Row>, RedisError> {
    rows(&mut store.reading().await?, &store.keys(space), id).await
}

pub(super) async fn newest(
    store: &Redis,
    space: &str,
    before: Option<&(Moment, String)>,
    filter: &Filter,
    limit: usize,
) -> Result<Vec<Record>, RedisError> {
    let (mut shared, keys) = (store.reading().await?, store.keys(space));
    let from = before.map_or("+inf".to_owned(), |(moment, _)| moment.micros().to_string());
    let mut found: Vec<Record> = Vec::new();
    for part in 0.. {
        let ids: Vec<String> = redis::cmd("ZREVRANGEBYSCORE")
            .arg(keys.recorded())
            .arg(&from)
            .arg("-inf")
            .arg("LIMIT")
            .arg(part * PART)
            .arg(PART)
            .query_async(&mut shared)
            .await?;
        for own in docs(&mut shared, &keys, &ids).await? {
            let is_before = before.is_none_or(|(moment, id)| (own.recorded_at, &own.id) < (*moment, id));
            if is_before && filter.admits(&own) {
                found.push(own);
            }
        }
        if found.len() >= limit || ids.len() < PART {
            break;
        }
    }
    found.sort_by(|left, right| (right.recorded_at, &right.id).cmp(&(left.recorded_at, &left.id)));
    found.truncate(limit);
    Ok(found)
}

pub(super) async fn believed(
    store: &Redis,
    space: &str,
    at: Moment,
    filter: &Filter,
) -> Result<Vec<Record>, RedisError> {
    let (mut shared, keys) = (store.reading().await?, store.keys(space));
    let mut ids: Vec<String> = redis::cmd("HKEYS").arg(keys.current()).query_async(&mut shared).await?;
    ids.sort();
    let mut found = Vec::new();
    for id in ids {
        let then = |row: &Row| row.record.recorded_at <= at && row.ended_at.is_none_or(|ended| ended > at);
        let row = rows(&mut shared, &keys, &id).await?.into_iter().find(then);
        found.extend(row.map(|row| row.record).filter(|own| filter.admits(own)));
    }
    Ok(found)
}

pub(super) async fn matching(
    store: &Redis,
    space: &str,
    tokens: &[String],
    filter: &Filter,
    limit: usize,
) -> Result<Vec<Record>, RedisError> {
    let (mut shared, keys) = (store.reading().await?, store.keys(space));
    let mut pipe = redis::pipe();
    for token in tokens {
        pipe.smembers(keys.term(token));
    }
    let sets: Vec<Vec<String>> = if tokens.is_empty() { Vec::new() } else { pipe.query_async(&mut shared).await? };
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for id in sets.into_iter().flatten() {
        *times.entry(id).or_default() += 1;
    }
    let mut ids: Vec<(usize, String)> = times.into_iter().map(|(id, times)| (times, id)).collect();
    ids.sort_by(|left, right| right.0.cmp(&left.0).then_with(|| left.1.cmp(&right.1)));
    let ids: Vec<String> = ids.into_iter().map(|(_, id)| id).collect();
    admitted(&mut shared, &keys, &ids, filter, limit).await
}

pub(super) async fn nearest(
    store: &Redis,
    space: &str,
    vector: &[f32],
    filter: &Filter,
    limit: usize,
) -> Result<Vec<(Record, f64)>, RedisError> {
    let (mut shared, keys) = (store.reading().await?, store.keys(space));
    let mut alike: BTreeMap<String, f64> = BTreeMap::new();
    let mut cursor = 0_u64;
    loop {
        let (next, part): (u64, Vec<(String, Vec<u8>)>) =
            redis::cmd("HSCAN").arg(keys.vectors()).arg(cursor).arg("COUNT").arg(PART).query_async(&mut shared).await?;
        for (id, bytes) in part {
            let score = words::similarity_of_bytes(&bytes, vector);
            if score > 0.0 {
                alike.insert(id, score);
            }
        }
        cursor = next;
        if cursor == 0 {
            break;
        }
    }
    let mut ids: Vec<(f64, String)> = alike.into_iter().map(|(id, alike)| (alike, id)).collect();
    ids.sort_by(|left, right| right.0.total_cmp(&left.0).then_with(|| left.1.cmp(&right.1)));
    let scores: BTreeMap<String, f64> = ids.iter().map(|(alike, id)| (id.clone(), *alike)).collect();
    let ids: Vec<String> = ids.into_iter().map(|(_, id)| id).collect();
    let found = admitted(&mut shared, &keys, &ids, filter, limit).await?;
    let scored = found.into_iter().map(|own| {
        let score = scores.get(&own.id).copied().unwrap_or_default();
        (own, score)
    });
    Ok(best(scored.collect(), limit))
}

pub(super) async fn touching(
    store: &Redis,
    space: &str,
    nodes: &[String],
    filter: &Filter,
    limit: usize,
) -> Result<Vec<Record>, RedisError> {
    if nodes.is_empty() {
        return Ok(Vec::new());
    }
    let (mut shared, keys) = (store.reading().await?, store.keys(space));
    let sets: Vec<String> = nodes.iter().map(|node| keys.node(node)).collect();
    let ids: Vec<String> = redis::cmd("SUNION").arg(sets).query_async(&mut shared).await?;
    let mut found = admitted(&mut shared, &keys, &ids, filter, usize::MAX).await?;
    found.sort_by(|left, right| (right.recorded_at, &right.id).cmp(&(left.recorded_at, &left.id)));
    found.truncate(limit);
    Ok(found)
}

pub(super) async fn uses(store: &Redis, space: &str, ids: &[String]) -> Result<BTreeMap<String, Uses>, RedisError> {
    let (mut shared, keys) = (store.reading().await?, store.keys(space));
    let mut found = BTreeMap::new();
    for part in ids.chunks(PART) {
        let mut pipe = redis::pipe();
        for id in part {
            pipe.cmd("HMGET").arg(keys.uses(id)).arg(&["used", "misled", "recalled", "last"]);
        }
        let all: Vec<[Option<i64>; 4]> = pipe.query_async(&mut shared).await?;
        for (id, [used, misled, recalled, last]) in part.iter().zip(all) {
            let [used, misled, recalled] = [used, misled, recalled].map(|count| count.unwrap_or(0).unsigned_abs());
            let last = last.map(Moment::from_micros);
            if last.is_some() {
                found.insert(id.clone(), Uses { used, misled, recalled, last });
            }
        }
    }
    Ok(found)
}

pub(super) async fn count(store: &Redis, space: &str) -> Result<u64, RedisError> {
    redis::cmd("HLEN").arg(store.keys(space).current()).query_async(&mut store.reading().await?).await
}

pub(super) async fn census(store: &Redis, space: &str) -> Result<Census, RedisError> {
    let (mut shared, keys) = (store.reading().await?, store.keys(space));
    let mut ids: Vec<String> = redis::cmd("HKEYS").arg(keys.current()).query_async(&mut shared).await?;
    ids.sort();
    let mut census = Census::default();
    for own in docs(&mut shared, &keys, &ids).await? {
        let kind = if own.forgotten { "forgotten" } else { own.kind.name() };
        *census.kinds.entry(kind.to_owned()).or_default() += 1;
        let lens: u64 = redis::cmd("HLEN").arg(keys.versions(&own.id)).query_async(&mut shared).await?;
        census.versions += lens;
    }
    Ok(census)
}

pub(super) async fn spaces(store: &Redis) -> Result<Vec<String>, RedisError> {
    redis::cmd("SMEMBERS").arg(store.spaces()).query_async(&mut store.reading().await?).await
}
