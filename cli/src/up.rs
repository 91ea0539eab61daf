//! `weft up`: the gateway and all servers in one process, over the same parts as in production.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use weft_gateway::{Parts, Settings, settings::ServiceSettings};
use weft_mesh::{Local, ServiceId, Watch as _};
use weft_telemetry::{LogFormat, Recorder};

use crate::{services, state::State, summary};

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
    /// Further settings of the gateway.
    #[arg(long, value_name = "FILE", env = "WEFT_CONFIG")]
    config: Option<PathBuf>,
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
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let state = State::open(arguments.state.as_deref())?;
    let authority = state.authority()?;
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
    let plan = services::Plan { root: arguments.root, read_only: arguments.read_only, echo: arguments.with_echo };
    let (running, mut names) = services::start(&plan, &state, &authority, &registry).await?;
    names.extend(added);
    gateway.ready(&names, PATIENCE).await;
    print!("{}", summary::text(&gateway.status(), gateway.listen(), gateway.admin(), state.path()));
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
    for added in &arguments.add {
        let added: ServiceSettings = added.parse().context("--add")?;
        if settings.of(&added.name).is_some() {
            bail!("--add {}: the settings have a service of this name; give it another", added.name);
        }
        settings.service.push(added);
    }
    Ok(settings)
}
