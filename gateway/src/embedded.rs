//! Servers that the gateway runs itself, as the settings say: programs on stdio and connections of the old HTTP+SSE transport, each
//! behind an adapter on a loopback port of its own.
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

use crate::settings::{ServiceSettings, Settings};

/// The servers that this gateway runs.
#[derive(Default)]
pub(crate) struct Embedded {
    adapters: Vec<Arc<Adapter>>,
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
            let source = match source(own) {
                Ok(Some(source)) => source,
                Ok(None) => continue,
                Err(why) => {
                    wrong.push(format!("service {:?}: {why}", own.name));
                    continue;
                }
            };
            if let Err(why) = embedded.add(own, source, settings, stop).await {
                wrong.push(format!("service {:?}: {why}", own.name));
            }
        }
        if wrong.is_empty() { Ok(embedded) } else { Err(wrong) }
    }

    async fn add(
        &mut self,
        own: &ServiceSettings,
        source: Source,
        settings: &Settings,
        stop: &CancellationToken,
    ) -> Result<(), String> {
        let id: ServiceId = own.name.parse().map_err(|error: weft_mesh::InvalidServiceId| error.to_string())?;
        let mut options = Options::new(&own.name, source);
        options.sharing = own.sharing.as_deref().unwrap_or("session").parse()?;
        options.most = own.children.unwrap_or(options.most);
        options.idle = Duration::from_secs(settings.timeouts.session_idle_seconds);
        options.line_bytes = settings.limits.event_bytes;
        options.shim = std::env::current_exe().ok();
        let listener =
            TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let path = format!("/{:032x}", rand()?);
        let mut instance = Instance::new(id, 1, address);
        instance.path.clone_from(&path);
        instance.era = own.peer_era();
        instance.meta.insert(MARK.into(), "true".into());
        let adapter = Adapter::start(options);
        self.serving.spawn(serve(Arc::clone(&adapter), listener, path, (settings.limits.body_bytes, stop.clone())));
        self.adapters.push(adapter);
        self.instances.push(instance);
        Ok(())
    }

    /// Ends all programs and connections; returns when they have ended.
    pub(crate) async fn shutdown(mut self) {
        futures_util::future::join_all(self.adapters.iter().map(|adapter| adapter.shutdown())).await;
        self.serving.shutdown().await;
    }
}

fn rand() -> Result<u128, String> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| "no random bytes from the operating system".to_owned())?;
    Ok(u128::from_le_bytes(bytes))
}

/// What is to be adapted; none for a service that is somewhere else.
fn source(own: &ServiceSettings) -> Result<Option<Source>, String> {
    if let Some(url) = &own.sse {
        let mut headers = http::HeaderMap::new();
        for (name, reference) in &own.headers {
            let value = reference.value().map_err(|error| format!("the header {name}: {error}"))?;
            let name = http::HeaderName::try_from(name).map_err(|error| error.to_string())?;
            let mut value = http::HeaderValue::try_from(value)
                .map_err(|_| format!("the value of the header {name} cannot be one"))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        return Ok(Some(Source::Sse { url: url.clone(), headers }));
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

async fn serve(adapter: Arc<Adapter>, listener: TcpListener, path: String, (limit, stop): (usize, CancellationToken)) {
    let path: Arc<str> = path.into();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        let Ok((socket, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let _ = socket.set_nodelay(true);
        let (adapter, path) = (Arc::clone(&adapter), Arc::clone(&path));
        let service = service_fn(move |request| {
            let (adapter, path) = (Arc::clone(&adapter), Arc::clone(&path));
            async move { Ok::<_, Infallible>(answer(&adapter, &path, request, limit).await) }
        });
        tokio::spawn(async move {
            let http = auto::Builder::new(TokioExecutor::new());
            if let Err(error) = http.serve_connection(TokioIo::new(socket), service).await {
                tracing::debug!(%error, "a connection to an adapter ended");
            }
        });
    }
}

async fn answer(
    adapter: &Arc<Adapter>,
    path: &str,
    request: http::Request<Incoming>,
    limit: usize,
) -> http::Response<Body> {
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
    adapter.handle(http::Request::from_parts(parts, body.to_bytes()), &caller).await
}
