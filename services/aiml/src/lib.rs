//! The AI and ML MCP server: models as a service of the mesh.
//!
//! [`service`] makes it from [`Settings`]; the kit serves it. A call goes through `route.rs` (which models may answer), `ask.rs` (budget,
//! cache, shape of the answer) and `attempt.rs` (line, breaker, exchange, the next one) to a provider. Whatever a model says is
//! data: it is never followed, and no tool of the mesh is called for it.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use anyhow::{Context as _, ensure};
use weft_kit::{Changes, Service};

mod ask;
mod attempt;
mod breaker;
mod builtin;
mod cache;
mod fault;
mod ledger;
mod model;
mod provider;
mod queue;
mod resources;
mod route;
mod settings;
mod shape;
mod source;
mod speaker;
mod told;
mod tools;
mod vectors;
mod watch;

pub use model::Capability;
pub use settings::{
    AliasSettings, Allowance, CacheSettings, Defaults, Kind, ModelSettings, ProviderSettings, Settings, Structure,
    Tokenizer,
};

/// The text of `service.toml`.
pub const MANIFEST: &str = include_str!("../service.toml");

/// What every tool works with.
#[derive(Debug)]
pub(crate) struct Models {
    /// In the order of preference; the one that is no model stands last.
    pub(crate) sources: Vec<Arc<source::Source>>,
    pub(crate) aliases: BTreeMap<String, Vec<String>>,
    pub(crate) defaults: Defaults,
    pub(crate) ledger: Arc<ledger::Ledger>,
    pub(crate) cache: cache::Cache,
    pub(crate) admin_roles: Vec<String>,
}

impl Models {
    fn open(settings: &Settings) -> Result<Self, anyhow::Error> {
        let mut sources: Vec<Arc<source::Source>> = Vec::new();
        for own in &settings.providers {
            let fits = |letter: char| letter.is_ascii_alphanumeric() || "_-.".contains(letter);
            let name = &own.name;
            ensure!(
                !name.is_empty() && name.chars().all(fits),
                "a provider is named with letters, digits, _, - and .: {name:?}"
            );
            ensure!(name != builtin::NAME, "no provider can be called {name:?}: that is what works without a model");
            ensure!(sources.iter().all(|source| source.name != *name), "two providers are called {name:?}");
            sources.push(Arc::new(source::Source::open(own).with_context(|| format!("the provider {name:?}"))?));
        }
        sources.push(Arc::new(source::Source::builtin()?));
        let mut aliases = BTreeMap::new();
        for alias in &settings.aliases {
            let name = &alias.name;
            ensure!(!name.contains('/'), "an alias has no slash: {name:?}");
            ensure!(!alias.models.is_empty(), "the alias {name:?} leads to no model");
            for model in &alias.models {
                let known = model.split_once('/').is_some_and(|(of, _)| sources.iter().any(|source| source.name == of));
                ensure!(known, "the alias {name:?}: {model:?} is no provider/model of the providers here");
            }
            let before = aliases.insert(name.clone(), alias.models.clone());
            ensure!(before.is_none(), "two aliases are called {name:?}");
        }
        ensure!(
            !settings.admin || settings.admin_roles.iter().any(|role| !role.trim().is_empty()),
            "admin = true offers tools that pull and delete models: name in admin_roles who may use them, or leave admin out"
        );
        Ok(Self {
            sources,
            aliases,
            defaults: settings.defaults.clone(),
            ledger: ledger::Ledger::new(settings.allowance),
            cache: cache::Cache::new(settings.cache),
            admin_roles: settings.admin_roles.clone(),
        })
    }
}

/// The service. It keeps nothing on disk: models live with their providers, budgets and cached answers in memory.
pub fn service(settings: Settings, _state: &Path) -> Result<Service, anyhow::Error> {
    let (models, changes) = (Models::open(&settings)?, Changes::new());
    let service = tools::add(Service::build(MANIFEST, env!("CARGO_PKG_VERSION"), models), &settings);
    let told = changes.clone();
    Ok(resources::add(service)
        .changes(&changes)
        .task(move |models: Arc<Models>, stop| watch::run(models, told, stop))
        .finish()?)
}
