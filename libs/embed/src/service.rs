//! A call of a tool → its structured content, from a service of a mesh through a gateway.
//!
//! The smallest client of MCP's stateless era (2026-07-28): one POST with its version, one answer, as JSON or as the last message of a
//! stream; there is no session to keep, and dropping the future hangs up, which is what cancels the call at the server. A gateway
//! balances, retries and translates for it. What a server says is data: bounded, and never shown further than a tool's error says.

use reqwest::{Response, StatusCode, header};
use serde_json::{Value, json};
use weft_settings::InvalidReference;
use weft_telemetry::exchange;
use weft_wire::{headers, sse, version::Version};

use crate::{
    client::{Cut, Door, body},
    error::OpenError,
    settings::ServiceSettings,
};

/// Bytes of an answer; a service of the mesh says at most one million.
const MOST: usize = 8 << 20;
/// Characters of what a server says about an error.
const SAID: usize = 400;

/// A service behind a gateway.
#[derive(Debug)]
pub struct Service {
    name: String,
    door: Door,
}

/// Why a tool gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No answer.
    #[error("the service `{service}` does not answer")]
    Unreachable {
        /// The service.
        service: String,
        /// Why.
        #[source]
        cause: reqwest::Error,
    },
    /// The key for the gateway cannot be had.
    #[error("the key for the service `{service}` cannot be had")]
    Key {
        /// The service.
        service: String,
        /// Why.
        #[source]
        cause: InvalidReference,
    },
    /// The gateway, or the server's protocol, says no.
    #[error("the mesh refused `{tool}` of the service `{service}` ({status}): {message}")]
    Refused {
        /// The service.
        service: String,
        /// The tool.
        tool: String,
        /// The HTTP status.
        status: u16,
        /// What was said.
        message: String,
    },
    /// The tool says no.
    #[error("`{tool}` of the service `{service}` failed ({code}): {message}")]
    Tool {
        /// The service.
        service: String,
        /// The tool.
        tool: String,
        /// Its code; `tool_failed` if it has none.
        code: String,
        /// What it said.
        message: String,
        /// What to do, in its words.
        hint: Option<String>,
        /// Whether the same call may work later.
        retryable: bool,
    },
    /// The tool asks a person, and there is none here.
    #[error("`{tool}` of the service `{service}` asks for input that nobody here can give")]
    Asked {
        /// The service.
        service: String,
        /// The tool.
        tool: String,
    },
    /// No result.
    #[error("the service `{service}` gave no result for `{tool}`; is its url the endpoint of an MCP service?")]
    Unreadable {
        /// The service.
        service: String,
        /// The tool.
        tool: String,
    },
    /// An answer longer than any right one.
    #[error("the service `{service}` answers without end")]
    Endless {
        /// The service.
        service: String,
    },
}

impl CallError {
    /// A stable code for callers; a tool's own where it has one.
    pub fn code(&self) -> &str {
        match self {
            Self::Unreachable { .. } | Self::Unreadable { .. } => "unavailable",
            Self::Key { .. } => "internal",
            Self::Refused { .. } => "mesh_refused",
            Self::Tool { code, .. } => code,
            Self::Asked { .. } => "input_required",
            Self::Endless { .. } => "too_large",
        }
    }

    /// Whether the same call may work later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Unreadable { .. } => true,
            Self::Refused { status, .. } => *status >= 500 || *status == 429,
            Self::Tool { retryable, .. } => *retryable,
            Self::Key { .. } | Self::Asked { .. } | Self::Endless { .. } => false,
        }
    }

    /// What can be done about it, if anything.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Refused { status: 401 | 403, .. } => Some("ask the operator to check the key for the gateway"),
            Self::Refused { .. } if !self.is_retryable() => {
                Some("ask the operator to check the url: it is the endpoint of one service, as /mcp/aiml")
            }
            Self::Key { .. } => Some("ask the operator to check the reference of the key"),
            Self::Tool { hint, .. } => hint.as_deref(),
            _ => None,
        }
    }
}

impl Service {
    /// The service that errors call `name`, at its endpoint.
    pub fn open(name: &str, settings: &ServiceSettings) -> Result<Self, OpenError> {
        let place = (settings.url.as_str(), settings.api_key.as_ref());
        let door = Door::open(name, place, settings.authorities.as_deref(), settings.timeout_ms)?;
        Ok(Self { name: name.to_owned(), door })
    }

    /// Calls a tool; gives the whole structured content of its result: of Weft's own services `data` is what the tool says, and
    /// `page` where its list stands.
    pub async fn call(&self, tool: &str, arguments: Value) -> Result<Value, CallError> {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": Version::LATEST.as_str(),
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": { "name": "weft-embed", "version": env!("CARGO_PKG_VERSION") },
        });
        let params = json!({ "name": tool, "arguments": arguments, "_meta": meta });
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        let request = self.door.post(message.to_string().into_bytes());
        let request = request.map_err(|cause| CallError::Key { service: self.name.clone(), cause })?;
        let request = request
            .header(header::ACCEPT, "application/json, text/event-stream")
            .header(headers::PROTOCOL_VERSION, Version::LATEST.as_str())
            .header(headers::METHOD, "tools/call")
            .header(headers::NAME, &*headers::encode(tool));
        let about = || {
            let about = vec![
                ("mcp.method.name", "tools/call".into()),
                ("mcp.protocol.version", Version::LATEST.as_str().into()),
                ("gen_ai.tool.name", tool.to_owned().into()),
            ];
            (format!("tools/call {tool}").into(), about)
        };
        let response = exchange(request, about).await.map_err(|cause| self.away(cause))?;
        let status = response.status();
        let answer = self.answer(tool, response).await?;
        self.result(tool, status, answer)
    }

    /// The message that ends the call.
    async fn answer(&self, tool: &str, response: Response) -> Result<Value, CallError> {
        let is_stream = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| {
            kind.as_bytes().get(..17).is_some_and(|kind| kind.eq_ignore_ascii_case(b"text/event-stream"))
        });
        if is_stream {
            return self.last(tool, response).await;
        }
        let status = response.status();
        let body = body(response, MOST).await.map_err(|cut| match cut {
            Cut::Away(cause) => self.away(cause),
            Cut::Endless => self.endless(),
        })?;
        match serde_json::from_slice(&body) {
            Ok(answer) => Ok(answer),
            // Something before the gateway refused: its page is for people.
            Err(_) if status != StatusCode::OK => Ok(Value::Null),
            Err(_) => Err(self.unreadable(tool)),
        }
    }

    /// The answer on a stream; what comes before it is told to nobody.
    async fn last(&self, tool: &str, mut response: Response) -> Result<Value, CallError> {
        let mut events = sse::Decoder::new(MOST);
        while let Some(part) = response.chunk().await.map_err(|cause| self.away(cause))? {
            events.feed(&part);
            while let Some(event) = events.next().map_err(|_| self.endless())? {
                if let Ok(message) = serde_json::from_slice::<Value>(&event.data)
                    && message.get("id").is_some_and(|id| id == 1)
                {
                    return Ok(message);
                }
            }
        }
        Err(self.unreadable(tool))
    }

    fn result(&self, tool: &str, status: StatusCode, mut answer: Value) -> Result<Value, CallError> {
        let (service, tool_name) = (self.name.clone(), tool.to_owned());
        if status != StatusCode::OK || answer.get("error").is_some() {
            let message = answer["error"]["message"].as_str().map_or_else(|| "it said nothing more".to_owned(), cut);
            return Err(CallError::Refused { service, tool: tool_name, status: status.as_u16(), message });
        }
        let result = &mut answer["result"];
        if result["resultType"] == "input_required" {
            return Err(CallError::Asked { service, tool: tool_name });
        }
        if result["isError"] == true {
            let error = &result["structuredContent"]["error"];
            let said = error["message"].as_str().or(result["content"][0]["text"].as_str());
            return Err(CallError::Tool {
                service,
                tool: tool_name,
                code: error["code"].as_str().map_or_else(|| "tool_failed".to_owned(), cut),
                message: said.map_or_else(|| "it said nothing more".to_owned(), cut),
                hint: error["hint"].as_str().map(cut),
                retryable: error["retryable"] == true,
            });
        }
        match result["structuredContent"].take() {
            Value::Null => Err(self.unreadable(tool)),
            content => Ok(content),
        }
    }

    fn away(&self, cause: reqwest::Error) -> CallError {
        tracing::warn!(service = self.name, cause = %cause, "a service of the mesh did not answer");
        CallError::Unreachable { service: self.name.clone(), cause }
    }

    fn endless(&self) -> CallError {
        CallError::Endless { service: self.name.clone() }
    }

    fn unreadable(&self, tool: &str) -> CallError {
        CallError::Unreadable { service: self.name.clone(), tool: tool.to_owned() }
    }
}

/// What a server said, short and in one line.
fn cut(text: &str) -> String {
    text.chars().take(SAID).map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}
