//! `weft status`: what a gateway knows, for people: services, instances, health, breakers, load.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::Value;
use weft_gateway::settings::Reference;

/// What `weft status` can be told.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The administration address of the gateway.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8081", env = "WEFT_ADMIN")]
    admin: String,
    /// A key with the role admin, for a gateway on another machine, by reference: env:NAME or file:PATH.
    #[arg(long, value_name = "REFERENCE")]
    key: Option<String>,
    /// The whole state as JSON.
    #[arg(long)]
    json: bool,
}

/// Asks and prints; fails when a service has no instance that takes calls.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let status = runtime.block_on(ask(&arguments.admin, arguments.key.as_deref()))?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&status)?);
    } else {
        print!("{}", text(&status));
    }
    let down = names(&status, |service| !list(service, "instances").any(takes_calls));
    if !down.is_empty() {
        bail!("no instance takes calls of: {}", down.join(", "));
    }
    Ok(())
}

async fn ask(admin: &str, key: Option<&str>) -> Result<Value> {
    let base = if admin.contains("://") { admin.to_owned() } else { format!("http://{admin}") };
    let url = format!("{}/api/v1/status", base.trim_end_matches('/'));
    let client = reqwest::Client::builder().no_proxy().timeout(std::time::Duration::from_secs(5)).build()?;
    let mut request = client.get(&url);
    if let Some(key) = key {
        request = request.bearer_auth(Reference::try_from(key.to_owned())?.value().context("--key")?);
    }
    let answer = request.send().await.with_context(|| {
        format!("no gateway answers at {admin}; say where its administration address is with --admin")
    })?;
    let status = answer.status();
    let body = answer.bytes().await?;
    if !status.is_success() {
        bail!("{url} answered {status}: {}", String::from_utf8_lossy(&body).trim());
    }
    serde_json::from_slice(&body).with_context(|| format!("{url} is not a gateway of Weft"))
}

fn list<'a>(of: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    of[key].as_array().into_iter().flatten()
}

fn names(status: &Value, which: impl Fn(&Value) -> bool) -> Vec<&str> {
    list(status, "services")
        .filter(|service| which(service))
        .filter_map(|service| service["service"].as_str())
        .collect()
}

fn takes_calls(instance: &Value) -> bool {
    instance["healthy"] == true && instance["breaker"] != "blocks"
}

fn text(status: &Value) -> String {
    let mut out = String::new();
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let _ = writeln!(
        out,
        "gateway {}, up {} s, {} calls in flight, {} sessions, {} streams{}",
        word(&status["version"]),
        status["uptime_seconds"],
        status["calls_in_flight"],
        status["sessions"],
        status["streams"],
        if status["registry_stale"] == true { "; the registry is away, the last known set is used" } else { "" },
    );
    for service in list(status, "services") {
        let stale = if service["stale"] == true { ", not answering" } else { "" };
        let tools = list(service, "tools").count();
        let _ = writeln!(out, "\n{} ({tools} tools{stale})", word(&service["service"]));
        let widest = list(service, "instances").map(|it| word(&it["id"]).len()).max().unwrap_or(0).max(8);
        let _ = writeln!(
            out,
            "  {:<widest$}  {:<21}  {:<9}  {:<7}  {:>9}  {:>10}  version",
            "instance", "address", "health", "breaker", "in flight", "latency"
        );
        for instance in list(service, "instances") {
            let health = if instance["healthy"] == true { "healthy" } else { "unhealthy" };
            let _ = writeln!(
                out,
                "  {:<widest$}  {:<21}  {health:<9}  {:<7}  {:>9}  {:>7.2} ms  {}",
                word(&instance["id"]),
                word(&instance["address"]),
                word(&instance["breaker"]),
                instance["in_flight"].as_u64().unwrap_or(0),
                instance["latency_ms"].as_f64().unwrap_or(0.0),
                word(&instance["version"]),
            );
        }
    }
    for refused in list(status, "refused") {
        let _ = writeln!(
            out,
            "\nnot shown: {} of {}: {}",
            word(&refused["name"]),
            word(&refused["service"]),
            word(&refused["why"])
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_is_a_table_and_services_without_instances_are_named() {
        let instance = json!({ "id": "mcp-echo-1", "address": "127.0.0.1:1", "healthy": true, "breaker": "blocks",
            "in_flight": 2, "latency_ms": 1.5, "version": "0.1.0" });
        let status = json!({ "version": "0.1.0", "uptime_seconds": 3, "calls_in_flight": 2, "sessions": 0, "streams": 0,
            "registry_stale": true, "services": [{ "service": "echo", "stale": false, "tools": [{}], "instances": [instance] }],
            "refused": [] });
        let text = text(&status);
        assert!(text.contains("registry is away") && text.contains("mcp-echo-1") && text.contains("1.50 ms"), "{text}");
        assert_eq!(names(&status, |service| !list(service, "instances").any(takes_calls)), ["echo"]);
    }
}
