//! The Redis tools as they are offered: names, descriptions, and the way from a call to its connection.

use std::sync::Arc;

use weft_kit::{Annotations, Approval, Builder, Call, Content, Plan, Reply, Tool, ToolError, budget};

use crate::{
    Databases,
    access::Need,
    redis::{
        Redis,
        batch::{self, RedisPipeline, Results},
        command::{self, Answer, RedisCommand},
        listen::{self, Heard, RedisSubscribeWait},
        look::{self, Info, Memory, RedisInfo, RedisMemory, RedisSlowlog, Slow},
        read::{self, Read, RedisRead},
        remove::{self, Deleted, Effects, RedisDelete},
        resource,
        scan::{self, RedisScan, Scanned},
        write::{self, RedisWrite, Written},
    },
};

const SCAN: Tool = Tool::new(
    "redis_scan",
    Annotations::READ,
    "Find keys of a Redis connection by pattern and type, a page at a time. A key may come again on a later page. To see what a \
     key holds use redis_read.",
);
const READ: Tool = Tool::new(
    "redis_read",
    Annotations::READ,
    "Read the value of a Redis key, whatever its type: type, encoding, expiry, size, and a window of what it holds. Large values \
     come by pages (cursor) or by window. What is no text, or is cut, comes as {base64 or text, bytes, cut}, and may be given \
     as {base64}.",
)
.text_limit(budget::HARD);
const WRITE: Tool = Tool::new(
    "redis_write",
    Annotations::EDIT,
    "Make one change to a Redis key: strings, hashes, lists, sets, sorted sets, streams, JSON, expiry. Several changes at once: \
     redis_pipeline. Deleting whole keys: redis_delete.",
);
const DELETE: Tool = Tool::new(
    "redis_delete",
    Annotations::DELETE,
    "Delete Redis keys, by name or by pattern. The first call shows which keys would go; call again with its plan_id to delete \
     them.",
);

const PIPELINE: Tool = Tool::new(
    "redis_pipeline",
    Annotations::EDIT,
    "Run up to 100 Redis commands in order, or as one transaction (atomic), or only if keys still hold expected strings (expect: \
     compare and set). Commands are written as in redis-cli; deleting is redis_delete's.",
);
const COMMAND: Tool = Tool::new(
    "redis_command",
    Annotations::READ,
    "Run one Redis command that only reads, such as ZRANGEBYSCORE, SINTER or BITCOUNT, where redis_read does not do. Commands that \
     block, scan, run scripts or answer without bound are not offered.",
);
const INFO: Tool = Tool::new(
    "redis_info",
    Annotations::READ,
    "What the Redis servers of a connection say of themselves, by section: version, clients, memory, persistence, replication.",
);
const SLOWLOG: Tool = Tool::new(
    "redis_slowlog",
    Annotations::READ,
    "The slow commands of late on the servers of a Redis connection: when and how long, without their arguments.",
);
const MEMORY: Tool = Tool::new(
    "redis_memory",
    Annotations::READ,
    "Memory that one Redis key takes, or the memory of the servers as a whole with its limit and policy.",
);
const WAIT: Tool = Tool::new(
    "redis_subscribe_wait",
    Annotations { read_only: true, destructive: false, idempotent: false, open_world: false },
    "Listen to Redis channels for up to 30 seconds and give the messages that came meanwhile. Messages of before and after are \
     not kept.",
);

/// The family of resources: URI, name, what they are.
pub(crate) const TEMPLATE: (&str, &str, &str) = (
    "redis://{connection}/{+key}",
    "redis value",
    "The value of a Redis key, percent-encoded: a string whole, other types as JSON.",
);

/// Adds them.
pub(crate) fn add(service: Builder<Databases>, writes: bool) -> Builder<Databases> {
    let service = service
        .tool(SCAN, redis_scan)
        .tool(READ, redis_read)
        .tool(COMMAND, redis_command)
        .tool(INFO, redis_info)
        .tool(SLOWLOG, redis_slowlog)
        .tool(MEMORY, redis_memory)
        .tool(WAIT, redis_subscribe_wait);
    if !writes {
        return service;
    }
    service.tool(WRITE, redis_write).tool(PIPELINE, redis_pipeline).planned(DELETE, redis_delete_plan, redis_delete)
}

/// Reads a resource of the family; `None` for a URI of another.
pub(crate) async fn resource(redis: &Redis, call: &Call, uri: &str) -> Option<Result<Vec<Content>, ToolError>> {
    let (_, key) = resource::parse_link(uri)?;
    Some(resource::read(redis, call, &key).await)
}

async fn redis_scan(databases: Arc<Databases>, call: Call, args: RedisScan) -> Result<Reply<Scanned>, ToolError> {
    let redis = databases.redis(&call, &args.connection, Need::Read)?;
    databases.observe(&args.connection, &call, scan::scan(&redis, &call, &args)).await
}

async fn redis_read(databases: Arc<Databases>, call: Call, args: RedisRead) -> Result<Reply<Read>, ToolError> {
    let redis = databases.redis(&call, &args.connection, Need::Read)?;
    databases.observe(&args.connection, &call, read::read(&redis, &call, &args)).await
}

async fn redis_write(databases: Arc<Databases>, call: Call, args: RedisWrite) -> Result<Reply<Written>, ToolError> {
    let redis = databases.redis(&call, &args.connection, Need::Write)?;
    databases.observe(&args.connection, &call, write::write(&redis, &call, &args)).await
}

async fn redis_delete_plan(
    databases: Arc<Databases>,
    call: Call,
    args: RedisDelete,
) -> Result<Plan<Effects>, ToolError> {
    let redis = databases.redis(&call, &args.connection, Need::Write)?;
    databases.observe(&args.connection, &call, remove::plan(&redis, &call, &args)).await
}

async fn redis_delete(
    databases: Arc<Databases>,
    call: Call,
    args: RedisDelete,
    approval: Approval,
) -> Result<Reply<Deleted>, ToolError> {
    let redis = databases.redis(&call, &args.connection, Need::Write)?;
    databases.observe(&args.connection, &call, remove::apply(&redis, &call, &args, &approval)).await
}

async fn redis_pipeline(
    databases: Arc<Databases>,
    call: Call,
    args: RedisPipeline,
) -> Result<Reply<Results>, ToolError> {
    let redis = databases.redis(&call, &args.connection, Need::Write)?;
    databases.observe(&args.connection, &call, batch::pipeline(&redis, &call, &args)).await
}

async fn redis_command(databases: Arc<Databases>, call: Call, args: RedisCommand) -> Result<Reply<Answer>, ToolError> {
    let redis = databases.redis(&call, &args.connection, Need::Read)?;
    databases.observe(&args.connection, &call, command::command(&redis, &call, &args)).await
}

async fn redis_info(databases: Arc<Databases>, call: Call, args: RedisInfo) -> Result<Reply<Info>, ToolError> {
    let redis = databases.redis(&call, &args.connection, Need::Read)?;
    databases.observe(&args.connection, &call, look::info(&redis, &call, &args)).await
}

async fn redis_slowlog(
    databases: Arc<Databases>,
    call: Call,
    args: RedisSlowlog,
) -> Result<Reply<Vec<Slow>>, ToolError> {
    let redis = databases.redis(&call, &args.connection, Need::Read)?;
    databases.observe(&args.connection, &call, look::slowlog(&redis, &call, &args)).await
}

async fn redis_memory(databases: Arc<Databases>, call: Call, args: RedisMemory) -> Result<Reply<Memory>, ToolError> {
    let redis = databases.redis(&call, &args.connection, Need::Read)?;
    databases.observe(&args.connection, &call, look::memory(&redis, &call, &args)).await
}

async fn redis_subscribe_wait(
    databases: Arc<Databases>,
    call: Call,
    args: RedisSubscribeWait,
) -> Result<Reply<Heard>, ToolError> {
    let redis = databases.redis(&call, &args.connection, Need::Read)?;
    databases.observe(&args.connection, &call, listen::wait(&redis, &call, &args)).await
}
