//! Changing what a provider has: pull, copy, unload, delete. Offered only where the operator wants it, and to whom.
//!
//! A model is code as much as data (its template is a program), so what may be pulled is the operator's word: a name outside of
//! the provider's `allow` is refused, and without an `allow` so is everything from another registry than the provider's own.

use std::{sync::Arc, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::{Annotations, Approval, Builder, Call, Plan, Reply, Tool, ToolError};

use super::{look::Nothing, pull};
use crate::{
    Models,
    fault::Fault,
    model::Capability,
    provider::Loaded,
    route::{self, Candidate},
    source::Source,
};

/// Downloads take long.
const DOWNLOAD: Duration = Duration::from_secs(3_600);
const NAME: usize = 256;

/// Adds the tools that change models.
pub(super) fn add(service: Builder<Models>) -> Builder<Models> {
    let adds = Annotations { open_world: true, ..Annotations::ENSURE };
    service
        .tool(
            Tool::new(
                "running_models",
                Annotations::READ,
                "Lists the models that are in memory, and how much of it they take.",
            ),
            running,
        )
        .tool(
            Tool::new("pull_model", adds, "Downloads a model to its provider, with progress.").deadline(DOWNLOAD),
            pull::pull,
        )
        .tool(Tool::new("copy_model", Annotations::ENSURE, "Gives a model a second name at its provider."), copy)
        .tool(
            Tool::new(
                "unload_model",
                Annotations::ENSURE,
                "Frees the memory that a model takes; it is loaded again when it is asked.",
            ),
            unload,
        )
        .planned(
            Tool::new("delete_model", Annotations::DELETE, "Deletes a model at its provider."),
            plan_delete,
            delete,
        )
}

fn permitted(models: &Models, call: &Call) -> Result<(), ToolError> {
    if models.admin_roles.iter().any(|role| call.caller().has_role(role)) {
        return Ok(());
    }
    Err(ToolError::refused("you may not change models"))
}

/// A model by its full name.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    /// `provider/model`.
    model: String,
}

/// What was done.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Done {
    pub(super) model: String,
}

/// A provider and a name at it that the operator lets be used.
pub(super) fn place<'n>(models: &Models, call: &Call, name: &'n str) -> Result<(Arc<Source>, &'n str), ToolError> {
    permitted(models, call)?;
    let (provider, id) = name.split_once('/').ok_or_else(|| ToolError::invalid("model: write provider/model"))?;
    let source = models.sources.iter().find(|source| source.name == provider && source.is_visible(call));
    let source = source.ok_or_else(|| route::unknown(name))?;
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "._:/-".contains(letter);
    let plain =
        !id.is_empty() && id.len() <= NAME && id.chars().all(fits) && !id.contains("..") && !id.starts_with(['/', '-']);
    if !plain {
        return Err(ToolError::invalid("a model is named with letters, digits, and . _ : / -"));
    }
    let elsewhere = id.split_once('/').is_some_and(|(host, _)| host.contains(['.', ':']));
    if !source.allows(id) || (elsewhere && source.settings.allow.is_empty()) {
        return Err(ToolError::refused(format!("{name} may not be used here")));
    }
    Ok((Arc::clone(source), id))
}

/// A model that there is.
async fn existing(models: &Models, call: &Call, name: &str) -> Result<Candidate, ToolError> {
    let (source, _) = place(models, call, name)?;
    source.forget_models().await;
    for need in [Capability::Chat, Capability::Embed, Capability::Rerank] {
        match models.route(call, Some(name), need).await {
            Ok(route) => return route.into_iter().next().ok_or_else(|| route::unknown(name)),
            Err(error) if error.code() == "invalid_arguments" => {}
            Err(error) => return Err(error),
        }
    }
    Err(route::unknown(name))
}

async fn tell(
    call: &Call,
    name: &str,
    work: impl Future<Output = Result<(), Fault>>,
) -> Result<Reply<Done>, ToolError> {
    call.run(work).await?.map_err(|fault| fault.told(name))?;
    Ok(Reply::new(Done { model: name.to_owned() }).text("done"))
}

/// A model in memory, and whose.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Running {
    provider: String,
    #[serde(flatten)]
    loaded: Loaded,
}

async fn running(models: Arc<Models>, call: Call, _: Nothing) -> Result<Reply<Vec<Running>>, ToolError> {
    permitted(&models, &call)?;
    let (mut running, mut silent) = (Vec::new(), Vec::new());
    for source in models.visible(&call) {
        match call.run(source.provider.running()).await? {
            Ok(loaded) => {
                let own = loaded.into_iter().filter(|loaded| source.allows(&loaded.model));
                running.extend(own.map(|loaded| Running { provider: source.name.clone(), loaded }));
            }
            Err(Fault::Unsupported) => {}
            Err(fault) => silent.push(format!("{} is {}", source.name, fault.word())),
        }
    }
    let reply = Reply::new(running);
    Ok(silent.into_iter().fold(reply, Reply::warn))
}

/// A model and its other name.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Copy {
    /// `provider/model`.
    model: String,
    /// The other name, at the same provider, without it.
    to: String,
}

async fn copy(models: Arc<Models>, call: Call, args: Copy) -> Result<Reply<Done>, ToolError> {
    let found = existing(&models, &call, &args.model).await?;
    let to = format!("{}/{}", found.source.name, args.to);
    let (source, id) = place(&models, &call, &to)?;
    let listed = source.models().await.map_err(|fault| fault.told(&to))?;
    if listed.iter().any(|model| model.id == id || model.id == format!("{id}:latest")) {
        return Err(
            ToolError::conflict(format!("{to} is there already")).hint("choose another name, or delete it first")
        );
    }
    let reply = tell(&call, &to, source.provider.copy(&found.model.id, id)).await?;
    source.forget_models().await;
    Ok(reply)
}

async fn unload(models: Arc<Models>, call: Call, args: Which) -> Result<Reply<Done>, ToolError> {
    let found = existing(&models, &call, &args.model).await?;
    tell(&call, &args.model, found.source.provider.unload(&found.model.id)).await
}

/// What would be deleted.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Deletion {
    model: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    /// Aliases that lead to it.
    aliases: Vec<String>,
}

async fn plan_delete(models: Arc<Models>, call: Call, args: Which) -> Result<Plan<Deletion>, ToolError> {
    let found = existing(&models, &call, &args.model).await?;
    let name = found.name();
    let leads = |(alias, models): (&String, Vec<String>)| models.contains(&name).then(|| alias.clone());
    let aliases: Vec<String> = models.visible_aliases(&call).filter_map(leads).collect();
    let bytes = found.model.size;
    let summary = format!("delete {name}{}", bytes.map(|bytes| format!(" ({bytes} bytes)")).unwrap_or_default());
    let digest = found.model.digest.clone().unwrap_or_else(|| "present".to_owned());
    Ok(Plan::new(summary, Deletion { model: name.clone(), bytes, aliases }).observed(name, digest))
}

async fn delete(models: Arc<Models>, call: Call, args: Which, _: Approval) -> Result<Reply<Done>, ToolError> {
    let found = existing(&models, &call, &args.model).await?;
    let reply = tell(&call, &args.model, found.source.provider.delete(&found.model.id)).await?;
    found.source.forget_models().await;
    Ok(reply)
}
