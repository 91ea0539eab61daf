//! A real receiver of OTLP, by gRPC and by HTTP on one port: what arrives is kept as flat spans that tests can search.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::post};
use hyper_util::{rt::TokioExecutor, rt::TokioIo, server::conn::auto, service::TowerToHyperService};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{AnyValue, KeyValue, any_value},
};
use prost::Message as _;
use tonic::{Request, Response, Status};

use crate::harness::eventually;

/// One span as it arrived.
#[derive(Debug, Clone)]
pub(super) struct Span {
    /// `service.name` of who sent it.
    pub(super) service: String,
    pub(super) name: String,
    pub(super) trace: String,
    pub(super) id: String,
    pub(super) parent: String,
    /// 2 server, 3 client.
    pub(super) kind: i32,
    /// 2 for a failure.
    pub(super) status: i32,
    pub(super) attributes: BTreeMap<String, String>,
}

impl Span {
    pub(super) fn get(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

/// A collector, for as long as it is kept.
pub(super) struct Collector {
    port: u16,
    kept: Kept,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
}

#[derive(Clone, Default)]
struct Kept {
    spans: Arc<Mutex<Vec<Span>>>,
    /// `authorization` of each request over HTTP, and `grpc` for each by gRPC.
    requests: Arc<Mutex<Vec<String>>>,
    delay: Duration,
}

impl Collector {
    /// Begins to listen; every request is answered after `delay`.
    pub(super) fn start(delay: Duration) -> Self {
        let kept = Kept { delay, ..Kept::default() };
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (tell, told) = mpsc::channel();
        let mine = kept.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap().port()).unwrap();
                tokio::select! {
                    () = serve(listener, mine) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { port: told.recv().unwrap(), kept, stop: Some(stop) }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn spans(&self) -> Vec<Span> {
        self.kept.spans.lock().unwrap().clone()
    }

    pub(super) fn requests(&self) -> Vec<String> {
        self.kept.requests.lock().unwrap().clone()
    }

    /// The spans of one trace, once there are at least so many and those above them: a span ends, and is sent, before the one that
    /// it lies below, and each process sends its own when it likes.
    pub(super) fn trace(&self, id: &str, count: usize) -> Vec<Span> {
        let own = || self.spans().into_iter().filter(|span| span.trace == id).collect::<Vec<_>>();
        let known = |all: &[Span], parent: &str| {
            parent.is_empty() || parent == super::CLIENT || all.iter().any(|span| span.id == parent)
        };
        eventually(&format!("{count} spans of {id} and their parents arrived"), || {
            let all = own();
            all.len() >= count && all.iter().all(|span| known(&all, &span.parent))
        });
        own()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
    }
}

async fn serve(listener: tokio::net::TcpListener, kept: Kept) {
    let grpc = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    let router = Router::new()
        .route("/v1/traces", post(by_http))
        .with_state(kept.clone())
        .route_service(grpc, TraceServiceServer::new(kept));
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), service).await;
        });
    }
}

async fn by_http(State(kept): State<Kept>, headers: HeaderMap, body: Bytes) -> Vec<u8> {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let authorization = headers.get("authorization").map_or("", |value| value.to_str().unwrap());
    kept.requests.lock().unwrap().push(authorization.to_owned());
    kept.take(ExportTraceServiceRequest::decode(body).unwrap()).await;
    ExportTraceServiceResponse::default().encode_to_vec()
}

#[tonic::async_trait]
impl TraceService for Kept {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.requests.lock().unwrap().push("grpc".to_owned());
        self.take(request.into_inner()).await;
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Kept {
    async fn take(&self, request: ExportTraceServiceRequest) {
        tokio::time::sleep(self.delay).await;
        for group in request.resource_spans {
            let resource = attributes(group.resource.map(|resource| resource.attributes).unwrap_or_default());
            let service = resource.get("service.name").cloned().unwrap_or_default();
            let spans = group.scope_spans.into_iter().flat_map(|scope| scope.spans).map(|span| Span {
                service: service.clone(),
                name: span.name,
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                kind: span.kind,
                status: span.status.map_or(0, |status| status.code),
                attributes: attributes(span.attributes),
            });
            self.spans.lock().unwrap().extend(spans);
        }
    }
}

fn attributes(list: Vec<KeyValue>) -> BTreeMap<String, String> {
    list.into_iter().map(|pair| (pair.key, text(pair.value))).collect()
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(any_value::Value::StringValue(text)) => text,
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        Some(any_value::Value::BoolValue(flag)) => flag.to_string(),
        other => format!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
