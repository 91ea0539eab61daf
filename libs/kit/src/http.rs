//! One HTTP request on an accepted connection → the SDK, a health answer, or 404.
//!
//! Whose headers are believed is decided per connection, before any request is read. The two eras part here because they
//! disagree about hanging up: in the stateless era it cancels the call, in the session era it must not (see `session_era.rs`).

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use tokio_util::sync::CancellationToken;
use weft_identity::Identity;
use weft_telemetry::names;

use crate::caller::{self, Arrived, Caller};
use crate::core::Core;
use crate::engine::Engine;
use crate::fitness::Fitness;
use crate::host::{Host, RenderMetrics};
use crate::server::Server;
use crate::session_era::SessionEra;
use crate::trace::Traced;

/// The path of the MCP endpoint.
pub(crate) const PATH: &str = "/mcp";

pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;
pub(crate) type Sdk = StreamableHttpService<Traced, NeverSessionManager>;

/// What all connections of an instance share.
pub(crate) struct Site {
    sdk: Arc<Sdk>,
    name: String,
    namespace: String,
    body_limit: usize,
    metrics: Option<RenderMetrics>,
    identity: Option<Identity>,
    ready: AtomicBool,
    engine: Option<Arc<dyn Engine>>,
    core: Arc<Core>,
    pub(crate) session_era: SessionEra,
}

/// Who is at the other end of a connection.
#[derive(Clone)]
pub(crate) struct Peer {
    /// The caller when no header is believed.
    pub(crate) caller: Caller,
    /// The certificate is the gateway's: it speaks for callers.
    pub(crate) is_gateway: bool,
}

impl Site {
    pub(crate) fn new(core: &Arc<Core>, host: &Host, sever: CancellationToken) -> Self {
        let config = StreamableHttpServerConfig::default()
            .with_json_response(true)
            .with_legacy_session_mode(false)
            .with_max_request_body_bytes(host.body_limit)
            .with_allowed_origins(host.origins.clone())
            .enforce_origin_validation()
            .with_cancellation_token(sever);
        // A foreign page that rebinds a name to us holds no certificate; without TLS the name itself is the check.
        let config = if host.identity.is_some() {
            config.disable_allowed_hosts()
        } else {
            let own = host.listen.ip().to_string();
            config.with_allowed_hosts(["localhost", "127.0.0.1", "::1", &own])
        };
        let one = Traced(Server { core: Arc::clone(core), local: None });
        let sdk = StreamableHttpService::new(move || Ok(one.clone()), Arc::default(), config);
        Self {
            sdk: Arc::new(sdk),
            name: core.service.manifest.name().to_owned(),
            namespace: core.rules.namespace.clone(),
            body_limit: host.body_limit,
            metrics: host.metrics.clone(),
            identity: host.identity.clone(),
            ready: AtomicBool::new(false),
            engine: core.service.engine.clone(),
            core: Arc::clone(core),
            session_era: SessionEra::default(),
        }
    }

    /// The service's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Says whether new calls are welcome.
    pub(crate) fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Release);
    }

    /// Whether new calls are welcome.
    pub(crate) fn is_ready(&self) -> bool {
        let engine = self.engine.as_ref().is_none_or(|engine| engine.is_healthy());
        self.ready.load(Ordering::Acquire) && engine && self.fitness() != Fitness::Unfit
    }

    /// How the service fares with what is behind it.
    fn fitness(&self) -> Fitness {
        self.core.service.fitness.as_ref().map_or(Fitness::Fit, |feel| feel())
    }

    /// Until when we can prove who we are, for whoever reads the metrics.
    fn tell_certificate(&self) {
        let Some(life) = self.identity.as_ref().and_then(Identity::life) else { return };
        let (begins, ends) = life.seconds();
        metrics::gauge!(names::CERTIFICATE_BEGIN.name, "of" => "mesh").set(begins);
        metrics::gauge!(names::CERTIFICATE_END.name, "of" => "mesh").set(ends);
    }

    /// The other end of a connection that proves nothing.
    pub(crate) fn unproven(&self) -> Peer {
        Peer { caller: Caller::local(&self.namespace), is_gateway: false }
    }

    /// Answers one request of `peer`.
    pub(crate) async fn answer(&self, peer: &Peer, request: Request<Incoming>) -> Response<Body> {
        if request.uri().path() != PATH {
            return self.health(&request);
        }
        let arrived = arrived(peer, request.headers());
        if let Some(engine) = &self.engine {
            let (parts, body) = request.into_parts();
            let Ok(body) = Limited::new(body, self.body_limit).collect().await else {
                return plain(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large or broke off\n");
            };
            let request = Request::from_parts(parts, body.to_bytes());
            return Arc::clone(engine).answer(request, arrived.caller.id).await;
        }
        if is_stateless(request.headers()) {
            let mut request = request;
            request.extensions_mut().insert(arrived);
            return self.sdk.handle(request).await.map(BodyExt::boxed_unsync);
        }
        self.session_era_call(arrived, request).await
    }

    /// In one word, for people.
    fn state(&self) -> &'static str {
        match (self.ready.load(Ordering::Acquire), self.fitness()) {
            (false, _) => "stopping",
            (true, Fitness::Unfit) => "unfit",
            (true, Fitness::Degraded) => "degraded",
            (true, Fitness::Fit) if self.is_ready() => "ready",
            (true, Fitness::Fit) => "stopping",
        }
    }

    /// Health for whoever can connect: no secrets, no details.
    pub(crate) fn health<B>(&self, request: &Request<B>) -> Response<Body> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return plain(StatusCode::NOT_FOUND, "not found\n");
        }
        let ready = self.is_ready();
        match request.uri().path() {
            "/live" => plain(StatusCode::OK, "live\n"),
            "/ready" if ready => plain(StatusCode::OK, "ready\n"),
            "/ready" => plain(StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", self.state())),
            "/health" => {
                let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                json(status, format!("{{\"service\":\"{}\",\"state\":\"{}\"}}\n", self.name, self.state()))
            }
            "/metrics" => match &self.metrics {
                Some(render) => {
                    self.tell_certificate();
                    plain(StatusCode::OK, render())
                }
                None => plain(StatusCode::NOT_FOUND, "not found\n"),
            },
            _ => plain(StatusCode::NOT_FOUND, "not found\n"),
        }
    }

    async fn session_era_call(&self, mut arrived: Arrived, request: Request<Incoming>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let Ok(body) = Limited::new(body, self.body_limit).collect().await else {
            return plain(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large or broke off\n");
        };
        let body = body.to_bytes();
        let session = parts.headers.get("mcp-session-id").map_or(&[][..], |id| id.as_bytes());
        let glance = self.session_era.look(&arrived.caller.id, session, &body);
        let mut request = Request::from_parts(parts, Full::new(body));
        if glance.stateless {
            request.extensions_mut().insert(arrived);
            return self.sdk.handle(request).await.map(BodyExt::boxed_unsync);
        }
        arrived.cancel = glance.entry.as_ref().map(|entry| entry.token().clone());
        request.extensions_mut().insert(arrived);
        self.session_era.shield(Arc::clone(&self.sdk), request, glance.entry).await
    }
}

/// Who calls, as far as the connection lets us believe it.
fn arrived(peer: &Peer, headers: &HeaderMap) -> Arrived {
    let caller = if peer.is_gateway { Caller::from_gateway(headers, &peer.caller) } else { peer.caller.clone() };
    // Anyone may be less patient than we are.
    let patience = headers.get(caller::DEADLINE).and_then(|value| value.to_str().ok()?.parse().ok());
    Arrived { caller, patience: patience.map(Duration::from_millis), cancel: None }
}

/// Versions are dates: later ones sort later.
fn is_stateless(headers: &HeaderMap) -> bool {
    headers
        .get("mcp-protocol-version")
        .and_then(|value| value.to_str().ok())
        .is_some_and(|version| version >= "2026-07-28")
}

pub(crate) fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    answer(status, "text/plain; charset=utf-8", text.into())
}

fn json(status: StatusCode, text: String) -> Response<Body> {
    answer(status, "application/json", text.into())
}

fn answer(status: StatusCode, kind: &'static str, text: Bytes) -> Response<Body> {
    let mut response = Response::new(Full::new(text).boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}
