//! The server cut down to one era, as a server looks that was written for it alone.
//!
//! What stands in front only refuses: a server of the session era refuses requests that name a newer version the way such servers
//! do, with a plain 400; one of the stateless era knows neither `initialize` nor GET and DELETE.

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};

/// The one era that is spoken.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Only {
    /// Up to 2025-11-25.
    Session,
    /// From 2026-07-28.
    Stateless,
}

/// Refuses what the other era says.
pub(crate) async fn refuse_others(only: Only, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(bytes) = to_bytes(body, 8 << 20).await else { return StatusCode::BAD_REQUEST.into_response() };
    let message: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let stated = message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"].is_string();
    let refused = match only {
        Only::Session => {
            let header =
                parts.headers.get("mcp-protocol-version").is_some_and(|it| it.as_bytes() >= b"2026".as_slice());
            (stated || header || message["method"] == "server/discover")
                .then(|| error(&message, StatusCode::BAD_REQUEST, -32000, "Bad Request: Unsupported protocol version"))
        }
        Only::Stateless if parts.method != Method::POST => Some(StatusCode::METHOD_NOT_ALLOWED.into_response()),
        Only::Stateless => (message["method"] == "initialize" || message["method"].is_string() && !stated)
            .then(|| error(&message, StatusCode::NOT_FOUND, -32601, "Method not found")),
    };
    match refused {
        Some(response) => response,
        None => next.run(Request::from_parts(parts, Body::from(bytes))).await,
    }
}

fn error(message: &Value, status: StatusCode, code: i64, text: &str) -> Response {
    let body = json!({ "jsonrpc": "2.0", "id": message["id"], "error": { "code": code, "message": text } });
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
