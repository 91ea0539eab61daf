//! Sessions of the session era: what the client's token says, and what the gateway keeps in memory beside it.
//!
//! The token is sealed and says everything that is needed to go on (version, capabilities, caller), so a restart or
//! another replica is invisible to the client. What is kept in memory can be made again: links to servers that have
//! sessions of their own, streams to resume, calls to cancel. Idle sessions are dropped from memory, never the token.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use weft_mesh::ServiceId;
use weft_telemetry::names;
use weft_wire::{envelope::Id, version::Version};

use crate::{authenticate::Caller, door::Surface, refusal::Refusal, seal::Seal};

pub(crate) mod link;
pub(crate) mod ring;

use link::Link;
use ring::Rings;

/// The purpose under which session tokens are sealed.
const PURPOSE: &str = "weft session 1";

/// What the token says. Member names are short because clients send them with every request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Claims {
    /// A random id.
    #[serde(rename = "n")]
    pub(crate) id: String,
    #[serde(rename = "v")]
    version: String,
    /// Raw JSON of the client's capabilities.
    #[serde(rename = "c")]
    pub(crate) capabilities: String,
    /// Raw JSON of the client's name and version.
    #[serde(rename = "i")]
    pub(crate) client_info: String,
    /// The service of a verbatim session, or `v/` and the name of a virtual server; empty for the aggregate.
    #[serde(rename = "s")]
    surface: String,
    /// The caller whom the token belongs to.
    #[serde(rename = "u")]
    caller: String,
}

/// A call under way, as a later cancellation needs to find it.
#[derive(Debug, Clone)]
pub(crate) struct Flight {
    pub(crate) service: ServiceId,
    /// Ends the call on the gateway's side.
    pub(crate) cancel: CancellationToken,
    /// The instance that works on it.
    pub(crate) at: crate::forward::ship::At,
}

/// One session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) claims: Claims,
    version: Version,
    used: AtomicU64,
    restored: AtomicBool,
    /// Sessions at servers.
    pub(crate) links: tokio::sync::Mutex<BTreeMap<ServiceId, Arc<Link>>>,
    pub(crate) rings: Rings,
    flights: Mutex<HashMap<Id<'static>, Flight>>,
    subscriptions: Mutex<HashMap<String, CancellationToken>>,
    level: Mutex<Option<String>>,
    /// Cancelled when the session ends or is forgotten: whatever runs for it stops.
    pub(crate) over: CancellationToken,
}

impl Session {
    fn new(claims: Claims, version: Version) -> Self {
        Self {
            claims,
            version,
            used: AtomicU64::new(0),
            restored: AtomicBool::new(false),
            links: tokio::sync::Mutex::default(),
            rings: Rings::default(),
            flights: Mutex::default(),
            subscriptions: Mutex::default(),
            level: Mutex::default(),
            over: CancellationToken::new(),
        }
    }

    pub(crate) const fn version(&self) -> Version {
        self.version
    }

    /// True for a session of a service's own endpoint.
    pub(crate) fn is_verbatim(&self) -> bool {
        !self.claims.surface.is_empty() && !self.is_virtual()
    }

    /// True for a session of a virtual server.
    pub(crate) fn is_virtual(&self) -> bool {
        self.claims.surface.starts_with(VIRTUAL)
    }

    /// True once, after the session was made again from its token.
    pub(crate) fn take_restored(&self) -> bool {
        self.restored.swap(false, Ordering::Relaxed)
    }

    pub(crate) fn set_level(&self, level: &str) {
        *lock(&self.level) = Some(level.to_owned());
    }

    /// Keeps what stops a resource subscription; an earlier one for the same URI is stopped.
    pub(crate) fn subscribe(&self, uri: &str, stop: CancellationToken) {
        if let Some(before) = lock(&self.subscriptions).insert(uri.to_owned(), stop) {
            before.cancel();
        }
    }

    /// Stops the subscription for a URI.
    pub(crate) fn unsubscribe(&self, uri: &str) {
        if let Some(stop) = lock(&self.subscriptions).remove(uri) {
            stop.cancel();
        }
    }

    /// What places this session at one instance.
    pub(crate) fn hash(&self) -> u64 {
        weft_balance::hash(self.claims.id.as_bytes())
    }

    /// Remembers a call until the returned guard is dropped.
    pub(crate) fn depart(self: &Arc<Self>, id: &Id<'static>, flight: Flight) -> Departed {
        lock(&self.flights).insert(id.clone(), flight);
        Departed { session: Arc::clone(self), id: id.clone() }
    }

    /// The call that a cancellation names.
    pub(crate) fn flight(&self, id: &Id<'static>) -> Option<Flight> {
        lock(&self.flights).get(id).cloned()
    }
}

/// Forgets the call when it is over.
pub(crate) struct Departed {
    session: Arc<Session>,
    id: Id<'static>,
}

impl Drop for Departed {
    fn drop(&mut self) {
        lock(&self.session.flights).remove(&self.id);
    }
}

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
        let claims = Claims {
            id: format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..)),
            version: version.as_str().to_owned(),
            capabilities: capabilities.to_owned(),
            client_info: client_info.to_owned(),
            surface: surface_text(surface),
            caller: caller.id().to_owned(),
        };
        let token: Arc<str> = serde_json::to_vec(&claims)
            .ok()
            .and_then(|plain| seal.seal(PURPOSE, &plain))
            .ok_or(Refusal::Shed(Duration::from_secs(1)))?
            .into();
        let session = Arc::new(Session::new(claims, version));
        self.keep(Arc::clone(&token), Arc::clone(&session));
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
        let claims = &session.claims;
        if claims.caller != caller.id() || claims.surface != surface_text(surface) {
            return Err(Refusal::SessionUnknown);
        }
        session.used.store(self.millis(), Ordering::Relaxed);
        Ok(session)
    }

    fn reopen(&self, seal: &Seal, token: &str) -> Result<Arc<Session>, Refusal> {
        let plain = seal.open(PURPOSE, token).ok_or(Refusal::SessionUnknown)?;
        let claims: Claims = serde_json::from_slice(&plain).map_err(|_| Refusal::SessionUnknown)?;
        let version = Version::parse(&claims.version).ok_or(Refusal::SessionUnknown)?;
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

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    fn keep(&self, token: Arc<str>, session: Arc<Session>) {
        session.used.store(self.millis(), Ordering::Relaxed);
        if self.known.len() >= self.most {
            let known = self.known.pin();
            let oldest = known.iter().min_by_key(|(_, session)| session.used.load(Ordering::Relaxed));
            if let Some((token, session)) = oldest {
                session.over.cancel();
                known.remove(token);
            }
        }
        self.known.pin().insert(token, session);
        self.count();
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

/// What the surface of a virtual server begins with; no service's name has a slash.
const VIRTUAL: &str = "v/";

fn surface_text(surface: &Surface) -> String {
    match surface {
        Surface::Aggregate => String::new(),
        Surface::Service(service) => service.to_string(),
        Surface::Virtual(name) => format!("{VIRTUAL}{name}"),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
