//! Consul's HTTP API, as much of it as the registry needs: blocking reads and plain writes.

use std::time::Duration;

use reqwest::{Certificate, Client, Identity, Method, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;

use super::ConsulOptions;
use crate::RegistryError;

/// How long the agent may hold a blocking query back.
const WAIT: Duration = Duration::from_secs(30);
/// How long anything else may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// A client of one agent: the only one in Weft.
pub struct ConsulClient {
    client: Client,
    url: String,
    token: Option<String>,
    scope: Vec<(&'static str, String)>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct About {
    config: AboutConfig,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AboutConfig {
    version: String,
}

/// What a blocking query gave.
pub struct ConsulRead<T> {
    /// The answer.
    pub value: T,
    /// For the next query; 0 after a reset.
    pub index: u64,
    /// The index went back: the servers were restarted or restored.
    pub reset: bool,
    /// The agent's servers have a leader.
    pub led: bool,
}

/// Why a request gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum ConsulError {
    /// No answer, or one that says that Consul itself is in trouble.
    #[error("{0}")]
    Away(String),
    /// An answer that repeating does not change.
    #[error("Consul answered {status}: {text}")]
    Refused {
        /// The status.
        status: StatusCode,
        /// The body.
        text: String,
    },
}

impl From<reqwest::Error> for ConsulError {
    fn from(error: reqwest::Error) -> Self {
        // The chain says why; the error alone only that.
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(inner) = cause {
            text = format!("{text}: {inner}");
            cause = inner.source();
        }
        Self::Away(text)
    }
}

impl From<ConsulError> for RegistryError {
    fn from(error: ConsulError) -> Self {
        match error {
            ConsulError::Away(why) => Self::Away(why),
            ConsulError::Refused { status, text } if status == StatusCode::FORBIDDEN => {
                Self::Settings(format!("Consul refused ({text}); give a token that may write this service"))
            }
            ConsulError::Refused { .. } => Self::Settings(error.to_string()),
        }
    }
}

impl ConsulClient {
    /// A client with these options; asks nothing yet.
    pub fn new(options: &ConsulOptions) -> Result<Self, RegistryError> {
        let wrong = |what: &str, why: &dyn std::fmt::Display| RegistryError::Settings(format!("{what}: {why}"));
        let read = |path: &std::path::Path| {
            std::fs::read(path).map_err(|error| wrong(&format!("cannot read {}", path.display()), &error))
        };
        let mut builder = Client::builder().no_proxy().connect_timeout(PATIENCE).pool_idle_timeout(WAIT);
        if let Some(path) = &options.authorities {
            let roots = Certificate::from_pem_bundle(&read(path)?)
                .map_err(|error| wrong(&format!("{} holds no certificates", path.display()), &error))?;
            builder = builder.tls_certs_only(roots);
        }
        if let Some((certificate, key)) = &options.certificate {
            let mut pem = read(certificate)?;
            pem.push(b'\n');
            pem.extend(read(key)?);
            let identity = Identity::from_pem(&pem)
                .map_err(|error| wrong(&format!("{} and its key cannot be used", certificate.display()), &error))?;
            builder = builder.identity(identity);
        }
        let client = builder.build().map_err(|error| wrong("the client for Consul cannot be made", &error))?;
        let scope = [("ns", &options.namespace), ("partition", &options.partition), ("dc", &options.datacenter)];
        let scope = scope.into_iter().filter_map(|(key, value)| Some((key, value.clone()?))).collect();
        Ok(Self { client, url: options.url.clone(), token: options.token.clone(), scope })
    }

    /// A blocking query (Consul HTTP API, "Blocking Queries"), with stale reads: a follower may answer, and goes on doing so
    /// while there is no leader. `index` 0 answers at once.
    pub async fn read<T: DeserializeOwned>(&self, path: &str, index: u64) -> Result<ConsulRead<T>, ConsulError> {
        let wait = format!("{}s", WAIT.as_secs());
        let index_text = index.to_string();
        let mut request = self.request(Method::GET, path).query(&[("stale", "")]).query(&self.scope);
        request = if index == 0 {
            request.timeout(PATIENCE)
        } else {
            // The agent adds up to a sixteenth of the wait.
            request.query(&[("index", &index_text), ("wait", &wait)]).timeout(WAIT + WAIT / 16 + PATIENCE)
        };
        let response = request.send().await?;
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let told: u64 = header("x-consul-index").and_then(|text| text.parse().ok()).unwrap_or(0);
        let led = header("x-consul-knownleader").is_none_or(|text| text == "true");
        let status = response.status();
        let body = response.bytes().await?;
        if !status.is_success() {
            return Err(refusal(status, &body));
        }
        let value = serde_json::from_slice(&body)
            .map_err(|error| ConsulError::Away(format!("{path} is not understood: {error}")))?;
        let reset = told < index;
        Ok(ConsulRead { value, index: if reset { 0 } else { told.max(1) }, reset, led })
    }

    /// A write to the agent.
    pub async fn put(&self, path: &str, body: Option<&serde_json::Value>) -> Result<(), ConsulError> {
        let scope: Vec<_> = self.scope.iter().filter(|(key, _)| *key != "dc").collect();
        let mut request = self.request(Method::PUT, path).query(&scope).timeout(PATIENCE);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let response = request.send().await?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        Err(refusal(status, &response.bytes().await?))
    }

    /// A read that does not wait.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, ConsulError> {
        match self.read::<T>(path, 0).await {
            Ok(read) => Ok(Some(read.value)),
            Err(ConsulError::Refused { status, .. }) if status == StatusCode::NOT_FOUND => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The agent's version, and a refusal when it has no namespaces or partitions and they are asked for: an agent without
    /// them would quietly answer for all.
    pub async fn version(&self) -> Result<String, ConsulError> {
        let about: About = self.read("/v1/agent/self", 0).await?.value;
        let version = about.config.version;
        let asked = self.scope.iter().find(|(key, _)| *key != "dc");
        match asked {
            Some((key, value)) if !version.contains("ent") => Err(ConsulError::Refused {
                status: StatusCode::BAD_REQUEST,
                text: format!("{key}={value} needs Consul Enterprise, and this is {version}"),
            }),
            _ => Ok(version),
        }
    }

    /// A question to the agent that is asked by POST.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &serde_json::Value) -> Result<T, ConsulError> {
        let request = self.request(Method::POST, path).header("content-type", "application/json").timeout(PATIENCE);
        let response = request.body(body.to_string()).send().await?;
        let status = response.status();
        let bytes = response.bytes().await?;
        if !status.is_success() {
            return Err(refusal(status, &bytes));
        }
        serde_json::from_slice(&bytes).map_err(|error| ConsulError::Away(format!("{path} is not understood: {error}")))
    }

    /// Repeats a blocking query for ever and hands every answer to `take`, from the one behind `index` on.
    pub async fn follow<T: DeserializeOwned>(&self, path: &str, mut index: u64, mut take: impl FnMut(T)) {
        let mut backoff = Backoff::default();
        loop {
            match self.read::<T>(path, index).await {
                Ok(read) => {
                    backoff.reset();
                    // An unchanged answer comes when the wait is over.
                    if read.index != index {
                        take(read.value);
                    }
                    index = read.index;
                }
                Err(error) => {
                    tracing::debug!(path, %error, "asking Consul again");
                    index = 0;
                    backoff.pause().await;
                }
            }
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.url));
        match &self.token {
            Some(token) => request.header("x-consul-token", token),
            None => request,
        }
    }
}

/// Server errors pass; what the request itself caused does not. Consul says "no such check" with a 500 in old versions.
fn refusal(status: StatusCode, body: &[u8]) -> ConsulError {
    let text = String::from_utf8_lossy(body).trim().chars().take(300).collect::<String>();
    let lost = text.contains("does not have associated TTL")
        || text.contains("nknown check")
        || text.contains("nknown service");
    if lost {
        return ConsulError::Refused { status: StatusCode::NOT_FOUND, text };
    }
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return ConsulError::Away(format!("{status}: {text}"));
    }
    ConsulError::Refused { status, text }
}

/// Pauses between tries that failed: from 100 ms up to 5 s, each with its own chance, so that a returning Consul is not
/// met by everyone at once.
#[derive(Debug, Default)]
pub(crate) struct Backoff(u32);

impl Backoff {
    pub(crate) fn reset(&mut self) {
        self.0 = 0;
    }

    pub(crate) async fn pause(&mut self) {
        let full = Duration::from_millis(100 << self.0.min(6)).min(Duration::from_secs(5));
        self.0 += 1;
        tokio::time::sleep(full.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
    }
}
