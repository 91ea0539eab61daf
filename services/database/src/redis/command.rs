//! One command that reads, as its caller writes it: from our list alone, with the prefix before its keys, and only if its answer
//! cannot be large.

use redis::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::{Call, Reply, ToolError, Truncated};

use super::{
    Key, Redis, Scope,
    known::{self, Known, Ready},
    value::{Bytes, Render},
};

/// Bytes that the keys of a command may hold when its answer may be all of it.
const FETCHED: u64 = 8 << 20;

/// A command.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedisCommand {
    pub(crate) connection: String,
    /// Its name: `ZRANGEBYSCORE`, say.
    pub(crate) command: String,
    /// Its arguments.
    #[serde(default)]
    pub(crate) args: Vec<Bytes>,
}

/// What the server answered.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Answer {
    reply: serde_json::Value,
}

/// Runs it.
pub(crate) async fn command(redis: &Redis, call: &Call, args: &RedisCommand) -> Result<Reply<Answer>, ToolError> {
    let scope = redis.scope(call);
    let known = known::known(&args.command).filter(|known| known.does.only_reads());
    let known = known.ok_or_else(|| known::unknown(&args.command))?;
    let arguments = args.args.iter().map(Bytes::get).collect::<Result<Vec<_>, _>>()?;
    let value = match known.name {
        "CONFIG" => config(&scope, known, arguments).await?,
        "DBSIZE" => count(&scope, known).await?,
        _ => {
            let ready = known.ready(&scope, arguments)?;
            weigh(&scope, [&ready]).await?;
            match ready.keys.first() {
                Some(key) => scope.read(key, &ready.command).await?,
                None => scope.look(0, &ready.command).await?,
            }
        }
    };
    let mut render = Render::new(redis.settings.max_bytes);
    let reply = Reply::new(Answer { reply: render.json(value) });
    Ok(reply.truncated(render.cut().then(|| Truncated::new("value_bytes", redis.settings.max_bytes as u64))))
}

/// Fails when the keys of commands whose answers may be all that these hold, hold too much.
pub(super) async fn weigh<'r>(
    scope: &Scope<'_>,
    commands: impl IntoIterator<Item = &'r Ready>,
) -> Result<(), ToolError> {
    let mut all = 0_u64;
    let bulky = commands.into_iter().filter(|ready| ready.known.does.is_bulky());
    for key in bulky.flat_map(|ready| &ready.keys) {
        all = all.saturating_add(weight(scope, key).await?);
        if all > FETCHED {
            return Err(ToolError::too_large("the keys of this command hold too much to be answered at once")
                .hint("redis_read reads large values in parts"));
        }
    }
    Ok(())
}

/// Bytes that a key holds; nothing where the server does not say.
async fn weight(scope: &Scope<'_>, key: &Key) -> Result<u64, ToolError> {
    let mut usage = redis::cmd("MEMORY");
    usage.arg("USAGE").arg(&key.0);
    match scope.read::<Option<u64>>(key, &usage).await {
        Ok(bytes) => Ok(bytes.unwrap_or(0)),
        Err(error) if error.code() == "refused" => Err(ToolError::refused(
            "the size of values cannot be known on this connection, so commands that may answer much are not offered",
        )
        .hint("redis_read reads any value")),
        Err(error) => Err(error),
    }
}

/// `DBSIZE` of all masters.
async fn count(scope: &Scope<'_>, known: Known) -> Result<Value, ToolError> {
    let ready = known.ready(scope, Vec::new())?;
    let mut all = 0;
    for master in 0..scope.masters().await?.0 {
        all += scope.look::<i64>(master, &ready.command).await?;
    }
    Ok(Value::Int(all))
}

/// `CONFIG GET`, without what is secret or says where things are.
async fn config(scope: &Scope<'_>, known: Known, arguments: Vec<Vec<u8>>) -> Result<Value, ToolError> {
    let ready = known.ready(scope, arguments.clone())?;
    if !arguments.first().is_some_and(|first| first.eq_ignore_ascii_case(b"GET")) || arguments.len() < 2 {
        return Err(ToolError::refused("only CONFIG GET is offered"));
    }
    let found: Vec<(String, String)> = scope.look(0, &ready.command).await?;
    let secret = |name: &str| {
        [
            "pass",
            "auth",
            "user",
            "acl",
            "key",
            "cert",
            "file",
            "dir",
            "bind",
            "replicaof",
            "slaveof",
            "announce",
            "cpulist",
        ]
        .iter()
        .any(|word| name.contains(word))
    };
    let text = |text: String| Value::BulkString(text.into_bytes());
    let open = found.into_iter().filter(|(name, _)| !secret(name));
    Ok(Value::Array(open.flat_map(|(name, value)| [text(name), text(value)]).collect()))
}
