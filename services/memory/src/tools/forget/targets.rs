//! What a call of `forget` means → the records, by partition; for an erasure also those that hold the same words under another id.
//!
//! A record that others were merged into goes with them, and they with it: they say the same. An episode goes with each event that it
//! was told from; the events stay when it goes.

use std::collections::{BTreeMap, BTreeSet};

use weft_kit::{Call, ToolError};

use super::{Forget, Mode};
use crate::{
    filter::{During, Filter},
    memory::Memory,
    model::{Kind, Record, Trust},
    moment::Moment,
    space::Space,
    words,
};

/// Records that one call forgets at most.
const MOST: usize = 1_000;

pub(super) type Targets = BTreeMap<Space, Vec<Record>>;

/// The records that are meant, in what the caller owns or may erase.
pub(super) async fn targets(memory: &Memory, call: &Call, args: &Forget) -> Result<Targets, ToolError> {
    let subject = args.subject.as_deref().map(str::trim).filter(|subject| !subject.is_empty());
    let ways = [!args.ids.is_empty(), !args.filter.is_empty(), subject.is_some()];
    if ways.into_iter().filter(|way| *way).count() != 1 {
        return Err(ToolError::invalid("say what to forget by ids, by filter or by subject: one of them")
            .hint("a filter that says nothing would mean everything and is refused"));
    }
    let spaces = spaces(memory, call, args, subject.is_some()).await?;
    let mut found = Targets::new();
    for id in &args.ids {
        let (space, record) = memory.find_own(call, id).await?;
        found.entry(space).or_default().push(record);
    }
    if args.ids.is_empty() {
        for space in spaces {
            let own = meant(memory, call, args, (&space, subject)).await?;
            found.insert(space, own);
        }
    }
    found.retain(|_, records| !records.is_empty());
    if args.mode == Mode::Erase {
        for (space, records) in &mut found {
            follow(memory, call, space, records).await?;
        }
    }
    check_size(found)
}

/// Where it is looked for.
async fn spaces(memory: &Memory, call: &Call, args: &Forget, by_subject: bool) -> Result<Vec<Space>, ToolError> {
    if !args.everyone {
        return Ok(Space::own(call));
    }
    if !by_subject || args.mode != Mode::Erase {
        return Err(ToolError::invalid("everyone goes with a subject and mode=erase"));
    }
    if !memory.settings.erase_roles.iter().any(|role| call.caller().has_role(role)) {
        return Err(ToolError::refused("erasing what is private to others needs a role that may")
            .hint("ask the operator for one of the roles in `erase_roles`, or leave everyone out"));
    }
    let keys = memory.observe(call, memory.store.spaces()).await?;
    let own = |space: &Space| space.namespace == call.namespace();
    Ok(keys.iter().filter_map(|key| Space::of_key(key)).filter(own).collect())
}

/// What is meant in one partition.
async fn meant(
    memory: &Memory,
    call: &Call,
    args: &Forget,
    (space, subject): (&Space, Option<&str>),
) -> Result<Vec<Record>, ToolError> {
    let is_erasing = args.mode == Mode::Erase;
    // Also what was true once or will be.
    let filter = Filter::new(&args.filter, Moment::now()).trusting(Trust::Quarantined);
    let filter = filter.valid(Some(During::default()))?;
    // What is forgotten or replaced holds the words still: an erasure takes it too.
    let filter = if is_erasing || subject.is_some() { filter.including_dead() } else { filter };
    let all = memory.observe(call, memory.store.newest(&space.key(), None, &filter, usize::MAX)).await?;
    let mut own = Vec::new();
    for record in all {
        call.check()?;
        let live = is_erasing || !record.forgotten;
        let meant = match subject {
            Some(subject) => Search { memory, call, space, subject, deep: is_erasing }.is_in(&record).await?,
            None => record.kind != Kind::Erasure,
        };
        if live && meant {
            own.push(record);
        }
    }
    Ok(own)
}

fn check_size(found: Targets) -> Result<Targets, ToolError> {
    let count: usize = found.values().map(Vec::len).sum();
    if count > MOST {
        return Err(ToolError::too_large(format!("{count} records are meant, at most {MOST} at once"))
            .hint("narrow it, and call again for the rest"));
    }
    Ok(found)
}

/// A subject that is looked for in one partition.
struct Search<'a> {
    memory: &'a Memory,
    call: &'a Call,
    space: &'a Space,
    subject: &'a str,
    /// In all versions, not in the current ones alone.
    deep: bool,
}

impl Search<'_> {
    async fn is_in(&self, record: &Record) -> Result<bool, ToolError> {
        if record.kind == Kind::Erasure {
            return Ok(false);
        }
        if !self.deep || record.version == 1 {
            return Ok(names(record, self.subject));
        }
        let history = self.memory.store.history(&self.space.key(), &record.id).await?;
        self.call.check()?;
        Ok(history.iter().any(|row| names(&row.record, self.subject)))
    }
}

fn names(record: &Record, subject: &str) -> bool {
    let folded = |text: &str| {
        let folded = words::fold(text);
        let spaced = folded.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
        format!(" {} ", spaced.collect::<Vec<_>>().join(" "))
    };
    let subject_words = folded(subject);
    let link = record.link.iter().flat_map(|link| [&link.from, &link.to]);
    let entity = record.entity.iter().flat_map(|own| own.observations.iter().chain([&own.name]));
    let source = record.source.name.iter().chain(&record.source.uri).chain(&record.session).chain(&record.reason);
    let ids = [&record.id].into_iter().chain(&record.superseded_by).chain(&record.replaces);
    let all = std::iter::once(&record.text).chain(&record.topics).chain(&record.entities).chain(ids);
    record.by == subject
        || all.chain(link).chain(entity).chain(source).any(|text| folded(text).contains(&subject_words))
}

/// Adds what was made of these records, or they of it.
async fn follow(memory: &Memory, call: &Call, space: &Space, records: &mut Vec<Record>) -> Result<(), ToolError> {
    let key = space.key();
    let all = memory.observe(call, memory.store.newest(&key, None, &Filter::everything(), usize::MAX)).await?;
    // By id what each was made of, in any of its versions.
    let mut made_of: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for own in all.iter().filter(|own| !own.merged.is_empty()) {
        let history = memory.observe(call, memory.store.history(&key, &own.id)).await?;
        let parts = history.iter().flat_map(|row| &row.record.merged).filter_map(|part| part.rsplit_once('@'));
        made_of.insert(own.id.clone(), parts.map(|(id, _)| id.to_owned()).collect());
    }
    let mut ids: BTreeSet<String> = records.iter().map(|record| record.id.clone()).collect();
    loop {
        let mut more = BTreeSet::new();
        for (id, parts) in &made_of {
            let is_met = parts.iter().any(|part| ids.contains(part));
            more.extend(is_met.then(|| id.clone()));
            let is_episode = id.starts_with("episode-");
            let with_it = parts.iter().filter(|_| ids.contains(id) && !is_episode);
            more.extend(with_it.cloned());
        }
        more.retain(|id| !ids.contains(id));
        if more.is_empty() {
            break;
        }
        ids.extend(more);
    }
    let known: BTreeSet<String> = records.iter().map(|record| record.id.clone()).collect();
    records.extend(all.into_iter().filter(|own| ids.contains(&own.id) && !known.contains(&own.id)));
    Ok(())
}
