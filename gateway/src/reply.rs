//! Step 11: the body that a client reads, and what it holds on to until the last byte or its drop.
//!
//! Dropping a [`Body`] frees everything: the ticket, the connection to the server, the record. So a client that goes away
//! in the stateless era cancels its call by going away, which is what that era asks for.

use std::{
    array,
    convert::Infallible,
    future::Future as _,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt as _, combinators::UnsyncBoxBody};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use weft_wire::{reply::scan, sse};

use crate::{admit::Ticket, record::Record};

pub(crate) mod relay;

/// A reply body: bytes at hand, or a stream that makes them.
pub(crate) struct Body {
    kind: Kind,
    ticket: Option<Ticket>,
    record: Option<Record>,
    /// Ends a stream whose caller may not call any more.
    over: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

enum Kind {
    Full(Option<Bytes>),
    Parts(array::IntoIter<Bytes, 3>),
    Stream(UnsyncBoxBody<Bytes, Infallible>),
    /// A message passed on while it comes, which can break off.
    Fallible(UnsyncBoxBody<Bytes, std::io::Error>),
}

impl Body {
    pub(crate) const fn full(bytes: Bytes) -> Self {
        Self::of(Kind::Full(Some(bytes)))
    }

    /// One message in parts, which need not be copied together.
    pub(crate) fn parts(parts: [Bytes; 3]) -> Self {
        Self::of(Kind::Parts(parts.into_iter()))
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
        Self { kind, ticket: None, record: None, over: None }
    }

    /// The call's place in the gateway is given back with the body.
    pub(crate) fn holding(mut self, ticket: Ticket) -> Self {
        self.ticket = Some(ticket);
        self
    }

    /// A stream ends when this is cancelled; what is at hand already is said.
    pub(crate) fn until(mut self, over: Option<CancellationToken>) -> Self {
        if !matches!(self.kind, Kind::Full(_) | Kind::Parts(_)) {
            self.over = over.map(|over| Box::pin(over.cancelled_owned()));
        }
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
        if self.over.as_mut().is_some_and(|over| over.as_mut().poll(cx).is_ready()) {
            // Whatever made the stream is dropped with it.
            self.kind = Kind::Full(None);
            self.over = None;
        }
        match &mut self.kind {
            Kind::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Parts(parts) => Poll::Ready(parts.next().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Stream(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
            Kind::Fallible(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Full(bytes) => bytes.is_none(),
            Kind::Parts(parts) => parts.len() == 0,
            Kind::Stream(body) => body.is_end_stream(),
            Kind::Fallible(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Kind::Parts(parts) => SizeHint::with_exact(parts.as_slice().iter().map(Bytes::len).sum::<usize>() as u64),
            Kind::Stream(body) => body.size_hint(),
            Kind::Fallible(body) => body.size_hint(),
        }
    }
}

/// An answer of one JSON message.
pub(crate) fn json(bytes: impl Into<Bytes>) -> Response<Body> {
    json_of(Body::full(bytes.into()))
}

/// An answer of one JSON message that is a body already.
pub(crate) fn json_of(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
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

/// The response in an answer; what a stream says before it is of no use here.
pub(crate) async fn last(response: Response<Body>, limit: usize) -> Bytes {
    let streams = response.headers().get(header::CONTENT_TYPE).is_some_and(|it| it == "text/event-stream");
    let mut body = response.into_body();
    if !streams {
        return body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    }
    let mut decoder = sse::Decoder::new(limit);
    while let Some(Ok(chunk)) = body.frame().await {
        if let Ok(data) = chunk.into_data() {
            decoder.feed(&data);
        }
        while let Ok(Some(event)) = decoder.next() {
            if scan(&event.data).is_response {
                return event.data.into();
            }
        }
    }
    Bytes::new()
}
