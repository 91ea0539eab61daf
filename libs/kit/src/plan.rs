//! Destructive acts in two steps: the first call shows what would happen, the second makes exactly that happen.
//!
//! A `confirm: true` argument stops nobody: models learn to set it. A plan is a sealed, single-use token that is minted only
//! after the effects were shown, bound to caller, tool, arguments and the state that was observed. Applying observes again
//! first and fails with `stale_plan` if anything moved. Single use is kept per instance; across instances the observed
//! versions do it, because applying a plan moves them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::call::{Call, unix_now};
use crate::error::ToolError;
use crate::seal::{Purpose, Unfit};

/// How long a plan may be applied.
pub(crate) const PLAN_TTL: Duration = Duration::from_secs(300);

/// Versions of what a plan looked at, by name.
pub(crate) type Versions = BTreeMap<String, String>;

/// What an act would do, found out without doing it.
#[derive(Debug, Clone)]
pub struct Plan<P> {
    pub(crate) effects: P,
    pub(crate) summary: String,
    pub(crate) versions: Versions,
    pub(crate) low_risk: bool,
}

impl<P> Plan<P> {
    /// `summary` is one sentence that a person can decide on; `effects` the diff or the affected set.
    pub fn new(summary: impl Into<String>, effects: P) -> Self {
        Self { effects, summary: summary.into(), versions: Versions::new(), low_risk: false }
    }

    /// That the plan holds only while `what` is at `version` (an etag, a row version, "absent").
    pub fn observed(mut self, what: impl Into<String>, version: impl Into<String>) -> Self {
        self.versions.insert(what.into(), version.into());
        self
    }

    /// The act can be undone: policy may let it happen without asking.
    pub fn low_risk(mut self) -> Self {
        self.low_risk = true;
        self
    }
}

/// The proof, handed to the second half of a planned tool, that this act was planned and approved.
#[derive(Debug, Clone)]
pub struct Approval {
    pub(crate) versions: Versions,
}

impl Approval {
    /// The version of `what` that was approved. Make the act conditional on it where the backend can.
    pub fn version(&self, what: &str) -> Option<&str> {
        self.versions.get(what).map(String::as_str)
    }
}

/// What the operator decided about a planned tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Confirm {
    /// Acts at the first call.
    Auto,
    /// Acts at the first call if the plan says that it can be undone, otherwise asks.
    AutoIfLowRisk,
    /// Asks the user where the client can (elicitation); otherwise the caller must come back with the plan.
    #[default]
    Ask,
    /// Never acts.
    Deny,
}

/// The data of a planned tool's result: either the plan or what came of it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Planned<P, T> {
    /// Whether anything was done.
    pub applied: bool,
    /// What would be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Proposed<P>>,
    /// What was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<T>,
}

/// A plan as the caller sees it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Proposed<P> {
    /// Call again with the same arguments and this to apply it.
    pub plan_id: String,
    /// Seconds until it is worthless.
    pub expires_in_s: u64,
    /// One sentence.
    pub summary: String,
    /// The diff or the affected set.
    pub effects: P,
}

/// What is sealed into a plan's token.
#[derive(Serialize, Deserialize)]
struct Minted {
    /// Unique.
    n: u128,
    /// Observed versions.
    v: Versions,
}

/// Plans that were used, until they expire by themselves.
#[derive(Default)]
pub(crate) struct Spent(Mutex<HashMap<u128, u64>>);

impl Spent {
    /// Marks a plan as used; `false` if it was already.
    fn spend(&self, plan: u128, now: u64) -> bool {
        let mut spent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        spent.retain(|_, until| *until > now);
        let first = !spent.contains_key(&plan);
        spent.entry(plan).or_insert(now + PLAN_TTL.as_secs());
        first
    }
}

/// A token for what was observed.
pub(crate) fn mint(call: &Call, purpose: Purpose, versions: Versions) -> Result<String, ToolError> {
    let minted = Minted { n: (u128::from(fastrand::u64(..)) << 64) | u128::from(fastrand::u64(..)), v: versions };
    let sealed = call.sealer().seal(purpose, call.bound(), unix_now() + PLAN_TTL.as_secs(), &minted);
    sealed.ok_or_else(|| ToolError::internal(&"a plan could not be sealed"))
}

/// Opens and uses up a token. What it observed must be compared with the present before anything is done.
pub(crate) fn redeem(call: &Call, purpose: Purpose, token: &str, spent: &Spent) -> Result<Versions, ToolError> {
    let now = unix_now();
    let minted: Minted = call.sealer().open(purpose, call.bound(), now, token).map_err(plan_error)?;
    if !spent.spend(minted.n, now) {
        let used = ToolError::new("used_plan", "this plan was applied already");
        return Err(used.hint("call again without plan_id to see the present state and get a new plan"));
    }
    Ok(minted.v)
}

/// Fails unless the state is still the one that was approved.
pub(crate) fn still(approved: &Versions, present: &Versions) -> Result<(), ToolError> {
    let named = approved.keys().chain(present.keys());
    let moved = named.into_iter().find(|what| approved.get(*what) != present.get(*what));
    match moved {
        None => Ok(()),
        Some(what) => Err(ToolError::new("stale_plan", format!("{what} changed since the plan was made"))
            .hint("call again without plan_id to see the present state and get a new plan")),
    }
}

fn plan_error(unfit: Unfit) -> ToolError {
    let (code, message) = match unfit {
        Unfit::Unknown => ("invalid_plan", "the plan_id is not one that this caller was given"),
        Unfit::Expired => ("expired_plan", "the plan is older than 5 minutes"),
        Unfit::OtherTool => ("invalid_plan", "the plan belongs to another tool"),
        Unfit::OtherArguments => ("invalid_plan", "the arguments differ from those that were planned"),
    };
    ToolError::new(code, message).hint("call again without plan_id to get a plan for exactly these arguments")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_spent_once_and_forgotten_after_it_expired() {
        let spent = Spent::default();
        assert!(spent.spend(1, 100));
        assert!(!spent.spend(1, 101));
        assert!(spent.spend(2, 100 + PLAN_TTL.as_secs()));
        assert_eq!(spent.0.lock().unwrap().len(), 1);
    }

    #[test]
    fn anything_that_appeared_vanished_or_changed_makes_a_plan_stale() {
        let at = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect::<Versions>();
        assert!(still(&at(&[("a", "1")]), &at(&[("a", "1")])).is_ok());
        for present in [at(&[("a", "2")]), at(&[]), at(&[("a", "1"), ("b", "1")])] {
            assert_eq!(still(&at(&[("a", "1")]), &present).unwrap_err().code(), "stale_plan");
        }
    }
}
