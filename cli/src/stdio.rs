//! `weft stdio`: the gateway for hosts that only start servers on stdio: lines in become requests, answers and streams become lines out.
//!
//! Both eras pass as they come. What a line cannot carry is looked after here: the session and its stream, credentials, and a gateway
//! that is away for a while.

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use clap::Args;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    sync::mpsc,
};
use tokio_util::task::TaskTracker;
use weft_gateway::settings::Reference;

mod bridge;
mod remote;

use bridge::Bridge;

/// What `weft stdio` can be told.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The endpoint, for example http://127.0.0.1:8080/mcp.
    #[arg(long)]
    url: String,
    /// A bearer token by reference: env:NAME or file:PATH.
    #[arg(long, value_name = "REFERENCE")]
    token: Option<String>,
    /// A header by reference: NAME=env:VARIABLE, NAME=file:PATH or NAME=text:VALUE; may be given several times.
    #[arg(long, value_name = "NAME=REFERENCE")]
    header: Vec<String>,
    /// Our certificate (PEM), for an endpoint that wants one.
    #[arg(long, value_name = "FILE", requires = "client_key")]
    client_cert: Option<PathBuf>,
    /// Its key (PEM).
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    client_key: Option<PathBuf>,
    /// Authorities (PEM) that vouch for the endpoint, besides those of the system.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Seconds for which an endpoint that cannot be reached is tried again.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    patience: u64,
}

/// What is in flight when the input ends may finish within this time.
const FAREWELL: Duration = Duration::from_secs(5);

/// Runs until the input ends.
pub(crate) fn run(arguments: Arguments) -> ExitCode {
    let done = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("cannot start the runtime")
        .and_then(|runtime| {
            let done = runtime.block_on(converse(arguments));
            // A read of the standard input cannot be called off.
            runtime.shutdown_background();
            done
        });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard output is for messages alone.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn converse(arguments: Arguments) -> Result<()> {
    let url: reqwest::Url = arguments.url.parse().with_context(|| format!("--url {} is no address", arguments.url))?;
    let (say, mut said) = mpsc::channel::<Vec<u8>>(1024);
    let writing = tokio::spawn(async move {
        let mut out = tokio::io::stdout();
        while let Some(mut line) = said.recv().await {
            line.retain(|byte| !matches!(byte, b'\n' | b'\r'));
            line.push(b'\n');
            if out.write_all(&line).await.is_err() || out.flush().await.is_err() {
                return;
            }
        }
    });
    let patience = Duration::from_secs(arguments.patience);
    let bridge = Arc::new(Bridge::new(client(&arguments)?, url, patience, say));
    let tasks = TaskTracker::new();
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await.context("cannot read the standard input")? {
        if line.trim().is_empty() {
            continue;
        }
        if bridge::opens(&line) {
            // What comes next needs the session that this begins.
            bridge.take(line, &tasks).await;
        } else {
            let (bridge, owned) = (Arc::clone(&bridge), tasks.clone());
            tasks.spawn(async move { bridge.take(line, &owned).await });
        }
    }
    bridge.hang_up();
    tasks.close();
    let _ = tokio::time::timeout(FAREWELL, tasks.wait()).await;
    bridge.end().await;
    drop(bridge);
    let _ = tokio::time::timeout(Duration::from_secs(1), writing).await;
    Ok(())
}

fn client(arguments: &Arguments) -> Result<reqwest::Client> {
    let mut headers = HeaderMap::new();
    let mut add = |name: &str, reference: &str, prefix: &str| -> Result<()> {
        let value = Reference::try_from(reference.to_owned())?.value()?;
        let mut value = HeaderValue::try_from(format!("{prefix}{value}")).context("a header cannot hold this value")?;
        value.set_sensitive(true);
        headers.insert(HeaderName::try_from(name)?, value);
        Ok(())
    };
    if let Some(token) = &arguments.token {
        add("authorization", token, "Bearer ").context("--token")?;
    }
    for pair in &arguments.header {
        let (name, reference) =
            pair.split_once('=').with_context(|| format!("--header {pair}: write NAME=env:VARIABLE"))?;
        add(name, reference, "").with_context(|| format!("--header {name}"))?;
    }
    let read = |path: &PathBuf| std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let mut builder =
        reqwest::Client::builder().default_headers(headers).connect_timeout(Duration::from_secs(5)).no_proxy();
    if let (Some(certificate), Some(key)) = (&arguments.client_cert, &arguments.client_key) {
        let mut both = read(certificate)?;
        both.push(b'\n');
        both.extend(read(key)?);
        builder = builder.identity(reqwest::Identity::from_pem(&both).context("--client-cert and --client-key")?);
    }
    if let Some(ca) = &arguments.ca {
        for authority in reqwest::Certificate::from_pem_bundle(&read(ca)?).context("--ca")? {
            builder = builder.add_root_certificate(authority);
        }
    }
    Ok(builder.build()?)
}
