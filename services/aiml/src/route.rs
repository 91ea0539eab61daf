//! The name that a call gives (or none) → the models that may answer it, in the order in which they are tried.
//!
//! `provider/model` is that one and no other; an alias is its list; a bare id is that model wherever it is; nothing is the default.
//! Those that do not answer stand last. What a caller may not know of looks as if it did not exist.

use std::{sync::Arc, time::Instant};

use futures_util::future;
use weft_kit::{Call, ToolError};

use crate::{
    Models, builtin,
    fault::Fault,
    model::{Capability, Model, Price},
    source::Source,
};

/// A model that may be asked.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) source: Arc<Source>,
    pub(crate) model: Model,
}

impl Candidate {
    /// `provider/model`.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.source.name, self.model.id)
    }

    /// What its tokens cost.
    pub(crate) fn price(&self) -> Price {
        self.source.price(&self.model.id)
    }

    /// Whether it is no model at all.
    pub(crate) fn is_builtin(&self) -> bool {
        self.source.name == builtin::NAME
    }
}

/// Why a name leads nowhere.
enum Lost {
    Unknown,
    Away(Fault),
}

impl Models {
    /// All candidates for what is asked, at least one.
    pub(crate) async fn route(
        &self,
        call: &Call,
        asked: Option<&str>,
        need: Capability,
    ) -> Result<Vec<Candidate>, ToolError> {
        let name = asked.or(self.default_for(need));
        let mut route = match name {
            Some(name) => self.named(call, name, need).await?,
            None => self.any(call, need).await,
        };
        if route.is_empty() {
            return Err(self.none(call, need).await);
        }
        let now = Instant::now();
        route.sort_by_key(|candidate| !candidate.source.breakers().would_admit(&candidate.model.id, now));
        Ok(route)
    }

    /// The providers that the caller may know of.
    pub(crate) fn visible(&self, call: &Call) -> Vec<Arc<Source>> {
        self.sources.iter().filter(|source| source.is_visible(call)).cloned().collect()
    }

    fn default_for(&self, need: Capability) -> Option<&str> {
        match need {
            Capability::Chat | Capability::Vision | Capability::Tools => self.defaults.chat.as_deref(),
            Capability::Embed => self.defaults.embed.as_deref(),
            Capability::Rerank => self.defaults.rerank.as_deref(),
        }
    }

    async fn named(&self, call: &Call, name: &str, need: Capability) -> Result<Vec<Candidate>, ToolError> {
        let mut found = Vec::new();
        let mut away = None;
        for name in self.aliases.get(name).map_or_else(|| vec![name.to_owned()], Clone::clone) {
            match self.find(call, &name).await {
                Ok(candidates) => found.extend(candidates),
                Err(Lost::Away(fault)) => away = Some(fault.told(&name)),
                Err(Lost::Unknown) => {}
            }
        }
        if found.is_empty() {
            return Err(away.unwrap_or_else(|| unknown(name)));
        }
        found.retain(|candidate| candidate.model.may(need));
        if found.is_empty() {
            return Err(ToolError::invalid(format!("{name} cannot {}", need.name()))
                .hint(format!("list_models with capability {} names those that can", need.name())));
        }
        Ok(found)
    }

    /// The models of one name that is no alias.
    async fn find(&self, call: &Call, name: &str) -> Result<Vec<Candidate>, Lost> {
        let qualified = name.split_once('/').and_then(|(provider, id)| {
            let source = self.sources.iter().find(|source| source.name == provider)?;
            source.is_visible(call).then_some((source, id))
        });
        if let Some((source, id)) = qualified {
            return one(Arc::clone(source), id).await.map(|candidate| vec![candidate]);
        }
        let found = future::join_all(self.visible(call).into_iter().map(|source| one(source, name))).await;
        let (mut candidates, mut away) = (Vec::new(), None);
        for outcome in found {
            match outcome {
                Ok(candidate) => candidates.push(candidate),
                Err(Lost::Away(fault)) => away = Some(fault),
                Err(Lost::Unknown) => {}
            }
        }
        match away {
            _ if !candidates.is_empty() => Ok(candidates),
            Some(fault) => Err(Lost::Away(fault)),
            None => Err(Lost::Unknown),
        }
    }

    /// The first fitting model of each provider; one that is known to fit before one that is assumed to.
    async fn any(&self, call: &Call, need: Capability) -> Vec<Candidate> {
        let pick = |(source, models): (Arc<Source>, Result<Arc<Vec<Model>>, Fault>)| {
            let models = models.ok()?;
            let fitting = models.iter().filter(|model| model.can(need));
            let model = fitting.min_by_key(|model| model.assumed)?.clone();
            Some(Candidate { source, model })
        };
        lists(self.visible(call)).await.into_iter().filter_map(pick).collect()
    }

    /// Why there is no model for this.
    async fn none(&self, call: &Call, need: Capability) -> ToolError {
        for source in self.visible(call) {
            if source.fault().await.is_some() {
                return ToolError::unavailable("no provider of such a model answers now")
                    .hint("try again later; list_models says which providers answer");
            }
        }
        ToolError::new("no_model", format!("there is no model here that can {}", need.name()))
            .hint("without one there are count_tokens, embed, rerank, classify and summarise")
    }
}

/// A model of one provider, from its list or from the settings.
async fn one(source: Arc<Source>, id: &str) -> Result<Candidate, Lost> {
    if !source.allows(id) {
        return Err(Lost::Unknown);
    }
    let latest = format!("{id}:latest");
    let found = match source.models().await {
        Ok(models) => models.iter().find(|model| model.id == id || model.id == latest).cloned().ok_or(Lost::Unknown),
        Err(fault) => Err(Lost::Away(fault)),
    };
    let model = match found {
        Err(_) if source.settings.models.iter().any(|own| own.id == id) => {
            source.with_settings(Model::named(id).assume())
        }
        found => found?,
    };
    Ok(Candidate { source, model })
}

/// Providers with their models, or why there are none; all are asked at once.
pub(crate) async fn lists(sources: Vec<Arc<Source>>) -> Vec<(Arc<Source>, Result<Arc<Vec<Model>>, Fault>)> {
    future::join_all(sources.into_iter().map(listed)).await
}

async fn listed(source: Arc<Source>) -> (Arc<Source>, Result<Arc<Vec<Model>>, Fault>) {
    let models = source.models().await;
    (source, models)
}

/// What a model that does not exist, or that the caller may not know of, looks like.
pub(crate) fn unknown(name: &str) -> ToolError {
    ToolError::not_found(format!("there is no model {name:?}")).hint("list_models names them all")
}
