//! Answers over HTTP: one message, a stream that ends with one, or a stream without end.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use tokio::sync::mpsc;
use weft_wire::{code, envelope::Id, reply::scan, sse};

use crate::{Body, Options, line::Asked, pool::NoLine};

/// The longest silence on a stream.
const KEEP_ALIVE: Duration = Duration::from_secs(12);

/// An answer without a body.
pub(crate) fn bare(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Empty::new().boxed_unsync());
    *response.status_mut() = status;
    response
}

/// One message.
pub(crate) fn json(status: StatusCode, message: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(message.into()).boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A refusal.
pub(crate) fn refusal(status: StatusCode, id: Option<&Id<'_>>, code: i64, why: &str) -> Response<Body> {
    json(status, code::error_body(id, code, why, None))
}

fn events(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    response
}

fn event(message: &[u8]) -> Frame<Bytes> {
    let mut out = Vec::with_capacity(message.len() + 32);
    sse::write_event(&mut out, None, Some("message"), message, None);
    Frame::data(out.into())
}

fn comment() -> Frame<Bytes> {
    let mut out = Vec::new();
    sse::write_comment(&mut out, "keep-alive");
    Frame::data(out.into())
}

/// The answer of a call: its response alone if nothing comes before it, otherwise a stream that ends with it.
pub(crate) async fn of_call(mut asked: Asked) -> Response<Body> {
    let first = tokio::time::timeout(KEEP_ALIVE, asked.from.recv()).await;
    let first = match first {
        Ok(None) => return bare(StatusCode::BAD_GATEWAY),
        Ok(Some(message)) if scan(&message).is_response => return json(StatusCode::OK, message),
        Ok(Some(message)) => event(&message),
        Err(_) => comment(),
    };
    let frames = stream::unfold((Some(first), Some(asked)), |(first, asked)| async move {
        let mut asked = asked?;
        if let Some(first) = first {
            return Some((Ok::<_, Infallible>(first), (None, Some(asked))));
        }
        match tokio::time::timeout(KEEP_ALIVE, asked.from.recv()).await {
            Ok(None) => None,
            Ok(Some(message)) if scan(&message).is_response => Some((Ok(event(&message)), (None, None))),
            Ok(Some(message)) => Some((Ok(event(&message)), (None, Some(asked)))),
            Err(_) => Some((Ok(comment()), (None, Some(asked)))),
        }
    });
    events(StreamBody::new(frames).boxed_unsync())
}

/// What is said outside of any call.
pub(crate) fn of_listener(from: mpsc::Receiver<Bytes>) -> Response<Body> {
    let frames = stream::unfold(from, |mut from| async move {
        match tokio::time::timeout(KEEP_ALIVE, from.recv()).await {
            Ok(message) => Some((Ok::<_, Infallible>(event(&message?)), from)),
            Err(_) => Some((Ok(comment()), from)),
        }
    });
    events(StreamBody::new(frames).boxed_unsync())
}

/// There is no line to the server.
pub(crate) fn no_line(options: &Options, refused: NoLine, id: &Id<'_>) -> Response<Body> {
    let (why, wait) = match refused {
        NoLine::Full => {
            let most = options.most;
            (
                format!("{:?} has {most} sessions, which is its limit; end one, or raise children", options.name),
                Duration::from_secs(5),
            )
        }
        NoLine::Failed(why, wait) => (format!("{:?} cannot be started: {why}", options.name), wait),
    };
    tracing::warn!(service = &*options.name, why, "no line to a server");
    let mut response = refusal(StatusCode::SERVICE_UNAVAILABLE, Some(id), code::INTERNAL_ERROR, &why);
    let seconds = wait.as_millis().div_ceil(1000).max(1);
    if let Ok(value) = HeaderValue::try_from(seconds.to_string()) {
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    response
}

/// A session that is not known: the client begins another.
pub(crate) fn unknown(token: Option<&str>, id: Option<&Id<'_>>) -> Response<Body> {
    match token {
        Some(_) => refusal(
            StatusCode::NOT_FOUND,
            id,
            code::INVALID_REQUEST,
            "this session is not known; begin with initialize",
        ),
        None => refusal(
            StatusCode::BAD_REQUEST,
            id,
            code::INVALID_REQUEST,
            "Mcp-Session-Id is missing; begin with initialize",
        ),
    }
}
