//! Servers that the gateway runs itself, as the settings say: programs on stdio and connections of the old HTTP+SSE transport behind
//! adapters, and APIs that a document describes; each on a loopback port of its own.
//!
//! So they are instances like all others: balanced, protected and observed in one way. The port's path is a secret of this process,
//! so that nobody on the machine goes around the gateway.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use http_body_util::{BodyExt as _, Limited};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;
use weft_adapt::{Adapter, Body, Options, Source};
use weft_mesh::{Instance, ServiceId};
use weft_openapi::{Document, OpenApi};

use crate::settings::{ServiceSettings, Settings};

/// What answers behind a port.
#[derive(Clone)]
enum Engine {
    Adapted(Arc<Adapter>),
    Api(Arc<OpenApi>),
}

impl Engine {
    /// Of a service of the settings; none for one that is somewhere else.
    fn of(own: &ServiceSettings, settings: &Settings) -> Result<Option<Self>, String> {
        if let Some(path) = &own.openapi {
            let document = Document::load(path).map_err(|error| error.to_string())?;
            let mut options = weft_openapi::Options::new(&own.name, document);
            options.base.clone_from(&own.base);
            options.headers = headers(own)?;
            options.timeout = Duration::from_secs(own.call_seconds.unwrap_or(settings.timeouts.call_seconds));
            return OpenApi::new(options).map(|api| Some(Self::Api(api))).map_err(|error| error.to_string());
        }
        let Some(source) = source(own)? else { return Ok(None) };
        let mut options = Options::new(&own.name, source);
        options.sharing = own.sharing.as_deref().unwrap_or("session").parse()?;
        options.most = own.children.unwrap_or(options.most);
        options.idle = Duration::from_secs(settings.timeouts.session_idle_seconds);
        options.line_bytes = settings.limits.event_bytes;
        options.shim = std::env::current_exe().ok();
        Ok(Some(Self::Adapted(Adapter::start(options))))
    }

    async fn handle(&self, request: http::Request<bytes::Bytes>, caller: &str) -> http::Response<Body> {
        match self {
            Self::Adapted(adapter) => adapter.handle(request, caller).await,
            Self::Api(api) => api.handle(request).await,
        }
    }

    async fn shutdown(&self) {
        if let Self::Adapted(adapter) = self {
            adapter.shutdown().await;
        }
    }
}

/// The servers that this gateway runs.
#[derive(Default)]
pub(crate) struct Embedded {
    engines: Vec<Engine>,
    /// Where they are.
    pub(crate) instances: Vec<Instance>,
    serving: JoinSet<()>,
}

/// Marks an instance as one of these: what it is told of a caller stays in this process.
pub(crate) const MARK: &str = "embedded";

impl Embedded {
    /// Starts an adapter for each service that needs one; all that is wrong is said at once.
    pub(crate) async fn start(settings: &Settings, stop: &CancellationToken) -> Result<Self, Vec<String>> {
        let mut embedded = Self::default();
        let mut wrong = Vec::new();
        for own in &settings.service {
            let added = match Engine::of(own, settings) {
                Ok(Some(engine)) => embedded.add(own, engine, settings, stop).await,
                Ok(None) => Ok(()),
                Err(why) => Err(why),
            };
            wrong.extend(added.err().map(|why| format!("service {:?}: {why}", own.name)));
        }
        if wrong.is_empty() { Ok(embedded) } else { Err(wrong) }
    }

    async fn add(
        &mut self,
        own: &ServiceSettings,
        engine: Engine,
        settings: &Settings,
        stop: &CancellationToken,
    ) -> Result<(), String> {
        let id: ServiceId = own.name.parse().map_err(|error: weft_mesh::InvalidServiceId| error.to_string())?;
        let listener =
            TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let path = format!("/{:032x}", rand()?);
        let mut instance = Instance::new(id, 1, address);
        instance.path.clone_from(&path);
        instance.era = own.peer_era();
        instance.meta.insert(MARK.into(), "true".into());
        self.serving.spawn(serve(engine.clone(), listener, path, (settings.limits.body_bytes, stop.clone())));
        self.engines.push(engine);
        self.instances.push(instance);
        Ok(())
    }

    /// Ends all programs and connections; returns when they have ended.
    pub(crate) async fn shutdown(mut self) {
        futures_util::future::join_all(self.engines.iter().map(Engine::shutdown)).await;
        self.serving.shutdown().await;
    }
}

/// The headers that the settings name, read.
fn headers(own: &ServiceSettings) -> Result<http::HeaderMap, String> {
    let mut headers = http::HeaderMap::new();
    for (name, reference) in &own.headers {
        let value = reference.value().map_err(|error| format!("the header {name}: {error}"))?;
        let wrong = || format!("the header {name} cannot be one: it holds a line break or a control character");
        let mut value = http::HeaderValue::try_from(value).map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.insert(http::HeaderName::try_from(name).map_err(|_| wrong())?, value);
    }
    Ok(headers)
}

fn rand() -> Result<u128, String> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| "no random bytes from the operating system".to_owned())?;
    Ok(u128::from_le_bytes(bytes))
}

/// What is to be adapted; none for a service that is somewhere else.
fn source(own: &ServiceSettings) -> Result<Option<Source>, String> {
    if let Some(url) = &own.sse {
        return Ok(Some(Source::Sse { url: url.clone(), headers: headers(own)? }));
    }
    let Some((program, arguments)) = own.command.split_first() else { return Ok(None) };
    if !is_there(program) {
        return Err(format!("the program {program:?} is not found; give its path, or install it"));
    }
    let mut variables = Vec::new();
    for (name, reference) in &own.env {
        variables.push((name.clone(), reference.value().map_err(|error| format!("the variable {name}: {error}"))?));
    }
    let (program, arguments) = (program.clone(), arguments.to_vec());
    Ok(Some(Source::Command { program, arguments, variables, directory: own.directory.clone() }))
}

fn is_there(program: &str) -> bool {
    if program.contains('/') {
        return std::path::Path::new(program).is_file();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

async fn serve(engine: Engine, listener: TcpListener, path: String, (limit, stop): (usize, CancellationToken)) {
    let path: Arc<str> = path.into();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        let Ok((socket, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let _ = socket.set_nodelay(true);
        let (engine, path) = (engine.clone(), Arc::clone(&path));
        let service = service_fn(move |request| {
            let (engine, path) = (engine.clone(), Arc::clone(&path));
            async move { Ok::<_, Infallible>(answer(&engine, &path, request, limit).await) }
        });
        tokio::spawn(async move {
            let http = auto::Builder::new(TokioExecutor::new());
            if let Err(error) = http.serve_connection(TokioIo::new(socket), service).await {
                tracing::debug!(%error, "a connection to an adapter ended");
            }
        });
    }
}

async fn answer(engine: &Engine, path: &str, request: http::Request<Incoming>, limit: usize) -> http::Response<Body> {
    let (parts, body) = request.into_parts();
    let refused = |status| {
        let mut response = http::Response::new(http_body_util::Empty::new().boxed_unsync());
        *response.status_mut() = status;
        response
    };
    if parts.uri.path() != path {
        return refused(http::StatusCode::NOT_FOUND);
    }
    let Ok(body) = Limited::new(body, limit).collect().await else {
        return refused(http::StatusCode::PAYLOAD_TOO_LARGE);
    };
    let caller = parts.headers.get("weft-caller").and_then(|it| it.to_str().ok()).unwrap_or_default().to_owned();
    engine.handle(http::Request::from_parts(parts, body.to_bytes()), &caller).await
}
