//! Step 11: the body that a client reads, and what it holds on to until the last byte or its drop.
//!
//! Dropping a [`Body`] frees everything: the ticket, the connection to the server, the record. So a client that goes away
//! in the stateless era cancels its call by going away, which is what that era asks for.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt as _, combinators::UnsyncBoxBody};

use crate::{admit::Ticket, record::Record};

pub(crate) mod relay;

/// A reply body: bytes at hand, or a stream that makes them.
pub(crate) struct Body {
    kind: Kind,
    ticket: Option<Ticket>,
    record: Option<Record>,
}

enum Kind {
    Full(Option<Bytes>),
    Stream(UnsyncBoxBody<Bytes, Infallible>),
    /// A message passed on while it comes, which can break off.
    Fallible(UnsyncBoxBody<Bytes, std::io::Error>),
}

impl Body {
    pub(crate) const fn full(bytes: Bytes) -> Self {
        Self::of(Kind::Full(Some(bytes)))
    }

    pub(crate) const fn empty() -> Self {
        Self::of(Kind::Full(None))
    }

    pub(crate) fn stream<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes, Error = Infallible> + Send + 'static,
    {
        Self::of(Kind::Stream(body.boxed_unsync()))
    }

    pub(crate) fn fallible<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes, Error = std::io::Error> + Send + 'static,
    {
        Self::of(Kind::Fallible(body.boxed_unsync()))
    }

    const fn of(kind: Kind) -> Self {
        Self { kind, ticket: None, record: None }
    }

    /// The call's place in the gateway is given back with the body.
    pub(crate) fn holding(mut self, ticket: Ticket) -> Self {
        self.ticket = Some(ticket);
        self
    }

    /// The call's memory is closed with the body.
    pub(crate) fn remembered(mut self, record: Record) -> Self {
        self.record = Some(record);
        self
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        match &mut self.kind {
            Kind::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Stream(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
            Kind::Fallible(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Full(bytes) => bytes.is_none(),
            Kind::Stream(body) => body.is_end_stream(),
            Kind::Fallible(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Kind::Stream(body) => body.size_hint(),
            Kind::Fallible(body) => body.size_hint(),
        }
    }
}

/// An answer of one JSON message.
pub(crate) fn json(bytes: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::full(bytes.into()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An answer without a message: a notification was taken.
pub(crate) fn accepted() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = http::StatusCode::ACCEPTED;
    response
}

/// An answer that is a stream of events, with the headers that keep proxies from holding it back.
pub(crate) fn events(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
