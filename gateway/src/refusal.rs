//! The closed table of every "no": refusal → HTTP status, JSON-RPC code, metric label, message.
//!
//! Everything the gateway declines goes through [`Refusal`]; no other file builds an error response. That keeps the
//! promise of one page that says what a client can ever see, and of one rule: a broken server is told to the model
//! as a tool result it can read, never as a bare 5xx, because clients of MCP neither retry nor show those.

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use weft_wire::{code, envelope::Id, version::Era};

use crate::{authenticate::Denied, record::Record, reply::Body};

/// Why a service could not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// No instance is registered or admitted.
    NoInstance,
    /// Nothing could be sent to it.
    Unreachable,
    /// It, or the gateway's limit for it, is at its limit.
    Busy,
    /// The connection failed, or closed before the answer was whole.
    Lost,
    /// The deadline passed.
    Timeout,
    /// The instance answered with something that is not MCP.
    Nonsense,
    /// Another server, which speaks other versions, has taken its place.
    Exchanged,
}

impl Broken {
    const fn reason(self) -> &'static str {
        match self {
            Self::NoInstance => "no instance is available",
            Self::Unreachable => "it cannot be reached",
            Self::Busy => "it is at its limit",
            Self::Lost => "the connection to it was lost before it answered",
            Self::Timeout => "it did not answer in time",
            Self::Nonsense => "its answer was not a valid MCP message",
            Self::Exchanged => "it has been exchanged for one of another version; nothing was done, call again",
        }
    }

    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::NoInstance => "no_instance",
            Self::Unreachable => "upstream_unreachable",
            Self::Busy => "upstream_busy",
            Self::Lost => "upstream_lost",
            Self::Timeout => "upstream_timeout",
            Self::Nonsense => "upstream_invalid",
            Self::Exchanged => "upstream_exchanged",
        }
    }
}

/// One "no".
#[derive(Debug, Clone)]
pub(crate) enum Refusal {
    /// The path names nothing here.
    NotFound,
    /// The HTTP method has no meaning on this path.
    MethodNotAllowed,
    /// Not `application/json`.
    MediaType,
    /// `Host` is not one of ours (DNS rebinding).
    Host,
    /// `Origin` is not allowed.
    Origin,
    /// No accepted credentials.
    Unauthenticated(Denied),
    /// The caller's own rate is spent.
    Rate(Duration),
    /// The body is over the limit, in bytes.
    TooLarge(usize),
    /// The gateway is at its concurrency limit.
    Shed(Duration),
    /// The body is not one acceptable JSON-RPC message.
    Malformed(i64, String),
    /// Mirrored headers and body disagree.
    HeaderMismatch(String),
    /// A protocol version nobody here speaks.
    Version(String),
    /// A key of `_meta` that the stateless era demands is missing.
    MissingMeta(&'static str),
    /// The method does not exist, or not in this era.
    UnknownMethod(String),
    /// The named tool, prompt, resource or cursor does not exist for this caller.
    Unknown(Cow<'static, str>),
    /// The resource does not exist: the code differs between the eras.
    UnknownResource(String),
    /// The session is not, or no longer, known.
    SessionUnknown,
    /// The stream of the HTTP+SSE transport is not, or no longer, open here.
    StreamUnknown,
    /// A server wanted to know something of the client, and did not get to know it.
    Unanswered(String),
    /// The service cannot answer now; `retry` says when to come back.
    Service { service: String, broken: Broken, retry: Duration },
}

impl Refusal {
    /// The value of the metric label `reason`: stable, small, never from the network.
    pub(crate) const fn label(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::MediaType => "media_type",
            Self::Host => "host",
            Self::Origin => "origin",
            Self::Unauthenticated(_) => "unauthenticated",
            Self::Rate(_) => "rate",
            Self::TooLarge(_) => "too_large",
            Self::Shed(_) => "shed",
            Self::Malformed(..) => "malformed",
            Self::HeaderMismatch(_) => "header_mismatch",
            Self::Version(_) => "version",
            Self::MissingMeta(_) => "missing_meta",
            Self::UnknownMethod(_) => "unknown_method",
            Self::Unknown(_) => "unknown_name",
            Self::UnknownResource(_) => "unknown_resource",
            Self::SessionUnknown => "session_unknown",
            Self::StreamUnknown => "stream_unknown",
            Self::Unanswered(_) => "unanswered",
            Self::Service { broken, .. } => broken.label(),
        }
    }

    /// The HTTP status when the refusal is about the request itself and not about one JSON-RPC call.
    const fn status(&self, era: Era) -> StatusCode {
        match self {
            Self::NotFound | Self::SessionUnknown | Self::StreamUnknown => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Host | Self::Origin => StatusCode::FORBIDDEN,
            Self::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Self::Rate(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Malformed(..) | Self::HeaderMismatch(_) | Self::Version(_) | Self::MissingMeta(_) => {
                StatusCode::BAD_REQUEST
            }
            Self::UnknownMethod(_) => match era {
                Era::Stateless => StatusCode::NOT_FOUND,
                Era::Session => StatusCode::OK,
            },
            Self::Shed(_)
            | Self::Unknown(_)
            | Self::UnknownResource(_)
            | Self::Unanswered(_)
            | Self::Service { .. } => StatusCode::OK,
        }
    }

    const fn code(&self, era: Era) -> i64 {
        match self {
            Self::Malformed(code, _) => *code,
            Self::HeaderMismatch(_) => code::HEADER_MISMATCH,
            Self::Version(_) => match era {
                Era::Stateless => code::UNSUPPORTED_VERSION,
                Era::Session => code::INVALID_REQUEST,
            },
            Self::MissingMeta(_) | Self::Unknown(_) => code::INVALID_PARAMS,
            Self::UnknownMethod(_) => code::METHOD_NOT_FOUND,
            Self::UnknownResource(_) => match era {
                Era::Stateless => code::INVALID_PARAMS,
                Era::Session => code::RESOURCE_NOT_FOUND_LEGACY,
            },
            Self::Shed(_) | Self::Unanswered(_) | Self::Service { .. } => code::INTERNAL_ERROR,
            _ => code::INVALID_REQUEST,
        }
    }

    fn message(&self) -> Cow<'_, str> {
        match self {
            Self::NotFound => {
                "nothing is served at this path; the MCP endpoints are /mcp, /mcp/<service> and /mcp/v/<name>".into()
            }
            Self::MethodNotAllowed => "use POST for MCP messages; GET and DELETE need an Mcp-Session-Id".into(),
            Self::MediaType => "send the message as Content-Type: application/json".into(),
            Self::Host => {
                "this Host is not served here; use the address that the gateway printed, or add the name to doors.hosts"
                    .into()
            }
            Self::Origin => "this Origin may not call the gateway; add it to doors.origins".into(),
            Self::Unauthenticated(denied) => denied.message().into(),
            Self::Rate(wait) => format!("too many requests from this caller; retry in {} s", seconds(*wait)).into(),
            Self::TooLarge(limit) => format!("the message is larger than {limit} bytes").into(),
            Self::Shed(wait) => format!("the gateway is at its limit; retry in {} s", seconds(*wait)).into(),
            Self::Malformed(_, message) | Self::HeaderMismatch(message) => message.into(),
            Self::Version(asked) => format!("protocol version {asked:?} is not supported").into(),
            Self::MissingMeta(key) => format!("params._meta must carry {key:?}").into(),
            Self::UnknownMethod(method) => format!("unknown method {method:?}").into(),
            Self::Unknown(what) => what.as_ref().into(),
            Self::UnknownResource(uri) => format!("unknown resource {uri:?}").into(),
            Self::StreamUnknown => {
                "this stream is not open; open GET /sse again and use the address that it names".into()
            }
            Self::Unanswered(why) => why.into(),
            Self::SessionUnknown => "this session is not known; start again with initialize".into(),
            Self::Service { service, broken, retry } => format!(
                "service {service:?} cannot answer: {}; other services are not affected; retry in {} s",
                broken.reason(),
                seconds(*retry)
            )
            .into(),
        }
    }

    fn data(&self) -> Option<String> {
        match self {
            Self::Version(asked) => Some(format!(
                r#"{{"supported":[{}],"requested":{}}}"#,
                supported_versions(),
                weft_wire::splice::quote(asked)
            )),
            Self::UnknownResource(uri) => Some(format!(r#"{{"uri":{}}}"#, weft_wire::splice::quote(uri))),
            Self::Service { service, broken, retry } => Some(format!(
                r#"{{"service":{},"reason":"{}","retryable":true,"retryAfterSeconds":{}}}"#,
                weft_wire::splice::quote(service),
                broken.label(),
                seconds(*retry)
            )),
            Self::Shed(wait) => {
                Some(format!(r#"{{"reason":"shed","retryable":true,"retryAfterSeconds":{}}}"#, seconds(*wait)))
            }
            _ => None,
        }
    }

    /// True when the model should read this as the outcome of its tool call.
    const fn is_outage(&self) -> bool {
        matches!(self, Self::Shed(_) | Self::Unanswered(_) | Self::Service { .. })
    }

    /// The JSON-RPC answer of one call, without HTTP around it.
    pub(crate) fn to_message(&self, era: Era, id: Option<&Id<'_>>, method: &str) -> Vec<u8> {
        match id {
            Some(id) if self.is_outage() && method == "tools/call" => {
                let data = self.data();
                code::result_body(id, &code::tool_error(&self.message(), data.as_deref(), era))
            }
            _ => code::error_body(id, self.code(era), &self.message(), self.data().as_deref()),
        }
    }

    /// The whole HTTP answer.
    pub(crate) fn render(&self, record: &mut Record) -> Response<Body> {
        record.refused(self.label());
        let era = record.era();
        let body = self.to_message(era, record.id(), record.method());
        let mut response = Response::new(Body::full(Bytes::from(body)));
        *response.status_mut() = self.status(era);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        match self {
            Self::Rate(wait) | Self::Shed(wait) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds(*wait)));
            }
            Self::Unauthenticated(denied) => {
                headers.insert(header::WWW_AUTHENTICATE, challenge(*denied));
            }
            Self::MethodNotAllowed => {
                headers.insert(header::ALLOW, HeaderValue::from_static("POST, GET, DELETE"));
            }
            _ => {}
        }
        response
    }
}

/// What says how to do better (RFC 6750, section 3; a request without credentials is told no error).
pub(crate) fn challenge(denied: Denied) -> HeaderValue {
    let error = match denied {
        Denied::Missing => String::new(),
        denied => format!(", error=\"invalid_token\", error_description=\"{}\"", denied.message()),
    };
    HeaderValue::try_from(format!("Bearer realm=\"weft\"{error}"))
        .unwrap_or_else(|_| HeaderValue::from_static("Bearer realm=\"weft\""))
}

/// Whole seconds, rounded up, at least one: what a client can act on.
fn seconds(wait: Duration) -> u64 {
    wait.as_millis().div_ceil(1000).max(1).try_into().unwrap_or(u64::MAX)
}

/// The versions of the stateless era, as JSON strings separated by commas.
pub(crate) fn supported_versions() -> String {
    weft_wire::version::Version::ALL
        .iter()
        .filter(|version| version.era() == Era::Stateless)
        .map(|version| format!("\"{}\"", version.as_str()))
        .collect::<Vec<_>>()
        .join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_a_readable_tool_result_and_never_a_5xx() {
        let refusal = Refusal::Service {
            service: "filesystem".into(),
            broken: Broken::NoInstance,
            retry: Duration::from_millis(2500),
        };
        assert_eq!(refusal.status(Era::Stateless), StatusCode::OK);
        let body = String::from_utf8(refusal.to_message(Era::Stateless, Some(&Id::number(7)), "tools/call")).unwrap();
        assert!(body.contains(r#""isError":true"#), "{body}");
        assert!(body.contains("filesystem") && body.contains("retry in 3 s"), "{body}");
        let body = String::from_utf8(refusal.to_message(Era::Session, Some(&Id::number(7)), "prompts/get")).unwrap();
        assert!(body.contains("-32603"), "{body}");
    }

    #[test]
    fn an_unknown_resource_has_the_code_of_its_era() {
        let refusal = Refusal::UnknownResource("file:///x".into());
        assert_eq!(refusal.code(Era::Stateless), -32602);
        assert_eq!(refusal.code(Era::Session), -32002);
        assert_eq!(refusal.data().as_deref(), Some(r#"{"uri":"file:///x"}"#));
    }

    #[test]
    fn an_unsupported_version_says_which_are() {
        let refusal = Refusal::Version("2031-01-01".into());
        let body = String::from_utf8(refusal.to_message(Era::Stateless, None, "")).unwrap();
        assert!(body.contains(r#""supported":["2026-07-28"]"#) && body.contains("-32022"), "{body}");
    }
}
