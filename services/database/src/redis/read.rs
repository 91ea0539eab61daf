//! One value, whatever its type, never more of it than a page: how much there is comes first, then a window of it.
//!
//! Nothing here fetches a value whole because it happens to be small in most cases: `MEMORY USAGE` and the length say what a
//! window may cost before it is read, so ten million elements answer as fast as ten.

use redis::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::{Block, Call, Page, Reply, ToolError, Truncated};

mod page;

use super::{
    Key, Redis, Scope,
    resource::link,
    sweep::Mark,
    value::{Bytes, Shown},
};

/// Bytes that may be fetched to answer one call, whatever is shown of them.
const FETCHED: u64 = 8 << 20;

/// What to read.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedisRead {
    pub(crate) connection: String,
    pub(crate) key: Bytes,
    /// The part wanted; the beginning if not said.
    #[serde(default)]
    pub(crate) window: Option<Window>,
    /// One field of a hash.
    #[serde(default)]
    pub(crate) field: Option<Bytes>,
    /// One member of a set or sorted set.
    #[serde(default)]
    pub(crate) member: Option<Bytes>,
    /// A path into a JSON value.
    #[serde(default)]
    pub(crate) path: Option<String>,
    #[serde(default)]
    pub(crate) cursor: Option<String>,
}

/// A part of a value.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Window {
    /// The first byte (string), index (list) or rank (sorted set), from the end if negative; the first id (stream).
    #[serde(default)]
    pub(crate) start: Option<Start>,
    /// Items, at most 500; bytes of a string.
    #[serde(default)]
    pub(crate) count: Option<usize>,
}

/// Where a window begins.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Start {
    At(i64),
    Id(String),
}

/// A value, or a part of it: exactly one of `value`, `fields`, `items`, `members`, `entries` and `json` is there.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Read {
    #[serde(rename = "type")]
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<String>,
    /// Bytes, items, fields, members or entries of the whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_bytes: Option<u64>,
    /// Until it expires; absent if it never does.
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl_ms: Option<i64>,
    #[serde(flatten)]
    holds: Holds,
}

/// What was read.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Holds {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) value: Option<Shown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fields: Option<Vec<Field>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) items: Option<Vec<Shown>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) members: Option<Vec<Member>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) entries: Option<Vec<Entry>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) json: Option<serde_json::Value>,
}

/// A field of a hash or of an entry.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Field {
    pub(super) field: Shown,
    pub(super) value: Shown,
}

/// A member of a sorted set.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Member {
    pub(super) member: Shown,
    /// As the server writes it: a number, `inf` or `-inf`.
    pub(super) score: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rank: Option<u64>,
}

/// An entry of a stream.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Entry {
    pub(super) id: String,
    pub(super) fields: Vec<Field>,
}

/// Where the next page begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum At {
    /// This byte, index or rank.
    Number(u64),
    /// This step of a sweep.
    Mark(Mark),
    /// Behind this entry.
    Behind(String),
}

/// A window of a value and where the next begins.
#[derive(Debug, Default)]
struct Part {
    holds: Holds,
    returned: usize,
    next: Option<At>,
    /// Something of what is shown was cut.
    cut: bool,
}

/// A value and what is known of it.
struct Subject<'a> {
    scope: &'a Scope<'a>,
    key: &'a Key,
    length: u64,
    memory: Option<u64>,
}

/// Reads a value by its type.
pub(crate) async fn read(redis: &Redis, call: &Call, args: &RedisRead) -> Result<Reply<Read>, ToolError> {
    let scope = redis.scope(call);
    let (mut read, part) = take(&scope, args).await?;
    read.holds = part.holds;
    let cursor = part.next.map(|next| call.cursor("", &next)).transpose()?;
    let more = part.cut || cursor.is_some() && read.kind == "string";
    let mut reply = Reply::new(read).page(Page::new(part.returned, cursor));
    if part.cut {
        reply = reply.truncated(Truncated::new("value_bytes", scope.longest() as u64));
    }
    if more {
        reply = reply.block(Block::Link(link(redis, &args.key.get()?)));
    }
    Ok(reply)
}

/// The first page alone.
pub(super) async fn first_page(scope: &Scope<'_>, key: Bytes) -> Result<Read, ToolError> {
    let connection = scope.redis.name().to_owned();
    let args = RedisRead { connection, key, window: None, field: None, member: None, path: None, cursor: None };
    let (read, part) = take(scope, &args).await?;
    Ok(Read { holds: part.holds, ..read })
}

async fn take(scope: &Scope<'_>, args: &RedisRead) -> Result<(Read, Part), ToolError> {
    let key = scope.key(&args.key)?;
    let kind = scope.kind(&key).await?;
    if kind == "none" {
        return Err(ToolError::not_found("there is no such key").hint("redis_scan finds keys"));
    }
    let at = scope.call.resume::<At>(args.cursor.as_deref())?.map(weft_kit::At::position);
    let read = about(scope, &key, kind).await?;
    let subject = Subject { scope, key: &key, length: read.length.unwrap_or(0), memory: read.memory_bytes };
    let part = match (&args.field, &args.member) {
        (Some(field), None) => subject.field(&read.kind, &field.get()?).await?,
        (None, Some(member)) => subject.member(&read.kind, &member.get()?).await?,
        (None, None) => subject.window(&read.kind, args, at).await?,
        (Some(_), Some(_)) => return Err(ToolError::invalid("give a field or a member, not both")),
    };
    Ok((read, part))
}

/// Type, encoding, expiry and size. What the server's access list withholds is left out.
async fn about(scope: &Scope<'_>, key: &Key, kind: String) -> Result<Read, ToolError> {
    let measure = match kind.as_str() {
        "string" => Some("STRLEN"),
        "hash" => Some("HLEN"),
        "list" => Some("LLEN"),
        "set" => Some("SCARD"),
        "zset" => Some("ZCARD"),
        "stream" => Some("XLEN"),
        _ => None,
    };
    let length = measure.map(|verb| key.cmd(verb));
    let (mut encoding, mut memory, ttl) = (redis::cmd("OBJECT"), redis::cmd("MEMORY"), key.cmd("PTTL"));
    encoding.arg("ENCODING").arg(&key.0);
    memory.arg("USAGE").arg(&key.0);
    let measured = async {
        match &length {
            Some(length) => scope.read::<u64>(key, length).await.map(Some),
            None => Ok(None),
        }
    };
    let (length, encoding, memory, ttl) = tokio::join!(
        measured,
        scope.read::<Option<String>>(key, &encoding),
        scope.read::<Option<u64>>(key, &memory),
        scope.read::<i64>(key, &ttl),
    );
    Ok(Read {
        kind,
        length: length?,
        encoding: optional(encoding)?,
        memory_bytes: optional(memory)?,
        ttl_ms: optional(ttl.map(Some))?.filter(|ttl| *ttl >= 0),
        holds: Holds::default(),
    })
}

/// `None` for what the server refuses or does not have.
fn optional<T>(answer: Result<Option<T>, ToolError>) -> Result<Option<T>, ToolError> {
    match answer {
        Err(error) if ["refused", "unsupported"].contains(&error.code()) => Ok(None),
        other => other,
    }
}

/// A text of a nested reply.
fn text(value: Value) -> Vec<u8> {
    redis::from_redis_value(value).unwrap_or_default()
}
