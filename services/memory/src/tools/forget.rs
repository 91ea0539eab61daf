//! The tool `forget`: shown first, then done; either an end that can be undone, or an erasure that is verified and leaves a proof.
//!
//! The proof says how many records went, when, by whom, and a digest of their ids; nothing of what was in them.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use weft_kit::{Approval, Call, Plan, Reply, ToolError};

mod erase;
mod targets;

use self::{
    erase::{prove, verify},
    targets::{Targets, targets},
};
use crate::{
    filter::Which,
    memory::Memory,
    model::Record,
    schema::terse,
    shown,
    space::{Space, Visibility},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum Mode {
    #[default]
    Expire,
    Erase,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Forget {
    ids: Vec<String>,
    filter: Which,
    /// All that names, or was written by, this person or thing.
    subject: Option<String>,
    mode: Mode,
    /// Erase the subject in the private parts of all callers too; needs a role.
    everyone: bool,
}

/// What would be forgotten.
#[derive(Debug, Serialize)]
pub(crate) struct Affected {
    count: usize,
    /// The first of them: id and the beginning of the text.
    first: Vec<String>,
}

terse!(Affected, {"type": "object", "required": ["count", "first"]});

/// What was forgotten.
#[derive(Debug, Serialize)]
pub(crate) struct Forgotten {
    records: usize,
    versions: u64,
    /// After an erasure: asked again by id, history, words and likeness, nothing was left.
    #[serde(skip_serializing_if = "Option::is_none")]
    verified: Option<bool>,
    /// The record of the erasure.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    proofs: Vec<String>,
}

terse!(Forgotten, {"type": "object", "required": ["records", "versions"]});

fn digest(targets: &Targets) -> String {
    let mut hasher = Sha256::new();
    for (space, records) in targets {
        for record in records {
            hasher.update(format!("{}\0{}\0{}\n", space.key(), record.id, record.version));
        }
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) async fn plan(memory: Arc<Memory>, call: Call, args: Forget) -> Result<Plan<Affected>, ToolError> {
    let targets = targets(&memory, &call, &args).await?;
    let count = targets.values().map(Vec::len).sum();
    let own = Space::of(&call, Visibility::Private);
    let begin = |space: &Space, record: &Record| match space.visibility {
        // Who may erase what others keep for themselves need not read it.
        Visibility::Private if *space != own => format!("{}: private to another caller", record.id),
        _ => format!("{}: {}", record.id, shown::plain(&record.text).chars().take(80).collect::<String>()),
    };
    let all = targets.iter().flat_map(|(space, records)| records.iter().map(|record| begin(space, record)));
    let first = all.take(20).collect();
    let how = if args.mode == Mode::Erase { "erase for good, with all versions," } else { "forget" };
    let plan = Plan::new(format!("{how} {count} records"), Affected { count, first });
    let plan = plan.observed("records", digest(&targets));
    Ok(if args.mode == Mode::Expire { plan.low_risk() } else { plan })
}

pub(crate) async fn apply(
    memory: Arc<Memory>,
    call: Call,
    args: Forget,
    approval: Approval,
) -> Result<Reply<Forgotten>, ToolError> {
    let targets = targets(&memory, &call, &args).await?;
    if approval.version("records").is_some_and(|seen| seen != digest(&targets)) {
        return Err(
            ToolError::new("stale_plan", "what is meant changed since it was shown").hint("call again without plan_id")
        );
    }
    let records = targets.values().map(Vec::len).sum();
    metrics::counter!(weft_kit::names::MEMORY_FORGOTTEN.name, "store" => memory.store.kind()).increment(records as u64);
    if args.mode == Mode::Expire {
        let mut versions = 0;
        for (space, records) in &targets {
            versions += expire(&memory, &call, space, records).await?;
        }
        let text = format!("{records} records are forgotten; update with restore=true brings one back");
        return Ok(Reply::new(Forgotten { records, versions, verified: None, proofs: Vec::new() }).text(text));
    }
    let (mut versions, mut proofs, mut verified) = (0, Vec::new(), true);
    for (space, records) in &targets {
        let ids: Vec<String> = records.iter().map(|record| record.id.clone()).collect();
        versions += memory.erase(&call, space, &ids).await?;
        verified &= verify(&memory, &call, space, records).await?;
        proofs.push(prove(&memory, &call, space, &ids).await?);
    }
    if !verified {
        return Err(ToolError::conflict("some of it was written again while it was erased").hint("call again"));
    }
    let text = format!("{records} records ({versions} versions) are erased; asked again, nothing was left");
    Ok(Reply::new(Forgotten { records, versions, verified: Some(true), proofs }).text(text))
}

/// Ends records; they are as they were seen, or nothing is done.
async fn expire(memory: &Memory, call: &Call, space: &Space, records: &[Record]) -> Result<u64, ToolError> {
    let ids: Vec<String> = records.iter().map(|record| record.id.clone()).collect();
    let changed = memory
        .change(call, space, &ids, |present| {
            let ended = |seen: &Record| {
                let own = present.get(&seen.id).filter(|own| own.version == seen.version);
                let own = own.ok_or_else(|| ToolError::conflict(format!("{} changed meanwhile", seen.id)))?;
                Ok(Record { forgotten: true, by: call.caller().id.clone(), ..own.clone() })
            };
            records.iter().map(ended).collect()
        })
        .await?;
    Ok(changed.written.len() as u64)
}
