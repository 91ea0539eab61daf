//! How calls are spread over the instances of services, and what is done about the sick ones.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_mesh::ServiceId;

/// What holds for every service unless `services.<name>` says otherwise. Times in milliseconds or seconds, as named.
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

/// What is different for one service.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServiceSettings {
    /// `round_robin`, `least_connections` or `consistent_hash`, instead of what the service asks for.
    pub policy: Option<String>,
    /// What places a call on the ring of `consistent_hash`: `session` (the caller where there is none), `caller`,
    /// `argument:<name>` or `header:<name>`.
    pub key: Option<String>,
    /// The SPIFFE URI that its instances must prove; that of the same mesh with the service's name without it.
    pub identity: Option<String>,
    /// Whether slow calls are hedged.
    pub hedge: Option<bool>,
    /// One call, from its first attempt to the last byte, seconds.
    pub call_seconds: Option<u64>,
    /// Calls in flight at this service; more are shed. No limit of its own without it.
    pub concurrency: Option<usize>,
    /// Let the limit follow what latency says, with `concurrency` as its upper bound.
    pub adaptive: bool,
    /// Which of its tools are shown, and how.
    pub tools: super::Shape,
}

/// Settings by the service's name.
pub type Services = BTreeMap<String, ServiceSettings>;

/// What places a call on the ring.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Key {
    #[default]
    Session,
    Caller,
    Argument(String),
    Header(String),
}

impl std::str::FromStr for Key {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "session" => Ok(Self::Session),
            None if text == "caller" => Ok(Self::Caller),
            Some(("argument", name)) if !name.is_empty() => Ok(Self::Argument(name.to_owned())),
            Some(("header", name)) if http::HeaderName::try_from(name).is_ok() => {
                Ok(Self::Header(name.to_ascii_lowercase()))
            }
            _ => Err(format!("{text:?} is no key; write session, caller, argument:<name> or header:<name>")),
        }
    }
}

pub(super) fn check(services: &Services, wrong: &mut Vec<String>) {
    for (name, settings) in services {
        let mut say = |what: String| wrong.push(format!("services.{name}{what}"));
        if let Err(error) = name.parse::<ServiceId>() {
            say(format!(": {error}"));
        }
        if let Some(Err(error)) = settings.policy.as_deref().map(str::parse::<weft_balance::Policy>) {
            say(format!(".policy: {error}"));
        }
        if let Some(Err(error)) = settings.key.as_deref().map(str::parse::<Key>) {
            say(format!(".key: {error}"));
        }
        if settings.concurrency == Some(0) {
            say(".concurrency must be at least 1".into());
        }
        if settings.adaptive && settings.concurrency.is_none() {
            say(".adaptive needs concurrency as its upper bound".into());
        }
        settings.tools.check(&format!("services.{name}.tools"), wrong);
    }
}
