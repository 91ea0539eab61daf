//! Carries a server's answer to the client: whole messages at once, streams event by event, each stream to a last message.
//!
//! A client that gets no last message waits until its own timeout, so one is made up when the server leaves without;
//! and a comment goes out in every silence, because clients and proxies count silence as death.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use http::{Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tokio::time::Instant;
use weft_wire::{
    code,
    envelope::Id,
    reply::{Scan, scan},
    sse,
    version::{Era, Version},
};

use super::{Body, events, json};
use crate::{
    Gateway,
    call::Call,
    forward::{load::Load, rewrite::Rewrite, ship::Landed},
    record::{Late, Record, outcome_of},
    refusal::{Broken, Refusal},
    session::ring::{RETRY_MS, Reader},
    upstream::{
        connection::ReplyBody,
        exchange::{Answer, Events},
    },
};

/// The longest silence on a stream.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(12);

/// The client's answer of the stateless era, made from the server's.
pub(crate) fn relay(
    gateway: &Arc<Gateway>,
    landed: Landed,
    call: &Call,
    rewrite: Rewrite,
    record: &mut Record,
) -> Result<Response<Body>, Refusal> {
    let Landed { answer, load, instance, deadline } = landed;
    let broken =
        |broken| Refusal::Service { service: instance.info.service.to_string(), broken, retry: Duration::from_secs(1) };
    match answer {
        Answer::Json { status, body, .. } => {
            let verdict = scan(&body);
            if !verdict.is_response {
                return Err(broken(Broken::Nonsense));
            }
            record.answered(&verdict);
            Ok(with_status(json(rewrite.message(&body, None).map_or(body, Bytes::from)), status))
        }
        Answer::Long { status, body, .. } => Ok(with_status(long(body, load, record.late()), status)),
        Answer::Events { body, .. } => {
            let limits = &gateway.settings.limits;
            let Some(asked) = call.request() else { return Err(broken(Broken::Nonsense)) };
            let listening = asked.method == "subscriptions/listen";
            if listening {
                record.keep_quiet();
            }
            Ok(events(Body::stream(StreamBody::new(stream::unfold(
                Some(Relay {
                    events: Events::new(body, limits.event_bytes),
                    load,
                    late: record.late(),
                    rewrite,
                    id: asked.id.clone(),
                    method: asked.method.clone(),
                    service: instance.info.service.to_string(),
                    until: (!listening).then(|| Instant::from_std(deadline)),
                    drain: listening.then(|| gateway.drain.clone()),
                }),
                |relay| async move { relay?.next().await },
            )))))
        }
        Answer::Bare { status: StatusCode::ACCEPTED, .. } => Ok(super::accepted()),
        Answer::Bare { status, .. } => {
            tracing::warn!(service = %instance.info.service, status = status.as_u16(), "answer without a message");
            Err(broken(Broken::Nonsense))
        }
    }
}

fn with_status(mut response: Response<Body>, status: StatusCode) -> Response<Body> {
    *response.status_mut() = status;
    response
}

/// A message too large to wait for: passed on as it comes, its outcome read on the way.
fn long(body: ReplyBody, load: Load, late: Late) -> Response<Body> {
    struct Long {
        body: ReplyBody,
        load: Load,
        late: Late,
        scan: Scan,
    }
    let state = Long { body, load, late, scan: Scan::new() };
    let chunks = stream::unfold(Some(state), |state| async move {
        let mut state = state?;
        match state.body.frame().await {
            Some(Ok(frame)) => {
                let data = frame.into_data().unwrap_or_default();
                state.scan.feed(&data);
                Some((Ok::<_, std::io::Error>(Frame::data(data)), Some(state)))
            }
            Some(Err(error)) => {
                state.load.fail(None);
                state.late.set(Broken::Lost.label());
                // The client's own JSON parser is told the truth: the message is cut.
                Some((Err(std::io::Error::other(error)), None))
            }
            None => {
                state.late.set(outcome_of(&state.scan.finish()));
                None
            }
        }
    });
    json_stream(StreamBody::new(chunks))
}

fn json_stream<B>(body: B) -> Response<Body>
where
    B: http_body::Body<Data = Bytes, Error = std::io::Error> + Send + 'static,
{
    let mut response = Response::new(Body::fallible(body));
    let media = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, media);
    response
}

/// A server's stream of the stateless era on its way to the client.
struct Relay {
    events: Events,
    load: Load,
    late: Late,
    rewrite: Rewrite,
    id: Id<'static>,
    method: String,
    service: String,
    until: Option<Instant>,
    drain: Option<tokio_util::sync::CancellationToken>,
}

type Step = (Result<Frame<Bytes>, Infallible>, Option<Relay>);

impl Relay {
    async fn next(mut self) -> Option<Step> {
        loop {
            let draining = async {
                match &self.drain {
                    Some(drain) => drain.cancelled().await,
                    None => std::future::pending().await,
                }
            };
            let expired = async {
                match self.until {
                    Some(until) => tokio::time::sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            let event = tokio::select! {
                event = self.events.next() => event,
                () = tokio::time::sleep(KEEP_ALIVE) => return Some((Ok(comment()), Some(self))),
                () = draining => return Some((Ok(frame(&listen_end(&self.id))), None)),
                () = expired => return Some(self.give_up(Broken::Timeout)),
            };
            let Ok(Some(event)) = event else { return Some(self.give_up(Broken::Lost)) };
            if event.data.is_empty() {
                continue;
            }
            let verdict = scan(&event.data);
            let changed = self.rewrite.message(&event.data, None);
            let out = frame(changed.as_deref().unwrap_or(&event.data));
            if verdict.is_response {
                self.late.set(outcome_of(&verdict));
                return Some((Ok(out), None));
            }
            return Some((Ok(out), Some(self)));
        }
    }

    /// The last message, made up.
    fn give_up(mut self, broken: Broken) -> Step {
        self.load.fail(None);
        self.late.set(broken.label());
        let refusal = Refusal::Service { service: self.service, broken, retry: Duration::from_secs(1) };
        (Ok(frame(&refusal.to_message(Era::Stateless, Some(&self.id), &self.method))), None)
    }
}

/// The graceful end of `subscriptions/listen` (MCP 2026-07-28, subscriptions).
pub(crate) fn listen_end(id: &Id<'_>) -> Vec<u8> {
    let result =
        format!(r#"{{"resultType":"complete","_meta":{{"io.modelcontextprotocol/subscriptionId":{}}}}}"#, id.as_raw());
    code::result_body(id, &result)
}

/// A message as one event without an id: streams of the stateless era cannot be resumed.
pub(crate) fn frame(message: &[u8]) -> Frame<Bytes> {
    let mut out = Vec::with_capacity(message.len() + 16);
    sse::write_event(&mut out, None, Some("message"), message, None);
    Frame::data(out.into())
}

pub(crate) fn comment() -> Frame<Bytes> {
    let mut out = Vec::with_capacity(16);
    sse::write_comment(&mut out, "keep-alive");
    Frame::data(out.into())
}

/// A session's stream as a body: a first event that lets the client come back (where its version has that), then the
/// ring, with `feed` run beside it for as long as the client is there.
pub(crate) fn ring_body(
    reader: Reader,
    version: Version,
    feed: Option<std::pin::Pin<Box<dyn Future<Output = ()> + Send>>>,
) -> Body {
    struct State {
        reader: Reader,
        feed: Option<std::pin::Pin<Box<dyn Future<Output = ()> + Send>>>,
        first: Option<Bytes>,
    }
    let first = (version >= Version::V2025_11_25).then(|| {
        let mut out = Vec::new();
        let id = reader.ring().event_id(reader.place());
        sse::write_event(&mut out, Some(&id), None, b"", Some(RETRY_MS));
        Bytes::from(out)
    });
    let chunks = stream::unfold(State { reader, feed, first }, |mut state| async move {
        if let Some(first) = state.first.take() {
            return Some((Ok::<_, Infallible>(Frame::data(first)), state));
        }
        let feeding = async {
            match &mut state.feed {
                Some(feed) => feed.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            event = state.reader.next() => event.map(|event| (Ok(Frame::data(event)), state)),
            () = feeding => None,
            () = tokio::time::sleep(KEEP_ALIVE) => Some((Ok(comment()), state)),
        }
    });
    Body::stream(StreamBody::new(chunks))
}
