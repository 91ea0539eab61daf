//! The headers that mirror a message in the stateless era, and the check that they say what the body says.
//!
//! Intermediaries route on them without reading the body, so a request whose headers and body differ is refused with
//! [`crate::code::HEADER_MISMATCH`] (MCP 2026-07-28, Streamable HTTP, request metadata; SEP-2243).

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

use crate::envelope::{Notification, Request};

mod params;

pub use params::{ParamHeader, Primitive, agree_params, param_headers};

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

/// How headers and body disagree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderFault {
    /// A header that this message must have is absent.
    #[error("the header {0} is missing")]
    Missing(String),
    /// A header does not say what the body says.
    #[error("the header {0} does not match the body")]
    Mismatch(String),
    /// A header's encoded value cannot be read.
    #[error("the header {0} is not correctly encoded")]
    Encoding(String),
    /// A tool's mark for a mirrored argument breaks a rule.
    #[error("x-mcp-header of {0}")]
    Schema(String),
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

/// What [`encode`] was given.
pub fn decode(value: &str) -> Result<Cow<'_, str>, HeaderFault> {
    let Some(inner) = value.strip_prefix(SENTINEL.0).and_then(|rest| rest.strip_suffix(SENTINEL.1)) else {
        return Ok(Cow::Borrowed(value));
    };
    let text = BASE64.decode(inner).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    text.map(Cow::Owned).ok_or_else(|| HeaderFault::Encoding("value".into()))
}

/// Checks a request's headers against its body.
pub fn agree(headers: &Standard<'_>, request: &Request<'_>) -> Result<(), HeaderFault> {
    let params = &request.params;
    let stated = params.meta.as_ref().and_then(|meta| meta.protocol_version.as_deref());
    same("MCP-Protocol-Version", headers.version, stated)?;
    same("Mcp-Method", headers.method, Some(&request.method))?;
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

/// Checks a notification's headers against its body.
pub fn agree_notification(headers: &Standard<'_>, notification: &Notification<'_>) -> Result<(), HeaderFault> {
    same("Mcp-Method", headers.method, Some(&notification.method))
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::envelope::{Body, Limits, Message, read};

    #[test]
    fn plain_values_travel_as_they_are() {
        assert_eq!(encode("read_file"), "read_file");
        assert_eq!(encode("with space"), "with space");
        assert_eq!(encode("größe"), "=?base64?Z3LDtsOfZQ==?=");
        assert_eq!(encode(" edge"), "=?base64?IGVkZ2U=?=");
        assert!(encode("=?base64?x?=").starts_with("=?base64?PT9"));
        assert!(decode("=?base64?***?=").is_err());
    }

    proptest! {
        #[test]
        fn what_is_encoded_reads_back_and_is_a_header(text in any::<String>()) {
            let encoded = encode(&text).into_owned();
            prop_assert!(encoded.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
            prop_assert_eq!(decode(&encoded).unwrap(), text);
        }
    }

    #[test]
    fn each_disagreement_is_found() {
        let body = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
        let Ok(Body::One(Message::Request(request))) = read(body, &Limits::default()) else { panic!() };
        let good = Standard { version: Some("2026-07-28"), method: Some("tools/call"), name: Some("t") };
        assert_eq!(agree(&good, &request), Ok(()));
        assert_eq!(agree(&Standard { name: Some("=?base64?dA==?="), ..good }, &request), Ok(()));
        let bad = [
            (Standard { version: None, ..good }, "MCP-Protocol-Version is missing"),
            (Standard { version: Some("2025-11-25"), ..good }, "MCP-Protocol-Version does not match"),
            (Standard { method: None, ..good }, "Mcp-Method is missing"),
            (Standard { method: Some("Tools/call"), ..good }, "Mcp-Method does not match"),
            (Standard { name: None, ..good }, "Mcp-Name is missing"),
            (Standard { name: Some("T"), ..good }, "Mcp-Name does not match"),
            (Standard { name: Some("=?base64?!?="), ..good }, "Mcp-Name is not correctly encoded"),
        ];
        for (headers, why) in bad {
            assert!(agree(&headers, &request).unwrap_err().to_string().contains(why), "{why}");
        }
    }
}
