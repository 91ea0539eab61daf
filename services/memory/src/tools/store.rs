//! New memories → records: checked, screened, kept once.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use weft_kit::{Call, Reply, ToolError};

mod keep;

use self::keep::{Wanted, write};
use crate::{
    filter::Filter,
    guard,
    memory::{Memory, check_kind},
    model::{Kind, Record, Source},
    moment::Moment,
    space::{Space, Visibility, check_id},
    words,
};

/// Items of one call.
const ITEMS: usize = 50;
/// Bytes of one text.
pub(crate) const TEXT: usize = 8 << 10;
/// Topics, entities or observations of one record.
pub(crate) const NAMES: usize = 64;
/// The longest name of a topic, an entity, a project.
pub(crate) const NAME: usize = 256;
/// The most items of one call and partition that are compared with what is there.
const COMPARED: usize = 5;
/// From which likeness on a record is named as similar.
const SIMILAR: f64 = 0.92;

// What to remember.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(inline)]
pub(crate) struct Item {
    /// Made from the text if not said.
    pub(crate) id: Option<String>,
    pub(crate) text: String,
    pub(crate) kind: Kind,
    pub(crate) topics: Vec<String>,
    /// People and things named: nodes of the graph.
    pub(crate) entities: Vec<String>,
    pub(crate) project: Option<String>,
    pub(crate) event_time: Option<Moment>,
    /// Since when it is true.
    pub(crate) valid_from: Option<Moment>,
    pub(crate) valid_to: Option<Moment>,
    /// 0 to 1.
    pub(crate) importance: Option<f64>,
    pub(crate) pinned: bool,
    pub(crate) ttl_seconds: Option<u64>,
    #[serde(default)]
    #[schemars(with = "Visibility")]
    pub(crate) visibility: Option<Visibility>,
    /// Say tool or document for what you did not say yourself.
    pub(crate) source: Source,
    /// To replace what is there: the version that you read.
    pub(crate) if_match: Option<u64>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Store {
    items: Vec<Item>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum Outcome {
    Created,
    Updated,
    Unchanged,
    Superseded,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct Stored {
    pub(crate) id: String,
    pub(crate) version: u64,
    pub(crate) outcome: Outcome,
    /// Other records that say nearly the same; looked for in calls of up to 5 items.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    similar: Vec<String>,
}

/// The result of storing.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct StoredAll {
    items: Vec<Stored>,
}

pub(crate) async fn store(memory: Arc<Memory>, call: Call, args: Store) -> Result<Reply<StoredAll>, ToolError> {
    if args.items.is_empty() || args.items.len() > ITEMS {
        return Err(ToolError::invalid(format!("items has 1 to {ITEMS} entries")));
    }
    let mut warnings = Vec::new();
    let mut parts: [(Visibility, Vec<(usize, Wanted)>); 3] =
        [Visibility::Private, Visibility::Team, Visibility::Shared].map(|part| (part, Vec::new()));
    for (place, item) in args.items.iter().enumerate() {
        let record = record(&memory, &call, item, &mut warnings).map_err(|error| at(place, error))?;
        let visibility = item.visibility.unwrap_or(memory.settings.visibility);
        let part = parts.iter_mut().find(|(part, _)| *part == visibility);
        let wanted = Wanted { record, if_match: item.if_match, importance: item.importance };
        part.map(|(_, records)| records.push((place, wanted))).unwrap_or_default();
    }
    let mut stored = Vec::new();
    for (visibility, records) in parts.into_iter().filter(|(_, records)| !records.is_empty()) {
        let space = Space::of(&call, visibility);
        let (places, wanted): (Vec<usize>, Vec<Wanted>) = records.into_iter().unzip();
        let mut outcomes = write(&memory, &call, &space, &wanted).await?;
        // Each comparison reads all vectors of the partition; consolidate does it for many.
        if outcomes.len() <= COMPARED {
            for (own, wanted) in outcomes.iter_mut().zip(&wanted).filter(|(own, _)| own.outcome == Outcome::Created) {
                own.similar = similar(&memory, &call, &space, &wanted.record).await?;
            }
        }
        stored.extend(places.into_iter().zip(outcomes));
    }
    stored.sort_by_key(|(place, _)| *place);
    let items: Vec<Stored> = stored.into_iter().map(|(_, stored)| stored).collect();
    let text: Vec<String> = items.iter().map(|own| format!("{} {:?}", own.id, own.outcome).to_lowercase()).collect();
    let near: Vec<&str> = items.iter().filter(|own| !own.similar.is_empty()).map(|own| own.id.as_str()).collect();
    if !near.is_empty() {
        warnings.push(format!(
            "nearly the same is remembered already ({}): look at `similar`, then update, supersede or consolidate",
            near.join(", ")
        ));
    }
    let old: Vec<&str> =
        items.iter().filter(|own| own.outcome == Outcome::Superseded).map(|own| own.id.as_str()).collect();
    if !old.is_empty() {
        warnings.push(format!(
            "what was superseded stays so ({}): update with restore brings it back, if it is true again",
            old.join(", ")
        ));
    }
    let mut reply = Reply::new(StoredAll { items }).text(text.join("\n"));
    for warning in warnings {
        reply = reply.warn(warning);
    }
    Ok(reply)
}

fn at(place: usize, error: ToolError) -> ToolError {
    ToolError::new(error.code().to_owned(), format!("items[{place}]: {}", error.message()))
        .hint("nothing was written; mend this one and send all again")
}

/// The record that an item stands for.
pub(crate) fn record(
    memory: &Memory,
    call: &Call,
    item: &Item,
    warnings: &mut Vec<String>,
) -> Result<Record, ToolError> {
    check_kind(item.kind)?;
    check_text(&item.text)?;
    let importance = item.importance.unwrap_or(0.5);
    if !(0.0..=1.0).contains(&importance) {
        return Err(ToolError::invalid("importance is from 0 to 1"));
    }
    if let (Some(from), Some(to)) = (item.valid_from, item.valid_to)
        && to < from
    {
        return Err(ToolError::invalid("valid_to is before valid_from"));
    }
    let names = [&item.topics, &item.entities];
    check_names(names.into_iter().flatten().chain(&item.project).chain(&item.source.name))?;
    if item.topics.len() > NAMES || item.entities.len() > NAMES {
        return Err(ToolError::invalid(format!("topics and entities have at most {NAMES} entries each")));
    }
    let told = item.id.iter().chain(&item.project).chain(&item.source.name).chain(&item.source.uri);
    let all = std::iter::once(&item.text).chain(&item.topics).chain(&item.entities).chain(told);
    warnings.extend(guard::screen_all(all, &memory.settings)?);
    let id = match &item.id {
        Some(id) => check_id(id).map(|()| id.clone())?,
        None => content_id(item.kind.name(), &item.text, item.project.as_deref()),
    };
    Ok(Record {
        topics: item.topics.clone(),
        entities: item.entities.clone(),
        project: item.project.clone(),
        event_time: item.event_time,
        valid_from: item.valid_from,
        valid_to: item.valid_to,
        expires_at: item.ttl_seconds.map(|seconds| Moment::now().plus_seconds(seconds)),
        importance,
        pinned: item.pinned,
        source: item.source.clone(),
        trust: guard::trust(call, &item.source, &item.text, &memory.settings),
        ..Record::new(id, item.kind, item.text.clone(), &call.caller().id)
    })
}

/// Fails unless the text is one that can be remembered.
pub(crate) fn check_text(text: &str) -> Result<(), ToolError> {
    if text.trim().is_empty() {
        return Err(ToolError::invalid("text is empty"));
    }
    if text.len() > TEXT {
        let hint = "remember the gist, and where the whole is";
        return Err(ToolError::too_large(format!("text has {} bytes, at most {TEXT}", text.len())).hint(hint));
    }
    Ok(())
}

/// Fails on names that are none: empty, too long, or with control characters.
pub(crate) fn check_names<'a>(names: impl Iterator<Item = &'a String>) -> Result<(), ToolError> {
    for name in names {
        if name.trim().is_empty() || name.len() > NAME || name.chars().any(char::is_control) {
            return Err(ToolError::invalid(format!("a name has 1 to {NAME} bytes and no control characters")));
        }
    }
    Ok(())
}

/// A text without what does not tell it apart: spaces, and what cannot be seen.
pub(super) fn plain(text: &str) -> String {
    let seen: String = text.chars().filter(|letter| !words::is_invisible(*letter)).collect();
    seen.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The id that follows from what is said, so that the same is kept once, whoever writes it first.
pub(crate) fn content_id(kind: &str, text: &str, project: Option<&str>) -> String {
    let digest = Sha256::digest(format!("{kind}\0{}\0{}", project.unwrap_or_default(), plain(text)));
    let hex: String = digest.iter().take(10).map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{hex}", &kind[..1])
}

/// Ids of other records that say nearly the same.
async fn similar(memory: &Memory, call: &Call, space: &Space, record: &Record) -> Result<Vec<String>, ToolError> {
    // It is a hint: it does not fail what is written already.
    let Ok(Some(vector)) = memory.comparable(call, &space.key(), &record.searched()).await else {
        return Ok(Vec::new());
    };
    let filter = Filter::new(&crate::filter::Which::default(), Moment::now());
    let near = memory.observe(call, memory.store.nearest(&space.key(), &vector, &filter, 4)).await?;
    let other = near.into_iter().filter(|(own, alike)| own.id != record.id && own.kind.is_plain() && *alike >= SIMILAR);
    Ok(other.map(|(own, _)| own.id).collect())
}
