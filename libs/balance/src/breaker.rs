//! A breaker per instance: after too many failures it blocks, and lets single probes through until one succeeds.
//!
//! It trips on failures in a row or on their share of a sliding window. Each trip blocks for twice as long, up to a limit,
//! and a little less by chance, so that gateways do not probe in step; an instance that trips again soon after it was
//! admitted goes on where it was, so that one that flaps is not tried twice a second. What a service can spare is the
//! [`Ledger`]'s to say: a block is reserved there first and given back when it ends.

use std::{
    sync::atomic::{
        AtomicU32, AtomicU64,
        Ordering::{AcqRel, Acquire, Relaxed, Release},
    },
    time::Duration,
};

use crate::{Time, ledger::Ledger, mix, nanos};

mod window;

use window::Window;

/// When a breaker trips and for how long.
#[derive(Debug, Clone)]
pub struct BreakerConfig {
    /// Failures in a row that trip it.
    pub consecutive: u32,
    /// Share of failures in a window that trips it, 0 to 1.
    pub ratio: f64,
    /// Calls in a window below which the share says nothing.
    pub least: u32,
    /// The window; it slides in steps of a tenth.
    pub window: Duration,
    /// The first block; each further one is twice as long. All are up to a quarter shorter, by chance.
    pub first: Duration,
    /// The longest block; also how long an instance must keep from tripping to begin with `first` again.
    pub longest: Duration,
    /// How long a probe may be out before another may go.
    pub probe: Duration,
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
            probe: Duration::from_secs(10),
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

/// `until` of an instance that takes no part: gone, or unhealthy to the registry. It never blocks, so it holds nothing in
/// the ledger.
const RETIRED: u64 = u64::MAX;

#[derive(Debug, Default)]
pub(crate) struct Breaker {
    /// Zero while calls pass, [`RETIRED`], or when a probe may go.
    until: AtomicU64,
    /// When the probe that is out stops counting; zero without one.
    probe: AtomicU64,
    /// Probes out, those that stopped counting included.
    out: AtomicU32,
    row: AtomicU32,
    trips: AtomicU32,
    admitted: AtomicU64,
    window: Window,
}

impl Breaker {
    pub(crate) fn state(&self, now: Time) -> BreakerState {
        match self.until.load(Relaxed) {
            0 | RETIRED => BreakerState::Admits,
            until if now.0 < until => BreakerState::Blocks,
            _ => BreakerState::Probes,
        }
    }

    pub(crate) fn admits(&self) -> bool {
        matches!(self.until.load(Relaxed), 0 | RETIRED)
    }

    /// When the next probe may go; none while calls pass.
    pub(crate) fn due(&self) -> Option<Time> {
        match self.until.load(Acquire) {
            0 | RETIRED => None,
            until => Some(Time(until.max(self.probe.load(Acquire)))),
        }
    }

    /// How long until it is worth to ask again; a probe that is out is thought to end well before it expires.
    pub(crate) fn wait(&self, now: Time, config: &BreakerConfig) -> Duration {
        let until = match self.until.load(Relaxed) {
            RETIRED => 0,
            until => until,
        };
        let due = self.due().unwrap_or_default().since(now);
        due.min(Time(until).since(now).max(config.first))
    }

    /// Takes the right to probe; only one has it at a time, and not for ever.
    pub(crate) fn take_probe(&self, now: Time, config: &BreakerConfig) -> bool {
        let probe = self.probe.load(Acquire);
        let is_due = || self.due().is_some_and(|due| due <= now);
        if !is_due() || self.probe.compare_exchange(probe, (now + config.probe).0.max(1), AcqRel, Relaxed).is_err() {
            return false;
        }
        self.out.fetch_add(1, Relaxed);
        // Between the look and the taking another probe may have come and gone.
        let until = self.until.load(Acquire);
        if until == 0 || now.0 < until {
            self.end_probe();
            return false;
        }
        true
    }

    /// A probe is over. While an older one is still out it cannot be told which of them this was, so the right comes back
    /// only by the passing of time.
    fn end_probe(&self) {
        let before = self.out.fetch_update(AcqRel, Relaxed, |out| Some(out.saturating_sub(1))).unwrap_or(0);
        if before <= 1 {
            self.probe.store(0, Release);
        }
    }

    /// A probe was given up without an answer: another may go.
    pub(crate) fn give_probe_back(&self, ledger: &Ledger) {
        self.end_probe();
        if let Some(due) = self.due() {
            ledger.wake_at(due);
        }
    }

    /// True when this success ended a block.
    pub(crate) fn succeeded(&self, now: Time, config: &BreakerConfig, probe: bool, ledger: &Ledger) -> bool {
        self.row.store(0, Relaxed);
        self.window.count(now, nanos(config.window), false);
        let admitted = probe && self.admit(now, ledger);
        if probe {
            self.end_probe();
        }
        admitted
    }

    /// `seed` differs between instances and between gateways.
    pub(crate) fn failed(&self, now: Time, config: &BreakerConfig, (probe, seed): (bool, u64), ledger: &Ledger) {
        let row = self.row.fetch_add(1, Relaxed).saturating_add(1);
        let length = nanos(config.window);
        self.window.count(now, length, true);
        let until = self.until.load(Acquire);
        if probe && until != 0 && until != RETIRED {
            self.block(until, now, config, (seed, ledger));
        } else if until == 0 && is_tripped(row, self.window.sums(now, length), config, ledger) && ledger.reserve() {
            // Only who changes it from zero keeps the reservation.
            if !self.block(0, now, config, (seed, ledger)) {
                ledger.release();
            }
        }
        if probe {
            self.end_probe();
            if let Some(due) = self.due() {
                ledger.wake_at(due);
            }
        }
    }

    fn block(&self, from: u64, now: Time, config: &BreakerConfig, (seed, ledger): (u64, &Ledger)) -> bool {
        let rested = now.since(Time(self.admitted.load(Relaxed))) > config.longest;
        if from == 0 && rested {
            self.trips.store(0, Relaxed);
        }
        let trips = self.trips.load(Relaxed);
        // An only instance is asked again soon, however often it failed: nobody else could answer meanwhile.
        let doublings = if ledger.is_only() { 0 } else { trips.min(32) };
        let base = nanos(config.first).saturating_mul(1 << doublings).min(nanos(config.longest));
        let jitter = mix(seed ^ u64::from(trips).wrapping_mul(0x9e37_79b9_7f4a_7c15)) % (base / 4 + 1);
        let until = now.0.saturating_add(base - jitter).clamp(1, RETIRED - 1);
        let changed = self.until.compare_exchange(from, until, AcqRel, Relaxed).is_ok();
        if changed {
            self.trips.fetch_add(1, Relaxed);
            self.row.store(0, Relaxed);
            ledger.wake_at(Time(until));
        }
        changed
    }

    /// Calls pass again; true when they did not.
    pub(crate) fn admit(&self, now: Time, ledger: &Ledger) -> bool {
        let is_blocked = |until: u64| until != 0 && until != RETIRED;
        let ended = self.until.fetch_update(AcqRel, Acquire, |until| is_blocked(until).then_some(0)).is_ok();
        if ended {
            ledger.release();
            self.admitted.store(now.0, Relaxed);
            self.row.store(0, Relaxed);
            self.window.clear();
        }
        ended
    }

    /// The instance takes no part from now on.
    pub(crate) fn retire(&self, ledger: &Ledger) {
        if !matches!(self.until.swap(RETIRED, AcqRel), 0 | RETIRED) {
            ledger.release();
        }
    }

    /// The instance takes part again, with nothing held against it.
    pub(crate) fn revive(&self) -> bool {
        let was = self.until.compare_exchange(RETIRED, 0, AcqRel, Relaxed).is_ok();
        if was {
            self.row.store(0, Relaxed);
            self.window.clear();
        }
        was
    }

    /// A block that is to end by `until` at the latest.
    pub(crate) fn hasten(&self, until: Time, ledger: &Ledger) {
        let sooner = |had: u64| (had != 0 && had != RETIRED).then(|| had.min(until.0));
        if self.until.fetch_update(AcqRel, Acquire, sooner).is_ok() {
            ledger.wake_at(until);
        }
    }
}

/// An only instance trips when nothing comes through, but not on a share: some answers are better than none.
#[expect(clippy::cast_precision_loss, reason = "counts below 2^24")]
fn is_tripped(row: u32, (calls, failures): (u64, u64), config: &BreakerConfig, ledger: &Ledger) -> bool {
    let share = failures as f64 >= config.ratio * calls as f64;
    row >= config.consecutive || (calls >= u64::from(config.least) && share && !ledger.is_only())
}
