//! One provider as this server sees it: who may use it, what it has, whether it is well, and the lines to its models.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use futures_util::{StreamExt as _, stream};
use globset::{Glob, GlobSet, GlobSetBuilder};
use weft_kit::Call;

use crate::{
    breaker::Breakers,
    builtin::{self, Builtin},
    fault::Fault,
    model::{Model, Price},
    provider::{Folder, Ollama, OpenAi, Provider},
    queue::Queue,
    settings::{Kind, ModelSettings, ProviderSettings},
};

/// How long a list of models is taken as it is.
const FRESH: Duration = Duration::from_secs(30);
/// How long a provider that did not answer is not asked for its list again.
const AWAY: Duration = Duration::from_secs(3);
/// A list of models has to come within.
const LIST: Duration = Duration::from_secs(10);

/// Its models, as they were when it was asked.
#[derive(Debug, Default)]
struct Catalogue {
    asked: Option<Instant>,
    models: Option<Arc<Vec<Model>>>,
    fault: Option<Fault>,
    /// What was learned of each model, by id and digest: it does not change.
    described: HashMap<(String, Option<String>), Model>,
}

/// Models that are described at once.
const AT_ONCE: usize = 8;

/// One provider.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) provider: Box<dyn Provider>,
    pub(crate) settings: ProviderSettings,
    allow: GlobSet,
    tenants: GlobSet,
    breakers: Mutex<Breakers>,
    queues: Mutex<HashMap<String, Arc<Queue>>>,
    catalogue: tokio::sync::Mutex<Catalogue>,
}

impl Source {
    /// Opens a configured provider. One that is away is no fault.
    pub(crate) fn open(settings: &ProviderSettings) -> Result<Self, anyhow::Error> {
        let provider: Box<dyn Provider> = match settings.kind {
            Kind::Ollama => Box::new(Ollama::open(settings)?),
            Kind::Openai => Box::new(OpenAi::open(settings)?),
            Kind::Local => Box::new(Folder::open(settings)?),
        };
        Self::of(provider, settings.clone())
    }

    /// The provider that is no model.
    pub(crate) fn builtin() -> Result<Self, anyhow::Error> {
        // It is never reached over a network: kind and address mean nothing.
        let mut settings = ProviderSettings::new(builtin::NAME, Kind::Ollama, "");
        (settings.concurrency, settings.batch) = (16, 256);
        Self::of(Box::new(Builtin), settings)
    }

    fn of(provider: Box<dyn Provider>, settings: ProviderSettings) -> Result<Self, anyhow::Error> {
        Ok(Self {
            name: settings.name.clone(),
            provider,
            allow: globs(&settings.allow).context("its allow")?,
            tenants: globs(&settings.tenants).context("its tenants")?,
            settings,
            breakers: Mutex::default(),
            queues: Mutex::default(),
            catalogue: tokio::sync::Mutex::default(),
        })
    }

    /// Whether the caller may know that it exists.
    pub(crate) fn is_visible(&self, call: &Call) -> bool {
        let roles = &self.settings.roles;
        let role = roles.is_empty() || roles.iter().any(|role| call.caller().has_role(role));
        role && (self.tenants.is_empty() || self.tenants.is_match(call.namespace()))
    }

    /// Whether the operator lets this model be used.
    pub(crate) fn allows(&self, model: &str) -> bool {
        self.allow.is_empty() || self.allow.is_match(model)
    }

    /// Its models that may be used, with what the operator knows of them. An old list is better than none.
    pub(crate) async fn models(&self) -> Result<Arc<Vec<Model>>, Fault> {
        let mut catalogue = self.catalogue.lock().await;
        let patience = if catalogue.fault.is_some() { AWAY } else { FRESH };
        if catalogue.asked.is_none_or(|asked| asked.elapsed() >= patience) {
            let listed = tokio::time::timeout(LIST, self.provider.models()).await;
            let listed = listed.unwrap_or_else(|_| Err(Fault::Away("no list of models in time".to_owned())));
            catalogue.asked = Some(Instant::now());
            match listed {
                Ok(models) => {
                    let models = self.described(models, &mut catalogue.described).await;
                    (catalogue.models, catalogue.fault) = (Some(Arc::new(models)), None);
                }
                Err(fault) => catalogue.fault = Some(fault),
            }
        }
        let Catalogue { models, fault, .. } = &*catalogue;
        models.clone().ok_or_else(|| fault.clone().unwrap_or(Fault::Missing))
    }

    /// Why its list of models could not be had the last time.
    pub(crate) async fn fault(&self) -> Option<Fault> {
        self.catalogue.lock().await.fault.clone()
    }

    /// Asks for the list anew the next time.
    pub(crate) async fn forget_models(&self) {
        self.catalogue.lock().await.asked = None;
    }

    /// The allowed ones, each with all that can be learned of it.
    async fn described(&self, models: Vec<Model>, memory: &mut HashMap<(String, Option<String>), Model>) -> Vec<Model> {
        let key = |model: &Model| (model.id.clone(), model.digest.clone());
        let allowed: Vec<Model> = models.into_iter().filter(|model| self.allows(&model.id)).collect();
        let unknown: Vec<Model> = allowed.iter().filter(|model| !memory.contains_key(&key(model))).cloned().collect();
        let learned = stream::iter(unknown)
            .map(|model| async move {
                let described = tokio::time::timeout(LIST, self.provider.describe(&model)).await;
                (key(&model), described)
            })
            .buffered(AT_ONCE)
            .collect::<Vec<_>>()
            .await;
        // What cannot be described stays as it was listed, and is asked about again with the next list.
        memory.extend(learned.into_iter().filter_map(|(key, described)| Some((key, described.ok()?.ok()?))));
        let known: Vec<Model> =
            allowed.into_iter().map(|model| memory.get(&key(&model)).cloned().unwrap_or(model)).collect();
        memory.retain(|id, _| known.iter().any(|model| key(model) == *id));
        known.into_iter().map(|model| self.with_settings(model)).collect()
    }

    /// A model with what the operator says of it.
    pub(crate) fn with_settings(&self, mut model: Model) -> Model {
        if let Some(own) = self.about(&model.id) {
            if !own.capabilities.is_empty() {
                (model.capabilities, model.assumed) = (own.capabilities.clone(), false);
            }
            model.context = own.context.or(model.context);
        }
        model
    }

    fn about(&self, model: &str) -> Option<&ModelSettings> {
        self.settings.models.iter().find(|own| own.id == model)
    }

    /// What tokens of a model cost.
    pub(crate) fn price(&self, model: &str) -> Price {
        self.about(model).map_or_else(Price::default, |own| Price { input: own.price_in, output: own.price_out })
    }

    /// Calls that a model works on at once.
    pub(crate) fn concurrency(&self, model: &str) -> usize {
        self.about(model).and_then(|own| own.concurrency).unwrap_or(self.settings.concurrency)
    }

    /// The line to a model.
    pub(crate) fn queue(&self, model: &str) -> Arc<Queue> {
        let places = self.concurrency(model);
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = queues.entry(model.to_owned()).or_insert_with(|| Queue::new(places, self.settings.waiting));
        Arc::clone(queue)
    }

    /// Calls that wait for one of its models.
    pub(crate) fn waiting(&self) -> usize {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.values().map(|queue| queue.waiting()).sum()
    }

    /// What remembers its failures and those of its models.
    pub(crate) fn breakers(&self) -> MutexGuard<'_, Breakers> {
        self.breakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn globs(patterns: &[String]) -> Result<GlobSet, anyhow::Error> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(Glob::new(pattern)?);
    }
    Ok(set.build()?)
}
