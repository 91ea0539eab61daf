//! Consul Connect without a proxy: the certificate of a service straight from Consul's authority, its roots, and its
//! intentions on both ends.
//!
//! The leaf and the roots are followed by blocking queries (Consul HTTP API, "Connect: agent"), so that a new root is trusted
//! before anyone presents a certificate signed by it. Names are `spiffe://<domain>/ns/default/dc/<dc>/svc/<service>`. When the
//! agent is away, what was had last stays in use; who was allowed stays allowed, who was never asked about is not.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::json;
use tokio::task::AbortHandle;
use weft_mesh::{ConsulClient, ConsulError, ConsulOptions, ConsulRead};

use crate::{Identity, IdentityError, Material, Source, pem};

/// How long a decision about a peer stands before it is asked for again.
const DECISION: Duration = Duration::from_secs(3);
/// How long the first certificate may take: a fresh Consul makes its authority first.
const FIRST: Duration = Duration::from_secs(15);

#[derive(Debug, Clone, Deserialize)]
struct Leaf {
    #[serde(rename = "CertPEM")]
    certificate: String,
    #[serde(rename = "PrivateKeyPEM")]
    key: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Roots {
    roots: Vec<Root>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Root {
    root_cert: String,
}

/// A service's identity in Consul.
pub(crate) struct Connect {
    client: Arc<ConsulClient>,
    service: String,
    present: ArcSwap<Material>,
    /// Decisions of the intentions, by the question.
    decided: Mutex<HashMap<String, (Instant, bool)>>,
    tasks: Mutex<Vec<AbortHandle>>,
}

impl Drop for Connect {
    fn drop(&mut self) {
        self.tasks.get_mut().unwrap_or_else(PoisonError::into_inner).iter().for_each(AbortHandle::abort);
    }
}

/// Obtains the identity of `service` (its name in Consul) and keeps it renewed.
pub(crate) async fn start(options: &ConsulOptions, service: &str) -> Result<Identity, IdentityError> {
    let failed = |why: String| IdentityError::Issue(format!("Consul gave no certificate for {service:?}: {why}"));
    let client = Arc::new(ConsulClient::new(options).map_err(|error| failed(error.to_string()))?);
    let began = Instant::now();
    let (leaf, roots) = loop {
        match first(&client, service).await {
            Ok(had) => break had,
            Err(ConsulError::Away(why)) if began.elapsed() < FIRST => {
                tracing::info!(why, "waiting for a certificate from Consul");
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            Err(error) => return Err(failed(error.to_string())),
        }
    };
    let material = material(&leaf.value, &roots.value).map_err(|error| failed(error.to_string()))?;
    let connect = Arc::new(Connect {
        client,
        service: service.to_owned(),
        present: ArcSwap::from_pointee(material),
        decided: Mutex::default(),
        tasks: Mutex::default(),
    });
    let following = tokio::spawn(follow(Arc::downgrade(&connect), Arc::clone(&connect.client), (leaf, roots)));
    connect.tasks.lock().unwrap_or_else(PoisonError::into_inner).push(following.abort_handle());
    Ok(Identity::new(connect))
}

async fn first(client: &ConsulClient, service: &str) -> Result<(ConsulRead<Leaf>, ConsulRead<Roots>), ConsulError> {
    let roots = client.read(ROOTS, 0).await?;
    let leaf = client.read(&leaf_path(service), 0).await?;
    Ok((leaf, roots))
}

const ROOTS: &str = "/v1/agent/connect/ca/roots";

fn leaf_path(service: &str) -> String {
    format!("/v1/agent/connect/ca/leaf/{service}")
}

/// All roots are trusted, the active one and those that it replaces.
fn material(leaf: &Leaf, roots: &Roots) -> Result<Material, pem::Fault> {
    let roots: Vec<&str> = roots.roots.iter().map(|root| root.root_cert.as_str()).collect();
    pem::material(leaf.certificate.as_bytes(), leaf.key.as_bytes(), roots.join("\n").as_bytes())
}

/// Two blocking queries side by side; each answer makes new material.
async fn follow(
    owner: std::sync::Weak<Connect>,
    client: Arc<ConsulClient>,
    (leaf, roots): (ConsulRead<Leaf>, ConsulRead<Roots>),
) {
    let Some(service) = owner.upgrade().map(|connect| connect.service.clone()) else { return };
    let (leaves, mut next_leaf) = tokio::sync::watch::channel(leaf.value);
    let (rooted, mut next_roots) = tokio::sync::watch::channel(roots.value);
    let path = leaf_path(&service);
    let renewing = client.follow(&path, leaf.index, |value: Leaf| drop(leaves.send(value)));
    let rooting = client.follow(ROOTS, roots.index, |value: Roots| drop(rooted.send(value)));
    let applying = async {
        loop {
            tokio::select! {
                changed = next_leaf.changed() => if changed.is_err() { return },
                changed = next_roots.changed() => if changed.is_err() { return },
            }
            let (leaf, roots) = (next_leaf.borrow_and_update().clone(), next_roots.borrow_and_update().clone());
            let Some(connect) = owner.upgrade() else { return };
            match material(&leaf, &roots) {
                Ok(material) => {
                    tracing::info!(service, "certificate or roots replaced");
                    connect.present.store(Arc::new(material));
                }
                Err(error) => tracing::warn!(%error, "what Consul gave cannot be used; the old one stays"),
            }
        }
    };
    tokio::select! {
        () = renewing => {}
        () = rooting => {}
        () = applying => {}
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Authorized {
    authorized: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Checked {
    allowed: bool,
}

/// The service in a SPIFFE URI of Consul's.
fn service_of(uri: &str) -> &str {
    uri.rsplit_once("/svc/").map_or(uri, |(_, service)| service)
}

impl Connect {
    async fn decide<F>(&self, question: String, ask: F) -> Result<(), IdentityError>
    where
        F: Future<Output = Result<bool, ConsulError>>,
    {
        let known = self.decided.lock().unwrap_or_else(PoisonError::into_inner).get(&question).copied();
        let verdict = |allowed: bool| {
            let denied = || IdentityError::Denied(question.clone());
            if allowed { Ok(()) } else { Err(denied()) }
        };
        if let Some((at, allowed)) = known
            && at.elapsed() < DECISION
        {
            return verdict(allowed);
        }
        match ask.await {
            Ok(allowed) => {
                let mut decided = self.decided.lock().unwrap_or_else(PoisonError::into_inner);
                if decided.len() >= 10_000 {
                    decided.clear();
                }
                decided.insert(question.clone(), (Instant::now(), allowed));
                drop(decided);
                verdict(allowed)
            }
            Err(error) => {
                tracing::warn!(%error, question, "Consul did not decide; the last decision stands");
                verdict(known.is_some_and(|(_, allowed)| allowed))
            }
        }
    }
}

impl Source for Connect {
    fn current(&self) -> Arc<Material> {
        self.present.load_full()
    }

    /// `/v1/agent/connect/authorize`: may this peer connect to us?
    fn admits<'a>(&'a self, peer: &'a str) -> BoxFuture<'a, Result<(), IdentityError>> {
        Box::pin(async move {
            let question = format!("{} → {}", service_of(peer), self.service);
            let body = json!({ "Target": self.service, "ClientCertURI": peer, "ClientCertSerial": "" });
            let ask = async {
                let answer: Authorized = self.client.post("/v1/agent/connect/authorize", &body).await?;
                Ok(answer.authorized)
            };
            self.decide(question, ask).await
        })
    }

    /// `/v1/connect/intentions/check`: may we connect to this service?
    fn may_reach<'a>(&'a self, peer: &'a str) -> BoxFuture<'a, Result<(), IdentityError>> {
        Box::pin(async move {
            let target = service_of(peer);
            let question = format!("{} → {target}", self.service);
            let path = format!("/v1/connect/intentions/check?source={}&destination={target}", self.service);
            let ask = async {
                match self.client.get::<Checked>(&path).await {
                    Ok(answer) => Ok(answer.is_some_and(|answer| answer.allowed)),
                    // A token that may not read intentions: the other end decides.
                    Err(ConsulError::Refused { status, .. }) if status == 403 => Ok(true),
                    Err(error) => Err(error),
                }
            };
            self.decide(question, ask).await
        })
    }
}
