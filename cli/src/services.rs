//! Every server that exists, started the way each runs in production: its own port, mutual TLS, the registry.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail};
use weft_filesystem::Settings as FilesystemSettings;
use weft_identity::{DevCa, Peers};
use weft_kit::{Confirm, Host, Running, Service};
use weft_mesh::{Instance, Local, Register as _, ServiceId};

use crate::state::State;

/// What to run.
pub(crate) struct Plan {
    /// The directory that the filesystem server serves.
    pub(crate) root: PathBuf,
    /// No tool may change anything.
    pub(crate) read_only: bool,
    /// The service for tests and benchmarks too.
    pub(crate) echo: bool,
    /// Servers that somebody else runs: `name=URL`.
    pub(crate) foreign: Vec<String>,
}

/// The services that are to run, ready to be started.
pub(crate) fn all(plan: &Plan) -> Result<Vec<Service>> {
    let settings = FilesystemSettings::single(plan.root.clone());
    let settings = FilesystemSettings { read_only: plan.read_only, ..settings };
    let mut services = vec![weft_filesystem::service(settings)?];
    if plan.echo {
        services.push(weft_echo::service()?);
    }
    Ok(services)
}

/// Starts all services; gives their handles and names.
pub(crate) async fn start(
    plan: &Plan,
    state: &State,
    authority: &DevCa,
    registry: &Arc<Local>,
) -> Result<(Vec<Running>, Vec<ServiceId>)> {
    let mut running = Vec::new();
    let mut names = Vec::new();
    for service in all(plan)? {
        let name = service.manifest().name().to_owned();
        let mut host = Host::new(SocketAddr::from(([127, 0, 0, 1], 0)), state.service_key()?);
        host.identity = Some(authority.issue(&name)?);
        host.gateway = Peers::Only(vec![authority.issue(GATEWAY)?.spiffe_id()]);
        host.register = Some(Arc::clone(registry) as _);
        host.rules.read_only = plan.read_only;
        // What can be undone (a file into the trash) is done at once; the rest is shown first.
        host.rules.confirm = Confirm::AutoIfLowRisk;
        let started = weft_kit::serve(service, host).await;
        running.push(started.with_context(|| format!("the service {name:?} cannot start"))?);
        names.push(name.parse()?);
    }
    for foreign in &plan.foreign {
        let instance = foreign_instance(foreign).await?;
        names.push(instance.service.clone());
        registry.announce(instance).await?;
    }
    Ok((running, names))
}

/// The name of the gateway's own identity.
pub(crate) const GATEWAY: &str = "gateway";

/// A server that is not ours: plain HTTP, nothing known of it.
async fn foreign_instance(text: &str) -> Result<Instance> {
    let form = "write --add name=http://HOST:PORT/PATH";
    let (name, url) = text.split_once('=').with_context(|| format!("{text:?} has no name; {form}"))?;
    let Some(rest) = url.strip_prefix("http://") else {
        bail!("{url:?} is not a plain http:// address; {form}");
    };
    let (authority, path) =
        rest.split_once('/').map_or((rest, "/mcp".to_owned()), |(host, path)| (host, format!("/{path}")));
    let target = if authority.contains(':') { authority.to_owned() } else { format!("{authority}:80") };
    let mut found = tokio::time::timeout(Duration::from_secs(5), tokio::net::lookup_host(&target))
        .await
        .with_context(|| format!("{target:?} was not resolved in time"))?
        .with_context(|| format!("{target:?} cannot be resolved; {form}"))?;
    let address = found.next().with_context(|| format!("{target:?} has no address"))?;
    let mut instance = Instance::new(name.parse()?, 1, address);
    instance.path = path;
    Ok(instance)
}
