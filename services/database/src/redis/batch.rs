//! Several commands in one go: in order, or as one transaction, or only if keys still hold what the caller has seen.
//!
//! On a cluster a transaction lives on one node, so its keys must share a slot; commands that need not be one go one by one.

use redis::{Pipeline, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::{Call, Reply, ToolError, Truncated};

use super::{
    Key, Redis, Scope, command, fault,
    fault::Effect,
    known::{self, Ready},
    node::Own,
    place::Layout,
    value::{Bytes, Render},
    view, wire,
};

/// Commands in one call.
const OPS: usize = 100;
/// Bytes that one call may send.
const LARGEST: usize = 8 << 20;
/// How often a transaction that found its keys moved is tried.
const ROUNDS: usize = 3;

/// Commands.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedisPipeline {
    pub(crate) connection: String,
    /// At most 100 commands, each its name and arguments: `["HSET", "user:1", "name", "Ada"]`.
    pub(crate) ops: Vec<Vec<Bytes>>,
    /// All or none, and nothing in between (`MULTI`).
    #[serde(default)]
    pub(crate) atomic: bool,
    /// Only if these keys hold these strings now; makes it atomic.
    #[serde(default)]
    pub(crate) expect: Vec<Expected>,
}

/// What a key must hold.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    key: Bytes,
    /// The string; not said: the key must not be there.
    #[serde(default)]
    value: Option<Bytes>,
}

/// One result for each command.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Results {
    results: Vec<Outcome>,
}

/// What came of one command.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Reply(serde_json::Value),
    Error(String),
}

/// Runs them.
pub(crate) async fn pipeline(redis: &Redis, call: &Call, args: &RedisPipeline) -> Result<Reply<Results>, ToolError> {
    let scope = redis.scope(call);
    scope.writable()?;
    if !(1..=OPS).contains(&args.ops.len()) || args.expect.len() > OPS {
        return Err(ToolError::invalid(format!("ops has from 1 to {OPS} commands")));
    }
    let ready = args.ops.iter().map(|op| prepare(&scope, op)).collect::<Result<Vec<_>, _>>()?;
    let bytes: usize = ready.iter().map(|ready| ready.command.get_packed_command().len()).sum();
    if bytes > LARGEST {
        return Err(ToolError::too_large(format!("one call sends at most {LARGEST} bytes")));
    }
    command::weigh(&scope, &ready).await?;
    let replies = if args.atomic || !args.expect.is_empty() {
        atomic(&scope, &ready, &args.expect).await?
    } else {
        in_order(&scope, &ready).await?
    };
    let mut render = Render::new(redis.settings.max_bytes);
    let results: Vec<_> = replies.into_iter().map(|reply| outcome(redis, reply, &mut render)).collect();
    let failed = results.iter().filter(|result| matches!(result, Outcome::Error(_))).count();
    let mut reply = Reply::new(Results { results });
    if failed > 0 {
        reply = reply.warn(format!("{failed} of {} commands failed, the others were carried out", args.ops.len()));
    }
    Ok(reply.truncated(render.cut().then(|| Truncated::new("value_bytes", redis.settings.max_bytes as u64))))
}

fn prepare(scope: &Scope<'_>, op: &[Bytes]) -> Result<Ready, ToolError> {
    let (name, arguments) = op.split_first().ok_or_else(|| ToolError::invalid("a command begins with its name"))?;
    let name = String::from_utf8(name.get()?).unwrap_or_default();
    // What is gated has no keys to hold it, and no place in a transaction.
    let known = known::known(&name).filter(|known| known.group.is_none()).ok_or_else(|| known::unknown(&name))?;
    known.ready(scope, arguments.iter().map(Bytes::get).collect::<Result<Vec<_>, _>>()?)
}

fn outcome(redis: &Redis, reply: Value, render: &mut Render) -> Outcome {
    match reply.extract_error() {
        Ok(value) => Outcome::Reply(render.json(value)),
        Err(error) => Outcome::Error(fault::told(redis.name(), &error, Effect::None).to_string()),
    }
}

async fn in_order(scope: &Scope<'_>, ready: &[Ready]) -> Result<Vec<Value>, ToolError> {
    let way = &scope.redis.wire;
    if *way.layout() != Layout::Cluster {
        let (key, reads) = (first(ready)?, ready.iter().all(|ready| ready.known.does.only_reads()));
        let mut all = Pipeline::new();
        for one in ready {
            all.add_command(one.command.clone());
        }
        let replies = scope.call.run(way.send_all(&key.0, &all, reads)).await?;
        let replies = replies.map_err(|failed| scope.redis.told(&failed))?;
        note(scope, &replies);
        return Ok(replies);
    }
    let mut replies = Vec::with_capacity(ready.len());
    for one in ready {
        same_slot(scope, &one.keys)?;
        let sent = way.send(
            super::To::Holder(&first(std::slice::from_ref(one))?.0),
            &one.command,
            one.known.does.only_reads(),
        );
        match scope.call.run(sent).await? {
            Ok(value) => replies.push(value),
            Err(failed) if failed.effect == Effect::Unknown || failed.error.is_io_error() => {
                return Err(scope.redis.told(&failed).hint(format!("{} commands were carried out", replies.len())));
            }
            Err(failed) => match redis::ServerError::try_from(failed.error) {
                Ok(error) => replies.push(Value::ServerError(error)),
                Err(error) => return Err(scope.redis.unread(&error)),
            },
        }
    }
    Ok(replies)
}

fn first(ready: &[Ready]) -> Result<&Key, ToolError> {
    let key = ready.iter().flat_map(|ready| &ready.keys).next();
    key.ok_or_else(|| ToolError::invalid("a command must name a key"))
}

fn note(scope: &Scope<'_>, replies: &[Value]) {
    for reply in replies {
        if let Err(error) = reply.clone().extract_error() {
            scope.redis.wire.note(&error);
        }
    }
}

fn same_slot<'k>(scope: &Scope<'_>, keys: impl IntoIterator<Item = &'k Key>) -> Result<(), ToolError> {
    let mut slots = keys.into_iter().map(|key| view::slot(&key.0));
    let first = slots.next();
    if *scope.redis.wire.layout() != Layout::Cluster || slots.all(|slot| Some(slot) == first) {
        return Ok(());
    }
    Err(ToolError::invalid("the keys lie on different nodes of the cluster")
        .hint("give them one hash tag, such as {order1}:a and {order1}:b"))
}

async fn atomic(scope: &Scope<'_>, ready: &[Ready], expect: &[Expected]) -> Result<Vec<Value>, ToolError> {
    let expected = expect
        .iter()
        .map(|one| Ok((scope.key(&one.key)?, one.value.as_ref().map(Bytes::get).transpose()?)))
        .collect::<Result<Vec<_>, ToolError>>()?;
    same_slot(scope, ready.iter().flat_map(|ready| &ready.keys).chain(expected.iter().map(|(key, _)| key)))?;
    let key = first(ready)?;
    let mut all = Pipeline::new();
    all.cmd("MULTI");
    for one in ready {
        all.add_command(one.command.clone());
    }
    all.cmd("EXEC");
    for round in 1.. {
        let replies = if expected.is_empty() {
            let sent = scope.call.run(scope.redis.wire.send_all(&key.0, &all, false)).await?;
            sent.map_err(|failed| scope.redis.told(&failed))?
        } else {
            watched(scope, key, &expected, &all).await?
        };
        note(scope, &replies);
        match executed(scope, replies)? {
            Some(results) => return Ok(results),
            None if round < ROUNDS => {}
            None => break,
        }
    }
    Err(ToolError::unavailable("the keys are being moved just now").hint("try again in a moment"))
}

/// The results out of the replies to `MULTI`, the commands and `EXEC`; `None` when nothing was done because keys have moved.
fn executed(scope: &Scope<'_>, mut replies: Vec<Value>) -> Result<Option<Vec<Value>>, ToolError> {
    let last = replies.pop().unwrap_or_default();
    match last {
        Value::Array(results) => return Ok(Some(results)),
        Value::Nil => return Err(conflict("a key changed at the same moment")),
        _ => {}
    }
    let refused = replies.into_iter().chain([last]).find_map(|reply| reply.extract_error().err());
    match refused {
        Some(error) if wire::is_moved(&error) => Ok(None),
        Some(error) => Err(scope.redis.unread(&error)),
        None => Err(ToolError::unavailable("the server did not say what came of the transaction")),
    }
}

fn conflict(what: &str) -> ToolError {
    ToolError::conflict(format!("nothing was changed: {what}")).hint("read again and decide anew")
}

/// Compares under `WATCH`, on a connection that no other call uses, and executes.
async fn watched(
    scope: &Scope<'_>,
    key: &Key,
    expected: &[(Key, Option<Vec<u8>>)],
    all: &Pipeline,
) -> Result<Vec<Value>, ToolError> {
    let _place = scope.place().await?;
    let work = async {
        let mut own = Own::open(&*scope.redis.wire.holder(&key.0).await?).await?;
        let mut watch = redis::cmd("WATCH");
        for (key, _) in expected {
            watch.arg(&key.0);
        }
        own.ask::<Value>(&watch).await?;
        for (key, value) in expected {
            if !holds(&mut own, key, value.as_deref()).await? {
                return Ok(None);
            }
        }
        own.ask_all(all).await.map(Some)
    };
    match scope.call.run(work).await? {
        Ok(Some(replies)) => Ok(replies),
        Ok(None) => Err(conflict("a key does not hold what was expected")),
        Err(error) => {
            scope.redis.wire.note(&error);
            let effect = if error.is_io_error() { Effect::Unknown } else { Effect::None };
            Err(fault::told(scope.redis.name(), &error, effect))
        }
    }
}

/// Whether a key holds this string, or nothing. Its length is asked first: what differs in it is never fetched.
async fn holds(own: &mut Own, key: &Key, value: Option<&[u8]>) -> redis::RedisResult<bool> {
    let there: bool = own.ask(&key.cmd("EXISTS")).await?;
    let Some(value) = value else { return Ok(!there) };
    if !there || own.ask::<usize>(&key.cmd("STRLEN")).await? != value.len() {
        return Ok(false);
    }
    Ok(own.ask::<Option<Vec<u8>>>(&key.cmd("GET")).await?.as_deref() == Some(value))
}
