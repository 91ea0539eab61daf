//! How busy and how slow an instance is: calls in flight, and peak EWMA latency.
//!
//! A latency above the average counts at once, one below it only as the average decays (the "peak" in peak EWMA), so that
//! an instance that stalls is avoided before its average has moved.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use crate::{Time, nanos};

/// What an instance that has not answered yet is thought to take.
const UNKNOWN: Duration = Duration::from_millis(1);
/// The average forgets by half within about this time.
const DECAY: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Load {
    in_flight: AtomicU64,
    /// Nanoseconds.
    average: AtomicU64,
    updated: AtomicU64,
    /// Until when the instance asked to be left alone.
    resting: AtomicU64,
    began: AtomicU64,
}

impl Load {
    pub(crate) fn new(now: Time) -> Self {
        Self {
            in_flight: AtomicU64::new(0),
            average: AtomicU64::new(nanos(UNKNOWN)),
            updated: AtomicU64::new(now.0),
            resting: AtomicU64::new(0),
            began: AtomicU64::new(now.0),
        }
    }

    pub(crate) fn enter(&self) {
        self.in_flight.fetch_add(1, Relaxed);
    }

    pub(crate) fn leave(&self) {
        // One leave per enter; saturating all the same, because a wrap would look like the busiest instance ever.
        let _ = self.in_flight.fetch_update(Relaxed, Relaxed, |count| Some(count.saturating_sub(1)));
    }

    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight.load(Relaxed)
    }

    pub(crate) fn average(&self, now: Time) -> Duration {
        let average = self.average.load(Relaxed);
        let age = now.since(Time(self.updated.load(Relaxed)));
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a weight"
        )]
        let decayed = (average as f64 * (-age.as_secs_f64() / DECAY.as_secs_f64()).exp()) as u64;
        Duration::from_nanos(decayed.max(1000))
    }

    pub(crate) fn observe(&self, now: Time, latency: Duration) {
        let (average, sample) = (self.average(now), latency);
        let next = if sample > average { sample } else { average.mul_f64(0.9) + sample.mul_f64(0.1) };
        self.average.store(nanos(next), Relaxed);
        self.updated.store(now.0, Relaxed);
    }

    pub(crate) fn rest(&self, until: Time) {
        self.resting.fetch_max(until.0, Relaxed);
    }

    pub(crate) fn is_resting(&self, now: Time) -> bool {
        now.0 < self.resting.load(Relaxed)
    }

    /// Age since it joined.
    pub(crate) fn age(&self, now: Time) -> Duration {
        now.since(Time(self.began.load(Relaxed)))
    }
}
