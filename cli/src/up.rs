//! `weft up`: the gateway and all servers in one process, over the same parts as in production.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use weft_gateway::{
    Parts, Settings,
    keys::{Entry, KeyFile, New, Role},
    settings::{ServiceSettings, auth::Mode},
};
use weft_mesh::{Local, ServiceId, Watch as _};
use weft_telemetry::{LogFormat, Recorder};

use crate::{
    services,
    state::State,
    summary::{self, Callers},
};

/// What `weft up` can be told.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The directory that the filesystem server serves.
    #[arg(long, value_name = "DIR", default_value = ".", env = "WEFT_ROOT")]
    root: PathBuf,
    /// Where MCP clients connect.
    #[arg(long, value_name = "ADDR", env = "WEFT_LISTEN")]
    listen: Option<SocketAddr>,
    /// Where the console, health and metrics are served.
    #[arg(long, value_name = "ADDR", env = "WEFT_ADMIN")]
    admin: Option<SocketAddr>,
    /// Where keys and data are kept [default: the XDG state directory].
    #[arg(long, value_name = "DIR", env = "WEFT_STATE")]
    state: Option<PathBuf>,
    /// What callers must prove; with `keys` a first key is made when there is none.
    #[arg(long, value_name = "none|keys")]
    auth: Option<Mode>,
    /// The certificate that MCP clients see (PEM), for TLS.
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// Its private key (PEM).
    #[arg(long, value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// Listen off loopback without TLS or without authentication all the same: behind a proxy that ends TLS.
    #[arg(long)]
    insecure: bool,
    /// Further settings of the gateway.
    #[arg(long, value_name = "FILE", env = "WEFT_CONFIG")]
    config: Option<PathBuf>,
    /// A database to serve besides the embedded one, e.g. `shop=postgres://user@host/shop`: read-only, or with `write+` or `migrate+` in
    /// front of the URL. `env:NAME` or `file:PATH` keeps the URL off the command line. May be given several times.
    #[arg(long, value_name = "NAME=URL")]
    database: Vec<String>,
    /// The folder of models that are computed here, one folder for each as Hugging Face lays them out [default: `models` in the state
    /// directory].
    #[arg(long, value_name = "DIR", env = "WEFT_MODELS")]
    models: Option<PathBuf>,
    /// Offer no tool that changes anything.
    #[arg(long)]
    read_only: bool,
    /// Put another MCP server behind the gateway: its address, `sse+` and its address when it speaks the old HTTP+SSE transport, or
    /// the program and arguments of one that speaks on stdio; may be given several times.
    #[arg(long, value_name = "NAME=URL|COMMAND")]
    add: Vec<String>,
    /// Which log lines to show, for example info or weft::call=info.
    #[arg(long, value_name = "FILTER", default_value = "warn,rmcp=error", env = "WEFT_LOG")]
    log: String,
    /// Log lines as JSON.
    #[arg(long)]
    log_json: bool,
    /// The collector that traces are sent to, e.g. http://127.0.0.1:4317.
    #[arg(long, value_name = "URL", env = "WEFT_OTLP")]
    otlp: Option<String>,
    /// Run the service for tests and benchmarks too.
    #[arg(long, hide = true)]
    with_echo: bool,
}

/// Servers have this long to say what they offer before the summary is printed without them.
const PATIENCE: Duration = Duration::from_millis(1500);
/// What the servers may take to finish, after the gateway has.
const SERVER_GRACE: Duration = Duration::from_millis(500);

/// Runs until the first of SIGINT and SIGTERM.
pub(crate) fn run(arguments: Arguments) -> Result<()> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")?;
    let done = runtime.block_on(up(arguments));
    // Whatever blocks in a thread of its own (a walk of a large directory) does not hold up the end.
    runtime.shutdown_timeout(Duration::from_millis(200));
    done
}

async fn up(arguments: Arguments) -> Result<()> {
    let format = if arguments.log_json { LogFormat::Json } else { LogFormat::Text };
    weft_telemetry::init_logs(format, &arguments.log)?;
    let recorder = weft_telemetry::recorder()?;
    let settings = settings(&arguments)?;
    let traces = weft_telemetry::otlp::start(&settings.telemetry, "weft", env!("CARGO_PKG_VERSION"))?;
    let done = mesh(arguments, settings, recorder).await;
    traces.finish().await;
    done
}

/// The mesh, until somebody ends it.
async fn mesh(arguments: Arguments, mut settings: Settings, recorder: Recorder) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let state = State::open(arguments.state.as_deref())?;
    let authority = state.authority()?;
    let first = callers(&mut settings, &state)?;
    let registry = Local::new();
    let parts = Parts {
        seal: state.session_key()?,
        identity: Some(authority.issue(services::GATEWAY)?),
        registry: registry.watch(),
        register: None,
        recorder: recorder.clone(),
    };
    let added: Vec<ServiceId> =
        settings.service.iter().filter(|own| own.is_found_here()).filter_map(|own| own.name.parse().ok()).collect();
    let gateway = weft_gateway::start(settings, parts).await?;
    let plan = services::Plan {
        root: arguments.root,
        databases: arguments.database,
        models: arguments.models,
        read_only: arguments.read_only,
        echo: arguments.with_echo,
    };
    let (running, mut names) = services::start(&plan, &state, &authority, &registry).await?;
    names.extend(added);
    gateway.ready(&names, PATIENCE).await;
    print!("{}", summary::text(&gateway, state.path(), &first));
    let upkeep = tokio::spawn(upkeep(recorder));
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    upkeep.abort();
    println!("Stopping.");
    gateway.shutdown().await;
    for service in running {
        service.shutdown(SERVER_GRACE).await;
    }
    Ok(())
}

/// Sees to it that somebody can call: with keys, and none in use yet, a first one is made.
fn callers(settings: &mut Settings, state: &State) -> Result<Callers> {
    if settings.auth.mode == Mode::None {
        return Ok(Callers::Anonymous);
    }
    let file = settings.auth.keys.clone().map_or_else(|| state.caller_keys(), KeyFile::at);
    settings.auth.keys = Some(file.path().to_owned());
    let wanted = !file.list()?.iter().any(Entry::is_valid) && settings.auth.certificate.is_empty();
    if !wanted || !settings.check().is_empty() {
        return Ok(Callers::Keyed);
    }
    let (_, key) = file.create(New { name: "first".into(), role: Role::Writer, tenant: None, life: None })?;
    Ok(Callers::First(key))
}

/// Metrics that nobody scrapes must not grow.
async fn upkeep(recorder: Recorder) {
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        recorder.upkeep();
    }
}

fn settings(arguments: &Arguments) -> Result<Settings> {
    let mut settings: Settings = weft_settings::load(arguments.config.as_deref(), "WEFT_GATEWAY_", std::env::vars())?;
    settings.listen = arguments.listen.unwrap_or(settings.listen);
    settings.admin = arguments.admin.unwrap_or(settings.admin);
    settings.telemetry.otlp = arguments.otlp.clone().or(settings.telemetry.otlp);
    settings.auth.mode = arguments.auth.unwrap_or(settings.auth.mode);
    settings.auth.insecure |= arguments.insecure;
    settings.tls.cert = arguments.tls_cert.clone().or(settings.tls.cert);
    settings.tls.key = arguments.tls_key.clone().or(settings.tls.key);
    for added in &arguments.add {
        let added: ServiceSettings = added.parse().context("--add")?;
        if settings.of(&added.name).is_some() {
            bail!("--add {}: the settings have a service of this name; give it another", added.name);
        }
        settings.service.push(added);
    }
    Ok(settings)
}
