//! What stands behind a service's front instead of tools of its own: something that speaks MCP over HTTP already, and only lacks
//! what the kit gives: mutual TLS, the registry, health, metrics, an orderly end.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;

/// The body of an engine's answer.
pub type EngineBody = UnsyncBoxBody<Bytes, std::convert::Infallible>;

/// Answers requests of MCP, and says whether it can.
pub trait Engine: Send + Sync + 'static {
    /// Answers one request of the caller of this id.
    fn answer(self: Arc<Self>, request: Request<Bytes>, caller: String) -> BoxFuture<'static, Response<EngineBody>>;

    /// False while calls would fail.
    fn is_healthy(&self) -> bool;

    /// Ends what it runs; returns when that has ended.
    fn end(self: Arc<Self>) -> BoxFuture<'static, ()>;
}
