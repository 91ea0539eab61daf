//! An instance as Consul holds it, both ways.
//!
//! | Consul | instance |
//! |---|---|
//! | `ID` | `id` |
//! | `Service` | `mcp-<service>`; any other name is taken as the service's own |
//! | `Tags` | `mcp`, `<service>`, `v<version>` |
//! | `Address`, `Port` | `address`; the node's address when it is empty |
//! | `Weights.Passing` | `weight`; 0 in maintenance |
//! | `Meta` | `protocol`, `version`, `capabilities`, `era`, `path`, `identity`, `sessions`, `schemes`, `policy`, `zone`; the rest is kept |
//! | `Checks` | `healthy`: none is critical; maintenance is a critical check too |

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use serde::Deserialize;
use serde_json::{Value, json};

use super::ConsulOptions;
use crate::{Instance, PeerEra, ServiceId};

/// What a member of the mesh is tagged with, whoever registered it.
pub(crate) const TAG: &str = "mcp";
/// What the names of our services begin with.
const PREFIX: &str = "mcp-";
/// Consul's bound on a value of Meta, bytes.
const VALUE: usize = 512;

/// One element of `/v1/health/service/<name>`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Entry {
    node: Node,
    service: Service,
    #[serde(default)]
    checks: Vec<Check>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Node {
    node: String,
    address: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Service {
    #[serde(rename = "ID")]
    id: String,
    #[serde(default)]
    tags: Option<Vec<String>>,
    #[serde(default)]
    address: String,
    port: u16,
    #[serde(default)]
    meta: Option<BTreeMap<String, String>>,
    #[serde(default)]
    weights: Option<Weights>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Weights {
    passing: u32,
    #[serde(default)]
    warning: u32,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Check {
    #[serde(rename = "CheckID", default)]
    id: String,
    status: String,
}

impl Check {
    /// An operator has taken the instance, or its node, out.
    fn is_maintenance(&self) -> bool {
        self.id.starts_with("_service_maintenance") || self.id == "_node_maintenance"
    }
}

/// The service that a name in Consul stands for: `mcp-<service>`, or the name itself as far as it can be one.
pub(crate) fn service_id(name: &str) -> Option<ServiceId> {
    let own = name.strip_prefix(PREFIX).unwrap_or(name);
    let plain: String =
        own.to_ascii_lowercase().chars().map(|it| if it == '_' || it == '.' { '-' } else { it }).collect();
    plain.parse().ok()
}

/// The name under which a service is registered.
pub(crate) fn name(service: &ServiceId) -> String {
    format!("{PREFIX}{service}")
}

/// The id of the check by which the process itself says that it lives.
pub(crate) fn alive(id: &str) -> String {
    format!("{id}-alive")
}

/// The body of `/v1/agent/service/register` (Consul HTTP API, "Register Service").
pub(crate) fn registration(instance: &Instance, options: &ConsulOptions) -> Value {
    let era = serde_json::to_value(instance.era).unwrap_or_default();
    let mut meta: BTreeMap<String, String> = instance
        .meta
        .iter()
        .filter(|(_, value)| value.len() <= VALUE)
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let mut set = |key: &str, value: &str| {
        if !value.is_empty() {
            meta.insert(key.to_owned(), value.to_owned());
        }
    };
    set("protocol", "streamable-http");
    set("version", &instance.version);
    set("era", era.as_str().unwrap_or_default());
    set("path", &instance.path);
    set("identity", instance.identity.as_deref().unwrap_or_default());
    set("sessions", if instance.sessions { "true" } else { "false" });
    set("schemes", &instance.schemes.join(","));
    set("policy", instance.policy.as_deref().unwrap_or_default());
    set("zone", instance.zone.as_deref().unwrap_or_default());
    set("weight", &instance.weight.to_string());
    let mut tags = vec![instance.service.to_string()];
    if instance.service.as_ref() != ServiceId::GATEWAY {
        tags.insert(0, TAG.into());
    }
    if !instance.version.is_empty() {
        tags.push(format!("v{}", instance.version));
    }
    let seconds = |time: std::time::Duration| format!("{}ms", time.as_millis());
    let remove = seconds(options.remove_after);
    let mut checks = vec![json!({
        "CheckID": alive(&instance.id), "Name": "the process gives signs of life", "TTL": seconds(options.ttl),
        "Status": "passing", "DeregisterCriticalServiceAfter": remove,
    })];
    if let Some(health) = instance.health {
        let (interval, timeout) =
            (seconds(options.check), seconds(options.check.max(std::time::Duration::from_secs(1))));
        checks.push(json!({
            "CheckID": format!("{}-ready", instance.id), "Name": "ready over HTTP", "HTTP": format!("http://{health}/ready"),
            "Interval": interval, "Timeout": timeout, "Status": "passing", "DeregisterCriticalServiceAfter": remove,
        }));
    }
    // A gateway's administration address speaks HTTP only.
    if let Some(health) = instance.health.filter(|_| instance.service.as_ref() != ServiceId::GATEWAY) {
        let (interval, timeout) =
            (seconds(options.check), seconds(options.check.max(std::time::Duration::from_secs(1))));
        checks.push(json!({
            "CheckID": format!("{}-grpc", instance.id), "Name": "serving over gRPC",
            "GRPC": format!("{health}/{}", name(&instance.service)),
            "Interval": interval, "Timeout": timeout, "Status": "passing", "DeregisterCriticalServiceAfter": remove,
        }));
    }
    // Consul demands a weight above zero; what takes no calls at all says so in Meta.
    json!({
        "ID": instance.id, "Name": name(&instance.service), "Tags": tags,
        "Address": instance.address.ip().to_string(), "Port": instance.address.port(), "Meta": meta,
        "Weights": { "Passing": instance.weight.clamp(1, 65_535), "Warning": 1 },
        "Checks": checks,
    })
}

impl Entry {
    /// The instance, once its address is known; none when it is not a member or its address cannot be resolved.
    pub(crate) async fn instance(self, service: &ServiceId) -> Option<Instance> {
        let Self { node, service: own, checks } = self;
        let tagged = own.tags.iter().flatten().any(|tag| tag == TAG);
        if !tagged && service.as_ref() != ServiceId::GATEWAY {
            return None;
        }
        let host = if own.address.is_empty() { &node.address } else { &own.address };
        let address = match host.parse::<IpAddr>() {
            Ok(ip) => SocketAddr::new(ip, own.port),
            Err(_) => resolve(host, own.port).await?,
        };
        let mut meta = own.meta.unwrap_or_default();
        let mut take = |key: &str| meta.remove(key).filter(|value| !value.is_empty());
        let warned = checks.iter().any(|check| check.status == "warning");
        let weights = own.weights.unwrap_or(Weights { passing: 1, warning: 1 });
        let stated = take("weight").and_then(|text| text.parse().ok());
        let weight = if warned { weights.warning.max(1) } else { stated.unwrap_or(weights.passing.max(1)) };
        let mut instance = Instance::new(service.clone(), 0, address);
        instance.id = own.id;
        instance.path = take("path").filter(|path| path.starts_with('/')).unwrap_or(instance.path);
        instance.identity = take("identity");
        instance.version = take("version").unwrap_or_default();
        instance.weight = if checks.iter().any(Check::is_maintenance) { 0 } else { weight };
        instance.zone = take("zone");
        instance.healthy = checks.iter().all(|check| check.status != "critical");
        instance.era =
            take("era").and_then(|era| serde_json::from_value(Value::String(era)).ok()).unwrap_or(PeerEra::Unknown);
        instance.sessions = take("sessions").is_none_or(|text| text != "false");
        instance.schemes = take("schemes").map(|text| text.split(',').map(str::to_owned).collect()).unwrap_or_default();
        instance.policy = take("policy");
        meta.insert("node".into(), node.node);
        instance.meta = meta;
        Some(instance)
    }
}

async fn resolve(host: &str, port: u16) -> Option<SocketAddr> {
    let found = tokio::time::timeout(std::time::Duration::from_secs(2), tokio::net::lookup_host((host, port))).await;
    match found {
        Ok(Ok(mut addresses)) => addresses.next(),
        _ => {
            tracing::warn!(host, "the address of an instance cannot be resolved");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_registered_is_what_is_found() {
        let mut instance = Instance::new("filesystem".parse().unwrap(), 3, "10.0.0.3:8501".parse().unwrap());
        instance.identity = Some("spiffe://weft.local/svc/filesystem".into());
        "1.2.3".clone_into(&mut instance.version);
        instance.zone = Some("b".into());
        (instance.weight, instance.sessions, instance.era) = (4, false, PeerEra::Dual);
        instance.schemes = vec!["file".into(), "trash".into()];
        instance.policy = Some("round_robin".into());
        instance.meta.insert("capabilities".into(), "tools,resources".into());
        instance.health = Some("10.0.0.3:9501".parse().unwrap());
        let body = registration(&instance, &ConsulOptions::new("http://x"));
        assert_eq!(body["Name"], "mcp-filesystem");
        assert_eq!(body["Tags"], json!(["mcp", "filesystem", "v1.2.3"]));
        assert_eq!(body["Checks"].as_array().unwrap().len(), 3);
        let entry = json!({
            "Node": { "Node": "n1", "Address": "10.0.0.9" },
            "Service": {
                "ID": body["ID"], "Tags": body["Tags"], "Address": body["Address"], "Port": body["Port"],
                "Meta": body["Meta"], "Weights": body["Weights"],
            },
            "Checks": [{ "Status": "passing" }],
        });
        let entry: Entry = serde_json::from_value(entry).unwrap();
        let mut found = entry.instance(&instance.service).await.unwrap();
        assert_eq!(found.meta.remove("node").as_deref(), Some("n1"));
        assert_eq!(found.meta.remove("protocol").as_deref(), Some("streamable-http"));
        instance.health = None;
        assert_eq!(found, instance);
    }

    #[tokio::test]
    async fn a_foreign_member_needs_a_tag_and_an_address_only() {
        let entry = |tags: Value, status: &str| {
            let entry = json!({
                "Node": { "Node": "n", "Address": "10.0.0.9" },
                "Service": { "ID": "x", "Tags": tags, "Address": "", "Port": 80, "Meta": null },
                "Checks": [{ "Status": status }],
            });
            serde_json::from_value::<Entry>(entry).unwrap()
        };
        let service: ServiceId = "x".parse().unwrap();
        let found = entry(json!(["mcp"]), "passing").instance(&service).await.unwrap();
        assert_eq!((found.address, found.healthy), ("10.0.0.9:80".parse().unwrap(), true));
        assert!(found.sessions && found.identity.is_none() && found.path == "/mcp");
        assert!(!entry(json!(["mcp"]), "critical").instance(&service).await.unwrap().healthy);
        assert!(entry(json!(["web"]), "passing").instance(&service).await.is_none());
    }

    #[test]
    fn names_in_consul_become_service_names_where_they_can() {
        let id = |name| service_id(name).map(|id| id.to_string());
        assert_eq!(id("mcp-filesystem").as_deref(), Some("filesystem"));
        assert_eq!(id("GitHub_Tools").as_deref(), Some("github-tools"));
        assert_eq!(id("a-name-that-is-too-long-for-us"), None);
    }
}
