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
};

use bytes::Bytes;
use tokio::sync::{broadcast, oneshot};
use tokio_util::sync::CancellationToken;
use weft_mesh::ServiceId;
use weft_wire::{
    envelope::Id,
    translate::{self, Introduction},
    version::Version,
};

use crate::authenticate::Caller;

mod claims;
pub(crate) mod forgotten;
pub(crate) mod level;
pub(crate) mod link;
pub(crate) mod ring;
mod table;

pub(crate) use table::Sessions;

use claims::Claims;
use level::Level;
use link::{Link, Slot};
use ring::Rings;

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
        self.claims.caller()
    }

    /// True for one that stands for a caller without a session.
    pub(crate) fn is_pooled(&self) -> bool {
        self.pooled
    }

    /// True for a session of a service's own endpoint.
    pub(crate) fn is_verbatim(&self) -> bool {
        self.claims.is_verbatim()
    }

    /// True for a session of a virtual server.
    pub(crate) fn is_virtual(&self) -> bool {
        self.claims.is_virtual()
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
