//! `grpc.health.v1.Health/Check` (the gRPC health checking protocol), for registries and orchestrators that ask in that way.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::Stream;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tonic::codegen::Service as _;
use tonic::{Status, async_trait};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::http::{Body, Site};

/// What the requests of the protocol begin with.
const PREFIX: &str = "/grpc.health.v1.Health/";

/// Whether a request is of the protocol.
pub(crate) fn is_probe<B>(request: &Request<B>) -> bool {
    request.uri().path().starts_with(PREFIX)
}

/// Answers one.
pub(crate) async fn answer(site: Arc<Site>, request: Request<Incoming>) -> Response<Body> {
    let response: Result<_, Infallible> = HealthServer::new(Probed(site)).call(request).await;
    let (parts, body) = match response {
        Ok(response) => response.into_parts(),
        Err(never) => match never {},
    };
    // The answer is one message at hand, with its trailers; collecting it fails only if its making failed.
    let body = body.collect().await.map(BodyExt::boxed_unsync).unwrap_or_default();
    Response::from_parts(parts, body)
}

struct Probed(Arc<Site>);

#[async_trait]
impl Health for Probed {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    /// The whole process, or the service by its name with or without `mcp-`.
    async fn check(
        &self,
        request: tonic::Request<HealthCheckRequest>,
    ) -> Result<tonic::Response<HealthCheckResponse>, Status> {
        let asked = request.into_inner().service;
        if !asked.is_empty() && asked.strip_prefix("mcp-").unwrap_or(&asked) != self.0.name() {
            return Err(Status::not_found("this process is another service"));
        }
        let status = if self.0.is_ready() { ServingStatus::Serving } else { ServingStatus::NotServing };
        Ok(tonic::Response::new(HealthCheckResponse { status: status.into() }))
    }

    async fn watch(
        &self,
        _request: tonic::Request<HealthCheckRequest>,
    ) -> Result<tonic::Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("ask again instead of watching"))
    }
}
