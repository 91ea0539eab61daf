//! Calls and failures of the last while: ten slots in a ring, each forgotten on its own, so that no moment exists at which
//! everything is forgotten at once.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::Time;

const SLOTS: usize = 10;
/// A slot is one word, so that its three numbers change together: epoch (24 bits), calls (20 bits), failures (20 bits).
const COUNT_BITS: u32 = 20;
const COUNT: u64 = (1 << COUNT_BITS) - 1;
const EPOCH: u64 = (1 << 24) - 1;

/// What happened lately at one instance.
#[derive(Debug, Default)]
pub(super) struct Window {
    slots: [AtomicU64; SLOTS],
}

impl Window {
    /// Counts one call; `length` is the whole window's in nanoseconds.
    pub(super) fn count(&self, now: Time, length: u64, failure: bool) {
        let epoch = epoch(now, length);
        let _ = self.slot(epoch).fetch_update(Relaxed, Relaxed, |slot| {
            let slot = if slot >> (2 * COUNT_BITS) == epoch { slot } else { epoch << (2 * COUNT_BITS) };
            // A full slot keeps its share: more of the same would not change it.
            (calls(slot) < COUNT).then(|| slot + (1 << COUNT_BITS) + u64::from(failure))
        });
    }

    /// Calls and failures of the window that ends now.
    pub(super) fn sums(&self, now: Time, length: u64) -> (u64, u64) {
        let epoch = epoch(now, length);
        let fresh = |slot: &u64| epoch.wrapping_sub(*slot >> (2 * COUNT_BITS)) & EPOCH < SLOTS as u64;
        let slots = self.slots.iter().map(|slot| slot.load(Relaxed)).filter(fresh);
        slots.fold((0, 0), |(all, failed), slot| (all + calls(slot), failed + (slot & COUNT)))
    }

    pub(super) fn clear(&self) {
        self.slots.iter().for_each(|slot| slot.store(0, Relaxed));
    }

    fn slot(&self, epoch: u64) -> &AtomicU64 {
        #[expect(clippy::cast_possible_truncation, reason = "24 bits")]
        &self.slots[epoch as usize % SLOTS]
    }
}

const fn calls(slot: u64) -> u64 {
    (slot >> COUNT_BITS) & COUNT
}

fn epoch(now: Time, length: u64) -> u64 {
    (now.0 / (length / SLOTS as u64).max(1)) & EPOCH
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: u64 = 10_000;

    #[test]
    fn failures_are_forgotten_slot_by_slot() {
        let window = Window::default();
        for slot in 0..10 {
            window.count(Time(1_000_000 + slot * 1000), LENGTH, slot < 5);
        }
        assert_eq!(window.sums(Time(1_009_999), LENGTH), (10, 5));
        assert_eq!(window.sums(Time(1_012_000), LENGTH), (7, 2));
        assert_eq!(window.sums(Time(1_019_000), LENGTH), (0, 0));
    }

    #[test]
    fn a_slot_begins_anew_when_its_turn_comes_again() {
        let window = Window::default();
        window.count(Time(5_000), LENGTH, true);
        window.count(Time(15_000), LENGTH, false);
        assert_eq!(window.sums(Time(15_000), LENGTH), (1, 0));
    }
}
