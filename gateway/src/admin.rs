//! The administration address: health for orchestrators, metrics for Prometheus, the state as JSON, and the console.
//!
//! It has no authentication of its own and shows the whole mesh, so it is bound to loopback unless told otherwise, and it
//! refuses foreign hosts and origins like the MCP endpoint does.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::get,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use weft_telemetry::{Recorder, names};

use crate::{Gateway, door, status};

mod console;

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
    let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::error!(%error, "the administration address failed");
    }
}

/// Refuses what a web page could send, and forbids the console to load anything from elsewhere.
async fn guard(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    if door::check(request.uri(), request.headers(), &shared.gateway.settings.doors).is_err() {
        return (StatusCode::FORBIDDEN, "this host or origin is not served here\n").into_response();
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
    let (calls, streams) = shared.gateway.admission.in_flight();
    #[expect(clippy::cast_precision_loss, reason = "counts of calls and connections")]
    {
        metrics::gauge!(names::GATEWAY_IN_FLIGHT.name).set(calls as f64);
        metrics::gauge!(names::GATEWAY_STREAMS.name).set(streams as f64);
        for service in shared.gateway.upstreams.all().values() {
            let open: usize = service.group().instances.iter().map(|instance| instance.connections.open()).sum();
            let name = names::GATEWAY_UPSTREAM_CONNECTIONS.name;
            metrics::gauge!(name, "service" => Arc::clone(&service.label)).set(open as f64);
        }
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], shared.recorder.render()).into_response()
}

async fn state(State(shared): State<Shared>) -> Json<status::Status> {
    Json(status::of(&shared.gateway))
}

async fn page(State(shared): State<Shared>) -> Response {
    let page = console::page(&status::of(&shared.gateway), &shared.gateway.settings);
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
}
