//! One HTTP exchange with an instance: which headers go, which never do, and what kind of answer came.
//!
//! An allow-list, not a strip-list: the caller's credentials and hop headers cannot leak to a server, because only the
//! headers named here are ever sent.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full};
use weft_wire::{headers, version::Version};

use super::{
    Instance,
    connection::{ReplyBody, SendError},
};
use crate::authenticate::Caller;

/// Headers of the client that a server may see, besides `Mcp-Param-*`.
const PASSED: [&str; 1] = [headers::LAST_EVENT_ID];

/// What a call may still take, in milliseconds: from a client that is less patient than the gateway, and to our servers.
pub(crate) const DEADLINE: &str = "weft-deadline-ms";

/// How long a client is patient, where it says so.
pub(crate) fn patience(headers: &HeaderMap) -> Option<Duration> {
    headers.get(DEADLINE)?.to_str().ok()?.parse().ok().map(Duration::from_millis)
}

/// What to send, apart from the instance.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    pub(crate) verb: Method,
    pub(crate) body: Bytes,
    pub(crate) version: Version,
    /// The `Mcp-Method` and `Mcp-Name` of the stateless era; the name is already encoded.
    pub(crate) method: Option<String>,
    pub(crate) name: Option<String>,
    /// The session at the server.
    pub(crate) session: Option<String>,
    /// The client's headers, from which the passed ones are taken.
    pub(crate) client: Arc<HeaderMap>,
    /// Who calls: told to servers that proved to be ours.
    pub(crate) caller: Caller,
    /// The headers of the trace; the same is in the body.
    pub(crate) traced: Vec<(HeaderName, HeaderValue)>,
}

impl Outgoing {
    /// The request for `instance`; `remaining` is what the call may still take.
    fn request(&self, instance: &Instance, remaining: Option<Duration>) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.verb.clone();
        *request.uri_mut() = instance.path.clone();
        let out = request.headers_mut();
        out.reserve(16);
        for (name, value) in self.client.iter() {
            if PASSED.contains(&name.as_str()) || name.as_str().starts_with(headers::PARAM_PREFIX) {
                out.append(name, value.clone());
            }
        }
        out.extend(self.traced.iter().cloned());
        if let Some(outward) = &instance.outward {
            for (name, value) in outward.headers().iter() {
                out.insert(name.clone(), value.clone());
            }
        }
        if let Some(host) = &instance.host {
            out.insert(header::HOST, host.clone());
        }
        out.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        if self.verb == Method::POST {
            out.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        set(out, HeaderName::from_static(headers::PROTOCOL_VERSION), self.version.as_str());
        let optional =
            [(headers::METHOD, &self.method), (headers::NAME, &self.name), (headers::SESSION_ID, &self.session)];
        for (name, value) in optional {
            if let Some(value) = value {
                set(out, HeaderName::from_static(name), value);
            }
        }
        if instance.info.identity.is_some() || instance.info.meta.contains_key(crate::embedded::MARK) {
            set(out, HeaderName::from_static("weft-caller"), self.caller.id());
            if let Some(tenant) = self.caller.tenant() {
                set(out, HeaderName::from_static("weft-namespace"), tenant);
            }
            if self.caller.is_proven() {
                out.insert(HeaderName::from_static("weft-roles"), HeaderValue::from_static(self.caller.role().name()));
            }
            if let Some(remaining) = remaining {
                let millis = u64::try_from(remaining.as_millis()).unwrap_or(u64::MAX);
                out.insert(DEADLINE, HeaderValue::from(millis));
            }
        }
        request
    }
}

/// A value that cannot be a header is left out: the server then misses it and says so.
fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// An answer, sorted by what can be done with it.
pub(crate) enum Answer {
    /// One JSON message, whole.
    Json { status: StatusCode, headers: HeaderMap, body: Bytes },
    /// One JSON message too large to wait for.
    Long { status: StatusCode, headers: HeaderMap, body: ReplyBody },
    /// A stream of events.
    Events { headers: HeaderMap, body: ReplyBody },
    /// No message: 202 to a notification, or a status without JSON.
    Bare { status: StatusCode, headers: HeaderMap },
}

impl Answer {
    pub(crate) const fn headers(&self) -> &HeaderMap {
        match self {
            Self::Json { headers, .. }
            | Self::Long { headers, .. }
            | Self::Events { headers, .. }
            | Self::Bare { headers, .. } => headers,
        }
    }

    /// How long the server asks to be left alone: seconds only, a date would need clocks that agree (RFC 9110, 10.2.3).
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let text = self.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
        text.trim().parse().ok().map(Duration::from_secs)
    }

    pub(crate) const fn status(&self) -> StatusCode {
        match self {
            Self::Json { status, .. } | Self::Long { status, .. } | Self::Bare { status, .. } => *status,
            Self::Events { .. } => StatusCode::OK,
        }
    }
}

/// Replies up to this size are read whole before the client gets the first byte: then a lost connection can still be
/// told honestly, and the client is written to once.
const WHOLE: u64 = 256 << 10;

/// Sends to one instance and reads enough of the answer to know its kind.
pub(crate) async fn exchange(instance: &Instance, outgoing: &Outgoing) -> Result<Answer, SendError> {
    let response = instance.connections.send(outgoing.request(instance, None)).await?;
    sort(response).await
}

/// Like [`exchange`], and tells one of our servers how long the call may still take.
pub(crate) async fn exchange_within(
    instance: &Instance,
    outgoing: &Outgoing,
    remaining: Duration,
) -> Result<Answer, SendError> {
    let response = instance.connections.send(outgoing.request(instance, Some(remaining))).await?;
    sort(response).await
}

async fn sort(response: Response<ReplyBody>) -> Result<Answer, SendError> {
    let (parts, mut body) = response.into_parts();
    let media = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "text/event-stream" if parts.status.is_success() => Ok(Answer::Events { headers: parts.headers, body }),
        "application/json" if body.size_hint().exact().is_some_and(|size| size <= WHOLE) => {
            let body = whole(&mut body, WHOLE).await?;
            Ok(Answer::Json { status: parts.status, headers: parts.headers, body })
        }
        "application/json" => Ok(Answer::Long { status: parts.status, headers: parts.headers, body }),
        _ => {
            // Read to the end, so that the connection can be used again; a long page of text is not worth that.
            let _ = whole(&mut body, 64 << 10).await;
            Ok(Answer::Bare { status: parts.status, headers: parts.headers })
        }
    }
}

/// Reads a body of at most `limit` bytes.
pub(crate) async fn whole(body: &mut ReplyBody, limit: u64) -> Result<Bytes, SendError> {
    let lost = |error: &dyn std::fmt::Display| SendError::Lost(error.to_string());
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    let mut seen = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| lost(&error))?.into_data() else { continue };
        seen += data.len() as u64;
        if seen > limit {
            return Err(lost(&"the answer is larger than the gateway accepts"));
        }
        match &first {
            None => first = Some(data),
            Some(begun) => {
                if rest.is_empty() {
                    rest.extend_from_slice(begun);
                }
                rest.extend_from_slice(&data);
            }
        }
    }
    Ok(if rest.is_empty() { first.unwrap_or_default() } else { rest.freeze() })
}

/// The one response that an answer holds, whether it came as JSON or as the end of a stream of events.
pub(crate) async fn response(answer: Answer, limit: usize) -> Result<(StatusCode, Bytes), SendError> {
    match answer {
        Answer::Json { status, body, .. } => Ok((status, body)),
        Answer::Long { status, mut body, .. } => Ok((status, whole(&mut body, limit as u64).await?)),
        Answer::Events { body, .. } => {
            let mut events = Events::new(body, limit);
            while let Some(event) = events.next().await? {
                if weft_wire::reply::scan(&event.data).is_response {
                    return Ok((StatusCode::OK, event.data.into()));
                }
            }
            Err(SendError::Lost("the stream ended before the answer".into()))
        }
        Answer::Bare { status, .. } => Err(SendError::Lost(format!("status {} without a message", status.as_u16()))),
    }
}

/// The events of a server's stream, one by one.
pub(crate) struct Events {
    body: ReplyBody,
    decoder: weft_wire::sse::Decoder,
}

impl Events {
    pub(crate) fn new(body: ReplyBody, limit: usize) -> Self {
        Self { body, decoder: weft_wire::sse::Decoder::new(limit) }
    }

    /// The next event; none when the server ended its stream in order. Safe to drop and call again.
    pub(crate) async fn next(&mut self) -> Result<Option<weft_wire::sse::Event>, SendError> {
        loop {
            let decoded = self.decoder.next().map_err(|error| SendError::Lost(error.to_string()))?;
            if decoded.is_some() {
                return Ok(decoded);
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(SendError::Lost(error.to_string())),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.decoder.feed(&data);
                    }
                }
            }
        }
    }
}
