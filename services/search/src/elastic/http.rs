//! Requests to the cluster → bounded answers, and errors that name neither host nor physical index.

use std::{sync::OnceLock, time::Duration};

use anyhow::{Context as _, ensure};
use reqwest::{Certificate, Client, Method, StatusCode, Url, header, redirect::Policy};
use serde_json::Value;
use weft_kit::{Call, Reference, ToolError, exchange, span::About};

use super::dialect::Dialect;
use crate::{fault, settings::ClusterSettings};

/// Bytes of one answer.
const LARGEST: usize = 32 << 20;

/// The way to the cluster.
#[derive(Debug)]
pub(crate) struct Http {
    client: Client,
    base: Url,
    authorization: Option<Reference>,
    /// Who answers, once it is known.
    pub(super) dialect: OnceLock<Dialect>,
}

/// What is sent.
#[derive(Debug)]
pub(crate) enum Body {
    Nothing,
    Json(Value),
    /// Lines of JSON, each with its end.
    Lines(String),
}

/// An answer of the cluster, whatever its status.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

impl Http {
    pub(crate) fn open(settings: &ClusterSettings) -> Result<Self, anyhow::Error> {
        let text = settings.url.value()?;
        let mut base: Url = text.parse().context("the URL of the cluster")?;
        ensure!(matches!(base.scheme(), "http" | "https"), "the URL of the cluster begins with https:// or http://");
        ensure!(
            base.username().is_empty() && base.password().is_none(),
            "the URL of the cluster holds a password: put it into authorization, as a reference"
        );
        if !base.path().ends_with('/') {
            let path = format!("{}/", base.path());
            base.set_path(&path);
        }
        let mut client = Client::builder()
            .redirect(Policy::none())
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_millis(settings.request_ms));
        if let Some(path) = &settings.authorities {
            let pem = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            client = client.tls_certs_only(Certificate::from_pem_bundle(&pem)?);
        }
        let client = client.build().context("the client of the cluster")?;
        Ok(Self { client, base, authorization: settings.authorization.clone(), dialect: OnceLock::new() })
    }

    /// Sends a request and reads the answer; given up as soon as the call ends, which ends the work in the cluster too.
    pub(crate) async fn ask(
        &self,
        call: &Call,
        (method, path): (Method, &str),
        body: Body,
    ) -> Result<Answered, ToolError> {
        call.run(self.send(method, path, body)).await?
    }

    /// Sends a request that no call waits for.
    pub(crate) async fn tell(&self, (method, path): (Method, &str)) -> Result<Answered, ToolError> {
        self.send(method, path, Body::Nothing).await
    }

    async fn send(&self, method: Method, path: &str, body: Body) -> Result<Answered, ToolError> {
        let shown = method.clone();
        let url = self.base.join(path).map_err(|error| ToolError::internal(&error))?;
        let mut request = self.client.request(method, url).header(header::ACCEPT, "application/json");
        if let Some(reference) = &self.authorization {
            let value = reference.value().map_err(|error| ToolError::internal(&error))?;
            request = request.header(header::AUTHORIZATION, value);
        }
        request = match body {
            Body::Nothing => request,
            Body::Json(value) => request.header(header::CONTENT_TYPE, "application/json").body(value.to_string()),
            Body::Lines(lines) => request.header(header::CONTENT_TYPE, "application/x-ndjson").body(lines),
        };
        let system = || self.dialect.get().map_or("elasticsearch", |dialect| dialect.name());
        let about = || about(system(), &shown, path);
        let mut response = exchange(request, about).await.map_err(|error| fault::away(&error.without_url()))?;
        let status = response.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| fault::away(&error.without_url()))? {
            if bytes.len() + chunk.len() > LARGEST {
                return Err(ToolError::too_large("the answer of the cluster is too large")
                    .hint("ask for fewer documents or fields"));
            }
            bytes.extend_from_slice(&chunk);
        }
        let body = if bytes.is_empty() { Value::Null } else { parsed(status, &bytes)? };
        Ok(Answered { status, body })
    }
}

/// A request as traces name it, by its endpoint: what else is in a path may hold what callers wrote.
fn about(system: &'static str, method: &Method, path: &str) -> About {
    let word = path.split(['/', '?', '&']).find_map(|word| word.strip_prefix('_'));
    let fits = |word: &&str| word.bytes().all(|letter| letter.is_ascii_lowercase() || letter == b'_');
    let operation = word.filter(fits).map_or_else(|| method.to_string(), str::to_owned);
    let about = vec![("db.system.name", system.into()), ("db.operation.name", operation.clone().into())];
    (operation.into(), about)
}

/// A proxy in between answers in HTML when the cluster is away: that is an answer about the cluster, not of it.
fn parsed(status: StatusCode, bytes: &[u8]) -> Result<Value, ToolError> {
    serde_json::from_slice(bytes).map_err(|error| {
        let why = format!("status {status}, and no JSON: {error}");
        if status.is_success() { ToolError::internal(&why) } else { fault::away(&why) }
    })
}

impl Answered {
    /// The body of a success, or what went wrong about the index `name`.
    pub(crate) fn ok(self, name: &str, physical: &str) -> Result<Value, ToolError> {
        if self.status.is_success() {
            return Ok(self.body);
        }
        let kind = self.body["error"]["type"].as_str().unwrap_or_default();
        let causes = &self.body["error"]["root_cause"][0]["reason"];
        let reason = causes.as_str().or_else(|| self.body["error"]["reason"].as_str()).unwrap_or_default();
        let reason = reason.replace(physical, name);
        tracing::debug!(status = self.status.as_u16(), kind, reason, "the search cluster refused a request");
        Err(match self.status.as_u16() {
            404 => fault::unknown(name),
            400 if kind.contains("too_many") || reason.contains("too_many") || reason.contains("Too many") => {
                ToolError::too_large(format!("the cluster finds this too large: {reason}")).hint("ask for less")
            }
            400 => ToolError::invalid(format!("the cluster does not accept this: {reason}")),
            409 => ToolError::conflict(format!("a document of {name:?} changed meanwhile")).hint("try again"),
            401 | 403 => {
                tracing::error!(status = self.status.as_u16(), kind, "the search cluster does not let the server in");
                ToolError::refused("the cluster does not permit this to the server")
            }
            413 => ToolError::too_large("the cluster finds the documents too large").hint("write fewer at once"),
            408 | 429 | 502 | 503 | 504 => fault::away(&format!("status {} {kind}", self.status)),
            status => ToolError::internal(&format!("status {status} {kind}: {reason}")),
        })
    }
}
