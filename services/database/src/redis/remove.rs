//! Deleting by plan: the first call shows which keys go, what they hold and how large they are; the second deletes exactly
//! those, if none of them changed.
//!
//! What a key holds is told apart by a digest of its serialised value where that is small, else by type, length and size.

use std::collections::BTreeSet;

use redis::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use weft_kit::{Approval, Call, Plan, Reply, ToolError};

use super::{
    Dangerous, Key, Redis, Scope, fault,
    fault::Effect,
    node::Own,
    place::Layout,
    scan::{Finder, Position},
    value::{Bytes, Shown},
};

/// Keys that may be named.
const NAMED: usize = 100;
/// Keys that a pattern may match.
const MATCHED: usize = 1_000;
/// Keys that a plan lists.
const LISTED: usize = 100;
/// Values up to this size are compared byte by byte.
const COMPARED: u64 = 64 << 10;

/// What to delete: exactly one of the three.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedisDelete {
    pub(crate) connection: String,
    /// At most 100.
    #[serde(default)]
    pub(crate) keys: Vec<Bytes>,
    /// All keys that match, at most 1,000.
    #[serde(default)]
    pub(crate) pattern: Option<Bytes>,
    /// The whole database, where that is allowed.
    #[serde(default)]
    pub(crate) everything: bool,
}

/// What would go.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Effects {
    keys: u64,
    memory_bytes: u64,
    /// The first of them.
    sample: Vec<Doomed>,
}

/// A key that would go.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Doomed {
    key: Shown,
    #[serde(rename = "type")]
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_bytes: Option<u64>,
}

/// What went.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Deleted {
    deleted: u64,
}

/// Keys and their state.
struct Aim {
    keys: Vec<(Key, Doomed)>,
    digest: String,
}

/// Shows what would be deleted.
pub(crate) async fn plan(redis: &Redis, call: &Call, args: &RedisDelete) -> Result<Plan<Effects>, ToolError> {
    let scope = redis.scope(call);
    scope.writable()?;
    if args.everything {
        return everything(&scope, args).await;
    }
    let aim = aim(&scope, args).await?;
    if aim.keys.is_empty() {
        return Err(ToolError::not_found("there is no such key").hint("redis_scan finds keys"));
    }
    let memory_bytes = aim.keys.iter().filter_map(|(_, doomed)| doomed.memory_bytes).sum();
    let (keys, name) = (aim.keys.len() as u64, redis.name());
    let sample = aim.keys.into_iter().map(|(_, doomed)| doomed).take(LISTED).collect();
    let summary = format!("Delete {keys} keys ({memory_bytes} bytes) of {name}");
    Ok(Plan::new(summary, Effects { keys, memory_bytes, sample }).observed("the keys", aim.digest))
}

/// Deletes what was shown.
pub(crate) async fn apply(
    redis: &Redis,
    call: &Call,
    args: &RedisDelete,
    approval: &Approval,
) -> Result<Reply<Deleted>, ToolError> {
    let scope = redis.scope(call);
    scope.writable()?;
    if args.everything {
        let plan = everything(&scope, args).await?;
        drop(plan);
        return flush(&scope).await;
    }
    let deleted = if *redis.wire.layout() == Layout::Cluster {
        let mut deleted = 0;
        for (key, _) in approved(&scope, args, approval).await?.keys {
            deleted += scope.change::<u64>(&key, &key.cmd("UNLINK")).await?;
        }
        deleted
    } else {
        at_once(&scope, args, approval).await?
    };
    Ok(Reply::new(Deleted { deleted }).text(format!("deleted {deleted} keys")))
}

/// The keys, if they are what was shown.
async fn approved(scope: &Scope<'_>, args: &RedisDelete, approval: &Approval) -> Result<Aim, ToolError> {
    let aim = aim(scope, args).await?;
    if approval.version("the keys").is_some_and(|seen| seen != aim.digest) {
        return Err(stale());
    }
    Ok(aim)
}

fn stale() -> ToolError {
    ToolError::new("stale_plan", "the keys have changed since they were planned").hint("plan again")
}

/// Watches the keys, looks at them once more, and deletes them only if nobody touched one meanwhile.
async fn at_once(scope: &Scope<'_>, args: &RedisDelete, approval: &Approval) -> Result<u64, ToolError> {
    let keys = approved(scope, args, approval).await?.keys;
    let Some((first, _)) = keys.first() else { return Ok(0) };
    let (mut watch, mut unlink) = (redis::cmd("WATCH"), redis::cmd("UNLINK"));
    for (key, _) in &keys {
        watch.arg(&key.0);
        unlink.arg(&key.0);
    }
    let mut all = redis::pipe();
    all.cmd("MULTI").add_command(unlink).cmd("EXEC");
    let _place = scope.place().await?;
    let told = |error| scope.redis.unread(&error);
    let opened = async { Own::open(&*scope.redis.wire.holder(&first.0).await?).await };
    let mut own = scope.call.run(Box::pin(opened)).await?.map_err(told)?;
    scope.call.run(own.ask::<Value>(&watch)).await?.map_err(told)?;
    let again = approved(scope, args, approval).await?.keys;
    if again.len() != keys.len() {
        return Err(stale());
    }
    let mut replies = scope.call.run(own.ask_all(&all)).await?.map_err(|error| {
        fault::told(scope.redis.name(), &error, if error.is_io_error() { Effect::Unknown } else { Effect::None })
    })?;
    match replies.pop().unwrap_or_default() {
        Value::Nil => Err(stale()),
        Value::Array(results) => {
            let gone = results.into_iter().next().unwrap_or_default().extract_error().map_err(told)?;
            redis::from_redis_value(gone).map_err(|error| told(error.into()))
        }
        other => {
            let refused = replies.into_iter().chain([other]).find_map(|reply| reply.extract_error().err());
            Err(refused.map_or_else(stale, told))
        }
    }
}

/// The keys that are meant and what they hold now.
async fn aim(scope: &Scope<'_>, args: &RedisDelete) -> Result<Aim, ToolError> {
    let wanted = match (&args.pattern, args.keys.is_empty()) {
        (Some(pattern), true) => matching(scope, &pattern.get()?).await?,
        (None, false) if args.keys.len() > NAMED => {
            return Err(ToolError::too_large(format!("at most {NAMED} keys in one call")).hint("delete them in parts"));
        }
        (None, false) => args.keys.iter().map(|key| scope.key(key)).collect::<Result<BTreeSet<_>, _>>()?,
        _ => return Err(ToolError::invalid("give keys, or a pattern")),
    };
    let (mut keys, mut digest) = (Vec::with_capacity(wanted.len()), Sha256::new());
    for key in wanted {
        scope.call.check()?;
        let (doomed, state) = look(scope, &key).await?;
        if doomed.kind == "none" {
            continue;
        }
        digest.update((key.0.len() as u64).to_be_bytes());
        digest.update(&key.0);
        digest.update((state.len() as u64).to_be_bytes());
        digest.update(state);
        keys.push((key, doomed));
    }
    let digest = digest.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Aim { keys, digest })
}

async fn matching(scope: &Scope<'_>, pattern: &[u8]) -> Result<BTreeSet<Key>, ToolError> {
    let (masters, _) = scope.masters().await?;
    let finder = Finder { pattern: scope.prefix.pattern(pattern), kind: None, masters, count: MATCHED };
    let (mut keys, mut at) = (BTreeSet::new(), Some(Position::default()));
    while let Some(from) = at {
        let found = finder.find(scope, from).await?;
        keys.extend(found.keys);
        at = found.next;
        if keys.len() > MATCHED || keys.len() == MATCHED && at.is_some() {
            return Err(ToolError::too_large(format!("more than {MATCHED} keys match"))
                .hint("delete them in parts, by narrower patterns"));
        }
    }
    Ok(keys)
}

/// What a key holds, and a text that differs when it holds something else.
async fn look(scope: &Scope<'_>, key: &Key) -> Result<(Doomed, Vec<u8>), ToolError> {
    let mut usage = redis::cmd("MEMORY");
    usage.arg("USAGE").arg(&key.0);
    let (kind, memory) = tokio::join!(scope.kind(key), scope.read::<Option<u64>>(key, &usage));
    let (kind, memory_bytes) = (kind?, memory.unwrap_or(None));
    let mut state = format!("{kind} {memory_bytes:?} ").into_bytes();
    if kind != "none" && memory_bytes.is_some_and(|memory| memory <= COMPARED) {
        let value = scope.read::<Option<Vec<u8>>>(key, &key.cmd("DUMP")).await;
        state.extend(value.ok().flatten().unwrap_or_default());
    }
    Ok((Doomed { key: scope.shown(key), kind, memory_bytes }, state))
}

async fn everything(scope: &Scope<'_>, args: &RedisDelete) -> Result<Plan<Effects>, ToolError> {
    if !scope.redis.allows(Dangerous::Flush) {
        return Err(ToolError::refused("the whole database may not be deleted here"));
    }
    if args.pattern.is_some() || !args.keys.is_empty() {
        return Err(ToolError::invalid("everything takes neither keys nor a pattern"));
    }
    let mut keys = 0;
    for master in 0..scope.masters().await?.0 {
        keys += scope.look::<u64>(master, &redis::cmd("DBSIZE")).await?;
    }
    let summary = format!("Delete all {keys} keys of {}", scope.redis.name());
    Ok(Plan::new(summary, Effects { keys, memory_bytes: 0, sample: Vec::new() }).observed("the keys", keys.to_string()))
}

async fn flush(scope: &Scope<'_>) -> Result<Reply<Deleted>, ToolError> {
    let mut deleted = 0;
    for master in 0..scope.masters().await?.0 {
        deleted += scope.look::<u64>(master, &redis::cmd("DBSIZE")).await?;
        scope.tell(master, redis::cmd("FLUSHDB").arg("ASYNC")).await?;
    }
    Ok(Reply::new(Deleted { deleted }).text(format!("deleted all {deleted} keys")))
}
