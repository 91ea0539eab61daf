//! What is under way on a line: calls that wait for their answers, sessions that listen, and questions that wait for theirs.

use std::collections::{HashMap, HashSet, VecDeque};

use bytes::Bytes;
use tokio::sync::mpsc;

/// Messages that wait for a client to read them.
pub(crate) const UNREAD: usize = 1024;
/// What is kept for a session that does not listen yet.
const BACKLOG: usize = 64;

/// A call under way.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) seat: u64,
    /// The client's own id, raw JSON.
    pub(crate) id: String,
    /// The client's own progress token, raw JSON.
    pub(crate) token: Option<String>,
    pub(crate) to: mpsc::Sender<Bytes>,
}

/// One session on a line.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    listener: Option<mpsc::Sender<Bytes>>,
    backlog: VecDeque<Bytes>,
    pub(crate) followed: HashSet<String>,
}

impl Seat {
    /// Says something outside of any call.
    pub(crate) fn say(&mut self, message: Bytes) {
        if let Some(listener) = &self.listener {
            match listener.try_send(message) {
                Ok(()) => return,
                Err(mpsc::error::TrySendError::Full(_)) => return tracing::debug!("a client does not read its stream"),
                Err(mpsc::error::TrySendError::Closed(back)) => {
                    self.listener = None;
                    return self.keep(back);
                }
            }
        }
        self.keep(message);
    }

    fn keep(&mut self, message: Bytes) {
        if self.backlog.len() == BACKLOG {
            self.backlog.pop_front();
        }
        self.backlog.push_back(message);
    }

    /// A stream of what is said outside of any call; an earlier one ends.
    pub(crate) fn listen(&mut self) -> mpsc::Receiver<Bytes> {
        let (to, from) = mpsc::channel(UNREAD);
        for message in self.backlog.drain(..) {
            let _ = to.try_send(message);
        }
        self.listener = Some(to);
        from
    }

    pub(crate) fn is_listening(&self) -> bool {
        self.listener.as_ref().is_some_and(|listener| !listener.is_closed())
    }
}

/// Everything under way on one line.
#[derive(Debug, Default)]
pub(crate) struct State {
    next: u64,
    pub(crate) pending: HashMap<u64, Pending>,
    pub(crate) seats: HashMap<u64, Seat>,
    /// Questions of the server by their raw ids, and who was asked.
    pub(crate) asked: HashMap<String, u64>,
    pub(crate) over: bool,
}

impl State {
    pub(crate) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// The session that has calls under way, when it is only one.
    pub(crate) fn only_busy(&self) -> Option<u64> {
        let mut busy = self.pending.values().map(|pending| pending.seat);
        let first = busy.next().or_else(|| {
            // With one session on the line there is no doubt.
            (self.seats.len() == 1).then(|| self.seats.keys().next().copied()).flatten()
        })?;
        busy.all(|seat| seat == first).then_some(first)
    }

    /// The only call under way of a session.
    pub(crate) fn only_call(&self, seat: u64) -> Option<&Pending> {
        let mut calls = self.pending.values().filter(|pending| pending.seat == seat);
        let first = calls.next()?;
        calls.next().is_none().then_some(first)
    }

    /// The newest call under way of a session.
    pub(crate) fn newest_call(&self, seat: u64) -> Option<&Pending> {
        let of = |(number, pending): (&u64, &Pending)| (pending.seat == seat).then_some(*number);
        let newest = self.pending.iter().filter_map(of).max()?;
        self.pending.get(&newest)
    }
}
