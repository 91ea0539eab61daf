//! Tools that only look: by id, all of something, versions, in order of time, counts.

use std::{collections::BTreeMap, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::{At, Call, Page, Reply, ToolError};

use crate::{
    filter::{Filter, Which},
    fitness::{self, Fitness},
    memory::{Memory, missing},
    model::{Record, Trust},
    moment::Moment,
    schema::terse,
    shown::{self, Shown},
    space::{Space, Visibility},
};

/// Records of one page at most.
const MOST: usize = 200;
/// Records that a timeline puts in order.
const ORDERED: usize = 5_000;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Get {
    ids: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Known {
    fitness: Fitness,
    record: Shown,
}

terse!(Known, {"type": "object", "required": ["fitness", "record"]});

/// Records by id.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct KnownAll {
    records: Vec<Known>,
    missing: Vec<String>,
}

pub(crate) async fn get(memory: Arc<Memory>, call: Call, args: Get) -> Result<Reply<KnownAll>, ToolError> {
    if args.ids.is_empty() || args.ids.len() > 50 {
        return Err(ToolError::invalid("ids has 1 to 50 entries"));
    }
    let (mut records, mut missing) = (Vec::new(), Vec::new());
    for id in args.ids {
        let (space, record) = match memory.find(&call, &id, false).await {
            Ok(found) => found,
            Err(error) if error.code() == "not_found" => {
                missing.push(id);
                continue;
            }
            Err(error) => return Err(error),
        };
        let uses = memory.observe(&call, memory.store.uses(&space.key(), std::slice::from_ref(&id))).await?;
        let uses = uses.get(&id).copied().unwrap_or_default();
        let fitness = fitness::of(&record, uses, memory.settings.half_life_days, Moment::now());
        records.push(Known { fitness, record: Shown::of(&space, record, call.namespace()) });
    }
    memory.recalls.note(&call, records.iter().map(|known| &known.record));
    let text = shown::lines(records.iter().map(|known| &known.record));
    Ok(Reply::new(KnownAll { records, missing }).text(text).label("private"))
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct List {
    filter: Which,
    /// Also what is forgotten, superseded or past its time.
    all: bool,
    /// 1 to 200; 50 if not said.
    limit: Option<usize>,
    cursor: Option<String>,
}

/// Records in an order.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Listed {
    records: Vec<Shown>,
}

fn limit(asked: Option<usize>) -> Result<usize, ToolError> {
    let limit = asked.unwrap_or(50);
    if (1..=MOST).contains(&limit) { Ok(limit) } else { Err(ToolError::invalid(format!("limit is from 1 to {MOST}"))) }
}

pub(crate) async fn list(memory: Arc<Memory>, call: Call, args: List) -> Result<Reply<Listed>, ToolError> {
    let limit = limit(args.limit)?;
    let before = call.resume::<(i64, String)>(args.cursor.as_deref())?.map(At::position);
    let before = before.map(|(moment, id)| (Moment::from_micros(moment), id));
    let mut filter = Filter::new(&args.filter, Moment::now()).trusting(Trust::Quarantined);
    if args.all {
        filter = filter.including_dead();
    }
    let found = memory.newest(&call, before.as_ref(), &filter, limit + 1).await?;
    let more = found.len() > limit;
    let shown = found.into_iter().take(limit).map(|(space, record)| Shown::of(&space, record, call.namespace()));
    let mut budget = call.budget();
    let records = budget.fill(shown);
    let last = records.last().filter(|_| more || budget.is_full());
    let cursor = last.map(|last| call.cursor("", &(last.recorded_at.micros(), &last.id))).transpose()?;
    let page = Page::new(records.len(), cursor);
    let text = shown::lines(records.iter());
    Ok(Reply::new(Listed { records }).text(text).page(page).truncated(budget.truncated()).label("private"))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct History {
    id: String,
    /// 1 to 200; 50 if not said.
    limit: Option<usize>,
    cursor: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Version {
    /// Absent on the current one.
    #[serde(skip_serializing_if = "Option::is_none")]
    believed_until: Option<Moment>,
    record: Shown,
}

terse!(Version, {"type": "object", "required": ["record"]});

/// All versions of a record.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Versions {
    versions: Vec<Version>,
}

pub(crate) async fn history(memory: Arc<Memory>, call: Call, args: History) -> Result<Reply<Versions>, ToolError> {
    let limit = limit(args.limit)?;
    let below = call.resume::<u64>(args.cursor.as_deref())?.map(At::position);
    let (space, _) = memory.find(&call, &args.id, true).await?;
    let rows = memory.observe(&call, memory.store.history(&space.key(), &args.id)).await?;
    if rows.is_empty() {
        return Err(missing(&args.id));
    }
    let rows = rows.into_iter().filter(|row| below.is_none_or(|below| row.record.version < below));
    let mut rows: Vec<_> = rows.take(limit + 1).collect();
    let more = rows.len() > limit;
    rows.truncate(limit);
    let versions = rows
        .into_iter()
        .map(|row| Version { believed_until: row.ended_at, record: Shown::of(&space, row.record, call.namespace()) });
    let mut budget = call.budget();
    let versions = budget.fill(versions);
    let last = versions.last().filter(|_| more || budget.is_full());
    let cursor = last.map(|last| call.cursor("", &last.record.version)).transpose()?;
    let line = |own: &Version| {
        let until = own.believed_until.map_or_else(|| "now".to_owned(), |until| until.to_string());
        let mark = shown::mark(own.record.trust);
        format!("{} to {until}{mark}: {}", own.record.recorded_at, shown::plain(&own.record.text))
    };
    let text: Vec<String> = versions.iter().map(line).collect();
    let page = Page::new(versions.len(), cursor);
    Ok(Reply::new(Versions { versions }).text(text.join("\n")).page(page).label("private"))
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Timeline {
    filter: Which,
    /// Happened at or after.
    from: Option<Moment>,
    /// Happened before.
    to: Option<Moment>,
    /// 1 to 200; 50 if not said.
    limit: Option<usize>,
    cursor: Option<String>,
}

fn happened(record: &Record) -> Moment {
    record.event_time.or(record.valid_from).unwrap_or(record.recorded_at)
}

pub(crate) async fn timeline(memory: Arc<Memory>, call: Call, args: Timeline) -> Result<Reply<Listed>, ToolError> {
    let limit = limit(args.limit)?;
    let skip = call.resume::<usize>(args.cursor.as_deref())?.map_or(0, At::position);
    let filter = Filter::new(&args.filter, Moment::now());
    let found = memory.newest(&call, None, &filter, ORDERED + 1).await?;
    let cut = found.len() > ORDERED;
    let within = |record: &Record| {
        let when = happened(record);
        args.from.is_none_or(|from| when >= from) && args.to.is_none_or(|to| when < to)
    };
    let mut found: Vec<(Space, Record)> = found.into_iter().filter(|(_, record)| within(record)).collect();
    found.sort_by(|(_, left), (_, right)| (happened(left), &left.id).cmp(&(happened(right), &right.id)));
    let total = found.len();
    let shown = found.into_iter().skip(skip).take(limit);
    let mut budget = call.budget();
    let records = budget.fill(shown.map(|(space, record)| Shown::of(&space, record, call.namespace())));
    let next = skip + records.len();
    let cursor = if next < total && !records.is_empty() { Some(call.cursor("", &next)?) } else { None };
    let page = Page::new(records.len(), cursor);
    let text = shown::lines(records.iter());
    let reply = Reply::new(Listed { records }).text(text).page(page).truncated(budget.truncated()).label("private");
    if cut {
        Ok(reply.warn(format!("only the newest {ORDERED} records were put in order: narrow the filter")))
    } else {
        Ok(reply)
    }
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoArguments {}

#[derive(Debug, Serialize)]
pub(crate) struct Part {
    visibility: Visibility,
    namespace: String,
    /// By kind; `forgotten` are kept for their history.
    records: BTreeMap<String, u64>,
    versions: u64,
    limit: u64,
}

terse!(Part, {"type": "object", "required": ["visibility", "namespace", "records", "versions", "limit"]});

/// How much is remembered.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Stats {
    store: String,
    parts: Vec<Part>,
}

pub(crate) async fn stats(memory: Arc<Memory>, call: Call, _: NoArguments) -> Result<Reply<Stats>, ToolError> {
    memory.observe(&call, memory.store.healthy()).await?;
    let mut parts = Vec::new();
    for space in memory.readable(&call) {
        let census = memory.observe(&call, memory.store.census(&space.key())).await?;
        let limit = memory.settings.records;
        let Space { visibility, namespace, .. } = space;
        parts.push(Part { visibility, namespace, records: census.kinds, versions: census.versions, limit });
    }
    let line = |part: &Part| {
        let kinds: Vec<String> = part.records.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        format!("{:?}: {}", part.visibility, if kinds.is_empty() { "nothing".to_owned() } else { kinds.join(", ") })
            .to_lowercase()
    };
    let text: Vec<String> = parts.iter().map(line).collect();
    Ok(Reply::new(Stats { store: memory.store.kind().to_owned(), parts }).text(text.join("\n")))
}
