//! `weft health`: an administration address → ready or not, as an exit code: what a container's health check runs where there is
//! no shell and no other program.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context as _, Result, bail};
use clap::Args;

/// What `weft health` can be told.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The administration address of a gateway or a server: HOST:PORT, or with https:// in front.
    #[arg(value_name = "ADDR", default_value = "127.0.0.1:8081", env = "WEFT_ADMIN")]
    address: String,
    /// Seconds until no answer is an answer.
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    timeout: f64,
    /// Ask whether it lives, not whether it is ready: one that drains lives.
    #[arg(long)]
    live: bool,
    /// Authorities (PEM) that vouch for the address, besides those of the system.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Take any certificate: a probe from inside its own container need not be told who answers.
    #[arg(long, conflicts_with = "ca")]
    any_certificate: bool,
}

/// Asks, and prints one line.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let asked = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")
        .and_then(|runtime| runtime.block_on(ask(arguments)));
    match asked {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn ask(arguments: &Arguments) -> Result<String> {
    let address = &arguments.address;
    let patience = Duration::try_from_secs_f64(arguments.timeout).context("--timeout takes seconds")?;
    let base = if address.contains("://") { address.clone() } else { format!("http://{address}") };
    let path = if arguments.live { "live" } else { "ready" };
    let mut builder =
        reqwest::Client::builder().no_proxy().timeout(patience).redirect(reqwest::redirect::Policy::none());
    if let Some(ca) = &arguments.ca {
        let text = std::fs::read(ca).with_context(|| format!("cannot read {}", ca.display()))?;
        for authority in reqwest::Certificate::from_pem_bundle(&text).context("--ca")? {
            builder = builder.add_root_certificate(authority);
        }
    }
    let client = builder.tls_danger_accept_invalid_certs(arguments.any_certificate).build()?;
    let url = format!("{}/{path}", base.trim_end_matches('/'));
    let answer = match client.get(&url).send().await {
        Ok(answer) => answer,
        Err(error) if error.is_timeout() => bail!("{address} did not answer within {} s", arguments.timeout),
        Err(error) => return Err(error).with_context(|| format!("{address} cannot be asked")),
    };
    let status = answer.status();
    let text = answer.text().await.unwrap_or_default();
    let said: String = text.lines().next().unwrap_or_default().trim().chars().take(200).collect();
    if !status.is_success() {
        bail!("{address} is not {path}: {status}, {said}");
    }
    Ok(format!("{address} is {path}"))
}
