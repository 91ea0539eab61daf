//! The headers that mirror a message in the stateless era, and the check that they say what the body says.
//!
//! Intermediaries route on them without reading the body, so a request whose headers and body differ is refused with
//! [`crate::code::HEADER_MISMATCH`] (MCP 2026-07-28, Streamable HTTP, request metadata; SEP-2243).

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

use crate::envelope::{Notification, Request};

mod decimal;
mod declared;
mod params;

pub use declared::{ParamHeader, Primitive, param_headers};
pub use params::{agree_params, mirror_params};

/// The method.
pub const METHOD: &str = "mcp-method";
/// What the method is about: a name, a URI or a task's id.
pub const NAME: &str = "mcp-name";
/// The revision of the protocol.
pub const PROTOCOL_VERSION: &str = "mcp-protocol-version";
/// The session, in the session era.
pub const SESSION_ID: &str = "mcp-session-id";
/// Where a stream is taken up again, in the session era.
pub const LAST_EVENT_ID: &str = "last-event-id";
/// What the names of mirrored arguments begin with.
pub const PARAM_PREFIX: &str = "mcp-param-";

const SENTINEL: (&str, &str) = ("=?base64?", "?=");

/// How headers and body disagree; always answered with [`crate::code::HEADER_MISMATCH`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderFault {
    /// A header that this message must have is absent.
    #[error("the header {0} is missing; it must repeat what the body says")]
    Missing(String),
    /// A header does not say what the body says.
    #[error("the header {0} does not match the body; both must say the same")]
    Mismatch(String),
    /// A header has characters that none may have, or its encoded value cannot be read.
    #[error("the header {0} is not correctly encoded; wrap the Base64 of its UTF-8 in =?base64?…?=")]
    Encoding(String),
    /// The arguments cannot be compared with their headers.
    #[error("the arguments {0}")]
    Arguments(&'static str),
    /// A tool's mark for a mirrored argument breaks a rule.
    #[error("x-mcp-header: {0}")]
    Schema(String),
}

impl HeaderFault {
    /// The message of the error that answers this.
    pub fn message(&self) -> String {
        self.to_string()
    }
}

/// The mirrored headers of a request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Standard<'h> {
    /// `MCP-Protocol-Version`.
    pub version: Option<&'h str>,
    /// `Mcp-Method`.
    pub method: Option<&'h str>,
    /// `Mcp-Name`, as it came.
    pub name: Option<&'h str>,
}

/// A value as a header: itself where it survives as one, otherwise wrapped in Base64.
pub fn encode(value: &str) -> Cow<'_, str> {
    let edge = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let bytes = value.as_bytes();
    let plain = bytes.iter().all(|byte| (0x20..0x7f).contains(byte)) && !edge(bytes.first()) && !edge(bytes.last());
    let alike = value.starts_with(SENTINEL.0) && value.ends_with(SENTINEL.1);
    if plain && !alike {
        Cow::Borrowed(value)
    } else {
        Cow::Owned(format!("{}{}{}", SENTINEL.0, BASE64.encode(value), SENTINEL.1))
    }
}

/// What [`encode`] was given. White space around a header is not part of it (RFC 9110 section 5.5).
pub fn decode(value: &str) -> Result<Cow<'_, str>, HeaderFault> {
    let fault = || HeaderFault::Encoding("value".into());
    let value = trimmed(value);
    if !value.bytes().all(|byte| matches!(byte, b'\t' | 0x20..0x7f)) {
        return Err(fault());
    }
    let Some(inner) = value.strip_prefix(SENTINEL.0).and_then(|rest| rest.strip_suffix(SENTINEL.1)) else {
        return Ok(Cow::Borrowed(value));
    };
    let text = BASE64.decode(inner).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    text.map(Cow::Owned).ok_or_else(fault)
}

fn trimmed(value: &str) -> &str {
    value.trim_matches([' ', '\t'])
}

/// Checks a request's headers against its body.
pub fn agree(headers: &Standard<'_>, request: &Request<'_>) -> Result<(), HeaderFault> {
    let params = &request.params;
    let stated = params.meta.as_ref().and_then(|meta| meta.protocol_version.as_deref());
    same("MCP-Protocol-Version", headers.version.map(trimmed), stated)?;
    same("Mcp-Method", headers.method.map(trimmed), Some(&request.method))?;
    let name = match &*request.method {
        "tools/call" | "prompts/get" => params.name.as_ref(),
        "resources/read" => params.uri.as_ref(),
        "tasks/get" | "tasks/update" | "tasks/cancel" => params.task_id.as_ref(),
        // Where the method has no name, a header that comes all the same means nothing.
        _ => return Ok(()),
    };
    let decoded = headers.name.map(decode).transpose().map_err(|_| HeaderFault::Encoding("Mcp-Name".into()))?;
    same("Mcp-Name", decoded.as_deref(), name.map(|name| &*name.value))
}

/// Checks a notification's headers against its body: its method alone (SEP-2243; the revision itself says nothing of them).
pub fn agree_notification(headers: &Standard<'_>, notification: &Notification<'_>) -> Result<(), HeaderFault> {
    same("Mcp-Method", headers.method.map(trimmed), Some(&notification.method))
}

/// A value that the body lacks is the method's concern, not the header's.
fn same(name: &str, header: Option<&str>, body: Option<&str>) -> Result<(), HeaderFault> {
    match (header, body) {
        (_, None) => Ok(()),
        (None, Some(_)) => Err(HeaderFault::Missing(name.to_owned())),
        (Some(header), Some(body)) if header == body => Ok(()),
        _ => Err(HeaderFault::Mismatch(name.to_owned())),
    }
}
