//! The sessions of an adapter, by the tokens that clients send.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{line::Line, pending::Seat};

/// One session: its place on a line.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) line: Arc<Line>,
    pub(crate) seat: u64,
    caller: Arc<str>,
    used: Arc<AtomicU64>,
}

/// All sessions.
pub(crate) struct Sessions {
    origin: Instant,
    /// Each has a line of its own, which ends with it.
    alone: bool,
    known: Mutex<HashMap<String, Session>>,
}

impl Sessions {
    pub(crate) fn new(alone: bool) -> Self {
        Self { origin: Instant::now(), alone, known: Mutex::default() }
    }

    /// Begins one; gives its token.
    pub(crate) fn begin(&self, line: Arc<Line>, seat: u64, caller: &str) -> String {
        let token = format!("{:032x}", fastrand::u128(..));
        let used = Arc::new(AtomicU64::new(self.seconds()));
        self.lock().insert(token.clone(), Session { line, seat, caller: caller.into(), used });
        token
    }

    /// The session of a token, if it is this caller's and what is behind it lives.
    pub(crate) fn get(&self, token: Option<&str>, caller: &str) -> Option<Session> {
        let mut sessions = self.lock();
        let session = sessions.get(token?)?.clone();
        if session.line.is_over() {
            sessions.remove(token?);
            return None;
        }
        session.used.store(self.seconds(), Ordering::Relaxed);
        (*session.caller == *caller).then_some(session)
    }

    /// Ends one.
    pub(crate) fn leave(&self, token: &str) {
        let Some(session) = self.lock().remove(token) else { return };
        // A shared line outlives its sessions for a while: the next one finds it warm.
        if session.line.leave(session.seat) && self.alone {
            session.line.end();
        }
    }

    /// Ends those that nobody has used for `idle`.
    pub(crate) fn end_unused(&self, idle: Duration) {
        let (now, idle) = (self.seconds(), idle.as_secs().max(1));
        let is_old = |session: &Session| {
            let state = session.line.lock();
            let busy = state.pending.values().any(|call| call.seat == session.seat);
            let listens = state.seats.get(&session.seat).is_some_and(Seat::is_listening);
            state.over || (!busy && !listens && now.saturating_sub(session.used.load(Ordering::Relaxed)) >= idle)
        };
        let old: Vec<String> =
            self.lock().iter().filter(|(_, session)| is_old(session)).map(|(token, _)| token.clone()).collect();
        old.iter().for_each(|token| self.leave(token));
    }

    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    fn seconds(&self) -> u64 {
        self.origin.elapsed().as_secs()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Session>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
