//! REST: MCP's calls as plain JSON over `/mcp/v1/…`, for programs that speak no MCP.
//!
//! A body is the params of the method; an answer is its result, or an error with the HTTP status that says what it is. Each
//! becomes one request of the stateless era.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header, request::Parts};
use http_body_util::Full;
use weft_wire::{
    code,
    headers::{self, encode},
    members::Members,
    splice::quote,
    version::Version,
};

use super::{inner, openapi};
use crate::{
    Gateway,
    door::Surface,
    envelope::collect,
    listen::Peer,
    refusal::Refusal,
    reply::{Body, json, last},
};

/// What a path of the facade asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// A method of MCP.
    Call(&'static str),
    /// One tool, with its arguments as the body.
    Tool(String),
    /// The description of all this.
    Document,
}

/// The paths, and the methods behind them; lists can be had by GET too.
pub(super) const ROUTES: [(&str, &str, bool); 9] = [
    ("initialize", "server/discover", true),
    ("tools/list", "tools/list", true),
    ("tools/call", "tools/call", false),
    ("resources/list", "resources/list", true),
    ("resources/templates/list", "resources/templates/list", true),
    ("resources/read", "resources/read", false),
    ("prompts/list", "prompts/list", true),
    ("prompts/get", "prompts/get", false),
    ("completion/complete", "completion/complete", false),
];

impl Route {
    pub(super) fn of(method: &Method, path: &str) -> Result<Self, Refusal> {
        if path == "openapi.json" {
            return if method == Method::GET { Ok(Self::Document) } else { Err(Refusal::MethodNotAllowed) };
        }
        if let Some((_, mcp, lists)) = ROUTES.iter().find(|(known, ..)| *known == path) {
            let allowed = method == Method::POST || (*lists && method == Method::GET);
            return if allowed { Ok(Self::Call(mcp)) } else { Err(Refusal::MethodNotAllowed) };
        }
        match path.strip_prefix("tools/") {
            Some(name) if !name.is_empty() && !name.contains('/') => {
                if method == Method::POST {
                    Ok(Self::Tool(name.to_owned()))
                } else {
                    Err(Refusal::MethodNotAllowed)
                }
            }
            _ => Err(Refusal::NotFound),
        }
    }
}

/// Answers one request.
pub(super) async fn answer<B>(
    gateway: &Arc<Gateway>,
    peer: &Peer,
    route: Route,
    (parts, body): (Parts, B),
) -> Result<Response<Body>, Refusal>
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    // Before the body is read. What it becomes is asked again who it is from, and there it is counted.
    let caller = gateway.authenticator.identify(peer, &parts.headers)?;
    if route == Route::Document {
        let paced = gateway.admission.pace(caller)?;
        let view = gateway.catalogue.view_of(&Surface::Aggregate, paced.caller().role()).ok_or(Refusal::NotFound)?;
        return Ok(json(openapi::document(&view)));
    }
    let settings = &gateway.settings;
    let body = collect(body, settings.limits.body_bytes, Duration::from_secs(settings.timeouts.body_seconds)).await?;
    let text = match std::str::from_utf8(&body).map(str::trim) {
        Ok("") => "{}",
        Ok(text) => text,
        Err(_) => return Ok(problem(StatusCode::BAD_REQUEST, code::PARSE_ERROR, "the body is not UTF-8", None)),
    };
    let Some(mut params) = Members::parse(text) else {
        let why = "the body must be a JSON object with each key once: the parameters of the call";
        return Ok(problem(StatusCode::BAD_REQUEST, code::PARSE_ERROR, why, None));
    };
    let method = match &route {
        Route::Document => return Err(Refusal::NotFound),
        Route::Call(method) => method,
        Route::Tool(name) => {
            let mut call = Members::default();
            call.set("name", quote(name));
            call.set("arguments", text.to_owned());
            params = call;
            "tools/call"
        }
    };
    let Some(request) = request(&parts, method, params) else {
        return Ok(problem(StatusCode::BAD_REQUEST, code::INVALID_PARAMS, "a name or URI cannot be sent on", None));
    };
    let response = inner(gateway, peer, request).await;
    let status = response.status();
    let retry = response.headers().get(header::RETRY_AFTER).cloned();
    let message = last(response, settings.limits.reply_bytes).await;
    Ok(rendered(status, retry, &message))
}

/// The request of MCP.
fn request(parts: &Parts, method: &str, mut params: Members<'_>) -> Option<Request<Full<Bytes>>> {
    let capabilities = params.remove("capabilities").unwrap_or_else(|| "{}".into());
    let name = match method {
        "tools/call" | "prompts/get" => params.text("name").map(|name| encode(&name).into_owned()),
        "resources/read" => params.text("uri").map(|uri| encode(&uri).into_owned()),
        _ => None,
    };
    let version = Version::LATEST.as_str();
    params.set(
        "_meta",
        format!(
            r#"{{"io.modelcontextprotocol/protocolVersion":"{version}","io.modelcontextprotocol/clientInfo":{{"name":"rest","version":"1"}},"io.modelcontextprotocol/clientCapabilities":{capabilities}}}"#
        ),
    );
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":{},"params":{}}}"#, quote(method), params.to_json());
    let mut request = Request::new(Full::new(Bytes::from(body)));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = "/mcp".parse().ok()?;
    let out = request.headers_mut();
    for (name, value) in &parts.headers {
        if !matches!(name.as_str(), "content-length" | "transfer-encoding" | "connection" | "content-encoding") {
            out.append(name.clone(), value.clone());
        }
    }
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    out.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    out.insert(headers::PROTOCOL_VERSION, HeaderValue::from_static("2026-07-28"));
    out.insert(headers::METHOD, HeaderValue::from_str(method).ok()?);
    out.remove(headers::SESSION_ID);
    match name {
        Some(name) => drop(out.insert(headers::NAME, HeaderValue::from_str(&name).ok()?)),
        None => drop(out.remove(headers::NAME)),
    }
    Some(request)
}

fn rendered(status: StatusCode, retry: Option<HeaderValue>, message: &Bytes) -> Response<Body> {
    let parsed = std::str::from_utf8(message).ok().and_then(Members::parse).unwrap_or_default();
    if let Some(mut result) = parsed.get("result").and_then(Members::parse) {
        let asks = result.remove("resultType").is_some_and(|kind| kind == "\"input_required\"");
        result.remove("ttlMs");
        result.remove("cacheScope");
        result.remove("_meta");
        let mut response = json(result.to_json());
        if asks {
            // To be sent again with `inputResponses` and this `requestState`.
            *response.status_mut() = StatusCode::CONFLICT;
        }
        return response;
    }
    let error = parsed.get("error").and_then(Members::parse).unwrap_or_default();
    let code = error.get("code").and_then(|raw| raw.parse().ok()).unwrap_or(code::INTERNAL_ERROR);
    let text = error.text("message").unwrap_or_else(|| "the call broke off before it was answered".into());
    let mut response = problem(status_of(status, code, &text), code, &text, error.get("data"));
    if let Some(retry) = retry {
        response.headers_mut().insert(header::RETRY_AFTER, retry);
    }
    response
}

/// The HTTP status that says what an error is.
fn status_of(status: StatusCode, code: i64, text: &str) -> StatusCode {
    match code {
        _ if !status.is_success() && status != StatusCode::NOT_FOUND => status,
        code::INVALID_PARAMS if text.starts_with("unknown") => StatusCode::NOT_FOUND,
        code::METHOD_NOT_FOUND => StatusCode::NOT_FOUND,
        code::INVALID_PARAMS | code::INVALID_REQUEST | code::PARSE_ERROR => StatusCode::BAD_REQUEST,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// An error; `data` is raw JSON.
fn problem(status: StatusCode, code: i64, message: &str, data: Option<&str>) -> Response<Body> {
    let data = data.map_or_else(String::new, |data| format!(r#","data":{data}"#));
    let mut response = json(format!(r#"{{"error":{{"code":{code},"message":{}{data}}}}}"#, quote(message)));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_methods_tools_and_the_document() {
        let of = |method: Method, path: &str| Route::of(&method, path);
        assert_eq!(of(Method::GET, "tools/list").unwrap(), Route::Call("tools/list"));
        assert_eq!(of(Method::POST, "tools/call").unwrap(), Route::Call("tools/call"));
        assert_eq!(of(Method::POST, "tools/echo_echo").unwrap(), Route::Tool("echo_echo".into()));
        assert_eq!(of(Method::GET, "openapi.json").unwrap(), Route::Document);
        assert!(matches!(of(Method::GET, "tools/call"), Err(Refusal::MethodNotAllowed)));
        assert!(matches!(of(Method::POST, "tools/a/b"), Err(Refusal::NotFound)));
        assert!(matches!(of(Method::GET, "nothing"), Err(Refusal::NotFound)));
    }
}
