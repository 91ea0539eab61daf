//! How calls are spread over the instances of services, and what is done about the sick ones.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What holds for every service unless a `[[service]]` says otherwise. Times in milliseconds or seconds, as named.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Balance {
    /// Retries and hedges may add this share to the calls of a service …
    pub retry_ratio: f64,
    /// … and this many per second where there are few calls.
    pub retry_floor: f64,
    /// A second attempt at another instance when the first takes longer than most: only for tools that say that repeating
    /// them does no harm, and only from the same budget as retries.
    pub hedge: bool,
    /// "Longer than most": this share of the tool's calls of late were faster, 0 to 1.
    pub hedge_quantile: f64,
    /// No second attempt before this long.
    pub hedge_after_millis: u64,
    /// Failures of an instance in a row that block it.
    pub failures_in_a_row: u32,
    /// Share of failures within 10 s that blocks an instance, 0 to 1.
    pub failure_ratio: f64,
    /// The first block; each further one is twice as long.
    pub block_millis: u64,
    /// The longest block.
    pub block_longest_seconds: u64,
    /// A new instance gets its full share after this long.
    pub slow_start_seconds: u64,
}

impl Default for Balance {
    fn default() -> Self {
        Self {
            retry_ratio: 0.2,
            retry_floor: 10.0,
            hedge: true,
            hedge_quantile: 0.95,
            hedge_after_millis: 20,
            failures_in_a_row: 5,
            failure_ratio: 0.5,
            block_millis: 500,
            block_longest_seconds: 30,
            slow_start_seconds: 5,
        }
    }
}

impl Balance {
    pub(super) fn check(&self, wrong: &mut Vec<String>) {
        let shares = [
            ("balance.retry_ratio", self.retry_ratio),
            ("balance.hedge_quantile", self.hedge_quantile),
            ("balance.failure_ratio", self.failure_ratio),
        ];
        for (key, value) in shares {
            if !(0.0..=1.0).contains(&value) {
                wrong.push(format!("{key} must be between 0 and 1"));
            }
        }
        if !(self.retry_floor.is_finite() && self.retry_floor >= 0.0) {
            wrong.push("balance.retry_floor must be 0 or more".into());
        }
        if self.failures_in_a_row == 0 || self.block_millis == 0 {
            wrong.push("balance.failures_in_a_row and balance.block_millis must be at least 1".into());
        }
    }
}
