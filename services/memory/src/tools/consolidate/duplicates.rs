//! Records that say the same in other words → one, with the others pointing to it.
//!
//! A false merge is worse than a missed one, so three things must hold for *every pair* of a group (not along a chain: A~B and B~C make
//! no group of three unless A~C): the vectors are alike, they are of one kind, project and time, and their words differ in small words and
//! endings only; a number, a name or a "not" that only one of them has keeps them apart.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use weft_kit::{Approval, Call, Plan, Reply, ToolError};

use super::{Consolidate, Done, Shown, check_seen, union};
use crate::{
    filter::Filter,
    fitness,
    memory::Memory,
    model::{Record, Trust, Uses},
    moment::Moment,
    shown,
    space::Space,
    words,
};

/// Records that one call compares at most: every pair is.
const MOST: usize = 2_000;
/// Words that turn a sentence round.
const TURNS: [&str; 10] = ["not", "no", "never", "none", "without", "except", "cannot", "don", "t", "nor"];

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Group {
    /// What stays.
    keep: String,
    text: String,
    /// What will point to it: id and text.
    merge: BTreeMap<String, String>,
}

/// What would be merged.
#[derive(Debug, Serialize)]
pub(crate) struct Merging {
    compared: usize,
    groups: Vec<Group>,
}

/// What was merged.
#[derive(Debug, Serialize)]
pub(crate) struct Merged {
    groups: usize,
    merged: usize,
    /// Groups that someone changed meanwhile: left alone.
    skipped: usize,
}

/// A record with what it is compared by.
struct Own {
    record: Record,
    vector: Vec<f32>,
    terms: BTreeSet<String>,
    score: f64,
}

/// Groups of at least two in which every pair is alike; earlier ones come first and stay.
fn cliques(count: usize, alike: impl Fn(usize, usize) -> bool) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for next in 0..count {
        match groups.iter_mut().find(|group| group.iter().all(|member| alike(*member, next))) {
            Some(group) => group.push(next),
            None => groups.push(vec![next]),
        }
    }
    groups.retain(|group| group.len() > 1);
    groups
}

fn is_same(left: &Own, right: &Own, threshold: f64) -> bool {
    let (one, other) = (&left.record, &right.record);
    let same_frame = one.kind == other.kind
        && one.project == other.project
        && one.event_time == other.event_time
        && one.valid_from == other.valid_from
        && one.valid_to == other.valid_to;
    same_frame
        && words::similarity(&left.vector, &right.vector) >= threshold
        && is_only_form(&left.terms, &right.terms)
        && is_only_form(&right.terms, &left.terms)
}

/// Whether what `own` has and `other` has not are small words and endings.
fn is_only_form(own: &BTreeSet<String>, other: &BTreeSet<String>) -> bool {
    let begins = |term: &str| term.chars().take(4).collect::<String>();
    own.difference(other).all(|term| {
        let turns = TURNS.contains(&term.as_str()) || term.chars().any(|letter| letter.is_ascii_digit());
        let ending = term.chars().count() > 4 && other.difference(own).any(|there| begins(there) == begins(term));
        !turns && (words::is_stop(term) || ending)
    })
}

/// The groups of each partition, as records with the one to keep first.
async fn groups(
    memory: &Memory,
    call: &Call,
    args: &Consolidate,
) -> Result<(usize, BTreeMap<Space, Vec<Vec<Record>>>), ToolError> {
    let threshold = args.threshold.unwrap_or(0.9);
    if !(0.8..=1.0).contains(&threshold) {
        return Err(ToolError::invalid("threshold is from 0.8 to 1"));
    }
    let filter = Filter::new(&args.filter, Moment::now()).trusting(Trust::Untrusted);
    let (mut compared, mut found) = (0, BTreeMap::new());
    for space in Space::own(call) {
        let records = memory.observe(call, memory.store.newest(&space.key(), None, &filter, MOST)).await?;
        let ids: Vec<String> = records.iter().map(|record| record.id.clone()).collect();
        let uses = memory.observe(call, memory.store.uses(&space.key(), &ids)).await?;
        let half_life = memory.settings.half_life_days;
        let groups = call
            .blocking(move |call| {
                let owns = prepared(records, &uses, half_life);
                let count = owns.len();
                let groups = cliques(count, |left, right| is_same(&owns[left], &owns[right], threshold));
                call.check()?;
                let record = |place: usize| owns[place].record.clone();
                let groups = groups.into_iter().map(|group| group.into_iter().map(record).collect::<Vec<Record>>());
                Ok((count, groups.collect::<Vec<_>>()))
            })
            .await?;
        compared += groups.0;
        if !groups.1.is_empty() {
            found.insert(space, groups.1);
        }
    }
    Ok((compared, found))
}

/// The fittest first: it is what stays.
fn prepared(records: Vec<Record>, uses: &BTreeMap<String, Uses>, half_life: f64) -> Vec<Own> {
    let now = Moment::now();
    let own = |record: Record| {
        let score = fitness::of(&record, uses.get(&record.id).copied().unwrap_or_default(), half_life, now).score;
        let searched = record.searched();
        let terms = words::terms(&record.text).into_keys().collect();
        Own { vector: words::embed(&searched), terms, score, record }
    };
    // What ends on a day that is known is not the same as what goes on.
    let is_meant = |record: &Record| record.kind.is_plain() && record.superseded_by.is_none();
    let mut owns: Vec<Own> = records.into_iter().filter(is_meant).map(own).collect();
    owns.sort_by(|left, right| {
        (right.record.trust, right.record.pinned)
            .cmp(&(left.record.trust, left.record.pinned))
            .then(right.score.total_cmp(&left.score))
            .then_with(|| (left.record.recorded_at, &left.record.id).cmp(&(right.record.recorded_at, &right.record.id)))
    });
    owns
}

fn digest(groups: &BTreeMap<Space, Vec<Vec<Record>>>) -> String {
    let mut hasher = Sha256::new();
    for (space, groups) in groups {
        for record in groups.iter().flatten() {
            hasher.update(format!("{}\0{}\0{}\n", space.key(), record.id, record.version));
        }
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) async fn plan(memory: &Memory, call: &Call, args: &Consolidate) -> Result<Plan<Shown>, ToolError> {
    let (compared, found) = groups(memory, call, args).await?;
    let seen = digest(&found);
    let group = |records: &Vec<Record>| {
        let (keep, rest) = records.split_first()?;
        let short = |record: &Record| shown::plain(&record.text).chars().take(120).collect::<String>();
        let merge = rest.iter().map(|record| (record.id.clone(), short(record))).collect();
        Some(Group { keep: keep.id.clone(), text: short(keep), merge })
    };
    let groups: Vec<Group> = found.values().flatten().filter_map(group).collect();
    let merged: usize = groups.iter().map(|group| group.merge.len()).sum();
    let summary = format!("merge {merged} records into {} that say the same", groups.len());
    Ok(Plan::new(summary, Shown::Duplicates(Merging { compared, groups })).observed("groups", seen).low_risk())
}

pub(super) async fn apply(
    memory: &Memory,
    call: &Call,
    args: &Consolidate,
    approval: &Approval,
) -> Result<Reply<Done>, ToolError> {
    let (_, found) = groups(memory, call, args).await?;
    check_seen(approval, "groups", &digest(&found))?;
    let mut done = Merged { groups: 0, merged: 0, skipped: 0 };
    let total: usize = found.values().map(Vec::len).sum();
    for (space, groups) in &found {
        for group in groups {
            match merge(memory, call, space, group).await {
                Ok(()) => (done.groups, done.merged) = (done.groups + 1, done.merged + group.len() - 1),
                Err(error) if error.code() == "conflict" => done.skipped += 1,
                Err(error) => return Err(error),
            }
            let step = (done.groups + done.skipped) as u64;
            call.progress(fitness::small(step), Some(fitness::small(total as u64)), None);
        }
    }
    let text = format!("{} records are merged into {}; history and as_of still know them", done.merged, done.groups);
    Ok(Reply::new(Done::Duplicates(done)).text(text))
}

/// One group, all of it or nothing.
async fn merge(memory: &Memory, call: &Call, space: &Space, group: &[Record]) -> Result<(), ToolError> {
    let ids: Vec<String> = group.iter().map(|record| record.id.clone()).collect();
    let change = memory.change(call, space, &ids, |present| {
        let moved = group.iter().any(|seen| present.get(&seen.id).is_none_or(|own| own.version != seen.version));
        let Some((keep, rest)) = group.split_first().filter(|_| !moved) else {
            return Err(ToolError::conflict("a record changed meanwhile"));
        };
        let mut keep = keep.clone();
        let mut out = Vec::new();
        for other in rest {
            union(&mut keep.topics, &other.topics);
            union(&mut keep.entities, &other.entities);
            keep.importance = keep.importance.max(other.importance);
            keep.pinned |= other.pinned;
            keep.merged.push(format!("{}@{}", other.id, other.version));
            keep.merged.extend(other.merged.iter().cloned());
            let by = call.caller().id.clone();
            out.push(Record { superseded_by: Some(keep.id.clone()), duplicate: true, by, ..other.clone() });
        }
        out.push(keep);
        Ok(out)
    });
    change.await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_makes_no_group_of_three() {
        let alike = |left: usize, right: usize| left.abs_diff(right) == 1;
        assert_eq!(cliques(3, alike), [vec![0, 1]]);
        assert_eq!(cliques(4, alike), [vec![0, 1], vec![2, 3]]);
        assert_eq!(cliques(4, |_, _| true), [vec![0, 1, 2, 3]]);
    }

    #[test]
    fn a_number_a_name_or_a_not_keeps_two_apart() {
        let terms = |text: &str| words::terms(text).into_keys().collect::<BTreeSet<_>>();
        let same = |left: &str, right: &str| {
            is_only_form(&terms(left), &terms(right)) && is_only_form(&terms(right), &terms(left))
        };
        assert!(same("Deploys happen on Thursday", "deploy happens on Thursdays"));
        assert!(!same("The port is 8080", "The port is 8081"));
        assert!(!same("Ada may deploy", "Bob may deploy"));
        assert!(!same("Ada may deploy", "Ada may not deploy"));
    }
}
