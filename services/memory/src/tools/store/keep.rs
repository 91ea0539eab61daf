//! What is wanted → what is there, in one partition: new records are written, and no other is replaced unawares.
//!
//! The same text said again adds what it says more about it: a topic, a time that was not known, a better source. What contradicts, or
//! says something else under the same id, needs the version that its writer read (`if_match`). A source never replaces what a more
//! reliable one said.

use std::sync::{Mutex, PoisonError};

use weft_kit::{Call, ToolError};

use super::{NAMES, Outcome, Stored, plain};
use crate::{
    memory::{Memory, Present, check_match},
    model::Record,
    moment::Moment,
    space::Space,
};

/// A record that shall be there.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) record: Record,
    /// The version that its writer read of what it replaces.
    pub(super) if_match: Option<u64>,
    /// As it was said; the record has one in any case.
    pub(super) importance: Option<f64>,
}

/// Writes records into one partition: new ones, next versions of those that say more, and a use of those that are there.
pub(super) async fn write(
    memory: &Memory,
    call: &Call,
    space: &Space,
    all: &[Wanted],
) -> Result<Vec<Stored>, ToolError> {
    let ids: Vec<String> = all.iter().map(|wanted| wanted.record.id.clone()).collect();
    let before = Mutex::new(Present::new());
    let changed = memory
        .change(call, space, &ids, |present| {
            before.lock().unwrap_or_else(PoisonError::into_inner).clone_from(present);
            batch(present, all)
        })
        .await?;
    let before = before.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut out = Vec::new();
    let mut again = Vec::new();
    for id in ids {
        let written = changed.written.iter().find(|own| own.id == id);
        let old = before.get(&id);
        let outcome = outcome(written, old);
        if outcome == Outcome::Unchanged {
            again.push(id.clone());
        }
        let version = written.or(old).map_or(0, |own| own.version);
        out.push(Stored { id, version, outcome, similar: Vec::new() });
    }
    if !again.is_empty() {
        memory.observe(call, memory.store.count_use(&space.key(), &again, false, memory.now())).await?;
    }
    let labels = [("store", memory.store.kind().to_owned())];
    metrics::counter!(weft_kit::names::MEMORY_WRITTEN.name, &labels).increment(changed.written.len() as u64);
    Ok(out)
}

fn outcome(written: Option<&Record>, old: Option<&Record>) -> Outcome {
    match (written, old) {
        (None, Some(old)) if old.superseded_by.is_some() && !old.is_live(Moment::now()) => Outcome::Superseded,
        (None, _) => Outcome::Unchanged,
        (Some(_), Some(old)) if !old.forgotten => Outcome::Updated,
        (Some(_), _) => Outcome::Created,
    }
}

/// What is to be written of all that is wanted.
fn batch(present: &Present, all: &[Wanted]) -> Result<Vec<Record>, ToolError> {
    let now = Moment::now();
    let mut batch = Present::new();
    for wanted in all {
        let id = &wanted.record.id;
        let next = match batch.get(id) {
            Some(first) => next(Some(first), wanted, now).map_err(|_| {
                ToolError::invalid(format!("two items are {id} and say different things")).hint("send one of them")
            })?,
            None => next(present.get(id), wanted, now)?,
        };
        batch.extend(next.map(|next| (id.clone(), next)));
    }
    Ok(batch.into_values().collect())
}

/// The next version of what is there; nothing if that stays as it is.
fn next(there: Option<&Record>, wanted: &Wanted, now: Moment) -> Result<Option<Record>, ToolError> {
    let new = &wanted.record;
    let Some(own) = there.filter(|own| own.is_kept(now)) else {
        return match wanted.if_match {
            None => Ok(Some(new.clone())),
            Some(_) => Err(ToolError::conflict(format!("{} is not there any more", new.id))
                .hint("without if_match it is stored anew")),
        };
    };
    let is_same = own.kind == new.kind && plain(&own.text) == plain(&new.text);
    if let Some(by) = &own.superseded_by {
        // What was replaced does not come back because somebody says it once more.
        return if is_same && wanted.if_match.is_none() { Ok(None) } else { Err(replaced(own, by)) };
    }
    match wanted.if_match {
        Some(seen) => instead(own, new, seen),
        None if is_same => joined(own, wanted),
        None => Err(taken(own, "says something else")),
    }
}

fn replaced(own: &Record, by: &str) -> ToolError {
    ToolError::conflict(format!("{} is superseded by {by}", own.id))
        .hint("supersede that one, or bring this one back by update with restore=true")
}

fn taken(own: &Record, how: &str) -> ToolError {
    ToolError::conflict(format!("{} is there at version {} and {how}: {} wrote it", own.id, own.version, own.by))
        .hint(format!("read it; if_match={} replaces it, another id keeps both", own.version))
}

/// The new one in place of what its writer read.
fn instead(own: &Record, new: &Record, seen: u64) -> Result<Option<Record>, ToolError> {
    let next = Record {
        // As with `update`: what came from outside is no more reliable for being edited.
        trust: own.trust.min(new.trust),
        expires_at: new.expires_at.or(own.expires_at),
        merged: own.merged.clone(),
        replaces: own.replaces.clone(),
        reason: own.reason.clone(),
        ..new.clone()
    };
    // The answer to the first try was lost, or somebody else did the same.
    if own.says_the_same(&Record { expires_at: own.expires_at, ..next.clone() }) {
        return Ok(None);
    }
    check_match(own, seen)?;
    if new.trust < own.trust {
        return Err(ToolError::refused(format!("{} was said by a more reliable source", own.id))
            .hint("store this one under another id"));
    }
    Ok(Some(next))
}

/// What is there with what the same text says more about it.
fn joined(own: &Record, wanted: &Wanted) -> Result<Option<Record>, ToolError> {
    let new = &wanted.record;
    if new.trust < own.trust {
        return Ok(None);
    }
    let differ = |own: Option<&str>, new: Option<&str>| own.zip(new).is_some_and(|(own, new)| own != new);
    let moved = |own: Option<Moment>, new: Option<Moment>| own.zip(new).is_some_and(|(own, new)| own != new);
    for (name, differs) in [
        ("project", differ(own.project.as_deref(), new.project.as_deref())),
        ("event_time", moved(own.event_time, new.event_time)),
        ("valid_from", moved(own.valid_from, new.valid_from)),
        ("valid_to", moved(own.valid_to, new.valid_to)),
    ] {
        if differs {
            return Err(taken(own, &format!("has another {name}")));
        }
    }
    let mut next = Record {
        project: own.project.clone().or_else(|| new.project.clone()),
        event_time: own.event_time.or(new.event_time),
        valid_from: own.valid_from.or(new.valid_from),
        valid_to: own.valid_to.or(new.valid_to),
        // What is said to last lasts.
        expires_at: own.expires_at.filter(|_| new.expires_at.is_some()),
        importance: wanted.importance.map_or(own.importance, |said| said.max(own.importance)),
        pinned: own.pinned || new.pinned,
        by: new.by.clone(),
        ..own.clone()
    };
    for (into, from) in [(&mut next.topics, &new.topics), (&mut next.entities, &new.entities)] {
        let fresh: Vec<String> = from.iter().filter(|name| !into.contains(name)).cloned().collect();
        into.extend(fresh);
        into.truncate(NAMES);
    }
    if new.trust > own.trust {
        (next.trust, next.source) = (new.trust, new.source.clone());
    }
    Ok((!own.says_the_same(&next)).then_some(next))
}
