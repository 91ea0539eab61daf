//! Calls of the session era, which a lost connection must not cancel but a notification can.
//!
//! The SDK cancels a call when its response is dropped, right for the stateless era and wrong for this one (2025-11-25,
//! basic/transports: disconnection should not be taken for cancellation). So each call runs in a task of its own that drinks
//! its response to the end, whether or not anyone still listens. And since an instance keeps no sessions, a
//! `notifications/cancelled` arrives as a request of its own: calls in flight are found by caller, session header and id.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt, Full, StreamBody};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::http::{Body, Sdk, plain};

/// Frames of a stream that wait for a slow client.
const FRAMES: usize = 8;

/// Calls in flight.
#[derive(Default)]
pub(crate) struct SessionEra {
    calls: InFlight,
    next: AtomicU64,
    pub(crate) tasks: TaskTracker,
}

/// Each call under a number of its own, because ids may collide.
type InFlight = Arc<Mutex<HashMap<Key, Vec<(u64, CancellationToken)>>>>;

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    caller: String,
    session: Vec<u8>,
    id: String,
}

/// What a look at a body showed.
#[derive(Default)]
pub(crate) struct Glance {
    /// It is of the stateless era after all: its metadata says so.
    pub(crate) stateless: bool,
    /// It is a request and can be cancelled.
    pub(crate) entry: Option<Entry>,
}

/// A call's place among those in flight, until it is dropped.
pub(crate) struct Entry {
    key: Key,
    number: u64,
    token: CancellationToken,
    calls: InFlight,
}

impl Entry {
    pub(crate) fn token(&self) -> &CancellationToken {
        &self.token
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tokens) = calls.get_mut(&self.key) {
            tokens.retain(|(number, _)| *number != self.number);
            if tokens.is_empty() {
                calls.remove(&self.key);
            }
        }
    }
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    params: Option<Params<'a>>,
}

#[derive(Deserialize)]
struct Params<'a> {
    #[serde(borrow, rename = "requestId")]
    request_id: Option<&'a RawValue>,
    #[serde(borrow, rename = "_meta")]
    meta: Option<Meta<'a>>,
}

#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(borrow, rename = "io.modelcontextprotocol/protocolVersion")]
    version: Option<Cow<'a, str>>,
}

impl SessionEra {
    /// Finds out what a body is, registers a request and carries out a cancellation. What is no JSON-RPC is left to the SDK
    /// to refuse.
    pub(crate) fn look(&self, caller: &str, session: &[u8], body: &[u8]) -> Glance {
        let Ok(head) = serde_json::from_slice::<Head<'_>>(body) else { return Glance::default() };
        let version = head.params.as_ref().and_then(|params| params.meta.as_ref()?.version.as_deref());
        if version.is_some() {
            return Glance { stateless: true, entry: None };
        }
        let key =
            |id: &RawValue| Key { caller: caller.to_owned(), session: session.to_owned(), id: id.get().to_owned() };
        if head.method.as_deref() == Some("notifications/cancelled") {
            if let Some(id) = head.params.and_then(|params| params.request_id) {
                self.cancel(&key(id));
            }
            return Glance::default();
        }
        Glance { stateless: false, entry: head.id.map(|id| self.enter(key(id))) }
    }

    fn enter(&self, key: Key) -> Entry {
        let token = CancellationToken::new();
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        calls.entry(key.clone()).or_default().push((number, token.clone()));
        Entry { key, number, token, calls: Arc::clone(&self.calls) }
    }

    /// Two calls with one id cannot be told apart: better to let both finish than to cancel the wrong one.
    fn cancel(&self, key: &Key) {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        match calls.get(key).map(Vec::as_slice) {
            Some([(_, only)]) => only.cancel(),
            Some(several) => tracing::debug!(several = several.len(), "ambiguous cancellation ignored"),
            None => {}
        }
    }

    /// Answers `request` in a task that outlives its connection.
    pub(crate) async fn shield(
        &self,
        sdk: Arc<Sdk>,
        request: Request<Full<Bytes>>,
        entry: Option<Entry>,
    ) -> Response<Body> {
        let (head, answered) = oneshot::channel();
        self.tasks.spawn(async move {
            let _entry = entry;
            let response = sdk.handle(request).await.map(BodyExt::boxed_unsync);
            if response.body().size_hint().exact().is_some() {
                let _ = head.send(response);
            } else {
                pump(response, head).await;
            }
        });
        answered
            .await
            .unwrap_or_else(|_| plain(StatusCode::INTERNAL_SERVER_ERROR, "the call ended without an answer\n"))
    }
}

/// Passes a stream on for as long as someone listens, and drinks it to the end in any case.
async fn pump(response: Response<Body>, head: oneshot::Sender<Response<Body>>) {
    let (parts, mut body) = response.into_parts();
    let (frames, listener) = mpsc::channel(FRAMES);
    let _ = head.send(Response::from_parts(parts, channel_body(listener)));
    while let Some(Ok(frame)) = body.frame().await {
        let _ = frames.send(frame).await;
    }
}

fn channel_body(listener: mpsc::Receiver<Frame<Bytes>>) -> Body {
    let frames = futures_util::stream::unfold(listener, |mut listener| async move {
        let frame = listener.recv().await?;
        Some((Ok(frame), listener))
    });
    StreamBody::new(frames).boxed_unsync()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: &[u8] = br#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"sleep"}}"#;
    const CANCEL: &[u8] = br#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#;

    #[test]
    fn a_cancellation_finds_the_call_of_its_own_caller_and_session_only() {
        let era = SessionEra::default();
        let call = era.look("alice", b"s1", CALL).entry.unwrap();
        era.look("bob", b"s1", CANCEL);
        era.look("alice", b"s2", CANCEL);
        assert!(!call.token().is_cancelled());
        era.look("alice", b"s1", CANCEL);
        assert!(call.token().is_cancelled());
    }

    #[test]
    fn two_calls_with_one_id_are_never_crossed() {
        let era = SessionEra::default();
        let one = era.look("alice", b"", CALL).entry.unwrap();
        let two = era.look("alice", b"", CALL).entry.unwrap();
        era.look("alice", b"", CANCEL);
        assert!(!one.token().is_cancelled() && !two.token().is_cancelled());
        drop((one, two));
        assert!(era.calls.lock().unwrap().is_empty());
    }

    #[test]
    fn metadata_of_the_stateless_era_wins_over_a_missing_header() {
        let body =
            br#"{"id":1,"method":"x","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
        assert!(SessionEra::default().look("a", b"", body).stateless);
    }
}
