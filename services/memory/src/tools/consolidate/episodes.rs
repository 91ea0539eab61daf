//! The events of a day → an episode: one record that tells what happened, written by the model of the settings.
//!
//! Events stay as they are; the episode names them, with the versions that were told, and the model that wrote it. A day whose events did
//! not change is not told again, one whose events did gets the next version of its episode. All that is to be written is asked for
//! first and then written at once, so a model that fails leaves everything as it was.

use std::collections::BTreeMap;

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use weft_kit::{Approval, Call, Plan, Reply, ToolError};

use super::{Consolidate, Done, Shown, check_seen, union};
use crate::{
    filter::Filter,
    fitness, guard,
    memory::Memory,
    model::{Kind, Origin, Record, Source, Trust},
    moment::Moment,
    shown,
    space::Space,
    tools::store,
};

/// Events that one call looks at.
const MOST: usize = 2_000;
/// Fewer events need no summary.
const FEWEST: usize = 3;
/// Events of one episode, and bytes of them, at most.
const EVENTS: usize = 200;
const BYTES: usize = 64 << 10;
/// Episodes of one call.
const EPISODES: usize = 50;
/// What an episode is called among its topics.
const TOPIC: &str = "episode";

/// What would be told.
#[derive(Debug, Serialize)]
pub(crate) struct Telling {
    /// Who would tell it; nothing was asked yet.
    model: String,
    episodes: Vec<Episode>,
}

#[derive(Debug, Serialize)]
struct Episode {
    day: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<String>,
    /// Id and text of each event.
    events: BTreeMap<String, String>,
}

/// What was told.
#[derive(Debug, Serialize)]
pub(crate) struct Told {
    episodes: Vec<Written>,
    /// Those whose events changed while the model wrote: left alone.
    skipped: usize,
}

#[derive(Debug, Serialize)]
struct Written {
    id: String,
    version: u64,
    text: String,
    /// The model.
    by: String,
    trust: Trust,
}

/// A day's events in one partition, oldest first.
struct Day {
    space: Space,
    id: String,
    day: String,
    events: Vec<Record>,
}

fn happened(record: &Record) -> Moment {
    record.event_time.or(record.valid_from).unwrap_or(record.recorded_at)
}

fn hex(text: &str) -> String {
    Sha256::digest(text).iter().take(10).map(|byte| format!("{byte:02x}")).collect()
}

fn sources(events: &[Record]) -> Vec<String> {
    events.iter().map(|event| format!("{}@{}", event.id, event.version)).collect()
}

/// The days that have something new to tell.
async fn days(memory: &Memory, call: &Call, args: &Consolidate) -> Result<Vec<Day>, ToolError> {
    let filter = Filter::new(&args.filter, Moment::now()).trusting(Trust::Untrusted);
    let mut found = Vec::new();
    for space in Space::own(call) {
        let records = memory.observe(call, memory.store.newest(&space.key(), None, &filter, MOST)).await?;
        let is_event = |own: &Record| own.kind == Kind::Event && !own.topics.iter().any(|topic| topic == TOPIC);
        let mut days: BTreeMap<(String, Option<String>), Vec<Record>> = BTreeMap::new();
        for own in records.into_iter().filter(is_event) {
            let day = happened(&own).to_string().chars().take(10).collect();
            days.entry((day, own.project.clone())).or_default().push(own);
        }
        for ((day, project), mut events) in days {
            events.sort_by(|left, right| (happened(left), &left.id).cmp(&(happened(right), &right.id)));
            events.truncate(EVENTS);
            let id = format!("episode-{}", hex(&format!("{day}\0{}", project.unwrap_or_default())));
            if events.len() >= FEWEST {
                found.push(Day { space: space.clone(), id, day, events });
            }
        }
    }
    let mut new = Vec::new();
    for day in found {
        let there = memory.observe(call, memory.store.get(&day.space.key(), std::slice::from_ref(&day.id))).await?;
        // What somebody forgot is not told again.
        let is_told = there.iter().any(|own| own.forgotten || own.merged == sources(&day.events));
        if !is_told && new.len() < EPISODES {
            new.push(day);
        }
    }
    Ok(new)
}

fn digest(days: &[Day]) -> String {
    let lines = days.iter().map(|day| format!("{}\0{}\0{}", day.space.key(), day.id, sources(&day.events).join(",")));
    hex(&lines.collect::<Vec<_>>().join("\n"))
}

fn no_model() -> ToolError {
    ToolError::new("no_model", "no model is configured that could tell episodes")
        .hint("ask the operator to set `model` in the settings of memory; duplicates need none")
}

pub(super) async fn plan(memory: &Memory, call: &Call, args: &Consolidate) -> Result<Plan<Shown>, ToolError> {
    let teller = memory.teller.as_ref().ok_or_else(no_model)?;
    let days = days(memory, call, args).await?;
    let short = |record: &Record| shown::plain(&record.text).chars().take(120).collect::<String>();
    let episode = |day: &Day| Episode {
        day: day.day.clone(),
        project: day.events.first().and_then(|event| event.project.clone()),
        events: day.events.iter().map(|event| (event.id.clone(), short(event))).collect(),
    };
    let summary = format!("let {} tell {} episodes; the events stay as they are", teller.name(), days.len());
    let telling = Telling { model: teller.name(), episodes: days.iter().map(episode).collect() };
    Ok(Plan::new(summary, Shown::Episodes(telling)).observed("episodes", digest(&days)).low_risk())
}

pub(super) async fn apply(
    memory: &Memory,
    call: &Call,
    args: &Consolidate,
    approval: &Approval,
) -> Result<Reply<Done>, ToolError> {
    let days = days(memory, call, args).await?;
    check_seen(approval, "episodes", &digest(&days))?;
    let mut records = Vec::new();
    for (place, day) in days.iter().enumerate() {
        records.push(tell(memory, call, day).await?);
        call.progress(fitness::small(place as u64 + 1), Some(fitness::small(days.len() as u64)), None);
    }
    let mut told = Told { episodes: Vec::new(), skipped: 0 };
    for (day, record) in days.iter().zip(records) {
        match write(memory, call, day, &record).await {
            Ok(version) => {
                let by = record.source.name.unwrap_or_default();
                let (id, text, trust) = (record.id, record.text, record.trust);
                told.episodes.push(Written { id, version, text, by, trust });
            }
            Err(error) if error.code() == "conflict" => told.skipped += 1,
            Err(error) => return Err(error),
        }
    }
    let line = |own: &Written| format!("{}{}: {}", own.id, shown::mark(own.trust), shown::plain(&own.text));
    let text: Vec<String> = told.episodes.iter().map(line).collect();
    let text = if text.is_empty() { "no episode was told".to_owned() } else { text.join("\n") };
    Ok(Reply::new(Done::Episodes(told)).text(text).label("private"))
}

/// The episode of a day, as the model tells it.
async fn tell(memory: &Memory, call: &Call, day: &Day) -> Result<Record, ToolError> {
    let teller = memory.teller.as_ref().ok_or_else(no_model)?;
    let mut lines = String::new();
    for event in &day.events {
        let line = format!("{} {} {}\n", happened(event), event.by, shown::plain(&event.text));
        if lines.len() + line.len() > BYTES {
            break;
        }
        lines.push_str(&line);
    }
    let summary = call.run(teller.tell(&lines)).await??;
    let text = summary.text.trim().to_owned();
    store::check_text(&text)?;
    guard::screen(&text, &memory.settings)?;
    let source = Source { origin: Origin::Tool, name: Some(summary.by.chars().take(100).collect()), uri: None };
    let least = day.events.iter().map(|event| event.trust).min().unwrap_or_default();
    let mut record = Record {
        topics: vec![TOPIC.to_owned()],
        project: day.events.first().and_then(|event| event.project.clone()),
        event_time: day.events.first().map(happened),
        merged: sources(&day.events),
        trust: guard::trust(call, &source, &text, &memory.settings).min(least),
        source,
        ..Record::new(day.id.clone(), Kind::Event, text, &call.caller().id)
    };
    for event in &day.events {
        union(&mut record.entities, &event.entities);
        record.importance = record.importance.max(event.importance);
    }
    record.entities.truncate(32);
    Ok(record)
}

/// Writes an episode if its events are still those that were told; its version.
async fn write(memory: &Memory, call: &Call, day: &Day, record: &Record) -> Result<u64, ToolError> {
    let mut ids: Vec<String> = day.events.iter().map(|event| event.id.clone()).collect();
    ids.push(record.id.clone());
    let changed = memory
        .change(call, &day.space, &ids, |present| {
            let is_same = |event: &Record| present.get(&event.id).is_some_and(|own| own.version == event.version);
            if day.events.iter().all(is_same) {
                return Ok(vec![record.clone()]);
            }
            Err(ToolError::conflict("an event changed meanwhile"))
        })
        .await?;
    Ok(changed.written.first().map_or(0, |own| own.version))
}
