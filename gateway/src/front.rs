//! Ways in besides Streamable HTTP: the old HTTP+SSE transport, and plain REST.
//!
//! Each is a translation at the door and nothing more: what comes in becomes a request of MCP that takes the same steps as every
//! other, from authentication to the record.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Method, Request, Response, header, request::Parts};
use http_body_util::Full;

use crate::{
    Gateway,
    door::{self, Surface},
    listen::Peer,
    path,
    record::Record,
    refusal::Refusal,
    reply::Body,
};

mod openapi;
pub(crate) mod pipe;
mod rest;

/// Another way in.
pub(crate) enum Front {
    /// `GET /sse`, `GET /sse/<service>`: the stream.
    Stream(Surface),
    /// `POST /messages`: a message for a stream.
    Message,
    /// `/mcp/v1/…`.
    Rest(rest::Route),
    /// A browser asking for permission to use one of these.
    Preflight,
}

impl Front {
    /// The front that a request is for; none when it is for MCP itself.
    pub(crate) fn of(parts: &Parts) -> Result<Option<Self>, Refusal> {
        let path = parts.uri.path();
        let asks = parts.method == Method::OPTIONS && parts.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if asks && (path.starts_with("/mcp/v1/") || path == "/messages" || path == "/sse" || path.starts_with("/sse/"))
        {
            return Ok(Some(Self::Preflight));
        }
        if let Some(rest) = path.strip_prefix("/mcp/v1/") {
            return rest::Route::of(&parts.method, rest).map(|route| Some(Self::Rest(route)));
        }
        let wanted = match path {
            "/messages" => (Method::POST, Self::Message),
            _ if path == "/sse" || path.starts_with("/sse/") => (Method::GET, Self::Stream(door::below("/sse", path)?)),
            _ => return Ok(None),
        };
        if parts.method == wanted.0 { Ok(Some(wanted.1)) } else { Err(Refusal::MethodNotAllowed) }
    }

    pub(crate) async fn answer<B>(
        self,
        gateway: &Arc<Gateway>,
        peer: &Peer,
        (parts, body): (Parts, B),
        record: &mut Record,
    ) -> Result<Response<Body>, Refusal>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    {
        match self {
            Self::Preflight => {
                record.keep_silent();
                Ok(path::preflight(&parts))
            }
            Self::Stream(surface) => pipe::open(gateway, peer, &parts, surface, record),
            Self::Message => pipe::message(gateway, peer, (parts, body), record).await,
            Self::Rest(route) => {
                let answered = rest::answer(gateway, peer, route, (parts, body)).await;
                if answered.is_ok() {
                    record.keep_silent();
                }
                answered
            }
        }
    }
}

/// The answer to a request that a front has made.
fn inner(gateway: &Arc<Gateway>, peer: &Peer, request: Request<Full<Bytes>>) -> BoxFuture<'static, Response<Body>> {
    Box::pin(path::serve(Arc::clone(gateway), peer.clone(), request))
}
