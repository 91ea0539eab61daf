//! Looking at what there is: models, one model, and what the caller used.

use std::{sync::Arc, time::Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::{At, Call, Page, Reply, ToolError};

use crate::{
    Models, attempt,
    model::{Capability, Model},
    route,
};

const PAGE: usize = 100;

/// Which models.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct List {
    provider: Option<String>,
    capability: Option<Capability>,
    cursor: Option<String>,
}

/// A provider.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Served {
    name: String,
    kind: &'static str,
    /// `ok`, or why it does not answer.
    state: String,
    /// Calls that wait for its models.
    waiting: usize,
}

/// Everything that can be named.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Listed {
    models: Vec<Named>,
    /// Names, and the models that they try in turn.
    aliases: Vec<Alias>,
    providers: Vec<Served>,
}

/// A name for models.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Alias {
    name: String,
    models: Vec<String>,
}

/// A model with its full name.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Named {
    /// `provider/model`.
    name: String,
    #[serde(flatten)]
    model: Model,
}

pub(crate) async fn list(models: Arc<Models>, call: Call, args: List) -> Result<Reply<Listed>, ToolError> {
    let from = call.resume::<usize>(args.cursor.as_deref())?.map_or(0, At::position);
    let mut sources = models.visible(&call);
    sources.retain(|source| args.provider.as_ref().is_none_or(|name| *name == source.name));
    let (mut named, mut providers) = (Vec::new(), Vec::new());
    for (source, list) in call.run(route::lists(sources)).await? {
        let fault = source.fault().await;
        let blocked = source.breakers().blocks_all(Instant::now());
        let state = match fault {
            Some(fault) => fault.word().to_owned(),
            None if blocked => "blocked".to_owned(),
            None => "ok".to_owned(),
        };
        providers.push(Served {
            name: source.name.clone(),
            kind: source.provider.kind(),
            state,
            waiting: source.waiting(),
        });
        let fitting = |model: &&Model| args.capability.is_none_or(|capability| model.can(capability));
        let models = list.unwrap_or_default();
        named.extend(
            models
                .iter()
                .filter(fitting)
                .map(|model| Named { name: format!("{}/{}", source.name, model.id), model: model.clone() }),
        );
    }
    let total = named.len();
    let page: Vec<Named> = named.into_iter().skip(from).take(PAGE).collect();
    let next = from + page.len();
    let cursor = (next < total).then(|| call.cursor("", &next)).transpose()?;
    let aliases = models.visible_aliases(&call).map(|(name, models)| Alias { name: name.clone(), models }).collect();
    let line = |one: &Named| {
        let can = one.model.capabilities.iter().map(|own| own.name()).collect::<Vec<_>>().join(",");
        format!("{} [{can}]", one.name)
    };
    let states = providers.iter().map(|own| format!("{} is {}", own.name, own.state)).collect::<Vec<_>>().join(", ");
    let text = page.iter().map(line).chain([states]).collect::<Vec<_>>().join("\n");
    let count = page.len();
    Ok(Reply::new(Listed { models: page, aliases, providers })
        .text(text)
        .page(Page::new(count, cursor).total(total as u64)))
}

impl Models {
    /// Aliases, with those of their models that the caller may know of.
    pub(crate) fn visible_aliases(&self, call: &Call) -> impl Iterator<Item = (&String, Vec<String>)> {
        let may = |model: &&String| {
            let provider = model.split('/').next().unwrap_or_default();
            self.sources.iter().any(|source| source.name == provider && source.is_visible(call))
        };
        self.aliases
            .iter()
            .map(move |(name, models)| (name, models.iter().filter(may).cloned().collect::<Vec<_>>()))
            .filter(|(_, models)| !models.is_empty())
    }
}

/// One model.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Info {
    model: String,
}

/// What is known of a model.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Known {
    name: String,
    #[serde(flatten)]
    model: Model,
    kind: &'static str,
    /// False while it, or its provider, is left alone after failures.
    admitted: bool,
    waiting: usize,
    /// Calls that it works on at once.
    concurrency: usize,
}

pub(crate) async fn info(models: Arc<Models>, call: Call, args: Info) -> Result<Reply<Vec<Known>>, ToolError> {
    let mut found = Vec::new();
    for need in [Capability::Chat, Capability::Embed, Capability::Rerank] {
        match models.route(&call, Some(&args.model), need).await {
            Ok(route) => found.extend(route),
            Err(error) if error.code() == "invalid_arguments" => {}
            Err(error) => return Err(error),
        }
    }
    let mut known: Vec<Known> = Vec::new();
    for candidate in found {
        let name = candidate.name();
        if known.iter().any(|own| own.name == name) {
            continue;
        }
        known.push(Known {
            name,
            kind: candidate.source.provider.kind(),
            admitted: candidate.source.breakers().would_admit(&candidate.model.id, Instant::now()),
            waiting: candidate.source.queue(&candidate.model.id).waiting(),
            concurrency: candidate.source.concurrency(&candidate.model.id),
            model: candidate.model,
        });
    }
    if known.is_empty() { Err(route::unknown(&args.model)) } else { Ok(Reply::new(known)) }
}

/// Nothing.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// What was used, and what may be.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Account {
    tokens: u64,
    model_s: u64,
    cost: f64,
    /// Without a number there is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    most_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    most_model_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    most_cost: Option<f64>,
}

pub(crate) async fn usage(models: Arc<Models>, call: Call, _: Nothing) -> Result<Reply<Account>, ToolError> {
    let used = models.ledger.used(&attempt::payer(&call), Instant::now());
    let most = models.ledger.allowance();
    Ok(Reply::new(Account {
        tokens: used.tokens,
        model_s: used.time.as_secs(),
        cost: used.cost,
        most_tokens: most.tokens,
        most_model_s: most.seconds,
        most_cost: most.cost,
    }))
}
