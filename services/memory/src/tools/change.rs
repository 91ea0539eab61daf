//! Tools that change what is remembered: the next version, what is true instead, and whether it was of use.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::{Call, Reply, ToolError};

use super::store::{self, Item};
use crate::{
    guard,
    memory::{Memory, Present, check_match, missing},
    model::Record,
    moment::Moment,
    shown::Shown,
    space::Space,
};

// What is not said stays.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(inline)]
pub(crate) struct Patch {
    text: Option<String>,
    topics: Option<Vec<String>>,
    entities: Option<Vec<String>>,
    project: Option<String>,
    event_time: Option<Moment>,
    valid_from: Option<Moment>,
    valid_to: Option<Moment>,
    importance: Option<f64>,
    pinned: Option<bool>,
    /// Brings back what was forgotten or superseded.
    restore: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Update {
    id: String,
    patch: Patch,
    /// The version that you read.
    if_match: u64,
}

/// A record as it is now.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Written {
    record: Shown,
}

fn written(call: &Call, space: &Space, record: Record) -> Reply<Written> {
    let text = format!("{} is at version {}", record.id, record.version);
    Reply::new(Written { record: Shown::of(space, record, call.namespace()) }).text(text)
}

pub(crate) async fn update(memory: Arc<Memory>, call: Call, args: Update) -> Result<Reply<Written>, ToolError> {
    let (space, record) = memory.find_own(&call, &args.id).await?;
    if !record.kind.is_plain() {
        return Err(ToolError::invalid("only what was stored can be updated")
            .hint("link and unlink change links; entities have tools of their own"));
    }
    let ids = [args.id.clone()];
    let changed = memory
        .change(&call, &space, &ids, |present| {
            let own = present.get(&args.id).ok_or_else(|| missing(&args.id))?;
            check_match(own, args.if_match)?;
            patched(&memory, &call, own, &args.patch).map(|record| vec![record])
        })
        .await?;
    let record = changed.written.into_iter().next().ok_or_else(|| missing(&args.id))?;
    Ok(written(&call, &space, record))
}

fn patched(memory: &Memory, call: &Call, own: &Record, patch: &Patch) -> Result<Record, ToolError> {
    let is_gone = own.forgotten || own.superseded_by.is_some();
    if is_gone && !patch.restore {
        return Err(
            ToolError::conflict(format!("{} is forgotten or superseded", own.id)).hint("restore=true brings it back")
        );
    }
    // Checked as what is stored is: the same rules, in the same place.
    let item = Item {
        id: Some(own.id.clone()),
        text: patch.text.clone().unwrap_or_else(|| own.text.clone()),
        kind: own.kind,
        topics: patch.topics.clone().unwrap_or_else(|| own.topics.clone()),
        entities: patch.entities.clone().unwrap_or_else(|| own.entities.clone()),
        project: patch.project.clone().or_else(|| own.project.clone()),
        event_time: patch.event_time.or(own.event_time),
        valid_from: patch.valid_from.or(own.valid_from),
        valid_to: patch.valid_to.or(own.valid_to),
        importance: Some(patch.importance.unwrap_or(own.importance)),
        pinned: patch.pinned.unwrap_or(own.pinned),
        source: own.source.clone(),
        ..Item::default()
    };
    let mut record = store::record(memory, call, &item, &mut Vec::new())?;
    record.reason.clone_from(&own.reason);
    // Whoever edits what came from outside does not make it more reliable.
    record.trust = own.trust.min(guard::trust(call, &own.source, &record.text, &memory.settings));
    record.expires_at = own.expires_at;
    record.merged.clone_from(&own.merged);
    record.replaces.clone_from(&own.replaces);
    Ok(record)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Supersede {
    id: String,
    /// The version that you read.
    if_match: u64,
    /// What is true instead; what is not said is taken from the old one.
    text: String,
    /// Since when; now if not said.
    valid_from: Option<Moment>,
    /// Why, or by whom.
    reason: Option<String>,
}

/// The new record and the one that it replaces.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Superseded {
    record: Shown,
    replaces: String,
    replaced_version: u64,
}

pub(crate) async fn supersede(
    memory: Arc<Memory>,
    call: Call,
    args: Supersede,
) -> Result<Reply<Superseded>, ToolError> {
    let (space, old) = memory.find_own(&call, &args.id).await?;
    check_match(&old, args.if_match)?;
    store::check_names(args.reason.iter())?;
    let mut warnings: Vec<String> = args
        .reason
        .iter()
        .filter_map(|why| guard::screen(why, &memory.settings).transpose())
        .collect::<Result<_, _>>()?;
    let since = args.valid_from.unwrap_or_else(|| memory.now());
    if old.valid_from.is_some_and(|from| from > since) {
        return Err(ToolError::invalid("valid_from is before the old record began to be true"));
    }
    let item = Item {
        text: args.text.clone(),
        kind: old.kind,
        topics: old.topics.clone(),
        entities: old.entities.clone(),
        project: old.project.clone(),
        valid_from: Some(since),
        importance: Some(old.importance),
        pinned: old.pinned,
        source: old.source.clone(),
        ..Item::default()
    };
    if store::plain(&args.text) == store::plain(&old.text) {
        return Err(ToolError::invalid("the text says the same as the old one"));
    }
    let new = store::record(&memory, &call, &item, &mut warnings)?;
    let new = apart(&memory, &call, &space, new).await?;
    // Other words make it no more reliable, and no more lasting.
    let (trust, expires_at) = (old.trust.min(new.trust), old.expires_at);
    let new = Record { trust, expires_at, replaces: Some(old.id), reason: args.reason.clone(), ..new };
    let ids = [args.id.clone(), new.id.clone()];
    let changed = memory.change(&call, &space, &ids, |present| replaced(present, &args, &new)).await?;
    let find = |id: &str| changed.written.iter().find(|record| record.id == id).cloned();
    let old = find(&args.id).ok_or_else(|| missing(&args.id))?;
    let new = match find(&new.id) {
        Some(new) => new,
        None => there(&memory, &call, &space, &new.id).await?.ok_or_else(|| missing(&new.id))?,
    };
    let text = format!("{} replaces {} since {since}", new.id, old.id);
    let record = Shown::of(&space, new, call.namespace());
    let reply = Reply::new(Superseded { record, replaces: old.id, replaced_version: old.version }).text(text);
    Ok(warnings.into_iter().fold(reply, Reply::warn))
}

async fn there(memory: &Memory, call: &Call, space: &Space, id: &String) -> Result<Option<Record>, ToolError> {
    let found = memory.observe(call, memory.store.get(&space.key(), std::slice::from_ref(id))).await?;
    Ok(found.into_iter().next())
}

/// With another id, where that of its words stands for an earlier time in which they were true.
async fn apart(memory: &Memory, call: &Call, space: &Space, new: Record) -> Result<Record, ToolError> {
    let is_earlier = |own: Record| own.superseded_by.is_some() && own.is_dated(Moment::now());
    if !there(memory, call, space, &new.id).await?.is_some_and(is_earlier) {
        return Ok(new);
    }
    let since = new.valid_from.map(|since| since.to_string()).unwrap_or_default();
    let said = format!("{} since {since}", new.text);
    Ok(Record { id: store::content_id(new.kind.name(), &said, new.project.as_deref()), ..new })
}

fn replaced(present: &Present, args: &Supersede, new: &Record) -> Result<Vec<Record>, ToolError> {
    let old = present.get(&args.id).ok_or_else(|| missing(&args.id))?;
    check_match(old, args.if_match)?;
    if let Some(by) = &old.superseded_by {
        return Err(ToolError::conflict(format!("{} is superseded by {by} already", old.id)).hint("supersede that one"));
    }
    if old.forgotten {
        return Err(ToolError::conflict(format!("{} is forgotten", old.id)).hint("update with restore=true first"));
    }
    let mut old = old.clone();
    old.by.clone_from(&new.by);
    old.superseded_by = Some(new.id.clone());
    old.valid_to = new.valid_from.filter(|from| old.valid_to.is_none_or(|to| to > *from)).or(old.valid_to);
    // One that is there already, and stands, is not written over.
    let stands = |own: &Record| own.is_kept(Moment::now()) && own.superseded_by.is_none();
    Ok(if present.get(&new.id).is_some_and(stands) { vec![old] } else { vec![new.clone(), old] })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reinforce {
    ids: Vec<String>,
    /// They led astray.
    #[serde(default)]
    misled: bool,
}

/// What was counted.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Reinforced {
    counted: Vec<String>,
}

pub(crate) async fn reinforce(
    memory: Arc<Memory>,
    call: Call,
    args: Reinforce,
) -> Result<Reply<Reinforced>, ToolError> {
    if args.ids.is_empty() || args.ids.len() > 50 {
        return Err(ToolError::invalid("ids has 1 to 50 entries"));
    }
    let mut counted = Vec::new();
    for id in args.ids {
        let (space, _) = memory.find_own(&call, &id).await?;
        let one = [id.clone()];
        memory.observe(&call, memory.store.count_use(&space.key(), &one, args.misled, memory.now())).await?;
        counted.push(id);
    }
    let text = format!("counted for {}", counted.join(", "));
    Ok(Reply::new(Reinforced { counted }).text(text))
}
