//! The codes of JSON-RPC and MCP errors, the HTTP status of each per era, and the few messages that the mesh writes itself.

use crate::{envelope::Id, splice::quote, version::Era};

/// Not JSON (JSON-RPC 2.0 section 5.1).
pub const PARSE_ERROR: i64 = -32700;
/// Not a request.
pub const INVALID_REQUEST: i64 = -32600;
/// No such method.
pub const METHOD_NOT_FOUND: i64 = -32601;
/// The parameters are wrong.
pub const INVALID_PARAMS: i64 = -32602;
/// The server failed.
pub const INTERNAL_ERROR: i64 = -32603;
/// No such resource, in the session era.
pub const RESOURCE_NOT_FOUND_LEGACY: i64 = -32002;
/// A page must be visited first, in the session era (2025-11-25).
pub const URL_ELICITATION: i64 = -32042;
/// Mirrored headers and body disagree (2026-07-28).
pub const HEADER_MISMATCH: i64 = -32020;
/// The client did not declare a needed capability (2026-07-28).
pub const MISSING_CAPABILITY: i64 = -32021;
/// The version is not spoken here (2026-07-28).
pub const UNSUPPORTED_VERSION: i64 = -32022;

/// The HTTP status that carries an error of this code (MCP 2026-07-28, Streamable HTTP; 2025-11-25, transports).
pub const fn http_status(era: Era, code: i64) -> u16 {
    match (era, code) {
        (_, PARSE_ERROR | INVALID_REQUEST)
        | (Era::Stateless, HEADER_MISMATCH | MISSING_CAPABILITY | UNSUPPORTED_VERSION) => 400,
        (Era::Stateless, METHOD_NOT_FOUND) => 404,
        _ => 200,
    }
}

/// An error message; `data` is raw JSON. The id is null when none is known.
pub fn error_body(id: Option<&Id<'_>>, code: i64, message: &str, data: Option<&str>) -> Vec<u8> {
    let id = id.map_or("null", Id::as_raw);
    let data = data.map_or_else(String::new, |data| format!(r#","data":{data}"#));
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":{}{data}}}}}"#, quote(message))
        .into_bytes()
}

/// A result message; `result` is raw JSON.
pub fn result_body(id: &Id<'_>, result: &str) -> Vec<u8> {
    let mut out = result_head(id);
    out.reserve_exact(result.len() + RESULT_END.len());
    out.push_str(result);
    out.push_str(RESULT_END);
    out.into_bytes()
}

/// What stands before the result of a response.
pub fn result_head(id: &Id<'_>) -> String {
    [r#"{"jsonrpc":"2.0","id":"#, id.as_raw(), r#","result":"#].concat()
}

/// What stands behind the result of a response.
pub const RESULT_END: &str = "}";

/// The result of a tool call that failed, readable by a model; `structured` is raw JSON of an object.
pub fn tool_error(text: &str, structured: Option<&str>, era: Era) -> String {
    let kind = match era {
        Era::Stateless => r#""resultType":"complete","#,
        Era::Session => "",
    };
    let structured = structured.map_or_else(String::new, |raw| format!(r#","structuredContent":{raw}"#));
    format!(r#"{{{kind}"content":[{{"type":"text","text":{}}}],"isError":true{structured}}}"#, quote(text))
}
