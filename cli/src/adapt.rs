//! `weft adapt`: a server on stdio, or of the old HTTP+SSE transport, as a member of the mesh: its own mutual TLS, registration, health
//! and metrics.

use std::{ffi::OsString, path::PathBuf, process::ExitCode, sync::Arc};

use clap::Args;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use weft_adapt::{Adapter, Options, Sharing, Source};
use weft_gateway::settings::Reference;
use weft_kit::{Engine, EngineBody, NoSettings, Service, ServiceFault};

/// What `weft adapt` can be told.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The name of the service: what its tools' names begin with.
    #[arg(long)]
    name: String,
    /// One program for each session, for each caller, or shared by all: session, caller or shared.
    #[arg(long, default_value = "session")]
    sharing: Sharing,
    /// Programs at once.
    #[arg(long, default_value_t = 64)]
    children: usize,
    /// Seconds after which a session that nobody uses is ended.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    idle: u64,
    /// A variable of the program by reference: NAME=env:VARIABLE, NAME=file:PATH or NAME=text:VALUE; may be given several times.
    #[arg(long, value_name = "NAME=REFERENCE", value_parser = pair)]
    env: Vec<(String, Reference)>,
    /// The directory that the program runs in.
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Instead of a program: the address of a server of the HTTP+SSE transport of 2024-11-05.
    #[arg(long, value_name = "URL", conflicts_with = "command")]
    sse: Option<String>,
    /// A header for that server by reference, like --env.
    #[arg(long, value_name = "NAME=REFERENCE", value_parser = pair)]
    header: Vec<(String, Reference)>,
    #[command(flatten)]
    host: Host,
    /// The program and its arguments, behind `--`.
    #[arg(last = true, required_unless_present = "sse")]
    command: Vec<String>,
}

/// The flags that every service has; `weft serve echo --help` says more of them.
#[derive(Debug, Args)]
struct Host {
    /// Settings file (TOML).
    #[arg(long, value_name = "FILE")]
    config: Option<OsString>,
    /// Address to listen on.
    #[arg(long, value_name = "ADDR")]
    listen: Option<OsString>,
    /// Address of a plain listener for health and metrics.
    #[arg(long, value_name = "ADDR")]
    admin: Option<OsString>,
    /// Directory for state.
    #[arg(long, value_name = "DIR")]
    state: Option<OsString>,
    /// Where the instance is announced, e.g. `consul://127.0.0.1:8500`.
    #[arg(long, value_name = "REGISTRY")]
    registry: Option<OsString>,
    /// How the instance proves itself: `dev:DIR` or `files:DIR`.
    #[arg(long, value_name = "SOURCE")]
    identity: Option<OsString>,
    /// Which instance of the service this is; its port if not said.
    #[arg(long, value_name = "N")]
    instance: Option<OsString>,
    /// Log filter, e.g. `info` or `weft_adapt=debug`.
    #[arg(long, value_name = "FILTER")]
    log: Option<OsString>,
    /// The collector that traces are sent to, e.g. `http://127.0.0.1:4317`.
    #[arg(long, value_name = "URL")]
    otlp: Option<OsString>,
    /// Override any setting, e.g. `--set host.weight=2`.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<OsString>,
}

impl Host {
    /// As the words of a service's own command line.
    fn words(&self) -> Vec<OsString> {
        let named = [
            ("--config", &self.config),
            ("--listen", &self.listen),
            ("--admin", &self.admin),
            ("--state", &self.state),
            ("--registry", &self.registry),
            ("--identity", &self.identity),
            ("--instance", &self.instance),
            ("--log", &self.log),
            ("--otlp", &self.otlp),
        ];
        let given = named.into_iter().filter_map(|(flag, value)| Some([OsString::from(flag), value.clone()?]));
        let set = self.set.iter().map(|pair| [OsString::from("--set"), pair.clone()]);
        given.chain(set).flatten().collect()
    }
}

fn pair(text: &str) -> Result<(String, Reference), String> {
    let (name, reference) = text.split_once('=').ok_or("write NAME=env:VARIABLE, NAME=file:PATH or NAME=text:VALUE")?;
    let reference = Reference::try_from(reference.to_owned()).map_err(|error| error.to_string())?;
    Ok((name.to_owned(), reference))
}

struct Adapted(Arc<Adapter>);

impl Engine for Adapted {
    fn answer(
        self: Arc<Self>,
        request: Request<bytes::Bytes>,
        caller: String,
    ) -> futures_util::future::BoxFuture<'static, Response<EngineBody>> {
        Box::pin(async move { self.0.handle(request, &caller).await })
    }

    fn is_healthy(&self) -> bool {
        self.0.is_healthy()
    }

    fn end(self: Arc<Self>) -> futures_util::future::BoxFuture<'static, ()> {
        Box::pin(async move { self.0.shutdown().await })
    }
}

/// Runs the member until it is told to end.
pub(crate) fn run(arguments: Arguments) -> ExitCode {
    let quoted = |text: &str| format!("{text:?}");
    let manifest = format!(
        "name = {}\ntitle = {}\ndescription = \"A server that speaks on stdio or HTTP+SSE, adapted.\"\nport = 0\npolicy = \"consistent_hash\"\n",
        quoted(&arguments.name),
        quoted(&arguments.name),
    );
    let words = [OsString::from("weft adapt")].into_iter().chain(arguments.host.words());
    weft_kit::main_with(words, &manifest, env!("CARGO_PKG_VERSION"), |_: NoSettings, _| service(&manifest, &arguments))
}

fn service(manifest: &str, arguments: &Arguments) -> anyhow::Result<Service> {
    let mut options = Options::new(&arguments.name, source(arguments)?);
    options.sharing = arguments.sharing;
    options.most = arguments.children.max(1);
    options.idle = std::time::Duration::from_secs(arguments.idle.max(1));
    options.shim = std::env::current_exe().ok();
    let made: Result<Service, ServiceFault> =
        Service::of_engine(manifest, env!("CARGO_PKG_VERSION"), || Arc::new(Adapted(Adapter::start(options))));
    Ok(made?)
}

fn source(arguments: &Arguments) -> anyhow::Result<Source> {
    if let Some(url) = &arguments.sse {
        let mut headers = HeaderMap::new();
        for (name, reference) in &arguments.header {
            let mut value = HeaderValue::try_from(reference.value()?)?;
            value.set_sensitive(true);
            headers.insert(HeaderName::try_from(name)?, value);
        }
        return Ok(Source::Sse { url: url.clone(), headers });
    }
    let variables = arguments.env.iter().map(|(name, reference)| Ok((name.clone(), reference.value()?)));
    let variables = variables.collect::<anyhow::Result<Vec<_>>>()?;
    let (program, rest) = arguments.command.split_first().ok_or_else(|| anyhow::anyhow!("there is no program"))?;
    let (program, rest) = (program.clone(), rest.to_vec());
    Ok(Source::Command { program, arguments: rest, variables, directory: arguments.directory.clone() })
}
