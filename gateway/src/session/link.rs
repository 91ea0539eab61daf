//! A [`Link`]: the session that the gateway holds at a server for one client's session, or for one caller without any.
//!
//! Made when the first call needs it, at the instance that the client's session hashes to, and made again when that
//! instance is gone or no longer knows it; the client sees none of this. Each service has a [`Slot`] of its own, so that
//! one that is slow to begin holds up no other.

use std::sync::{Arc, Mutex, PoisonError, atomic::AtomicBool};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use weft_mesh::ServiceId;
use weft_wire::{headers, reply, splice::quote, version::Version};

use super::{Session, level::Level};
use crate::{
    Gateway,
    envelope::header,
    forward::{
        rewrite::Asker,
        ship::{Shipment, ship},
    },
    refusal::{Broken, Refusal},
    sampling,
    trace::Trace,
    upstream::{
        Instance, Service,
        exchange::{self, Outgoing},
    },
};

/// A session at a server.
#[derive(Debug)]
pub(crate) struct Link {
    /// The instance that knows the session.
    pub(crate) instance: Arc<Instance>,
    /// Its id there; none when the server keeps no session behind its handshake.
    pub(crate) token: Option<String>,
    /// What was agreed on with the server.
    pub(crate) version: Version,
    /// Set once the server's own stream is being read.
    pub(crate) listening: AtomicBool,
    /// The log level that the server was told.
    level: Mutex<Option<Level>>,
}

/// The place of one service's link.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    link: ArcSwapOption<Link>,
    opening: tokio::sync::Mutex<()>,
}

impl Slot {
    /// The link, if there is one now.
    pub(crate) fn link(&self) -> Option<Arc<Link>> {
        self.link.load_full()
    }

    fn put(&self, link: Option<Arc<Link>>) {
        let (before, now) = (self.link.load().is_some(), link.is_some());
        self.link.store(link);
        let gauge = metrics::gauge!(weft_telemetry::names::GATEWAY_LINKS.name);
        match (before, now) {
            (false, true) => gauge.increment(1.0),
            (true, false) => gauge.decrement(1.0),
            _ => {}
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.put(None);
    }
}

impl Link {
    /// Who asks when a question comes over this link.
    pub(crate) fn asker<'a>(&'a self, gateway: &'a Gateway, session: &'a Session, service: &'a ServiceId) -> Asker<'a> {
        Asker {
            seal: &gateway.seal,
            session: &session.claims.id,
            service,
            instance: &self.instance.info.id,
            token: self.token.as_deref().unwrap_or_default(),
        }
    }

    /// Makes the server tell what is at least as severe as `level`; it may go on to tell more.
    pub(crate) async fn tell_at_least(&self, session: &Session, level: Level) {
        let told = *self.level.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|told| told > level) {
            self.set_level(session, level).await;
        }
    }

    /// Makes the server tell what is at least as severe as `level`.
    pub(crate) async fn set_level(&self, session: &Session, level: Level) {
        *self.level.lock().unwrap_or_else(PoisonError::into_inner) = Some(level);
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":"weft-level","method":"logging/setLevel","params":{{"level":{}}}}}"#,
            quote(level.name())
        );
        // A server without logging refuses, which changes nothing for the client.
        let _ = exchange::exchange(&self.instance, &outgoing(session, body.into(), Some(self))).await;
    }
}

/// What an `initialize` at a server gave.
pub(crate) struct Opened {
    /// The raw message with the result.
    pub(crate) message: Bytes,
    pub(crate) status: StatusCode,
    /// Present when the server agreed.
    pub(crate) link: Option<Arc<Link>>,
}

impl Session {
    /// The link to `service`, made if need be.
    pub(crate) async fn link(
        self: &Arc<Self>,
        gateway: &Arc<Gateway>,
        service: &Arc<Service>,
    ) -> Result<Arc<Link>, Refusal> {
        let slot = self.slot(&service.id);
        if let Some(link) = slot.link().filter(|link| is_there(service, &link.instance)) {
            return Ok(link);
        }
        let opening = slot.opening.lock().await;
        if let Some(link) = slot.link().filter(|link| is_there(service, &link.instance)) {
            return Ok(link);
        }
        slot.put(None);
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":"weft-initialize","method":"initialize","params":{{"protocolVersion":"{}","capabilities":{},"clientInfo":{}}}}}"#,
            self.version.as_str(),
            sampling::declared(service.sampled, &self.claims.capabilities),
            self.claims.client_info
        );
        let opened = open(gateway, service, self, body.into()).await?;
        let Some(link) = opened.link else {
            tracing::warn!(service = %service.id, "the server refused a session");
            return Err(lost(service));
        };
        let ready = Bytes::from_static(br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        exchange::exchange(&link.instance, &outgoing(self, ready, Some(&link))).await.map_err(|error| {
            tracing::warn!(service = %service.id, why = error.why(), "cannot begin a session at the server");
            lost(service)
        })?;
        self.restore(gateway, service, &link).await;
        slot.put(Some(Arc::clone(&link)));
        drop(opening);
        tracing::debug!(service = %service.id, instance = link.instance.info.id, "session opened at the server");
        Ok(link)
    }

    /// What the client had asked of an earlier session at the server is asked again of this one.
    async fn restore(self: &Arc<Self>, gateway: &Arc<Gateway>, service: &Arc<Service>, link: &Arc<Link>) {
        if let Some(level) = self.level() {
            link.set_level(self, level).await;
        }
        for uri in self.followed(&service.id) {
            subscribe(self, link, &uri, true).await;
        }
        let listened_to = self.is_pooled() && self.heard().receiver_count() > 0;
        if listened_to || self.rings.own_is_open() {
            crate::forward::own_stream::follow(gateway, self, service, link);
        }
    }

    /// Keeps a link that `initialize` on the verbatim path has made.
    pub(crate) fn adopt(&self, service: &Service, link: Arc<Link>) {
        self.slot(&service.id).put(Some(link));
    }

    /// Drops a link that the server no longer knows, unless it has been replaced already.
    pub(crate) fn unlink(&self, service: &Service, link: &Arc<Link>) {
        let slot = self.slot(&service.id);
        if slot.link().is_some_and(|present| Arc::ptr_eq(&present, link)) {
            slot.put(None);
        }
    }

    /// Ends all sessions at servers.
    pub(crate) async fn close(self: &Arc<Self>) {
        self.rings.finish();
        for (_, link) in self.links() {
            if link.token.is_none() {
                continue;
            }
            let mut farewell = outgoing(self, Bytes::new(), Some(&link));
            farewell.verb = Method::DELETE;
            // The server forgets it in time if this does not arrive.
            let patience = std::time::Duration::from_secs(10);
            let _ = tokio::time::timeout(patience, exchange::exchange(&link.instance, &farewell)).await;
        }
        self.forget_links();
    }
}

/// `resources/subscribe` (true) or `resources/unsubscribe` over a link; true when the server agreed.
pub(crate) async fn subscribe(session: &Session, link: &Arc<Link>, uri: &str, begin: bool) -> bool {
    let method = if begin { "resources/subscribe" } else { "resources/unsubscribe" };
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":"weft-{}","method":"{method}","params":{{"uri":{}}}}}"#,
        fastrand::u64(..),
        quote(uri)
    );
    let asking = outgoing(session, body.into(), Some(link));
    let Ok(answer) = exchange::exchange(&link.instance, &asking).await else { return false };
    let Ok((_, body)) = exchange::response(answer, 1 << 20).await else { return false };
    let verdict = reply::scan(&body);
    verdict.is_response && verdict.error_code.is_none()
}

/// Sends an `initialize` to one instance.
pub(crate) async fn open(
    gateway: &Arc<Gateway>,
    service: &Arc<Service>,
    session: &Arc<Session>,
    body: Bytes,
) -> Result<Opened, Refusal> {
    let shipment = Shipment {
        service: Arc::clone(service),
        outgoing: outgoing(session, body, None),
        repeatable: true,
        label: None,
        deadline: std::time::Instant::now() + service.patience,
        pinned: None,
        hash: Some(session.hash()),
        trace: Trace::default(),
        method: "initialize",
    };
    let landed = ship(gateway, &shipment).await?;
    let answer_headers = landed.answer.headers().clone();
    let instance = Arc::clone(&landed.instance);
    let (status, message) =
        exchange::response(landed.answer, gateway.settings.limits.reply_bytes).await.map_err(|_| lost(service))?;
    let version = reply::scan(&message).error_code.is_none().then(|| negotiated(&message)).flatten();
    let token = header(&answer_headers, headers::SESSION_ID).map(str::to_owned);
    let link = version.map(|version| {
        Arc::new(Link { instance, token, version, listening: AtomicBool::new(false), level: Mutex::default() })
    });
    Ok(Opened { message, status, link })
}

fn negotiated(message: &[u8]) -> Option<Version> {
    #[derive(serde::Deserialize)]
    struct Message {
        result: Answer,
    }
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        protocol_version: String,
    }
    let message: Message = serde_json::from_slice(message).ok()?;
    // Of a version that nobody here knows, the newest rules of that era are the best guess.
    Some(Version::parse(&message.result.protocol_version).unwrap_or(Version::LATEST_SESSION))
}

/// A message of this session, on its way to a server.
pub(crate) fn outgoing(session: &Session, body: Bytes, link: Option<&Link>) -> Outgoing {
    Outgoing {
        verb: Method::POST,
        body,
        version: link.map_or(session.version, |link| link.version),
        method: None,
        name: None,
        session: link.and_then(|link| link.token.clone()),
        client: Arc::new(HeaderMap::new()),
        caller: session.caller(),
        traced: Vec::new(),
    }
}

fn is_there(service: &Service, instance: &Instance) -> bool {
    let group = service.group();
    let same =
        |present: &Arc<Instance>| present.info.id == instance.info.id && present.info.address == instance.info.address;
    group.instances.iter().position(same).is_some_and(|index| group.takes_calls(index))
}

fn lost(service: &Service) -> Refusal {
    Refusal::Service { service: service.id.to_string(), broken: Broken::Lost, retry: std::time::Duration::from_secs(1) }
}
