//! The sessions that are in memory.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use http::HeaderMap;
use weft_telemetry::names;
use weft_wire::version::Version;

use super::{Session, claims::Claims};
use crate::{authenticate::Caller, call::Call, door::Surface, forward::Introduced, refusal::Refusal, seal::Seal};

/// What the keys of sessions of callers without any begin with; no token does.
const CALLERS: &str = "\n";
/// The header by which a client of the stateless era tells its conversations apart at servers that remember things.
const CONVERSATION: &str = "weft-conversation";

/// All sessions in memory, by token.
#[derive(Debug)]
pub(crate) struct Sessions {
    origin: Instant,
    most: usize,
    idle: Duration,
    known: papaya::HashMap<Arc<str>, Arc<Session>>,
    ended: papaya::HashMap<String, u64>,
}

impl Sessions {
    pub(crate) fn new(most: usize, idle: Duration) -> Self {
        Self { origin: Instant::now(), most, idle, known: papaya::HashMap::new(), ended: papaya::HashMap::new() }
    }

    /// Begins a session; the token is what the client sends from now on.
    pub(crate) fn begin(
        &self,
        seal: &Seal,
        (caller, surface): (&Caller, &Surface),
        version: Version,
        (capabilities, client_info): (&str, &str),
    ) -> Result<(Arc<str>, Arc<Session>), Refusal> {
        let claims = Claims::new((caller, surface), version, (capabilities, client_info));
        let token: Arc<str> = claims.sealed(seal).ok_or(Refusal::Shed(Duration::from_secs(1)))?.into();
        let session = Arc::new(Session::new(claims, version));
        let session = self.keep(Arc::clone(&token), session);
        session.caller.get_or_init(|| caller.clone());
        Ok((token, session))
    }

    /// The session of a token, made again from it when it is not in memory.
    pub(crate) fn open(
        &self,
        seal: &Seal,
        token: &str,
        caller: &Caller,
        surface: &Surface,
    ) -> Result<Arc<Session>, Refusal> {
        let known = self.known.pin().get(token).cloned();
        let session = match known {
            Some(session) => session,
            None => self.reopen(seal, token)?,
        };
        if !session.claims.are_of(caller, surface) {
            return Err(Refusal::SessionUnknown);
        }
        session.caller.get_or_init(|| caller.clone());
        session.used.store(self.millis(), Ordering::Relaxed);
        Ok(session)
    }

    /// The session that stands for a caller without any: one for each caller, for what its client can do, and for the
    /// conversation that it names in a header, if it does.
    pub(crate) fn of_caller(&self, caller: &Caller, headers: &HeaderMap, introduced: &Introduced) -> Arc<Session> {
        let conversation = headers.get(CONVERSATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let key = format!("{CALLERS}{}\n{conversation}\n{}", caller.id(), introduced.capabilities);
        let known = self.known.pin().get(key.as_str()).cloned();
        let session = known.unwrap_or_else(|| {
            let introduction = (introduced.capabilities.as_str(), introduced.client_info.as_str());
            let claims = Claims::new((caller, &Surface::Aggregate), Version::LATEST_SESSION, introduction);
            let fresh = Arc::new(Session { pooled: true, ..Session::new(claims, Version::LATEST_SESSION) });
            self.keep(Arc::from(key), fresh)
        });
        session.caller.get_or_init(|| caller.clone());
        session.used.store(self.millis(), Ordering::Relaxed);
        session
    }

    /// The session that stands for the caller of a call.
    pub(crate) fn of_call(&self, call: &Call) -> Arc<Session> {
        self.of_caller(&call.caller, &call.headers, &Introduced::of(&call.body))
    }

    fn reopen(&self, seal: &Seal, token: &str) -> Result<Arc<Session>, Refusal> {
        let (claims, version) = Claims::read(seal, token).ok_or(Refusal::SessionUnknown)?;
        if self.ended.pin().contains_key(&claims.id) {
            return Err(Refusal::SessionUnknown);
        }
        tracing::debug!(session = claims.id, "session restored from its token");
        let fresh = Arc::new(Session::new(claims, version));
        fresh.restored.store(true, Ordering::Relaxed);
        let session = Arc::clone(self.known.pin().get_or_insert_with(Arc::from(token), || fresh));
        self.count();
        Ok(session)
    }

    /// Ends a session for good.
    pub(crate) fn end(&self, token: &str) -> Option<Arc<Session>> {
        let session = self.known.pin().remove(token).cloned()?;
        self.ended.pin().insert(session.claims.id.clone(), self.millis());
        session.over.cancel();
        self.count();
        Some(session)
    }

    /// Ends all sessions of a caller who may not call any more.
    pub(crate) fn end_all_of(&self, caller: &str) -> Vec<Arc<Session>> {
        let known = self.known.pin();
        let own = known.iter().filter(|(_, session)| session.claims.is_callers(caller));
        own.filter_map(|(token, _)| self.end(token)).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// Remembers a session; gives the one that was there already, if so.
    fn keep(&self, token: Arc<str>, session: Arc<Session>) -> Arc<Session> {
        session.used.store(self.millis(), Ordering::Relaxed);
        if self.known.len() >= self.most {
            let known = self.known.pin();
            let oldest = known.iter().min_by_key(|(_, session)| session.used.load(Ordering::Relaxed));
            if let Some((token, session)) = oldest {
                session.over.cancel();
                known.remove(token);
            }
        }
        let kept = Arc::clone(self.known.pin().get_or_insert(token, session));
        self.count();
        kept
    }

    /// Drops sessions from memory that nobody used for long; gives those that had links to servers, to be ended there.
    pub(crate) fn reap(&self) -> Vec<Arc<Session>> {
        let line = self.millis().saturating_sub(self.idle.as_millis().try_into().unwrap_or(u64::MAX));
        if line == 0 {
            return Vec::new();
        }
        let known = self.known.pin();
        let mut reaped = Vec::new();
        for (token, session) in &known {
            if session.used.load(Ordering::Relaxed) < line && Arc::strong_count(session) == 1 {
                session.over.cancel();
                reaped.push(Arc::clone(session));
                known.remove(token);
            }
        }
        let ended = self.ended.pin();
        ended.retain(|_, at| *at >= line);
        self.count();
        reaped
    }

    fn count(&self) {
        #[expect(clippy::cast_precision_loss, reason = "a count of sessions")]
        metrics::gauge!(names::GATEWAY_SESSIONS.name).set(self.known.len() as f64);
    }

    fn millis(&self) -> u64 {
        self.origin.elapsed().as_millis().try_into().unwrap_or(u64::MAX)
    }
}
