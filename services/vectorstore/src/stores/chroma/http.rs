//! Calls of Chroma's HTTP API (version 2) into JSON or a refusal.
//!
//! A dropped future closes the connection. Chroma finishes the request that it has; requests are small (pages, batches), so nothing
//! long goes on.

use std::fmt;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, Method, StatusCode};
use serde_json::Value;
use weft_kit::{ToolError, exchange, span::About};

use super::Settings;

/// A server and one of its tenants.
pub(super) struct Api {
    client: Client,
    /// `…/api/v2/tenants/{tenant}/databases`, without a slash at the end.
    databases: String,
    root: String,
}

impl fmt::Debug for Api {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Api")
    }
}

impl Api {
    pub(super) fn new(settings: &Settings) -> Result<Self, ToolError> {
        let unreadable = || ToolError::invalid("the Chroma address cannot be read, write http://host:port");
        let url = reqwest::Url::parse(&settings.url).map_err(|_| unreadable())?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(unreadable());
        }
        if !is_plain(&settings.tenant) {
            return Err(ToolError::invalid("the Chroma tenant must be letters, digits, `_` and `-`"));
        }
        let mut headers = HeaderMap::new();
        if let Some(token) = &settings.token {
            let value = HeaderValue::from_str(token);
            let mut value =
                value.map_err(|_| ToolError::invalid("the Chroma token has characters that no header can have"))?;
            value.set_sensitive(true);
            headers.insert("x-chroma-token", value);
        }
        let client = Client::builder()
            .default_headers(headers)
            .connect_timeout(settings.timeout.min(Duration::from_secs(5)))
            .timeout(settings.timeout)
            .pool_max_idle_per_host(settings.connections)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy();
        let root = format!("{}/api/v2", url.as_str().trim_end_matches('/'));
        Ok(Self {
            client: client.build().map_err(|error| ToolError::internal(&error))?,
            databases: format!("{root}/tenants/{}/databases", settings.tenant),
            root,
        })
    }

    pub(super) async fn heartbeat(&self) -> Result<(), ToolError> {
        self.send(Method::GET, format!("{}/heartbeat", self.root), None).await.map(drop)
    }

    /// Calls `{databases}{path}`; `path` is made of our own names only.
    pub(super) async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, ToolError> {
        self.send(method, format!("{}{path}", self.databases), body).await
    }

    async fn send(&self, method: Method, url: String, body: Option<&Value>) -> Result<Value, ToolError> {
        let (shown, asked) = (method.clone(), url.clone());
        let mut request = self.client.request(method, url);
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let response = exchange(request, || about(&shown, &asked)).await.map_err(unreachable)?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(unreachable)?;
        if !status.is_success() {
            return Err(refused(status, &bytes));
        }
        serde_json::from_slice(&bytes).map_err(|error| ToolError::internal(&error))
    }
}

/// What can be asked of a collection. All else is named by its method: a path holds what callers wrote.
const ASKED: [&str; 7] = ["add", "count", "delete", "get", "query", "update", "upsert"];

/// A request as traces name it.
fn about(method: &Method, url: &str) -> About {
    let path = url.split('?').next().unwrap_or_default();
    let last = path.rsplit('/').next().unwrap_or_default();
    let operation = if ASKED.contains(&last) { last.to_owned() } else { method.to_string() };
    let about = vec![("db.system.name", "chroma".into()), ("db.operation.name", operation.clone().into())];
    (operation.into(), about)
}

/// What can stand in a path as it is.
pub(super) fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn unreachable(error: reqwest::Error) -> ToolError {
    let error = error.without_url();
    tracing::warn!(%error, "Chroma is out of reach");
    if error.is_timeout() && !error.is_connect() {
        return ToolError::deadline();
    }
    ToolError::unavailable("the Chroma server cannot be reached")
}

fn refused(status: StatusCode, body: &[u8]) -> ToolError {
    let said = String::from_utf8_lossy(&body[..body.len().min(500)]);
    match status.as_u16() {
        404 => ToolError::not_found("there is no such collection").hint("list the collections, or create it"),
        409 => ToolError::conflict("it exists already"),
        413 => ToolError::too_large("the batch is larger than the Chroma server takes"),
        401 | 403 => {
            tracing::warn!(%status, "Chroma does not accept our token");
            ToolError::unavailable("the Chroma server does not let us in")
        }
        408 | 429 | 500.. => {
            tracing::warn!(%status, %said, "Chroma failed");
            ToolError::unavailable("the Chroma server failed")
        }
        _ => ToolError::internal(&format!("Chroma answered {status}: {said}")),
    }
}
