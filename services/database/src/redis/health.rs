//! How a connection fares: whether every master answers, and what in its replication and memory will be trouble soon.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use redis::Value;
use serde_json::json;
use weft_kit::{Call, ToolError};

use super::{Redis, look, wire::To};
use crate::sql::Finding;

/// Seconds that a replica may be behind.
const BEHIND: u64 = 10;

/// Asks every master. Fails when one does not answer; what the access list withholds is `unknown`.
pub(crate) async fn health(redis: &Redis, call: &Call) -> Result<Vec<Finding>, ToolError> {
    let scope = redis.scope(call);
    let (masters, _) = scope.masters().await?;
    let (mut slowest, mut facts) = (Duration::ZERO, Vec::new());
    for master in 0..masters {
        let began = Instant::now();
        scope.look::<Value>(master, &redis::cmd("PING")).await?;
        slowest = slowest.max(began.elapsed());
        for section in ["replication", "memory"] {
            match look::ask(&scope, master, section).await {
                Ok(sections) => facts.extend(sections.into_values()),
                Err(error) if error.code() == "refused" => {}
                Err(error) => return Err(error),
            }
        }
    }
    let answer = format!("{masters} masters answer, the slowest in {} ms", slowest.as_millis());
    let mut findings = vec![finding("connection", true, answer)];
    findings.extend(judge(&facts));
    Ok(findings)
}

/// Whether every master answers; otherwise why not.
pub(crate) async fn probe(redis: &Redis) -> Result<(), String> {
    let told = |error: &redis::RedisError| redis.unread(error).message().to_owned();
    let masters = redis.wire.view().await.map_err(|error| told(&error))?.masters.len();
    for master in 0..masters {
        let sent = redis.wire.send(To::Master(master), &redis::cmd("PING"), true).await;
        sent.map_err(|failed| told(&failed.error))?;
    }
    Ok(())
}

fn finding(check: &str, good: bool, summary: impl Into<String>) -> Finding {
    let status = if good { "ok" } else { "warning" };
    Finding { check: check.to_owned(), status: status.to_owned(), summary: summary.into(), details: Vec::new() }
}

type Facts = [BTreeMap<String, String>];

fn judge(facts: &Facts) -> Vec<Finding> {
    if facts.is_empty() {
        let summary = "the server's access list does not let this service ask (INFO)".to_owned();
        let withheld = |check| Finding { status: "unknown".to_owned(), ..finding(check, true, summary.clone()) };
        return vec![withheld("replication"), withheld("memory")];
    }
    vec![replication(facts), memory(facts)]
}

fn sum(facts: &Facts, name: &str) -> u64 {
    facts.iter().filter_map(|of| of.get(name)?.parse::<u64>().ok()).sum()
}

fn replication(facts: &Facts) -> Finding {
    if facts.iter().any(|of| of.get("role").is_some_and(|role| role == "slave")) {
        return finding("replication", false, "the server is a replica: nothing can be written");
    }
    let replicas = facts.iter().flatten().filter(|(name, _)| look::is_replica(name));
    let lag = |value: &str| value.split(',').find_map(|part| part.strip_prefix("lag=")?.parse::<u64>().ok());
    let behind = replicas.filter_map(|(_, value)| lag(value)).max().unwrap_or(0);
    let count = sum(facts, "connected_slaves");
    let summary = format!("{count} replicas, the slowest {behind} s behind");
    let details = vec![json!({"replicas": count, "lag_s": behind})];
    Finding { details, ..finding("replication", behind <= BEHIND, summary) }
}

fn memory(facts: &Facts) -> Finding {
    let (used, most) = (sum(facts, "used_memory"), sum(facts, "maxmemory"));
    let policy = facts.iter().find_map(|of| of.get("maxmemory_policy")).map_or("", String::as_str);
    let full = most > 0 && used >= most - most / 10;
    let then = if policy == "noeviction" { "writes fail when it is full" } else { "keys are dropped when it is full" };
    let summary = match most {
        0 => format!("{used} bytes used, without a limit"),
        _ => format!("{used} of {most} bytes used; {then} ({policy})"),
    };
    let details = vec![json!({"used_bytes": used, "max_bytes": most, "policy": policy})];
    Finding { details, ..finding("memory", !full, summary) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lagging_replica_and_full_memory_are_warned_of() {
        let text = "# Replication\nrole:master\nconnected_slaves:1\nslave0:ip=10.0.0.7,port=1,state=online,lag=12\n\
            # Memory\nused_memory:95\nmaxmemory:100\nmaxmemory_policy:allkeys-lru\n";
        let facts: Vec<_> = look::parse(text).into_values().collect();
        let found = judge(&facts);
        assert!(found.iter().all(|finding| finding.status == "warning"), "{found:?}");
        assert!(!format!("{found:?}").contains("10.0.0.7"));
        assert!(judge(&[]).iter().all(|finding| finding.status == "unknown"));
    }
}
