//! What the breakers of one service share: how many instances there are and are blocked, and when the next probe is due.
//!
//! The two counts are one word, so that "may one more be blocked?" and "it is" are one step: however many calls fail at
//! once, no more than half of the instances are ever blocked. Outlives the [`Pool`](crate::Pool) that made it.
//!
//! A service with one instance may block that one: callers are told at once and when to come back, instead of waiting for
//! the deadline of an instance that answers nobody. It trips only on failures in a row, and its blocks do not grow.

use std::sync::atomic::{
    AtomicU64,
    Ordering::{AcqRel, Acquire},
};

use crate::Time;

#[derive(Debug)]
pub(crate) struct Ledger {
    /// Instances that take part (upper half), and those of them that are blocked (lower half).
    counts: AtomicU64,
    /// Before this no probe is due.
    due: AtomicU64,
}

const BLOCKED: u64 = u32::MAX as u64;

impl Default for Ledger {
    fn default() -> Self {
        Self { counts: AtomicU64::new(0), due: AtomicU64::new(u64::MAX) }
    }
}

/// How many of so many may be blocked.
const fn most(instances: u64) -> u64 {
    if instances == 1 { 1 } else { instances / 2 }
}

impl Ledger {
    /// Takes the right to block one more instance.
    pub(crate) fn reserve(&self) -> bool {
        let one_more = |counts: u64| ((counts & BLOCKED) < most(counts >> 32)).then_some(counts + 1);
        self.counts.fetch_update(AcqRel, Acquire, one_more).is_ok()
    }

    pub(crate) fn release(&self) {
        let one_less = |counts: u64| (counts & BLOCKED > 0).then(|| counts - 1);
        let _ = self.counts.fetch_update(AcqRel, Acquire, one_less);
    }

    /// Sets how many instances take part.
    pub(crate) fn resize(&self, instances: usize) {
        let instances = u64::try_from(instances).unwrap_or(u64::MAX).min(BLOCKED);
        let _ = self.counts.fetch_update(AcqRel, Acquire, |counts| Some(instances << 32 | counts & BLOCKED));
    }

    /// Instances that take part, and those of them that are blocked.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let counts = self.counts.load(Acquire);
        (counts >> 32, counts & BLOCKED)
    }

    /// True when more are blocked than may be; only ever after a [`resize`](Self::resize).
    pub(crate) fn is_over(&self) -> bool {
        let (instances, blocked) = self.counts();
        blocked > most(instances)
    }

    pub(crate) fn is_only(&self) -> bool {
        self.counts().0 == 1
    }

    /// A probe is due at `time`, maybe sooner.
    pub(crate) fn wake_at(&self, time: Time) {
        self.due.fetch_min(time.0, AcqRel);
    }

    /// True for one caller when a probe may be due; it looks for it, and says with [`wake_at`](Self::wake_at) when the
    /// next is. Who blocks meanwhile says so after having blocked, so nothing is lost.
    pub(crate) fn take_due(&self, now: Time) -> bool {
        let due = self.due.load(Acquire);
        now.0 >= due && self.due.compare_exchange(due, u64::MAX, AcqRel, Acquire).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_half_and_an_only_one() {
        for (instances, may) in [(0, 0), (1, 1), (2, 1), (3, 1), (9, 4), (1000, 500)] {
            let ledger = Ledger::default();
            ledger.resize(instances);
            assert_eq!((0..2000).filter(|_| ledger.reserve()).count(), may, "of {instances}");
        }
    }

    #[test]
    fn threads_that_fail_at_once_cannot_block_more_than_half() {
        let ledger = Ledger::default();
        ledger.resize(64);
        let reserved: usize = std::thread::scope(|scope| {
            let all: Vec<_> = (0..8).map(|_| scope.spawn(|| (0..1000).filter(|_| ledger.reserve()).count())).collect();
            all.into_iter().map(|one| one.join().unwrap()).sum()
        });
        assert_eq!(reserved, 32);
    }

    #[test]
    fn one_caller_finds_a_due_probe() {
        let ledger = Ledger::default();
        assert!(!ledger.take_due(Time(100)));
        ledger.wake_at(Time(50));
        assert!(!ledger.take_due(Time(49)) && ledger.take_due(Time(50)) && !ledger.take_due(Time(60)));
    }
}
