//! Certificates from the PKI secrets engine of Vault or OpenBao, renewed at two thirds of their life.
//!
//! `POST /v1/<mount>/issue/<role>` (Vault API, "PKI: generate certificate and key"), with a token of our own, or one that
//! AppRole or Kubernetes gives in exchange for a secret. A Vault that is away changes nothing until the certificate runs out.

use std::{path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use reqwest::{Certificate, Client, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::task::AbortHandle;
use weft_mesh::SourceUri;

use crate::{Identity, IdentityError, Material, Source, pem};

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How to get certificates from a Vault.
#[derive(Debug, Clone)]
pub struct Vault {
    /// `http://HOST:PORT` or `https://HOST:PORT`.
    pub url: String,
    /// The PKI engine's mount.
    pub mount: String,
    /// The role that may issue for the service.
    pub role: String,
    /// The trust domain of the names.
    pub domain: String,
    /// The asked life of a certificate.
    pub life: Duration,
    /// Vault's own authority (PEM); the system's without it.
    pub authorities: Option<PathBuf>,
    /// Vault's namespace (Enterprise).
    pub namespace: Option<String>,
    /// How we prove ourselves.
    pub login: Login,
}

/// How a process proves itself to Vault.
#[derive(Debug, Clone)]
pub enum Login {
    /// A token that is there already.
    Token(String),
    /// A token in a file, read again each time.
    TokenFile(PathBuf),
    /// AppRole: a role and its secret.
    AppRole {
        /// `role_id`.
        role: String,
        /// The file with the `secret_id`.
        secret_file: PathBuf,
    },
    /// The service account of a Kubernetes pod.
    Kubernetes {
        /// The role at Vault.
        role: String,
        /// The file with the account's token.
        token_file: PathBuf,
    },
}

const KEYS: &[&str] =
    &["tls", "domain", "life_s", "ca_file", "ns", "token_file", "approle", "secret_file", "kubernetes", "jwt_file"];

impl Vault {
    /// Reads `vault://HOST:PORT/MOUNT/ROLE[?key=value&…]`. Keys: `tls`, `domain`, `life_s`, `ca_file`, `ns`, and one way to log in:
    /// `token_file`, `approle` with `secret_file`, or `kubernetes` (with `jwt_file`). Without one the variable `VAULT_TOKEN`
    /// is the token. `VAULT_CACERT` and `VAULT_NAMESPACE` are read as Vault's own tools do.
    pub fn parse(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Self, IdentityError> {
        let wrong = |why: String| IdentityError::Source(format!("{text}: {why}"));
        let mut query = SourceUri::split(text, "vault", KEYS).map_err(|error| wrong(error.why))?;
        let base = query.rest.clone();
        let mut take = |key: &str| query.take::<String>(key).unwrap_or_default();
        let (address, path) = base.split_once('/').ok_or_else(|| wrong("write vault://HOST:PORT/MOUNT/ROLE".into()))?;
        let (mount, role) = path.rsplit_once('/').ok_or_else(|| wrong("write vault://HOST:PORT/MOUNT/ROLE".into()))?;
        let authorities = take("ca_file").or_else(|| variable("VAULT_CACERT")).map(PathBuf::from);
        let tls = take("tls").map_or(authorities.is_some(), |it| it == "true" || it == "1");
        let kubernetes = take("kubernetes");
        let account = "/var/run/secrets/kubernetes.io/serviceaccount/token";
        let jwt_file = take("jwt_file").unwrap_or_else(|| account.to_owned());
        let login = match (take("token_file"), take("approle"), kubernetes) {
            (Some(path), None, None) => Login::TokenFile(path.into()),
            (None, Some(role), None) => {
                let secret = take("secret_file").ok_or_else(|| wrong("approle needs secret_file".into()))?;
                Login::AppRole { role, secret_file: secret.into() }
            }
            (None, None, Some(role)) => Login::Kubernetes { role, token_file: jwt_file.into() },
            (None, None, None) => Login::Token(variable("VAULT_TOKEN").ok_or_else(|| {
                wrong("no way to log in: set VAULT_TOKEN, or give token_file, approle or kubernetes".into())
            })?),
            _ => return Err(wrong("give one of token_file, approle and kubernetes".into())),
        };
        let domain = take("domain").unwrap_or_else(|| "weft.local".into());
        let namespace = take("ns").or_else(|| variable("VAULT_NAMESPACE")).filter(|it| !it.is_empty());
        let life = query.take_seconds("life_s").map_err(|error| wrong(error.why))?;
        let life = life.unwrap_or(Duration::from_secs(24 * 3600));
        Ok(Self {
            url: format!("{}://{address}", if tls { "https" } else { "http" }),
            mount: mount.to_owned(),
            role: role.to_owned(),
            domain,
            life,
            authorities,
            namespace,
            login,
        })
    }

    /// Obtains the identity `spiffe://<domain>/svc/<name>` and keeps it renewed.
    pub async fn start(self, name: &str) -> Result<Identity, IdentityError> {
        let mut builder = Client::builder().no_proxy().timeout(PATIENCE);
        if let Some(path) = &self.authorities {
            let file = |why: String| IdentityError::File { path: path.clone(), why };
            let pem = std::fs::read(path).map_err(|error| file(error.to_string()))?;
            let roots = Certificate::from_pem_bundle(&pem).map_err(|error| file(error.to_string()))?;
            builder = builder.tls_certs_only(roots);
        }
        let client = builder.build().map_err(|error| IdentityError::Issue(error.to_string()))?;
        let issuer = Issuer { vault: self, client, name: name.to_owned() };
        let (material, life) = issuer.issue().await.map_err(IdentityError::Issue)?;
        let present = Arc::new(ArcSwap::from_pointee(material));
        let renewing = tokio::spawn(renew(issuer, Arc::clone(&present), life)).abort_handle();
        Ok(Identity::new(Arc::new(Renewed { present, renewing })))
    }
}

/// A certificate that a task renews.
struct Renewed {
    present: Arc<ArcSwap<Material>>,
    renewing: AbortHandle,
}

impl Drop for Renewed {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

impl Source for Renewed {
    fn current(&self) -> Arc<Material> {
        self.present.load_full()
    }
}

/// Never returns. Its owner aborts it.
async fn renew(issuer: Issuer, present: Arc<ArcSwap<Material>>, mut life: Duration) {
    loop {
        tokio::time::sleep(life * 2 / 3).await;
        let mut pause = Duration::from_secs(1);
        life = loop {
            match issuer.issue().await {
                Ok((material, life)) => {
                    present.store(Arc::new(material));
                    tracing::info!(name = issuer.name, "certificate replaced");
                    break life;
                }
                Err(why) => tracing::warn!(name = issuer.name, why, "Vault gave no certificate; the old one stays"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(60)).min((life / 10).max(Duration::from_secs(1)));
        };
    }
}

struct Issuer {
    vault: Vault,
    client: Client,
    name: String,
}

#[derive(Deserialize)]
struct Issued {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    certificate: String,
    private_key: String,
    #[serde(default)]
    issuing_ca: String,
    #[serde(default)]
    ca_chain: Vec<String>,
    /// Seconds since the epoch.
    expiration: i64,
}

#[derive(Deserialize)]
struct LoggedIn {
    auth: Auth,
}

#[derive(Deserialize)]
struct Auth {
    client_token: String,
}

impl Issuer {
    async fn issue(&self) -> Result<(Material, Duration), String> {
        let vault = &self.vault;
        let token = self.token().await?;
        let body = json!({
            "common_name": self.name,
            "uri_sans": format!("spiffe://{}/svc/{}", vault.domain, self.name),
            "ttl": format!("{}s", vault.life.as_secs()),
            "private_key_format": "pkcs8",
        });
        let path = format!("/v1/{}/issue/{}", vault.mount, vault.role);
        let issued: Issued = self.post(&path, Some(&token), &body).await?;
        let data = issued.data;
        // The chain goes with the leaf, except for a root that stands by itself.
        let mut chain = vec![data.certificate.clone()];
        if data.ca_chain.len() > 1 {
            chain.extend(data.ca_chain[..data.ca_chain.len() - 1].iter().cloned());
        }
        let mut authorities = data.ca_chain.clone();
        authorities.push(data.issuing_ca.clone());
        let material =
            pem::material(chain.join("\n").as_bytes(), data.private_key.as_bytes(), authorities.join("\n").as_bytes())
                .map_err(|fault| format!("what Vault issued cannot be used: {fault}"))?;
        let left = data.expiration - OffsetDateTime::now_utc().unix_timestamp();
        Ok((material, Duration::from_secs(u64::try_from(left).unwrap_or(0).max(3))))
    }

    async fn token(&self) -> Result<String, String> {
        let read = |path: &PathBuf| {
            std::fs::read_to_string(path)
                .map(|text| text.trim().to_owned())
                .map_err(|error| format!("cannot read {}: {error}", path.display()))
        };
        let (path, body) = match &self.vault.login {
            Login::Token(token) => return Ok(token.clone()),
            Login::TokenFile(path) => return read(path),
            Login::AppRole { role, secret_file } => {
                ("/v1/auth/approle/login", json!({ "role_id": role, "secret_id": read(secret_file)? }))
            }
            Login::Kubernetes { role, token_file } => {
                ("/v1/auth/kubernetes/login", json!({ "role": role, "jwt": read(token_file)? }))
            }
        };
        let logged_in: LoggedIn = self.post(path, None, &body).await?;
        Ok(logged_in.auth.client_token)
    }

    async fn post<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        token: Option<&str>,
        body: &Value,
    ) -> Result<T, String> {
        let mut request = self.client.post(format!("{}{path}", self.vault.url)).body(body.to_string());
        if let Some(token) = token {
            request = request.header("x-vault-token", token);
        }
        if let Some(namespace) = &self.vault.namespace {
            request = request.header("x-vault-namespace", namespace);
        }
        let response = request.send().await.map_err(|error| format!("Vault is away: {error}"))?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(|error| format!("Vault broke off: {error}"))?;
        if status != StatusCode::OK {
            let text = String::from_utf8_lossy(&bytes);
            return Err(format!("Vault answered {status} to {path}: {}", text.trim()));
        }
        serde_json::from_slice(&bytes).map_err(|error| format!("Vault's answer to {path} is not understood: {error}"))
    }
}
