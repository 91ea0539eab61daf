//! Requests to one configured server, and its answers as JSON, as lines, or as what is wrong.
//!
//! The address comes from the operator alone. Redirects and proxies of the environment are not followed: both would carry the
//! key to somewhere else.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::{Client, Method, Response, StatusCode, header, redirect::Policy};
use serde::de::DeserializeOwned;
use serde_json::Value;
use weft_kit::exchange;

use super::lines::Lines;
use crate::{fault::Fault, settings::ProviderSettings};

/// Bytes of one answer that is read as a whole.
const WHOLE: usize = 64 << 20;
/// Bytes of one answer that is streamed.
const STREAMED: usize = 32 << 20;
/// Bytes of an error that are looked at.
const ERROR: usize = 16 << 10;
const CONNECT: Duration = Duration::from_secs(5);

/// One server.
pub(super) struct Http {
    client: Client,
    base: String,
    key: Option<String>,
    first: Duration,
    idle: Duration,
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Http {
    pub(super) fn open(settings: &ProviderSettings) -> Result<Self, anyhow::Error> {
        let url = reqwest::Url::parse(&settings.url).context("its url is none: write http://host:port")?;
        ensure!(matches!(url.scheme(), "http" | "https"), "its url must begin with http:// or https://");
        ensure!(
            url.username().is_empty() && url.password().is_none() && url.query().is_none(),
            "its url holds a user, a password or a query: give the key as key = \"env:NAME\""
        );
        let key = settings.key.as_ref().map(weft_kit::Reference::value).transpose().context("its key")?;
        let client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT)
            .build()
            .context("its client")?;
        Ok(Self {
            client,
            base: settings.url.trim_end_matches('/').to_owned(),
            key,
            first: Duration::from_secs(settings.first_s),
            idle: Duration::from_secs(settings.idle_s),
        })
    }

    /// The same server at its root, for what lies beside `/v1`.
    pub(super) fn root(&self) -> &str {
        self.base.strip_suffix("/v1").unwrap_or(&self.base)
    }

    pub(super) fn base(&self) -> &str {
        &self.base
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, url: String) -> Result<T, Fault> {
        self.whole(self.send(Method::GET, url, None).await?).await
    }

    pub(super) async fn post<T: DeserializeOwned>(&self, url: String, body: &Value) -> Result<T, Fault> {
        self.whole(self.send(Method::POST, url, Some(body)).await?).await
    }

    /// Sends and waits for the head of a good answer.
    pub(super) async fn send(&self, method: Method, url: String, body: Option<&Value>) -> Result<Response, Fault> {
        let shown = method.clone();
        let mut request =
            self.client.request(method, url).header(header::ACCEPT, "application/json, text/event-stream");
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        if let Some(body) = body {
            request = request.header(header::CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let about = || (shown.to_string().into(), Vec::new());
        let answer = tokio::time::timeout(self.first, exchange(request, about));
        let answer =
            answer.await.map_err(|_| Fault::Away("no answer in time".to_owned()))?.map_err(|why| unreachable(&why))?;
        if answer.status().is_success() { Ok(answer) } else { Err(self.refusal(answer).await) }
    }

    /// An answer that comes line by line.
    pub(super) fn stream(&self, answer: Response) -> Stream {
        Stream { answer, lines: Lines::default(), idle: self.idle, bytes: 0, ended: false }
    }

    async fn whole<T: DeserializeOwned>(&self, answer: Response) -> Result<T, Fault> {
        let bytes = read(answer, WHOLE, self.idle).await?;
        serde_json::from_slice(&bytes).map_err(|why| Fault::Broken(format!("not the JSON that is expected: {why}")))
    }

    /// What an answer that is no success means.
    async fn refusal(&self, answer: Response) -> Fault {
        let status = answer.status();
        let after = answer.headers().get(header::RETRY_AFTER).and_then(|after| after.to_str().ok()?.parse().ok());
        let body = read(answer, ERROR, self.idle).await.unwrap_or_default();
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Fault::Denied,
            StatusCode::NOT_FOUND => Fault::Missing,
            StatusCode::TOO_MANY_REQUESTS => Fault::Busy(after.map(Duration::from_secs)),
            StatusCode::SERVICE_UNAVAILABLE => Fault::Busy(after.map(Duration::from_secs)),
            StatusCode::NOT_IMPLEMENTED => Fault::Unsupported,
            status if status.is_client_error() => Fault::rejected(&self.hide(&words(&body))),
            status => Fault::Away(format!("status {}", status.as_u16())),
        }
    }

    /// What a provider says in the middle of an answer.
    pub(super) fn complaint(&self, error: &Value) -> Fault {
        Fault::Away(format!("broke off: {}", self.hide(&phrase(error))))
    }

    fn hide(&self, words: &str) -> String {
        match self.key.as_deref().filter(|key| !key.is_empty()) {
            Some(key) => words.replace(key, "…"),
            None => words.to_owned(),
        }
    }
}

/// `{"error": "words"}` of Ollama and `{"error": {"message": "words"}}` of the OpenAI kind.
fn words(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    phrase(&body["error"])
}

fn phrase(error: &Value) -> String {
    let words = error.as_str().or_else(|| error["message"].as_str());
    words.unwrap_or("it does not say why").to_owned()
}

/// An answer that did not begin. The address is the operator's business, so no message has it.
fn unreachable(why: &reqwest::Error) -> Fault {
    tracing::debug!(why = %why, "a request to a provider failed");
    Fault::Unreachable(if why.is_connect() { "no connection" } else { "the connection broke" }.to_owned())
}

/// An answer that did not end.
fn away(why: &reqwest::Error) -> Fault {
    tracing::debug!(why = %why, "an answer of a provider broke off");
    Fault::Away("the connection broke".to_owned())
}

async fn read(mut answer: Response, most: usize, idle: Duration) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    while let Some(chunk) = chunk(&mut answer, idle).await? {
        if bytes.len() + chunk.len() > most {
            return Err(Fault::Broken("the answer is too large".to_owned()));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

async fn chunk(answer: &mut Response, idle: Duration) -> Result<Option<bytes::Bytes>, Fault> {
    let chunk = tokio::time::timeout(idle, answer.chunk()).await;
    chunk.map_err(|_| Fault::Away("it fell silent".to_owned()))?.map_err(|why| away(&why))
}

/// The lines of an answer.
pub(super) struct Stream {
    answer: Response,
    lines: Lines,
    idle: Duration,
    bytes: usize,
    ended: bool,
}

impl Stream {
    /// The next line; `None` when the answer ended.
    pub(super) async fn next(&mut self) -> Result<Option<String>, Fault> {
        loop {
            if let Some(line) = self.lines.next() {
                return Ok(Some(line));
            }
            if self.ended {
                return Ok(self.lines.rest());
            }
            match chunk(&mut self.answer, self.idle).await? {
                Some(bytes) => {
                    self.bytes += bytes.len();
                    if self.bytes > STREAMED {
                        return Err(Fault::Broken("the answer is too large".to_owned()));
                    }
                    self.lines.push(&bytes).map_err(|_| Fault::Broken("a line is too long".to_owned()))?;
                }
                None => self.ended = true,
            }
        }
    }
}
