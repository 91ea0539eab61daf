//! How busy and how slow an instance is: calls in flight, and peak EWMA latency (as in Finagle's and linkerd's balancers).
//!
//! A latency above the average counts at once, one below it only as the average decays (the "peak" in peak EWMA), so that
//! an instance that stalls is avoided before its average has moved. An instance that has calls and says nothing is thought
//! to take as long as the silence lasts: without that the average of one that hangs would decay and invite more.

use std::{
    sync::atomic::{
        AtomicU64,
        Ordering::{AcqRel, Relaxed},
    },
    time::Duration,
};

use crate::{Time, nanos};

/// What an instance that has not answered yet is thought to take.
pub(crate) const UNKNOWN: u64 = 1_000_000;
/// The average falls to 1/e in this time, nanoseconds: one failure (a second) among answers of a millisecond is forgotten
/// after 7 s, a call that took twenty times as long after 3 s.
const DECAY: f64 = 1e9;
/// Below this age a decay is not worth its exponential: 1/1024 of [`DECAY`].
const FRESH: u64 = 1_000_000;
/// No instance is thought to be faster than this, nanoseconds.
const LEAST: u64 = 1000;

#[derive(Debug)]
pub(crate) struct Load {
    in_flight: AtomicU64,
    /// Nanoseconds.
    average: AtomicU64,
    updated: AtomicU64,
    /// When it answered last, or got its first call after having had none.
    heard: AtomicU64,
    /// Until when the instance asked to be left alone.
    resting: AtomicU64,
    began: AtomicU64,
}

impl Load {
    /// Of an instance that joined at `began` and is thought to take `average` nanoseconds.
    pub(crate) fn new(began: Time, average: u64) -> Self {
        Self {
            in_flight: AtomicU64::new(0),
            average: AtomicU64::new(average),
            updated: AtomicU64::new(began.0),
            heard: AtomicU64::new(began.0),
            resting: AtomicU64::new(0),
            began: AtomicU64::new(began.0),
        }
    }

    pub(crate) fn enter(&self, now: Time) {
        if self.in_flight.fetch_add(1, Relaxed) == 0 {
            self.heard.store(now.0, Relaxed);
        }
    }

    /// One leave per enter; false for one too many, because a wrap would look like the busiest instance ever.
    pub(crate) fn leave(&self) -> bool {
        self.in_flight.fetch_update(AcqRel, Relaxed, |count| count.checked_sub(1)).is_ok()
    }

    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight.load(Relaxed)
    }

    /// Nanoseconds.
    pub(crate) fn average(&self, now: Time) -> u64 {
        let average = self.average.load(Relaxed);
        let age = now.0.saturating_sub(self.updated.load(Relaxed));
        if age < FRESH {
            return average.max(LEAST);
        }
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an estimate"
        )]
        let decayed = (average as f64 * (-(age as f64) / DECAY).exp()) as u64;
        decayed.max(LEAST)
    }

    /// What a call there is expected to take, nanoseconds; silence counts up to `most`.
    pub(crate) fn expected(&self, now: Time, most: u64) -> u64 {
        let average = self.average(now);
        let silence = now.0.saturating_sub(self.heard.load(Relaxed)).min(most);
        if silence > average && self.in_flight() > 0 { silence } else { average }
    }

    pub(crate) fn observe(&self, now: Time, latency: Duration) {
        let (average, sample) = (self.average(now), nanos(latency));
        self.set(now, if sample > average { sample } else { average - (average - sample) / 10 });
    }

    /// Forgets what was before: the instance is another now.
    pub(crate) fn renew(&self, now: Time, average: u64) {
        self.set(now, average);
        self.began.store(now.0, Relaxed);
    }

    fn set(&self, now: Time, average: u64) {
        self.average.store(average, Relaxed);
        self.updated.store(now.0, Relaxed);
        self.heard.store(now.0, Relaxed);
    }

    pub(crate) fn rest(&self, until: Time) {
        self.resting.fetch_max(until.0, Relaxed);
    }

    pub(crate) fn rests_until(&self) -> Time {
        Time(self.resting.load(Relaxed))
    }

    /// Nanoseconds since it joined or was admitted again.
    pub(crate) fn age(&self, now: Time) -> u64 {
        now.0.saturating_sub(self.began.load(Relaxed))
    }
}
