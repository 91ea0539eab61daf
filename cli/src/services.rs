//! Every server that exists, started the way each runs in production: its own port, mutual TLS, the registry.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use anyhow::{Context as _, Result};
use weft_filesystem::Settings as FilesystemSettings;
use weft_identity::{DevCa, Peers};
use weft_kit::{Confirm, Host, Running, Service};
use weft_mesh::{Local, ServiceId};

use crate::state::State;

/// What to run.
pub(crate) struct Plan {
    /// The directory that the filesystem server serves.
    pub(crate) root: PathBuf,
    /// No tool may change anything.
    pub(crate) read_only: bool,
    /// The service for tests and benchmarks too.
    pub(crate) echo: bool,
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
    Ok((running, names))
}

/// The name of the gateway's own identity.
pub(crate) const GATEWAY: &str = "gateway";
