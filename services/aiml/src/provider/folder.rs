//! Models of a folder, computed in this process: embedders and rerankers that need no other server.
//!
//! The folder is looked at anew for each list, so a model that is put there is found without a restart, and one that changed is read
//! again. A folder that holds no usable model is told to the operator once, not to callers. How a model is computed, and what it
//! holds in memory, is `weft_embed::local`'s.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, ensure};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use weft_embed::{
    EmbedError,
    local::{Card, Kind, Local, Threads, folders},
};

use super::{Exchange, Loaded, Provider};
use crate::{
    fault::Fault,
    model::{Capability, Model, Vectors},
    settings::ProviderSettings,
};

/// A folder of models.
#[derive(Debug)]
pub(crate) struct Folder(Arc<Shelves>);

#[derive(Debug)]
struct Shelves {
    path: PathBuf,
    threads: Threads,
    idle: Option<Duration>,
    models: Mutex<BTreeMap<String, Arc<Local>>>,
    /// Folders that the operator was told of, with what is wrong.
    told: Mutex<BTreeMap<String, String>>,
}

impl Folder {
    pub(crate) fn open(settings: &ProviderSettings) -> Result<Self, anyhow::Error> {
        ensure!(settings.url.is_empty(), "local models have a path and no url");
        let path = settings.path.clone().context("local models need a path: the folder that they are in")?;
        let idle = (settings.keep_s > 0).then(|| Duration::from_secs(settings.keep_s));
        let threads = Threads::new(settings.threads);
        let (models, told) = (Mutex::default(), Mutex::default());
        Ok(Self(Arc::new(Shelves { path, threads, idle, models, told })))
    }

    /// A model of the folder as it was when it was last looked at; the first time it is looked at here.
    async fn model(&self, id: &str) -> Result<Arc<Local>, Fault> {
        let known = self.0.models().get(id).cloned();
        match known {
            Some(model) => Ok(model),
            None => self.look().await?.remove(id).ok_or(Fault::Missing),
        }
    }

    async fn look(&self) -> Result<BTreeMap<String, Arc<Local>>, Fault> {
        let shelves = Arc::clone(&self.0);
        let looked = tokio::task::spawn_blocking(move || shelves.look()).await;
        looked.map_err(|why| Fault::Broken(why.to_string()))?
    }
}

impl Shelves {
    fn models(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Local>>> {
        self.models.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The models that are there now. Those that are the same keep their weights.
    fn look(&self) -> Result<BTreeMap<String, Arc<Local>>, Fault> {
        let found = folders(&self.path).map_err(|why| Fault::Away(format!("its folder: {}", why.kind())))?;
        let before = self.models().clone();
        let mut now = BTreeMap::new();
        for (id, path) in found {
            let opened = match before.get(&id) {
                Some(known) if Card::read(&path).is_ok_and(|card| card == *known.card()) => Ok(Arc::clone(known)),
                _ => Local::open(&id, &path, &self.threads, self.idle).map(Arc::new),
            };
            match opened {
                Ok(model) => {
                    now.insert(id, model);
                }
                Err(why) => self.tell(id, why.to_string()),
            }
        }
        self.models().clone_from(&now);
        Ok(now)
    }

    fn tell(&self, id: String, why: String) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.get(&id) != Some(&why) {
            tracing::warn!(model = id, why, "a folder holds no model that can be used");
            told.insert(id, why);
        }
    }
}

fn model(id: &str, card: &Card) -> Model {
    let (capability, dimensions) = match card.kind {
        Kind::Embedder => (Capability::Embed, Some(card.dimensions as u64)),
        Kind::Reranker => (Capability::Rerank, None),
    };
    Model {
        capabilities: vec![capability],
        context: Some(card.context as u64),
        dimensions,
        digest: Some(card.digest.clone()),
        size: Some(card.size),
        details: Some(format!("{}, computed by this server", card.family)),
        ..Model::named(id)
    }
}

fn fault(error: EmbedError) -> Fault {
    let cause = std::error::Error::source(&error).map(ToString::to_string);
    Fault::Broken(cause.unwrap_or_else(|| error.to_string()))
}

impl Provider for Folder {
    fn kind(&self) -> &'static str {
        "local"
    }

    fn models(&self) -> Exchange<'_, Vec<Model>> {
        Box::pin(async move { Ok(self.look().await?.iter().map(|(id, local)| model(id, local.card())).collect()) })
    }

    fn embed<'a>(&'a self, model: &'a str, texts: &'a [String], truncate: bool) -> Exchange<'a, Vectors> {
        Box::pin(async move {
            let local = self.model(model).await?;
            if local.card().kind != Kind::Embedder {
                return Err(Fault::Unsupported);
            }
            if !truncate && local.lengths(texts).await.map_err(fault)?.iter().any(|(_, goes_on)| *goes_on) {
                let most = local.card().context;
                return Err(Fault::rejected(&format!("the text is longer than {most} tokens; `truncate` cuts it")));
            }
            let work = local.vectors(texts).await.map_err(fault)?;
            Ok(Vectors { vectors: work.of, prompt_tokens: Some(work.tokens as u64), cut: work.cut })
        })
    }

    fn rerank<'a>(&'a self, model: &'a str, query: &'a str, documents: &'a [String]) -> Exchange<'a, Vec<f64>> {
        Box::pin(async move {
            let local = self.model(model).await?;
            if local.card().kind != Kind::Reranker {
                return Err(Fault::Unsupported);
            }
            let work = local.scores(query, documents).await.map_err(fault)?;
            Ok(work.of.into_iter().map(f64::from).collect())
        })
    }

    fn count<'a>(&'a self, model: &'a str, text: &'a str) -> Exchange<'a, u64> {
        Box::pin(async move {
            let local = self.model(model).await?;
            let counted = local.lengths(std::slice::from_ref(&text.to_owned())).await.map_err(fault)?;
            // Beyond what the model reads nobody counts.
            match counted.first() {
                Some((tokens, false)) => Ok(*tokens as u64),
                _ => Err(Fault::Unsupported),
            }
        })
    }

    fn running(&self) -> Exchange<'_, Vec<Loaded>> {
        Box::pin(async move {
            let models = self.0.models().clone();
            let loaded = |(id, local): (String, Arc<Local>)| {
                let held = local.held()?;
                let until = held
                    .left
                    .map(|left| OffsetDateTime::from(SystemTime::now() + left).format(&Rfc3339).unwrap_or_default());
                let (context, size) = (Some(local.card().context as u64), Some(held.bytes as u64));
                Some(Loaded { model: id, size, vram: None, context, until })
            };
            Ok(models.into_iter().filter_map(loaded).collect())
        })
    }

    fn unload<'a>(&'a self, model: &'a str) -> Exchange<'a, ()> {
        Box::pin(async move {
            self.model(model).await?.unload();
            Ok(())
        })
    }
}
