//! Every server that exists, started the way each runs in production: its own port, mutual TLS, the registry.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, Result, ensure};
use weft_aiml::ProviderSettings;
use weft_database::Settings as DatabaseSettings;
use weft_embed::{EmbedderSettings, LocalSettings, local};
use weft_filesystem::Settings as FilesystemSettings;
use weft_identity::{DevCa, Peers};
use weft_kit::{Confirm, Host, Running, Service};
use weft_mesh::{Local, ServiceId};
use weft_vectorstore::Settings as VectorSettings;

use crate::state::State;

/// What to run.
pub(crate) struct Plan {
    /// The directory that the filesystem server serves.
    pub(crate) root: PathBuf,
    /// Databases besides the embedded one: `NAME=URL`.
    pub(crate) databases: Vec<String>,
    /// The folder of models that are computed here; without one, `models` in the state directory if it is there.
    pub(crate) models: Option<PathBuf>,
    /// No tool may change anything.
    pub(crate) read_only: bool,
    /// The service for tests and benchmarks too.
    pub(crate) echo: bool,
}

/// The services that are to run, ready to be started.
pub(crate) fn all(plan: &Plan, state: &Path) -> Result<Vec<Service>> {
    let settings = FilesystemSettings::single(plan.root.clone());
    let settings = FilesystemSettings { read_only: plan.read_only, ..settings };
    let mut databases = DatabaseSettings { embedded: true, ..DatabaseSettings::default() };
    for database in &plan.databases {
        databases.connect(database).with_context(|| "--database is given as NAME=URL".to_owned())?;
    }
    // What may be read may be looked up by meaning.
    let models = models(plan, state)?;
    let embedders = models.as_deref().map(embedders).transpose()?.unwrap_or_default();
    let vectors = VectorSettings { documents: Some(plan.root.clone()), embedders, ..VectorSettings::default() };
    let providers = models.iter().map(|folder| ProviderSettings::local("local", folder)).collect();
    let aiml = weft_aiml::Settings { providers, ..weft_aiml::Settings::default() };
    let search = weft_search::Settings { root: Some(plan.root.clone()), ..weft_search::Settings::default() };
    let mut services = vec![
        weft_filesystem::service(settings)?,
        weft_database::service(databases, &state.join("database"))?,
        weft_vectorstore::service(vectors, &state.join("vectorstore"))?,
        weft_memory::service(weft_memory::Settings::default(), &state.join("memory"))?,
        weft_search::service(search, &state.join("search"))?,
        weft_aiml::service(aiml, &state.join("aiml"))?,
    ];
    if plan.echo {
        services.push(weft_echo::service()?);
    }
    Ok(services)
}

/// The folder of local models, if there is one.
fn models(plan: &Plan, state: &Path) -> Result<Option<PathBuf>> {
    let standard = state.join("models");
    match &plan.models {
        Some(folder) => {
            ensure!(folder.is_dir(), "--models {} is no folder", folder.display());
            Ok(Some(folder.clone()))
        }
        None => Ok(standard.is_dir().then_some(standard)),
    }
}

/// The models of a folder that embed. What cannot be used is told, and does not keep the mesh from starting.
fn embedders(folder: &Path) -> Result<Vec<EmbedderSettings>> {
    let found = local::folders(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let embeds = |path: &Path| match local::Card::read(path) {
        Ok(card) => card.kind == local::Kind::Embedder,
        Err(error) => {
            tracing::warn!(%error, "a folder holds no model that can be used");
            false
        }
    };
    let usable = found.into_iter().filter(|(_, path)| embeds(path));
    Ok(usable.map(|(_, path)| EmbedderSettings::Local(LocalSettings::new(path))).collect())
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
    for service in all(plan, state.path())? {
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
