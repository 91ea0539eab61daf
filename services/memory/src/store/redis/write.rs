//! Batches → one `MULTI … EXEC` each, with the version of every record in it watched from before it was read.

use redis::{Pipeline, RedisError, aio::MultiplexedConnection};

use super::{Keys, Redis, broken, line::Line};
use crate::{
    moment::Moment,
    store::{Committed, Refit, Write, bytes},
};

/// How often an erasure is begun again because somebody wrote meanwhile.
const ROUNDS: usize = 32;

/// The whole run of one batch on a connection of its own: it is given back only here, with nothing watched.
pub(super) async fn commit(store: &Redis, space: &str, batch: &[Write]) -> Result<Committed, RedisError> {
    let _place = store.places.acquire().await.ok();
    // Before the batch: a partition that is listed and empty does no harm, one that is not listed is never swept.
    let mut shared = store.reading().await?;
    redis::cmd("SADD").arg(store.spaces()).arg(space).exec_async(&mut shared).await?;
    let mut connection = store.writing().await?;
    let committed = run(store, &mut connection, space, batch).await?;
    store.keep(connection);
    Ok(committed)
}

async fn run(
    store: &Redis,
    connection: &mut Line<MultiplexedConnection>,
    space: &str,
    batch: &[Write],
) -> Result<Committed, RedisError> {
    let keys = store.keys(space);
    let watched: Vec<String> = batch.iter().map(|write| keys.version(&write.record.id)).collect();
    redis::cmd("WATCH").arg(&watched).exec_async(connection).await?;
    let versions: Vec<Option<u64>> = redis::cmd("MGET").arg(&watched).query_async(connection).await?;
    let moved = batch.iter().zip(&versions).find(|(write, version)| version.unwrap_or(0) != write.expected);
    if let Some((write, _)) = moved {
        redis::cmd("UNWATCH").exec_async(connection).await?;
        return Ok(Committed::Clash(write.record.id.clone()));
    }
    let mut pipe = redis::pipe();
    pipe.atomic();
    for write in batch {
        unfind(connection, &mut pipe, &keys, &write.record.id).await?;
        put(&mut pipe, &keys, write)?;
        publish(store, &mut pipe, space, &write.record.id);
    }
    let done: Option<()> = pipe.query_async::<Option<redis::Value>>(connection).await?.map(drop);
    let first = batch.first().map(|write| write.record.id.clone()).unwrap_or_default();
    Ok(if done.is_some() { Committed::Done } else { Committed::Clash(first) })
}

/// Replaces the vectors of those that are still at that version; all of them are tried again if one moves meanwhile.
pub(super) async fn refit(store: &Redis, space: &str, batch: &[Refit]) -> Result<(), RedisError> {
    let _place = store.places.acquire().await.ok();
    let keys = store.keys(space);
    let mut connection = store.writing().await?;
    let watched: Vec<String> = batch.iter().map(|refit| keys.version(&refit.id)).collect();
    for _ in 0..ROUNDS {
        redis::cmd("WATCH").arg(&watched).exec_async(&mut connection).await?;
        let versions: Vec<Option<u64>> = redis::cmd("MGET").arg(&watched).query_async(&mut connection).await?;
        let mut pipe = redis::pipe();
        // One command always: a transaction is not empty.
        pipe.atomic().exists(keys.vectors()).ignore();
        for (refit, _) in batch.iter().zip(&versions).filter(|(refit, version)| **version == Some(refit.version)) {
            pipe.hset(keys.vectors(), &refit.id, bytes(&refit.vector)).ignore();
        }
        if pipe.query_async::<Option<redis::Value>>(&mut connection).await?.is_some() {
            store.keep(connection);
            return Ok(());
        }
    }
    Err(RedisError::from((redis::ErrorKind::Client, "records are written all the time and cannot get new vectors")))
}

fn publish(store: &Redis, pipe: &mut Pipeline, space: &str, id: &str) {
    pipe.cmd("PUBLISH").arg(store.channel()).arg(format!("{} {space} {id}", store.origin)).ignore();
}

/// Takes the current version out of all sets that find it.
async fn unfind(
    connection: &mut Line<MultiplexedConnection>,
    pipe: &mut Pipeline,
    keys: &Keys,
    id: &str,
) -> Result<(), RedisError> {
    let sets: Vec<String> = redis::cmd("SMEMBERS").arg(keys.found_by(id)).query_async(connection).await?;
    for set in sets {
        pipe.srem(set, id).ignore();
    }
    pipe.del(keys.found_by(id)).ignore();
    pipe.hdel(keys.vectors(), id).ignore();
    pipe.zrem(keys.expiring(), id).ignore();
    Ok(())
}

fn put(pipe: &mut Pipeline, keys: &Keys, write: &Write) -> Result<(), RedisError> {
    let record = &write.record;
    let id = record.id.as_str();
    let doc = serde_json::to_string(record).map_err(broken)?;
    pipe.set(keys.version(id), record.version).ignore();
    pipe.hset(keys.current(), id, &doc).ignore();
    pipe.hset(keys.versions(id), record.version, &doc).ignore();
    if write.expected > 0 {
        pipe.hset(keys.ended(id), write.expected, record.recorded_at.micros()).ignore();
    }
    pipe.zadd(keys.recorded(), id, record.recorded_at.micros()).ignore();
    if let Some(until) = record.expires_at {
        pipe.zadd(keys.expiring(), id, until.micros()).ignore();
    }
    let mut sets: Vec<String> = write.nodes.iter().map(|node| keys.node(node)).collect();
    if let Some(index) = &write.index {
        if let Some(bytes) = index.bytes() {
            pipe.hset(keys.vectors(), id, bytes).ignore();
        }
        sets.extend(index.tokens.iter().map(|token| keys.term(token)));
    }
    for set in &sets {
        pipe.sadd(set, id).ignore();
    }
    if !sets.is_empty() {
        pipe.sadd(keys.found_by(id), sets).ignore();
    }
    Ok(())
}

/// Removes every key of these records, one after the other; each of them whole or not at all.
pub(super) async fn erase(store: &Redis, space: &str, ids: &[String]) -> Result<u64, RedisError> {
    let _place = store.places.acquire().await.ok();
    let mut connection = store.writing().await?;
    let mut removed = 0;
    for id in ids {
        removed += remove(store, &mut connection, space, id).await?;
    }
    store.keep(connection);
    Ok(removed)
}

async fn remove(
    store: &Redis,
    connection: &mut Line<MultiplexedConnection>,
    space: &str,
    id: &str,
) -> Result<u64, RedisError> {
    let keys = store.keys(space);
    for _ in 0..ROUNDS {
        redis::cmd("WATCH").arg(keys.version(id)).exec_async(connection).await?;
        let versions: u64 = redis::cmd("HLEN").arg(keys.versions(id)).query_async(connection).await?;
        let mut pipe = redis::pipe();
        pipe.atomic();
        unfind(connection, &mut pipe, &keys, id).await?;
        for key in [keys.version(id), keys.versions(id), keys.ended(id), keys.uses(id)] {
            pipe.del(key).ignore();
        }
        pipe.hdel(keys.current(), id).ignore();
        pipe.zrem(keys.recorded(), id).ignore();
        publish(store, &mut pipe, space, id);
        if pipe.query_async::<Option<redis::Value>>(connection).await?.is_some() {
            return Ok(versions);
        }
    }
    Err(RedisError::from((redis::ErrorKind::Client, "a record is written all the time and cannot be erased")))
}

/// Removes what is past its time.
pub(super) async fn sweep(store: &Redis, now: Moment) -> Result<u64, RedisError> {
    let mut shared = store.reading().await?;
    let spaces: Vec<String> = redis::cmd("SMEMBERS").arg(store.spaces()).query_async(&mut shared).await?;
    let mut gone = 0;
    for space in spaces {
        let past: Vec<String> = redis::cmd("ZRANGEBYSCORE")
            .arg(store.keys(&space).expiring())
            .arg("-inf")
            .arg(now.micros())
            .arg("LIMIT")
            .arg(0)
            .arg(1_000)
            .query_async(&mut shared)
            .await?;
        if !past.is_empty() {
            erase(store, &space, &past).await?;
            gone += past.len() as u64;
        }
    }
    Ok(gone)
}

pub(super) async fn count_use(
    store: &Redis,
    space: &str,
    ids: &[String],
    misled: bool,
    at: Moment,
) -> Result<(), RedisError> {
    let (mut shared, keys) = (store.reading().await?, store.keys(space));
    let mut pipe = redis::pipe();
    pipe.atomic();
    for id in ids {
        pipe.hincr(keys.uses(id), if misled { "misled" } else { "used" }, 1).ignore();
        pipe.hset(keys.uses(id), "last", at.micros()).ignore();
    }
    pipe.exec_async(&mut shared).await
}

/// Adds one to the recalls of each that is there. If one of them is written meanwhile, none is counted: nobody waits for this.
pub(super) async fn count_recall(store: &Redis, space: &str, ids: &[String], at: Moment) -> Result<(), RedisError> {
    let _place = store.places.acquire().await.ok();
    let keys = store.keys(space);
    let mut connection = store.writing().await?;
    let watched: Vec<String> = ids.iter().map(|id| keys.version(id)).collect();
    redis::cmd("WATCH").arg(&watched).exec_async(&mut connection).await?;
    let versions: Vec<Option<u64>> = redis::cmd("MGET").arg(&watched).query_async(&mut connection).await?;
    let mut pipe = redis::pipe();
    // One command always: a transaction is not empty.
    pipe.atomic().exists(keys.current()).ignore();
    for (id, _) in ids.iter().zip(&versions).filter(|(_, version)| version.is_some()) {
        pipe.hincr(keys.uses(id), "recalled", 1).ignore();
        pipe.hset(keys.uses(id), "last", at.micros()).ignore();
    }
    pipe.query_async::<Option<redis::Value>>(&mut connection).await?;
    store.keep(connection);
    Ok(())
}
