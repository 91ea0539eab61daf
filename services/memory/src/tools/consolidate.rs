//! The tool `consolidate`: memory that is put in order, shown first. What is done is in the files beside: records that say the same
//! become one, the events of a day become an episode, vectors are made again.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::{Approval, Call, Plan, Reply, ToolError};

use crate::{filter::Which, memory::Memory, schema::terse};

mod duplicates;
mod episodes;
mod vectors;

/// What is put in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum What {
    #[default]
    Duplicates,
    Episodes,
    Vectors,
}

terse!(What, {"type": "string", "enum": ["duplicates", "episodes", "vectors"]});

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Consolidate {
    what: What,
    /// Only these; all if empty.
    filter: Which,
    /// Of duplicates: 0.8 to 1; 0.9 if not said.
    threshold: Option<f64>,
}

/// What would be done.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Shown {
    Duplicates(duplicates::Merging),
    Episodes(episodes::Telling),
    Vectors(vectors::Making),
}

terse!(Shown, {"type": "object"});

/// What was done.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Done {
    Duplicates(duplicates::Merged),
    Episodes(episodes::Told),
    Vectors(vectors::Made),
}

terse!(Done, {"type": "object"});

pub(crate) async fn plan(memory: Arc<Memory>, call: Call, args: Consolidate) -> Result<Plan<Shown>, ToolError> {
    match args.what {
        What::Duplicates => duplicates::plan(&memory, &call, &args).await,
        What::Episodes => episodes::plan(&memory, &call, &args).await,
        What::Vectors => vectors::plan(&memory, &call).await,
    }
}

pub(crate) async fn apply(
    memory: Arc<Memory>,
    call: Call,
    args: Consolidate,
    approval: Approval,
) -> Result<Reply<Done>, ToolError> {
    match args.what {
        What::Duplicates => duplicates::apply(&memory, &call, &args, &approval).await,
        What::Episodes => episodes::apply(&memory, &call, &args, &approval).await,
        What::Vectors => vectors::apply(&memory, &call).await,
    }
}

/// Fails if what was shown is not what is there now.
fn check_seen(approval: &Approval, name: &str, now: &str) -> Result<(), ToolError> {
    if approval.version(name).is_some_and(|seen| seen != now) {
        return Err(ToolError::new("stale_plan", "what was shown changed meanwhile").hint("call again without plan_id"));
    }
    Ok(())
}

/// Adds what is not in a list yet.
fn union(into: &mut Vec<String>, from: &[String]) {
    for name in from {
        if !into.contains(name) {
            into.push(name.clone());
        }
    }
}
