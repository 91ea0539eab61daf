//! The whole `main()` of a service's own binary: flags, settings, logs, metrics, serve or `--stdio`, signals, drain.
//!
//! Flags are shorthand for settings: each becomes the override of one key, so that files, environment and flags are read,
//! checked and explained in one place.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::{CommandFactory, FromArgMatches, Parser};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use weft_identity::{Identity, Peers};
use weft_mesh::Registry;
use weft_telemetry::{LogFormat, Recorder};

use crate::host::Host;
use crate::manifest::Manifest;
use crate::seal::SealKey;
use crate::serve::serve;
use crate::service::Service;
use crate::settings::{HostSettings, Settings};
use crate::signals::stop_signal;
use crate::stdio::serve_streams;

/// For every program that has a service in it: small blocks that live for one call are most of what a server allocates.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Prefix of the environment variables that override settings.
const PREFIX: &str = "WEFT_";
/// How often the metrics fold what histograms gathered.
const UPKEEP: Duration = Duration::from_secs(5);

#[derive(Debug, Parser)]
#[expect(clippy::struct_excessive_bools, reason = "a flag is either given or not")]
struct Flags {
    /// Settings file (TOML).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Speak MCP on standard input and output instead of listening.
    #[arg(long)]
    stdio: bool,
    /// Address to listen on.
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Address of a plain listener for health and metrics.
    #[arg(long, value_name = "ADDR")]
    admin: Option<String>,
    /// Directory for state.
    #[arg(long, value_name = "DIR")]
    state: Option<String>,
    /// Where the instance is announced, e.g. `consul://127.0.0.1:8500`.
    #[arg(long, value_name = "REGISTRY")]
    registry: Option<String>,
    /// How the instance proves itself: `dev:DIR` or `files:DIR`.
    #[arg(long, value_name = "SOURCE")]
    identity: Option<String>,
    /// Which instance of the service this is; its port if not said.
    #[arg(long, value_name = "N")]
    instance: Option<String>,
    /// The directory that is served, where a service serves one.
    #[arg(long, value_name = "DIR")]
    root: Option<String>,
    /// Offer only tools that change nothing.
    #[arg(long)]
    read_only: bool,
    /// Log filter, e.g. `info` or `weft_kit=debug`.
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
    /// The collector that traces are sent to, e.g. `http://127.0.0.1:4317`.
    #[arg(long, value_name = "URL")]
    otlp: Option<String>,
    /// Override any setting, e.g. `--set service.root=/data`.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Print the JSON Schema of the settings and exit.
    #[arg(long)]
    settings_schema: bool,
    /// Ask the one that runs at this administration address whether it is ready, and exit: for health checks of containers.
    #[arg(long, value_name = "ADDR")]
    health: Option<String>,
    /// Print the tool list and exit.
    #[arg(long)]
    tools: bool,
}

/// Runs a service as a program: `manifest` is the text of its `service.toml`, `build` makes it from its own settings (the
/// `[service]` table) and the instance's directory for state, which may not exist yet.
pub fn main<C, E>(manifest: &str, version: &'static str, build: impl FnOnce(C, &Path) -> Result<Service, E>) -> ExitCode
where
    C: DeserializeOwned + JsonSchema + Default,
    E: Into<anyhow::Error>,
{
    main_with(std::env::args_os(), manifest, version, build)
}

/// Like [`main`], with the words of a command line that is not the process's own; the first is the name of the program.
pub fn main_with<C, E>(
    words: impl IntoIterator<Item = OsString>,
    manifest: &str,
    version: &'static str,
    build: impl FnOnce(C, &Path) -> Result<Service, E>,
) -> ExitCode
where
    C: DeserializeOwned + JsonSchema + Default,
    E: Into<anyhow::Error>,
{
    let words = words.into_iter().collect();
    match run(words, manifest, version, |settings, state| build(settings, state).map_err(Into::into)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run<C>(
    words: Vec<OsString>,
    manifest: &str,
    version: &'static str,
    build: impl FnOnce(C, &Path) -> anyhow::Result<Service>,
) -> anyhow::Result<()>
where
    C: DeserializeOwned + JsonSchema + Default,
{
    let manifest = Manifest::parse(manifest)?;
    let name: &'static str = format!("weft-{}", manifest.name()).leak();
    let command = Flags::command().name(name).about(manifest.description.clone()).version(version);
    let flags = Flags::from_arg_matches(&command.get_matches_from(words)).unwrap_or_else(|error| error.exit());
    if let Some(address) = &flags.health {
        return Ok(weft_telemetry::health::ask_ready(address)?);
    }
    let schema = weft_settings::schema::<Settings<C>>();
    if flags.settings_schema {
        println!("{schema}");
        return Ok(());
    }
    let overrides = overrides(std::env::vars(), &flags, &serde_json::from_str(&schema)?)?;
    let settings = weft_settings::load::<Settings<C>>(flags.config.as_deref(), PREFIX, overrides)?;
    let format = if settings.host.log_json { LogFormat::Json } else { LogFormat::Text };
    weft_telemetry::init_logs(format, &settings.host.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let traced = format!("mcp-{}", manifest.name()).leak();
        let traces = weft_telemetry::otlp::start(&settings.telemetry, traced, version)?;
        let done = work(settings, &manifest, &flags, build).await;
        traces.finish().await;
        done
    })
}

/// What the program is there for, inside of its runtime.
async fn work<C>(
    settings: Settings<C>,
    manifest: &Manifest,
    flags: &Flags,
    build: impl FnOnce(C, &Path) -> anyhow::Result<Service>,
) -> anyhow::Result<()>
where
    C: Default,
{
    let state = settings.host.state.clone().or_else(|| default_state(manifest.name()));
    let state = state.context("no state directory: give one with --state, or set HOME")?;
    let service = build(settings.service, &state).context("the service cannot start")?;
    if flags.tools {
        println!("{}", service.list_json());
        return Ok(());
    }
    let stop = stop_signal()?;
    if flags.stdio {
        let streams = rmcp::transport::stdio();
        return Ok(serve_streams(service, settings.rules, streams, stop).await?);
    }
    let recorder = weft_telemetry::recorder()?;
    let mut host = host(&settings.host, manifest, &state).await?;
    host.rules = settings.rules;
    host.metrics = Some(Arc::new({
        let recorder = recorder.clone();
        move || recorder.render()
    }));
    let running = serve(service, host).await?;
    tokio::select! {
        () = stop.cancelled() => {}
        () = upkeep(&recorder) => {}
    }
    running.shutdown(Duration::from_secs(settings.host.grace_s)).await;
    Ok(())
}

/// The environment with the flags on top, as overrides of single settings.
fn overrides(
    environment: impl Iterator<Item = (String, String)>,
    flags: &Flags,
    schema: &Value,
) -> anyhow::Result<BTreeMap<String, String>> {
    let mut overrides: BTreeMap<_, _> = environment.filter(|(name, _)| name.starts_with(PREFIX)).collect();
    let mut set = |key: &str, value: &str| {
        overrides.insert(format!("{PREFIX}{}", key.replace('.', "__").to_uppercase()), value.to_owned());
    };
    let named = [
        ("host.listen", &flags.listen),
        ("host.admin", &flags.admin),
        ("host.state", &flags.state),
        ("host.registry", &flags.registry),
        ("host.identity", &flags.identity),
        ("host.instance", &flags.instance),
        ("host.log", &flags.log),
        ("telemetry.otlp", &flags.otlp),
    ];
    for (key, value) in named {
        if let Some(value) = value {
            set(key, value);
        }
    }
    if let Some(root) = &flags.root {
        anyhow::ensure!(is_setting(schema, "service.root"), "this service serves no directory; leave --root out");
        set("service.root", root);
    }
    if flags.read_only {
        set("rules.read_only", "true");
    }
    for pair in &flags.set {
        let (key, value) = pair.split_once('=').with_context(|| format!("--set {pair}: write key=value"))?;
        anyhow::ensure!(is_setting(schema, key), "--set {pair}: there is no setting {key}; see --settings-schema");
        set(key, value);
    }
    Ok(overrides)
}

/// Whether `key` (`table.key`) is a setting. Variables of the environment that are none are other programs'; a flag that is
/// none is a mistake.
fn is_setting(schema: &Value, key: &str) -> bool {
    let resolve = |at: &Value| match at["$ref"].as_str() {
        Some(reference) => schema.pointer(reference.trim_start_matches('#')).unwrap_or(at).clone(),
        None => at.clone(),
    };
    let found = key.split('.').try_fold(schema.clone(), |at, name| Some(resolve(at["properties"].get(name)?)));
    found.is_some()
}

async fn host(settings: &HostSettings, manifest: &Manifest, state: &Path) -> anyhow::Result<Host> {
    std::fs::create_dir_all(state).with_context(|| format!("cannot make the state directory {}", state.display()))?;
    let seal_key = settings.seal_key.clone().unwrap_or_else(|| state.join("seal.key"));
    let listen = settings.listen.unwrap_or_else(|| ([127, 0, 0, 1], manifest.port).into());
    let identity = match &settings.identity {
        Some(source) => Some(Identity::open(source, manifest.name()).await?),
        None => None,
    };
    let mut gateways = settings.gateways.clone();
    if let (Some(identity), true) = (&identity, gateways.is_empty()) {
        gateways.push(identity.name_of("gateway"));
    }
    let register = match &settings.registry {
        Some(text) => Some(
            Registry::open(text)
                .await?
                .register()
                .with_context(|| format!("instances cannot be announced in {text}; leave --registry out"))?,
        ),
        None => None,
    };
    Ok(Host {
        admin: settings.admin,
        advertise: settings.advertise,
        identity,
        gateway: Peers::Only(gateways),
        register,
        weight: settings.weight,
        zone: settings.zone.clone(),
        instance: settings.instance,
        ..Host::new(listen, SealKey::open_or_create(&seal_key)?)
    })
}

/// XDG Base Directory Specification: state that should survive restarts.
fn default_state(name: &str) -> Option<PathBuf> {
    let base = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let base = base.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/state")))?;
    Some(base.join("weft").join(name))
}

async fn upkeep(recorder: &Recorder) {
    loop {
        tokio::time::sleep(UPKEEP).await;
        recorder.upkeep();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default, serde::Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only its schema matters")]
    struct Own {
        root: Option<String>,
    }

    #[test]
    fn flags_and_set_override_the_environment() {
        let line = ["weft-x", "--listen", "127.0.0.1:1", "--read-only", "--set", "service.root=/data=1"];
        let flags = Flags::parse_from(line);
        let environment = [("WEFT_HOST__LISTEN", "127.0.0.1:9"), ("WEFT_HOST__ZONE", "z"), ("PATH", "/bin")];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let schema = schemars::schema_for!(Settings<Own>).to_value();
        let overrides = overrides(environment.into_iter(), &flags, &schema).unwrap();
        let got: Vec<_> = overrides.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let expected = [
            ("WEFT_HOST__LISTEN", "127.0.0.1:1"),
            ("WEFT_HOST__ZONE", "z"),
            ("WEFT_RULES__READ_ONLY", "true"),
            ("WEFT_SERVICE__ROOT", "/data=1"),
        ];
        assert_eq!(got, expected);
        for wrong in ["service.root", "service.colour=1", "colour.root=1"] {
            let flags = Flags::parse_from(["weft-x", "--set", wrong]);
            assert!(super::overrides(std::iter::empty(), &flags, &schema).is_err(), "{wrong}");
        }
    }
}
