//! A [`Line`]: one program or connection with the sessions that share it. Their ids and progress tokens become numbers of the line,
//! so that none are ever crossed, and what the server says finds its way back by them (`route.rs`).

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use tokio::sync::{Mutex as Gate, mpsc};
use tokio_util::sync::CancellationToken;
use weft_wire::{
    envelope::{self, Body, Limits, Message},
    members::Members,
    splice::splice,
};

use crate::{
    Options, Source,
    child::{self, Wire},
    pending::{Pending, State, UNREAD},
    sse,
};

/// A line, shared by those who use it.
pub(crate) struct Line {
    to: mpsc::Sender<Bytes>,
    state: Arc<Mutex<State>>,
    stop: CancellationToken,
    /// The answer to the first `initialize`, for the sessions that come later.
    pub(crate) opened: Gate<Option<Bytes>>,
    told_ready: AtomicBool,
}

/// The line has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended;

/// A call under way; dropping it calls it off.
pub(crate) struct Asked {
    line: Arc<Line>,
    pub(crate) number: u64,
    pub(crate) from: mpsc::Receiver<Bytes>,
    lasting: bool,
}

impl Asked {
    /// A call of the session era: the end of its connection is not the end of the call (2025-11-25, transports), only a
    /// cancellation is.
    pub(crate) fn until_called_off(mut self) -> Self {
        self.lasting = true;
        self
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if self.lasting {
            return;
        }
        self.line.call_off(self.number);
    }
}

impl Line {
    /// Starts what the options say.
    pub(crate) async fn open(options: &Options) -> Result<Arc<Self>, String> {
        let Wire { to, from, stop } = match &options.source {
            Source::Command { .. } => child::start(options).await?,
            Source::Sse { url, headers } => sse::connect(options, url, headers.clone()).await?,
        };
        let state: Arc<Mutex<State>> = Arc::default();
        let line = Arc::new(Self {
            to: to.clone(),
            state: Arc::clone(&state),
            stop: stop.clone(),
            opened: Gate::new(None),
            told_ready: AtomicBool::new(false),
        });
        tokio::spawn(crate::route::run(Arc::clone(&options.name), state, (to, from)));
        Ok(line)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.lock().over
    }

    /// A place for a session.
    pub(crate) fn join(&self) -> u64 {
        let mut state = self.lock();
        let seat = state.number();
        state.seats.insert(seat, crate::pending::Seat::default());
        seat
    }

    /// A session ends: its calls are called off. True when it was the last one.
    pub(crate) fn leave(&self, seat: u64) -> bool {
        let (calls, empty) = {
            let mut state = self.lock();
            state.seats.remove(&seat);
            state.asked.retain(|_, of| *of != seat);
            let calls: Vec<u64> =
                state.pending.iter().filter(|(_, call)| call.seat == seat).map(|(number, _)| *number).collect();
            (calls, state.seats.is_empty())
        };
        calls.into_iter().for_each(|number| self.call_off(number));
        empty
    }

    /// Ends the line, and what is behind it.
    pub(crate) fn end(&self) {
        self.stop.cancel();
    }

    /// Sends a request under a number of the line's own.
    pub(crate) async fn request(self: &Arc<Self>, seat: u64, message: &str) -> Result<Asked, Ended> {
        let limits = Limits { bytes: message.len(), depth: 1000, batch: 1 };
        let Ok(Body::One(Message::Request(request))) = envelope::read(message.as_bytes(), &limits) else {
            return Err(Ended);
        };
        let token = request.params.meta.as_ref().and_then(|meta| meta.progress_token).map(str::to_owned);
        let follows = match &*request.method {
            "resources/subscribe" => request.params.uri.as_ref().map(|uri| (uri.value.to_string(), true)),
            "resources/unsubscribe" => request.params.uri.as_ref().map(|uri| (uri.value.to_string(), false)),
            _ => None,
        };
        let (to, from) = mpsc::channel(UNREAD);
        let number = {
            let mut state = self.lock();
            if state.over {
                return Err(Ended);
            }
            let number = state.number();
            if let (Some((uri, begins)), Some(seat)) = (follows, state.seats.get_mut(&seat)) {
                if begins {
                    seat.followed.insert(uri)
                } else {
                    seat.followed.remove(&uri)
                };
            }
            let id = request.id.as_raw().to_owned();
            state.pending.insert(number, Pending { seat, id, token: token.clone(), to });
            number
        };
        let numbered = splice(message.as_bytes(), &[(request.id_span, number.to_string().as_str())]);
        let outgoing = match token {
            Some(_) => with_token(&numbered, number).unwrap_or(numbered),
            None => numbered,
        };
        let asked = Asked { line: Arc::clone(self), number, from, lasting: false };
        self.to.send(outgoing.into()).await.map_err(|_| Ended)?;
        Ok(asked)
    }

    /// Passes a client's notification on.
    pub(crate) async fn notify(&self, seat: u64, method: &str, message: &Bytes) {
        let outgoing = match method {
            "notifications/initialized" if self.told_ready.swap(true, Ordering::Relaxed) => return,
            "notifications/cancelled" => match self.cancellation(seat, message) {
                Some(outgoing) => outgoing,
                None => return,
            },
            _ => message.clone(),
        };
        // A line that has ended has nobody to tell.
        let _ = self.to.send(outgoing).await;
    }

    /// A cancellation under the line's number; none when it names no call of this session.
    fn cancellation(&self, seat: u64, message: &[u8]) -> Option<Bytes> {
        let mut all = Members::parse(std::str::from_utf8(message).ok()?)?;
        let raw = all.get("params")?.to_owned();
        let mut params = Members::parse(&raw)?;
        let id = params.get("requestId")?.to_owned();
        let state = self.lock();
        let number =
            state.pending.iter().find(|(_, call)| call.seat == seat && call.id == id).map(|(number, _)| *number);
        drop(state);
        params.set("requestId", number?.to_string());
        all.set("params", params.to_json());
        Some(all.to_json().into())
    }

    /// Passes a client's answer on, if this session was asked.
    pub(crate) async fn answer(&self, seat: u64, raw_id: &str, message: &Bytes) -> bool {
        let asked = {
            let mut state = self.lock();
            let asked = state.asked.get(raw_id) == Some(&seat);
            if asked {
                state.asked.remove(raw_id);
            }
            asked
        };
        asked && self.to.send(message.clone()).await.is_ok()
    }

    /// Gives a call up, and tells the server.
    fn call_off(&self, number: u64) {
        if self.lock().pending.remove(&number).is_none() {
            return;
        }
        let message = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{number},"reason":"the client went away"}}}}"#
        );
        // A program that does not read cannot be told.
        let _ = self.to.try_send(message.into());
    }
}

/// The request with the line's number as its progress token.
fn with_token(message: &[u8], number: u64) -> Option<Vec<u8>> {
    let mut all = Members::parse(std::str::from_utf8(message).ok()?)?;
    let raw = all.get("params")?.to_owned();
    let mut params = Members::parse(&raw)?;
    let raw = params.get("_meta")?.to_owned();
    let mut meta = Members::parse(&raw)?;
    meta.set("progressToken", number.to_string());
    params.set("_meta", meta.to_json());
    all.set("params", params.to_json());
    Some(all.to_json().into_bytes())
}

pub(crate) fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
