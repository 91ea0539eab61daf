//! The whole `main()` of a gateway of its own: flags, settings, identity, registry, signals, drain.
//!
//! Flags are shorthand for settings and win over them; settings come from the file and, over it, from variables that begin
//! with `WEFT_GATEWAY_`.

use std::{
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinHandle,
};
use weft_identity::Identity;
use weft_mesh::{Registry, ServiceId, Snapshot};
use weft_telemetry::{LogFormat, Recorder};

use crate::{
    Parts, Seal, Settings, keys,
    settings::{ServiceSettings, auth::Mode},
    start,
};

/// What the environment's variables begin with.
const PREFIX: &str = "WEFT_GATEWAY_";
/// How often the metrics fold what histograms gathered.
const UPKEEP: Duration = Duration::from_secs(5);

/// Run one gateway: the endpoint in front of all servers that the registry knows.
#[derive(Debug, Parser)]
#[command(name = "weft-gateway", version)]
struct Flags {
    /// Settings file (TOML).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where MCP clients connect.
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Where the console, health and metrics are served.
    #[arg(long, value_name = "ADDR")]
    admin: Option<SocketAddr>,
    /// Where servers are found, e.g. `consul://127.0.0.1:8500` or `static:mesh.toml`.
    #[arg(long, value_name = "REGISTRY")]
    registry: Option<String>,
    /// Who the gateway is towards servers: `dev:DIR` or `files:DIR`.
    #[arg(long, value_name = "SOURCE")]
    identity: Option<String>,
    /// Where keys are kept; replicas share it, or the file that `session_key` names.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// What callers must prove.
    #[arg(long, value_name = "none|keys")]
    auth: Option<Mode>,
    /// The file of keys that `weft keys` writes.
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// The certificate that MCP clients see (PEM), for TLS.
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// Its private key (PEM).
    #[arg(long, value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// Listen off loopback without TLS or without authentication all the same: behind a proxy that ends TLS.
    #[arg(long)]
    insecure: bool,
    /// Which log lines to show, for example info or weft::call=info.
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
    /// Log lines as JSON.
    #[arg(long)]
    log_json: bool,
    /// The collector that traces are sent to, e.g. http://127.0.0.1:4317.
    #[arg(long, value_name = "URL")]
    otlp: Option<String>,
    /// Print the JSON Schema of the settings and exit.
    #[arg(long)]
    settings_schema: bool,
    /// Ask the one that runs at this administration address whether it is ready, and exit: for health checks of containers.
    #[arg(long, value_name = "ADDR")]
    health: Option<String>,
}

/// Runs a gateway as a program; the first of `words` is its name.
///
/// A `main` must call [`weft_adapt::run_shim`] before it: servers on stdio are started through the same program.
pub fn main_with(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    match run(Flags::parse_from(words)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(flags: Flags) -> Result<()> {
    if flags.settings_schema {
        println!("{}", weft_settings::schema::<Settings>());
        return Ok(());
    }
    if let Some(address) = &flags.health {
        return Ok(weft_telemetry::health::ask_ready(address)?);
    }
    let settings = settings(flags)?;
    let format = if settings.log_json { LogFormat::Json } else { LogFormat::Text };
    weft_telemetry::init_logs(format, &settings.log)?;
    let recorder = weft_telemetry::recorder()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    let done = runtime.block_on(async {
        let traces = weft_telemetry::otlp::start(&settings.telemetry, "mcp-gateway", env!("CARGO_PKG_VERSION"))?;
        let done = serve(settings, recorder).await;
        traces.finish().await;
        done
    });
    runtime.shutdown_timeout(Duration::from_millis(200));
    done
}

fn settings(flags: Flags) -> Result<Settings> {
    let mut settings: Settings = weft_settings::load(flags.config.as_deref(), PREFIX, std::env::vars())?;
    settings.listen = flags.listen.unwrap_or(settings.listen);
    settings.admin = flags.admin.unwrap_or(settings.admin);
    settings.registry = flags.registry.or(settings.registry);
    settings.identity = flags.identity.or(settings.identity);
    settings.state = flags.state.or(settings.state);
    settings.auth.mode = flags.auth.unwrap_or(settings.auth.mode);
    settings.auth.keys = flags.keys.or(settings.auth.keys);
    settings.auth.insecure |= flags.insecure;
    settings.tls.cert = flags.tls_cert.or(settings.tls.cert);
    settings.tls.key = flags.tls_key.or(settings.tls.key);
    settings.log = flags.log.unwrap_or(settings.log);
    settings.log_json |= flags.log_json;
    settings.telemetry.otlp = flags.otlp.or(settings.telemetry.otlp);
    Ok(settings)
}

async fn serve(mut settings: Settings, recorder: Recorder) -> Result<()> {
    if settings.auth.mode != Mode::None && settings.auth.keys.is_none() {
        settings.auth.keys = Some(keys_of(settings.state.as_deref())?);
    }
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let registry = match &settings.registry {
        Some(text) => Some(Registry::open(text).await?),
        // Enough where the settings say where all servers are.
        None if settings.service.iter().any(ServiceSettings::is_found_here) => None,
        None => bail!(
            "a gateway needs servers: --registry consul://HOST:PORT or static:FILE, or [[service]] in --config; `weft up` needs none"
        ),
    };
    let shown =
        settings.registry.as_deref().map_or("none", |text| text.split('?').next().unwrap_or_default()).to_owned();
    let identity = match &settings.identity {
        Some(source) => Some(Identity::open(source, ServiceId::GATEWAY).await?),
        None => None,
    };
    let (watch, following) = registry.as_ref().map_or_else(nothing, Registry::watch);
    let parts = Parts {
        seal: Seal::open_or_create(&session_key(&settings)?)?,
        identity,
        registry: watch,
        register: registry.as_ref().and_then(Registry::register),
        recorder: recorder.clone(),
    };
    let gateway = start(settings, parts).await?;
    println!("endpoint  {}", gateway.endpoint());
    println!("console   http://{}/", gateway.admin());
    println!("registry  {shown}");
    loop {
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            () = tokio::time::sleep(UPKEEP) => recorder.upkeep(),
        }
    }
    gateway.shutdown().await;
    following.abort();
    Ok(())
}

/// A registry that knows of nothing.
fn nothing() -> (watch::Receiver<Arc<Snapshot>>, JoinHandle<()>) {
    let (tell, told) = watch::channel(Arc::default());
    // Kept, because an end of the registry would be the end of the gateway's view of it.
    let kept = tokio::spawn(async move {
        let _tell = tell;
        std::future::pending::<()>().await;
    });
    (told, kept)
}

fn session_key(settings: &Settings) -> Result<PathBuf> {
    if let Some(path) = &settings.session_key {
        return Ok(path.clone());
    }
    let usual = || usual_state().map(|state| state.join("gateway"));
    let state = settings.state.clone().or_else(usual).context("no state directory: give one with --state DIR")?;
    make(&state).with_context(|| format!("cannot make the state directory {}", state.display()))?;
    Ok(state.join("session.key"))
}

/// Where keys are when nobody says: in the state directory that is named, else in that of `weft up`, which `weft keys` writes to.
pub(crate) fn keys_of(state: Option<&Path>) -> Result<PathBuf> {
    let state = state.map(Path::to_owned).or_else(usual_state);
    Ok(state.context("no state directory: give one with --state DIR, or the file with --keys FILE")?.join(keys::FILE))
}

/// `$XDG_STATE_HOME/weft`, or `~/.local/state/weft` (XDG Base Directory Specification).
fn usual_state() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")));
    base.map(|base| base.join("weft"))
}

fn make(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}
