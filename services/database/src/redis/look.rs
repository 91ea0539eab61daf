//! What the servers say of themselves: facts, memory, slow commands. Never addresses, paths, or the data of slow commands: those
//! are the operator's and other callers'.

use std::collections::BTreeMap;

use redis::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::{Call, Reply, ToolError};

use super::{
    Redis, Scope,
    value::{Bytes, Shown},
};

/// A section of `INFO`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Section {
    Server,
    Clients,
    Memory,
    Persistence,
    Stats,
    Replication,
    Cpu,
    Cluster,
    Keyspace,
}

/// What to look at.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedisInfo {
    pub(crate) connection: String,
    /// One section; all if not said.
    #[serde(default)]
    pub(crate) section: Option<Section>,
}

/// Facts by section, for each master.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Info {
    masters: Vec<Sections>,
}

pub(super) type Sections = BTreeMap<String, BTreeMap<String, String>>;

/// Facts of the servers.
pub(crate) async fn info(redis: &Redis, call: &Call, args: &RedisInfo) -> Result<Reply<Info>, ToolError> {
    let scope = redis.scope(call);
    // How many keys there are is a matter of all who share the server.
    let hidden = !scope.prefix.is_empty();
    if hidden && args.section == Some(Section::Keyspace) {
        return Err(ToolError::refused("the keyspace is shared: redis_scan shows your keys"));
    }
    let section = args.section.map_or_else(|| "default".to_owned(), |section| format!("{section:?}").to_lowercase());
    let mut masters = Vec::new();
    for master in 0..scope.masters().await?.0 {
        let mut sections = ask(&scope, master, &section).await?;
        if hidden {
            sections.remove("keyspace");
        }
        masters.push(sections);
    }
    Ok(Reply::new(Info { masters }))
}

pub(super) async fn ask(scope: &Scope<'_>, master: usize, section: &str) -> Result<Sections, ToolError> {
    let text: String = scope.look(master, redis::cmd("INFO").arg(section)).await?;
    Ok(parse(&text))
}

/// `# Section` and `name:value` lines, without those that say where anything is.
pub(super) fn parse(text: &str) -> Sections {
    let (mut sections, mut current) = (Sections::new(), String::new());
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("# ") {
            current = name.to_lowercase();
            continue;
        }
        let Some((name, value)) = line.split_once(':').filter(|(name, _)| !is_place(name)) else { continue };
        let value = if is_replica(name) { without_address(value) } else { value.to_owned() };
        sections.entry(current.clone()).or_default().insert(name.to_owned(), value);
    }
    sections
}

pub(super) fn is_replica(name: &str) -> bool {
    name.strip_prefix("slave").is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_place(name: &str) -> bool {
    [
        "host",
        "port",
        "file",
        "executable",
        "listener",
        "process_id",
        "run_id",
        "replid",
        "addr",
        "config",
        "module",
        "os",
    ]
    .iter()
    .any(|word| name.split('_').any(|part| part.starts_with(word)) || name.ends_with(word))
}

fn without_address(value: &str) -> String {
    let open = value.split(',').filter(|part| !part.starts_with("ip=") && !part.starts_with("port="));
    open.collect::<Vec<_>>().join(",")
}

/// How many slow commands.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedisSlowlog {
    pub(crate) connection: String,
    /// At most 100; 20 if not said.
    #[serde(default)]
    pub(crate) count: Option<usize>,
}

/// A slow command.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Slow {
    id: i64,
    /// Seconds since 1970.
    at: i64,
    micros: i64,
    command: Shown,
    /// How many arguments it had; what they were is not shown.
    arguments: usize,
}

/// The slowest commands of late, without their arguments.
pub(crate) async fn slowlog(redis: &Redis, call: &Call, args: &RedisSlowlog) -> Result<Reply<Vec<Slow>>, ToolError> {
    let scope = redis.scope(call);
    let count = args.count.unwrap_or(20);
    if !(1..=100).contains(&count) {
        return Err(ToolError::invalid("count is from 1 to 100"));
    }
    let mut slow = Vec::new();
    for master in 0..scope.masters().await?.0 {
        let found: Vec<Value> = scope.look(master, redis::cmd("SLOWLOG").arg("GET").arg(count)).await?;
        slow.extend(found.into_iter().filter_map(entry));
    }
    slow.sort_by_key(|entry| std::cmp::Reverse(entry.at));
    slow.truncate(count);
    Ok(Reply::new(slow))
}

fn entry(entry: Value) -> Option<Slow> {
    let Value::Array(parts) = entry else { return None };
    let mut parts = parts.into_iter();
    let mut number = || redis::from_redis_value::<i64>(parts.next()?).ok();
    let (id, at, micros) = (number()?, number()?, number()?);
    let words: Vec<Vec<u8>> = redis::from_redis_value(parts.next()?).ok()?;
    let command = Shown::of(words.first()?, 32);
    // The log keeps 32 words; the last of a longer command says how many more there were.
    Some(Slow { id, at, micros, command, arguments: words.len() - 1 })
}

/// Whose memory.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedisMemory {
    pub(crate) connection: String,
    /// One key; the servers as a whole if not said.
    #[serde(default)]
    pub(crate) key: Option<Bytes>,
}

/// Memory of a key, or of each master.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Memory {
    #[serde(skip_serializing_if = "Option::is_none")]
    key_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    masters: Option<Vec<BTreeMap<String, String>>>,
}

/// Memory in use.
pub(crate) async fn memory(redis: &Redis, call: &Call, args: &RedisMemory) -> Result<Reply<Memory>, ToolError> {
    let scope = redis.scope(call);
    if let Some(key) = &args.key {
        let key = scope.key(key)?;
        let mut command = redis::cmd("MEMORY");
        command.arg("USAGE").arg(&key.0).arg("SAMPLES").arg(100);
        let bytes: Option<u64> = scope.read(&key, &command).await?;
        let bytes = bytes.ok_or_else(|| ToolError::not_found("there is no such key"))?;
        return Ok(Reply::new(Memory { key_bytes: Some(bytes), masters: None }));
    }
    let mut masters = Vec::new();
    for master in 0..scope.masters().await?.0 {
        let mut facts = ask(&scope, master, "memory").await?.remove("memory").unwrap_or_default();
        facts.retain(|name, _| !name.ends_with("_human"));
        masters.push(facts);
    }
    Ok(Reply::new(Memory { key_bytes: None, masters: Some(masters) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLICATION: &str = "# Replication\r\nrole:master\r\nconnected_slaves:1\r\n\
        slave0:ip=10.0.0.7,port=6379,state=online,offset=5,lag=12\r\nmaster_replid:abc\r\nmaster_host:10.0.0.1\r\n\r\n\
        # Server\r\nredis_version:7.0.15\r\nconfig_file:/etc/redis.conf\r\ntcp_port:6379\r\nexecutable:/usr/bin/redis\r\n\
        listener0:name=tcp,bind=10.0.0.1,port=6379\r\nrun_id:abc\r\nuptime_in_days:3\r\nos:Linux\r\n";

    #[test]
    fn facts_come_without_places() {
        let sections = parse(REPLICATION);
        assert_eq!(sections["replication"]["slave0"], "state=online,offset=5,lag=12");
        assert_eq!(sections["server"]["redis_version"], "7.0.15");
        assert_eq!(sections["server"]["uptime_in_days"], "3");
        let shown = format!("{sections:?}");
        for place in ["10.0.0", "6379", "/etc", "/usr", "abc"] {
            assert!(!shown.contains(place), "{place} in {shown}");
        }
    }
}
