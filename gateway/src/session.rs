//! Sessions of the session era: what the client's token says, and what the gateway keeps in memory beside it.
//!
//! The token is sealed and says everything that is needed to go on (version, capabilities, caller), so a restart or
//! another replica is invisible to the client. What is kept in memory can be made again: links to servers that have
//! sessions of their own, streams to resume, calls to cancel. Idle sessions are dropped from memory, never the token.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, oneshot};
use tokio_util::sync::CancellationToken;
use weft_mesh::ServiceId;
use weft_telemetry::names;
use weft_wire::{
    envelope::Id,
    translate::{self, Introduction},
    version::Version,
};

use crate::{
    authenticate::{Caller, Standing},
    authorize::Role,
    call::Call,
    door::Surface,
    forward::Introduced,
    refusal::Refusal,
    seal::Seal,
};

pub(crate) mod forgotten;
pub(crate) mod level;
pub(crate) mod link;
pub(crate) mod ring;

use level::Level;
use link::{Link, Slot};
use ring::Rings;

/// The purpose under which session tokens are sealed.
const PURPOSE: &str = "weft session 1";

/// What the keys of sessions of callers without any begin with; no token does.
const CALLERS: &str = "\n";
/// The header by which a client of the stateless era tells its conversations apart at servers that remember things.
const CONVERSATION: &str = "weft-conversation";

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
    /// What it may do, where it has proved who it is.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    role: Option<Role>,
    /// Whose data it works on.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
}

impl Claims {
    fn new((caller, surface): (&Caller, String), version: Version, (capabilities, client_info): (&str, &str)) -> Self {
        Self {
            id: format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..)),
            version: version.as_str().to_owned(),
            capabilities: capabilities.to_owned(),
            client_info: client_info.to_owned(),
            surface,
            caller: caller.id().to_owned(),
            role: caller.is_proven().then(|| caller.role()),
            tenant: caller.tenant().map(str::to_owned),
        }
    }

    /// Whether the session is the caller's, as it stands now.
    fn are_of(&self, caller: &Caller) -> bool {
        let role = caller.is_proven().then(|| caller.role());
        self.caller == caller.id() && self.role == role && self.tenant.as_deref() == caller.tenant()
    }
}

/// A call under way, as a later cancellation needs to find it.
#[derive(Debug, Clone)]
pub(crate) struct Flight {
    pub(crate) service: ServiceId,
    /// Ends the call on the gateway's side.
    pub(crate) cancel: CancellationToken,
    /// It went over a session at the server, which must be told of a cancellation.
    pub(crate) linked: bool,
    /// Ends what a model is asked for it.
    pub(crate) sampling: Option<CancellationToken>,
}

/// A message of a service.
pub(crate) type Heard = (ServiceId, Bytes);

/// One session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) claims: Claims,
    version: Version,
    pooled: bool,
    /// Who calls within it, once it was used here.
    caller: OnceLock<Caller>,
    used: AtomicU64,
    restored: AtomicBool,
    /// Sessions at servers.
    slots: Mutex<BTreeMap<ServiceId, Arc<Slot>>>,
    pub(crate) rings: Rings,
    flights: Mutex<HashMap<Id<'static>, Flight>>,
    subscriptions: Mutex<HashMap<String, CancellationToken>>,
    /// Resources followed over links, by the service's own URI, with how many times they were asked for.
    followed: Mutex<BTreeMap<(ServiceId, String), usize>>,
    level: Mutex<Option<Level>>,
    /// Questions that the gateway asks the client for servers without sessions, and who waits for the answer.
    waiting: Mutex<HashMap<String, oneshot::Sender<Bytes>>>,
    /// What servers say outside of any call, for callers without a session.
    heard: OnceLock<broadcast::Sender<Heard>>,
    /// What the client can do, in the words of the stateless era.
    modern: OnceLock<String>,
    /// Cancelled when the session ends or is forgotten: whatever runs for it stops.
    pub(crate) over: CancellationToken,
}

impl Session {
    fn new(claims: Claims, version: Version) -> Self {
        Self {
            claims,
            version,
            pooled: false,
            caller: OnceLock::new(),
            used: AtomicU64::new(0),
            restored: AtomicBool::new(false),
            slots: Mutex::default(),
            rings: Rings::default(),
            flights: Mutex::default(),
            subscriptions: Mutex::default(),
            followed: Mutex::default(),
            level: Mutex::default(),
            waiting: Mutex::default(),
            heard: OnceLock::new(),
            modern: OnceLock::new(),
            over: CancellationToken::new(),
        }
    }

    pub(crate) const fn version(&self) -> Version {
        self.version
    }

    /// Who calls within it: as it last proved itself here, else as the token says.
    pub(crate) fn caller(&self) -> Caller {
        if let Some(caller) = self.caller.get() {
            return caller.clone();
        }
        let Claims { caller, role, tenant, .. } = &self.claims;
        let tenant = tenant.as_deref().map(Into::into);
        let (proven, role) = (role.is_some(), role.unwrap_or_default());
        Caller::new(Standing { id: caller.as_str().into(), role, tenant, proven, over: None })
    }

    /// True for one that stands for a caller without a session.
    pub(crate) fn is_pooled(&self) -> bool {
        self.pooled
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

    /// The place of the link to a service.
    fn slot(&self, service: &ServiceId) -> Arc<Slot> {
        Arc::clone(lock(&self.slots).entry(service.clone()).or_default())
    }

    /// The link to a service, if there is one now.
    pub(crate) fn present_link(&self, service: &ServiceId) -> Option<Arc<Link>> {
        lock(&self.slots).get(service).and_then(|slot| slot.link())
    }

    /// All links that there are now.
    pub(crate) fn links(&self) -> Vec<(ServiceId, Arc<Link>)> {
        lock(&self.slots).iter().filter_map(|(service, slot)| Some((service.clone(), slot.link()?))).collect()
    }

    fn forget_links(&self) {
        lock(&self.slots).clear();
    }

    pub(crate) fn set_level(&self, level: Level) {
        *lock(&self.level) = Some(level);
    }

    /// The log level that the client asked for.
    pub(crate) fn level(&self) -> Option<Level> {
        *lock(&self.level)
    }

    /// Notes that a resource is followed over the link to its service; true for the first who asks.
    pub(crate) fn note_followed(&self, service: &ServiceId, uri: &str) -> bool {
        let mut followed = lock(&self.followed);
        let count = followed.entry((service.clone(), uri.to_owned())).or_default();
        *count += 1;
        *count == 1
    }

    /// Notes that it is not any more; true for the last who asked.
    pub(crate) fn note_left(&self, service: &ServiceId, uri: &str) -> bool {
        let mut followed = lock(&self.followed);
        let key = (service.clone(), uri.to_owned());
        let Some(count) = followed.get_mut(&key) else { return false };
        *count = count.saturating_sub(1);
        let last = *count == 0;
        if last {
            followed.remove(&key);
        }
        last
    }

    fn followed(&self, service: &ServiceId) -> Vec<String> {
        lock(&self.followed).keys().filter(|(of, _)| of == service).map(|(_, uri)| uri.clone()).collect()
    }

    /// What servers say outside of any call.
    pub(crate) fn heard(&self) -> &broadcast::Sender<Heard> {
        self.heard.get_or_init(|| broadcast::Sender::new(64))
    }

    /// How the client is introduced to a server without sessions.
    pub(crate) fn introduction(&self) -> Introduction<'_> {
        let capabilities =
            self.modern.get_or_init(|| translate::capabilities(&self.claims.capabilities).unwrap_or("{}".into()));
        Introduction { client_info: &self.claims.client_info, capabilities, level: self.level().map(Level::name) }
    }

    /// Waits for the client's answer to a question of this id.
    pub(crate) fn expect_answer(&self, id: &str) -> oneshot::Receiver<Bytes> {
        let (tell, told) = oneshot::channel();
        lock(&self.waiting).insert(id.to_owned(), tell);
        told
    }

    /// Hands an answer to who waits for it; false when nobody does.
    pub(crate) fn take_answer(&self, id: &str, message: Bytes) -> bool {
        let waiting = lock(&self.waiting).remove(id);
        waiting.is_some_and(|tell| tell.send(message).is_ok())
    }

    /// Nobody waits for this answer any more.
    pub(crate) fn forget_answer(&self, id: &str) {
        lock(&self.waiting).remove(id);
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
        let claims = Claims::new((caller, surface_text(surface)), version, (capabilities, client_info));
        let token: Arc<str> = serde_json::to_vec(&claims)
            .ok()
            .and_then(|plain| seal.seal(PURPOSE, &plain))
            .ok_or(Refusal::Shed(Duration::from_secs(1)))?
            .into();
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
        let claims = &session.claims;
        if !claims.are_of(caller) || claims.surface != surface_text(surface) {
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
            let claims = Claims::new((caller, String::new()), Version::LATEST_SESSION, introduction);
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

    /// Ends all sessions of a caller who may not call any more.
    pub(crate) fn end_all_of(&self, caller: &str) -> Vec<Arc<Session>> {
        let known = self.known.pin();
        let own = known.iter().filter(|(_, session)| session.claims.caller == caller);
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
