//! A [`Link`]: the session that the gateway holds at a server for one client's session.
//!
//! Made when the first call needs it, at the instance that the client's session hashes to, and made again when that
//! instance is gone or no longer knows it; the client sees none of this. Servers without sessions need no link.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use weft_mesh::ServiceId;
use weft_wire::{headers, reply, splice::quote, version::Version};

use super::Session;
use crate::{
    Gateway,
    envelope::header,
    forward::{
        rewrite::Asker,
        ship::{Shipment, ship},
    },
    refusal::{Broken, Refusal},
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
    /// Its id there.
    pub(crate) token: String,
    /// Set once the server's own stream is being read.
    pub(crate) listening: std::sync::atomic::AtomicBool,
}

impl Link {
    /// Who asks when a question comes over this link.
    pub(crate) fn asker<'a>(&'a self, gateway: &'a Gateway, session: &'a Session, service: &'a ServiceId) -> Asker<'a> {
        Asker {
            seal: &gateway.seal,
            session: &session.claims.id,
            service,
            instance: &self.instance.info.id,
            token: &self.token,
        }
    }
}

/// What an `initialize` at a server gave.
pub(crate) struct Opened {
    /// The raw message with the result.
    pub(crate) message: Bytes,
    pub(crate) status: StatusCode,
    /// Present when the server keeps a session.
    pub(crate) link: Option<Arc<Link>>,
    pub(crate) version: Option<Version>,
}

impl Session {
    /// The link to `service`, made if need be; none when the service has no sessions.
    pub(crate) async fn link(
        self: &Arc<Self>,
        gateway: &Arc<Gateway>,
        service: &Arc<Service>,
    ) -> Result<Option<Arc<Link>>, Refusal> {
        if !service.has_sessions() {
            return Ok(None);
        }
        let mut links = self.links.lock().await;
        if let Some(link) = links.get(&service.id) {
            if is_there(service, &link.instance) {
                return Ok(Some(Arc::clone(link)));
            }
            links.remove(&service.id);
        }
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":"weft-initialize","method":"initialize","params":{{"protocolVersion":"{}","capabilities":{},"clientInfo":{}}}}}"#,
            self.version.as_str(),
            self.claims.capabilities,
            self.claims.client_info
        );
        let opened = open(gateway, service, self, body.into()).await?;
        let Some(link) = opened.link else { return Ok(None) };
        let ready = outgoing(
            self,
            Bytes::from_static(br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#),
            Some(&link),
        );
        exchange::exchange(&link.instance, &ready).await.map_err(|error| {
            tracing::warn!(service = %service.id, why = error.why(), "cannot begin a session at the server");
            lost(service)
        })?;
        self.restore(gateway, service, &link).await;
        links.insert(service.id.clone(), Arc::clone(&link));
        drop(links);
        tracing::debug!(service = %service.id, instance = link.instance.info.id, "session opened at the server");
        Ok(Some(link))
    }

    /// What the client had asked of an earlier session at the server is asked again of this one.
    async fn restore(self: &Arc<Self>, gateway: &Arc<Gateway>, service: &Arc<Service>, link: &Arc<Link>) {
        let level = super::lock(&self.level).clone();
        if let Some(level) = level {
            let body = format!(
                r#"{{"jsonrpc":"2.0","id":"weft-level","method":"logging/setLevel","params":{{"level":{}}}}}"#,
                quote(&level)
            );
            // A server without logging refuses, which changes nothing.
            let _ = exchange::exchange(&link.instance, &outgoing(self, body.into(), Some(link))).await;
        }
        if self.rings.own_is_open() {
            crate::forward::own_stream::follow(gateway, self, service, link);
        }
    }

    /// Keeps a link that `initialize` on the verbatim path has made.
    pub(crate) async fn adopt(&self, service: &Service, link: Arc<Link>) {
        self.links.lock().await.insert(service.id.clone(), link);
    }

    /// Drops a link that the server no longer knows, unless it has been replaced already.
    pub(crate) async fn unlink(&self, service: &Service, link: &Arc<Link>) {
        let mut links = self.links.lock().await;
        if links.get(&service.id).is_some_and(|present| Arc::ptr_eq(present, link)) {
            links.remove(&service.id);
        }
    }

    /// Ends all sessions at servers.
    pub(crate) async fn close(self: &Arc<Self>) {
        self.rings.finish();
        let links = std::mem::take(&mut *self.links.lock().await);
        for link in links.into_values() {
            let mut farewell = outgoing(self, Bytes::new(), Some(&link));
            farewell.verb = Method::DELETE;
            // The server forgets it in time if this does not arrive.
            let _ = exchange::exchange(&link.instance, &farewell).await;
        }
    }
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
        at: Arc::default(),
    };
    let landed = ship(gateway, &shipment).await?;
    let answer_headers = landed.answer.headers().clone();
    let instance = Arc::clone(&landed.instance);
    let (status, message) =
        exchange::response(landed.answer, gateway.settings.limits.reply_bytes).await.map_err(|_| lost(service))?;
    let link = header(&answer_headers, headers::SESSION_ID).map(|token| {
        let listening = std::sync::atomic::AtomicBool::new(false);
        Arc::new(Link { instance, token: token.to_owned(), listening })
    });
    let version = reply::scan(&message).error_code.is_none().then(|| negotiated(&message)).flatten();
    Ok(Opened { message, status, link, version })
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
    Version::parse(&message.result.protocol_version)
}

/// A message of this session, on its way to a server.
pub(crate) fn outgoing(session: &Session, body: Bytes, link: Option<&Arc<Link>>) -> Outgoing {
    Outgoing {
        verb: Method::POST,
        body,
        version: session.version,
        method: None,
        name: None,
        session: link.map(|link| link.token.clone()),
        correlation: Some(session.claims.id.clone()),
        client: Arc::new(HeaderMap::new()),
        caller: session.claims.caller.clone(),
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
