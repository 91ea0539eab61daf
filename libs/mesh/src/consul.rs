//! The registry in Consul: instances register with the local agent and keep their checks passing; whoever looks for them
//! follows the catalogue by blocking queries.
//!
//! Only the part of the HTTP API is used that Consul 1.8 and today's versions share. Any service with the tag `mcp` is a
//! member of the mesh, whoever registered it; what its Meta does not say is taken as usual for MCP over HTTP (path `/mcp`,
//! sessions, plain HTTP). The layout is in `entry.rs`.
//!
//! When Consul is away the last known set stays, marked stale. After its return (or a restored or restarted server) what it
//! no longer knows stays too for a short time, because everything that lives registers again by itself within it.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, task::JoinHandle};

use crate::{BoxFuture, Instance, Register, RegistryError, Snapshot, SourceUri, Watch};

mod announce;
mod api;
mod entry;
mod follow;

use announce::Keeper;
pub use api::{ConsulClient, ConsulError, ConsulRead};

/// How to reach Consul, and how patient to be with it.
#[derive(Debug, Clone)]
pub struct ConsulOptions {
    /// `http://HOST:PORT` or `https://HOST:PORT` of an agent.
    pub url: String,
    /// The ACL token.
    pub token: Option<String>,
    /// Authorities that signed the agent's certificate (PEM); the system's without it.
    pub authorities: Option<PathBuf>,
    /// Our certificate and key towards the agent (PEM).
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Namespace (Consul Enterprise).
    pub namespace: Option<String>,
    /// Admin partition (Consul Enterprise).
    pub partition: Option<String>,
    /// The datacenter to look for services in; the agent's own without it.
    pub datacenter: Option<String>,
    /// Between two of Consul's own checks of an instance.
    pub check: Duration,
    /// An instance that has not been heard of for this long is critical.
    pub ttl: Duration,
    /// A critical instance is removed after this long. Consul's least is a minute.
    pub remove_after: Duration,
    /// What Consul forgot in an outage is kept for this long after its return.
    pub hold: Duration,
}

const KEYS: &[&str] = &[
    "tls",
    "token",
    "token_file",
    "ca_file",
    "cert_file",
    "key_file",
    "ns",
    "partition",
    "dc",
    "check_s",
    "ttl_s",
    "remove_after_s",
    "hold_s",
];

impl ConsulOptions {
    /// The usual values for the agent at `url`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            token: None,
            authorities: None,
            certificate: None,
            namespace: None,
            partition: None,
            datacenter: None,
            check: Duration::from_secs(2),
            ttl: Duration::from_secs(10),
            remove_after: Duration::from_secs(60),
            hold: Duration::from_secs(15),
        }
    }

    /// Reads `consul://HOST:PORT[?key=value&…]`. Keys: `tls`, `token`, `token_file`, `ca_file`, `cert_file`, `key_file`, `ns`,
    /// `partition`, `dc`, `check_s`, `ttl_s`, `remove_after_s`, `hold_s`; what is missing is taken from the variables that
    /// Consul's own tools read (`CONSUL_HTTP_TOKEN`, `CONSUL_HTTP_TOKEN_FILE`, `CONSUL_CACERT`, `CONSUL_CLIENT_CERT`,
    /// `CONSUL_CLIENT_KEY`, `CONSUL_NAMESPACE`, `CONSUL_PARTITION`, `CONSUL_HTTP_SSL`).
    pub fn parse(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Self, RegistryError> {
        let mut uri = SourceUri::split(text, "consul", KEYS)?;
        let mut text_of = |key: &str, name: &str| {
            let said: Option<String> = uri.take(key).unwrap_or_default();
            said.or_else(|| variable(name).filter(|it| !it.is_empty()))
        };
        let token = text_of("token", "CONSUL_HTTP_TOKEN");
        let token_file = text_of("token_file", "CONSUL_HTTP_TOKEN_FILE");
        let authorities = text_of("ca_file", "CONSUL_CACERT").map(PathBuf::from);
        let certificate = text_of("cert_file", "CONSUL_CLIENT_CERT").map(PathBuf::from);
        let key = text_of("key_file", "CONSUL_CLIENT_KEY").map(PathBuf::from);
        let namespace = text_of("ns", "CONSUL_NAMESPACE");
        let partition = text_of("partition", "CONSUL_PARTITION");
        let tls =
            text_of("tls", "CONSUL_HTTP_SSL").is_some_and(|it| it == "true" || it == "1") || authorities.is_some();
        let certificate = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err(RegistryError::Settings("give cert_file and key_file together".into())),
        };
        let token = match (token, token_file) {
            (Some(token), _) => Some(token),
            (None, Some(path)) => Some(
                std::fs::read_to_string(&path)
                    .map_err(|error| RegistryError::Settings(format!("cannot read the token file {path:?}: {error}")))?
                    .trim()
                    .to_owned(),
            ),
            (None, None) => None,
        };
        let address =
            if uri.rest.is_empty() { "127.0.0.1:8500".to_owned() } else { uri.rest.trim_end_matches('/').to_owned() };
        let usual = Self::new(format!("{}://{address}", if tls { "https" } else { "http" }));
        let options = Self {
            token,
            authorities,
            certificate,
            namespace,
            partition,
            datacenter: uri.take("dc")?,
            check: uri.take_seconds("check_s")?.unwrap_or(usual.check),
            ttl: uri.take_seconds("ttl_s")?.unwrap_or(usual.ttl),
            remove_after: uri.take_seconds("remove_after_s")?.unwrap_or(usual.remove_after),
            hold: uri.take_seconds("hold_s")?.unwrap_or(usual.hold),
            ..usual
        };
        Ok(options)
    }
}

/// The registry in Consul.
pub struct Consul {
    api: Arc<ConsulClient>,
    options: ConsulOptions,
    snapshots: watch::Sender<Arc<Snapshot>>,
    /// Instances that this process has announced, each kept registered by a task of its own.
    keepers: Mutex<Keepers>,
}

impl std::fmt::Debug for Consul {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Consul").field(&self.options.url).finish()
    }
}

impl Consul {
    /// A client of the agent; asks it nothing yet. [`Self::follow`] keeps the snapshot.
    pub fn new(options: ConsulOptions) -> Result<Arc<Self>, RegistryError> {
        let api = Arc::new(ConsulClient::new(&options)?);
        let snapshots = watch::Sender::new(Arc::new(Snapshot::default()));
        Ok(Arc::new(Self { api, options, snapshots, keepers: Mutex::default() }))
    }

    /// Follows the catalogue; never returns. Its owner aborts it.
    pub async fn follow(&self) {
        follow::Follower::new(Arc::clone(&self.api), self.options.hold, &self.snapshots).run().await;
    }

    fn keepers(&self) -> std::sync::MutexGuard<'_, Keepers> {
        self.keepers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Consul {
    fn drop(&mut self) {
        for (_, task) in self.keepers().values() {
            task.abort();
        }
    }
}

impl Register for Consul {
    /// Registers the instance and keeps it registered. An agent that is away is no error: it is tried until it is back. One
    /// that refuses (a token without the right, a bad name) is.
    fn announce(&self, instance: Instance) -> BoxFuture<'_, Result<(), RegistryError>> {
        Box::pin(async move {
            let id = instance.id.clone();
            let keeper = Arc::new(Keeper::new(Arc::clone(&self.api), instance, &self.options));
            keeper.first().await?;
            let task = tokio::spawn({
                let keeper = Arc::clone(&keeper);
                async move { keeper.keep().await }
            });
            if let Some((_, before)) = self.keepers().insert(id, (keeper, task)) {
                before.abort();
            }
            Ok(())
        })
    }

    fn withdraw<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), RegistryError>> {
        Box::pin(async move {
            let kept = self.keepers().remove(id);
            if let Some((keeper, task)) = kept {
                task.abort();
                // A registration on its way would arrive behind the withdrawal.
                let _ = task.await;
                return keeper.withdraw().await;
            }
            Ok(())
        })
    }
}

impl Watch for Consul {
    fn watch(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.subscribe()
    }
}

/// What keeps each announced instance registered, by its id.
type Keepers = HashMap<String, (Arc<Keeper>, JoinHandle<()>)>;
/// The instances of every name that Consul knows, before they become services.
type Found = BTreeMap<String, Vec<Instance>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_with_options_becomes_a_client() {
        let none = |_: &str| None;
        let options = ConsulOptions::parse("consul://10.0.0.1:8500?token=t&dc=dc2&ttl_s=6", none).unwrap();
        assert_eq!(
            (options.url.as_str(), options.token.as_deref(), options.datacenter.as_deref(), options.ttl),
            ("http://10.0.0.1:8500", Some("t"), Some("dc2"), Duration::from_secs(6))
        );
        assert_eq!(ConsulOptions::parse("consul://", none).unwrap().url, "http://127.0.0.1:8500");
        let environment = |name: &str| (name == "CONSUL_CACERT").then(|| "/ca.pem".to_owned());
        assert_eq!(ConsulOptions::parse("consul://a:8501", environment).unwrap().url, "https://a:8501");
        for (text, hint) in [
            ("consul://a:1?tokn=t", "tokn"),
            ("consul://a:1?ttl_s=x", "ttl_s"),
            ("consul://a?cert_file=/c", "key_file"),
        ] {
            let error = ConsulOptions::parse(text, none).unwrap_err().to_string();
            assert!(error.contains(hint), "{error}");
        }
    }
}
