//! A breaker per instance: after too many failures it blocks, and lets single probes through until one succeeds.
//!
//! It trips on failures in a row or on their share of a window; each trip blocks for twice as long, up to a limit, with
//! jitter so that gateways do not probe in step.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use crate::{Time, mix, nanos};

/// When a breaker trips and for how long.
#[derive(Debug, Clone)]
pub struct BreakerConfig {
    /// Failures in a row that trip it.
    pub consecutive: u32,
    /// Share of failures in a window that trips it, 0 to 1.
    pub ratio: f64,
    /// Calls in a window below which the share says nothing.
    pub least: u32,
    /// The window.
    pub window: Duration,
    /// The first block; each further one is twice as long.
    pub first: Duration,
    /// The longest block.
    pub longest: Duration,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            consecutive: 5,
            ratio: 0.5,
            least: 20,
            window: Duration::from_secs(10),
            first: Duration::from_millis(500),
            longest: Duration::from_secs(30),
        }
    }
}

/// What a breaker does with the next call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Calls pass.
    Admits,
    /// No call passes.
    Blocks,
    /// One call is out to find whether the instance is well again, or may go.
    Probes,
}

impl BreakerState {
    /// For status pages and metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Admits => "admits",
            Self::Blocks => "blocks",
            Self::Probes => "probes",
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Breaker {
    row: AtomicU32,
    /// Zero while calls pass.
    until: AtomicU64,
    trips: AtomicU32,
    probing: AtomicBool,
    window_began: AtomicU64,
    calls: AtomicU32,
    failures: AtomicU32,
}

impl Breaker {
    pub(crate) fn state(&self, now: Time) -> BreakerState {
        match self.until.load(Relaxed) {
            0 => BreakerState::Admits,
            until if now.0 < until => BreakerState::Blocks,
            _ => BreakerState::Probes,
        }
    }

    pub(crate) fn is_blocked(&self) -> bool {
        self.until.load(Relaxed) != 0
    }

    /// How long until a probe may go.
    pub(crate) fn wait(&self, now: Time) -> Duration {
        Time(self.until.load(Relaxed)).since(now)
    }

    /// Takes the right to probe; only one has it at a time.
    pub(crate) fn take_probe(&self) -> bool {
        !self.probing.swap(true, Relaxed)
    }

    /// A probe was given up without an answer: another may go.
    pub(crate) fn give_probe_back(&self) {
        self.probing.store(false, Relaxed);
    }

    pub(crate) fn succeeded(&self, now: Time, config: &BreakerConfig, probe: bool) {
        self.row.store(0, Relaxed);
        self.count(now, config, false);
        if probe {
            self.until.store(0, Relaxed);
            self.trips.store(0, Relaxed);
            self.calls.store(0, Relaxed);
            self.failures.store(0, Relaxed);
            self.probing.store(false, Relaxed);
        }
    }

    /// `may_block` says whether the service can spare this instance; `seed` differs between instances.
    pub(crate) fn failed(&self, now: Time, config: &BreakerConfig, probe: bool, (may_block, seed): (bool, u64)) {
        let row = self.row.fetch_add(1, Relaxed) + 1;
        let (calls, failures) = self.count(now, config, true);
        let share = f64::from(failures) >= config.ratio * f64::from(calls);
        let tripped = row >= config.consecutive || (calls >= config.least && share);
        if probe || (tripped && may_block && !self.is_blocked()) {
            self.block(now, config, seed);
        }
        if probe {
            self.probing.store(false, Relaxed);
        }
    }

    fn block(&self, now: Time, config: &BreakerConfig, seed: u64) {
        let trips = self.trips.fetch_add(1, Relaxed);
        let base = nanos(config.first).saturating_mul(1 << trips.min(16)).min(nanos(config.longest));
        let jitter = mix(seed ^ u64::from(trips)) % (base / 4 + 1);
        self.until.store(now.0.saturating_add(base - base / 8 + jitter).max(1), Relaxed);
        self.row.store(0, Relaxed);
    }

    /// Calls and failures of the window so far. Two windows are not smoothed into each other: a trip is rare enough.
    fn count(&self, now: Time, config: &BreakerConfig, failure: bool) -> (u32, u32) {
        let began = self.window_began.load(Relaxed);
        if now.since(Time(began)) > config.window
            && self.window_began.compare_exchange(began, now.0, Relaxed, Relaxed).is_ok()
        {
            self.calls.store(0, Relaxed);
            self.failures.store(0, Relaxed);
        }
        let calls = self.calls.fetch_add(1, Relaxed) + 1;
        let failures = self.failures.fetch_add(u32::from(failure), Relaxed) + u32::from(failure);
        (calls, failures)
    }
}
