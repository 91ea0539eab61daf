//! The administration address: health for orchestrators, metrics for Prometheus, the state as JSON, and the console.
//!
//! It shows the whole mesh, so it is bound to loopback unless told otherwise, lets only admins see more than health and metrics from
//! elsewhere (`entry`), and refuses foreign hosts and origins like the MCP endpoint does.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Json, Router,
    extract::{ConnectInfo, Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::get,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use weft_balance::BreakerState;
use weft_identity::{Identity, Served};
use weft_telemetry::{Recorder, names};

use crate::{
    Gateway,
    door::{self, Known},
    status,
};

mod console;
mod entry;

#[derive(Clone)]
struct Shared {
    gateway: Arc<Gateway>,
    recorder: Recorder,
}

/// Serves until `stop`.
pub(crate) async fn run(gateway: Arc<Gateway>, recorder: Recorder, listener: TcpListener, stop: CancellationToken) {
    let shared = Shared { gateway, recorder };
    let router = Router::new()
        .route("/", get(page))
        .route("/live", get(live))
        .route("/ready", get(ready))
        .route("/health", get(ready))
        .route("/metrics", get(metrics_text))
        .route("/api/v1/status", get(state))
        .layer(middleware::from_fn_with_state(shared.clone(), guard))
        .with_state(shared);
    let router = router.into_make_service_with_connect_info::<SocketAddr>();
    let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::error!(%error, "the administration address failed");
    }
}

/// Refuses what a web page could send, and forbids the console to load anything from elsewhere.
async fn guard(
    State(shared): State<Shared>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let settings = &shared.gateway.settings;
    let known = Known { doors: &settings.doors, listen: settings.admin.ip(), tls: None };
    if door::check(request.uri(), request.headers(), known).is_err() {
        return (StatusCode::FORBIDDEN, "this host or origin is not served here\n").into_response();
    }
    if let Err(refused) = entry::enter(&shared.gateway, address, request.uri().path(), request.headers()) {
        return *refused;
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'");
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn live() -> &'static str {
    "live\n"
}

/// Ready until the drain begins: a gateway without servers still answers honestly.
async fn ready(State(shared): State<Shared>) -> (StatusCode, &'static str) {
    if shared.gateway.drain.is_cancelled() {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
    } else {
        (StatusCode::OK, "ready\n")
    }
}

async fn metrics_text(State(shared): State<Shared>) -> Response {
    measure(&shared.gateway);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], shared.recorder.render()).into_response()
}

/// Sets the gauges that nobody keeps: they are what is true when somebody asks.
fn measure(gateway: &Gateway) {
    let (calls, streams) = gateway.admission.in_flight();
    metrics::gauge!(names::GATEWAY_REGISTRY_STALE.name).set(f64::from(u8::from(gateway.upstreams.is_stale())));
    let lives = [
        ("mesh", gateway.upstreams.identity.as_ref().and_then(Identity::life)),
        ("listener", gateway.tls.as_ref().and_then(Served::life)),
    ];
    for (of, life) in lives {
        let Some((begins, ends)) = life.map(|life| life.seconds()) else { continue };
        metrics::gauge!(names::CERTIFICATE_BEGIN.name, "of" => of).set(begins);
        metrics::gauge!(names::CERTIFICATE_END.name, "of" => of).set(ends);
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of calls and connections")]
    {
        metrics::gauge!(names::GATEWAY_IN_FLIGHT.name).set(calls as f64);
        metrics::gauge!(names::GATEWAY_STREAMS.name).set(streams as f64);
        for service in gateway.upstreams.all().values() {
            let states = gateway.upstreams.states(service);
            let blocked = states.iter().filter(|(_, state)| state.breaker != BreakerState::Admits).count();
            let name = names::GATEWAY_INSTANCES_BLOCKED.name;
            metrics::gauge!(name, "service" => Arc::clone(&service.label)).set(blocked as f64);
            let open: usize = service.group().instances.iter().map(|instance| instance.connections.open()).sum();
            let name = names::GATEWAY_UPSTREAM_CONNECTIONS.name;
            metrics::gauge!(name, "service" => Arc::clone(&service.label)).set(open as f64);
        }
    }
}

async fn state(State(shared): State<Shared>) -> Json<status::Status> {
    Json(status::of(&shared.gateway))
}

async fn page(State(shared): State<Shared>) -> Response {
    let page = console::page(&status::of(&shared.gateway), &shared.gateway.settings);
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
}
