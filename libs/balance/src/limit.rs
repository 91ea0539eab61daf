//! A limit on calls in flight, fixed or adapting to how latency answers to load (the gradient of Netflix's
//! concurrency-limits, as an idea).

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use crate::{Time, nanos};

/// Places for calls.
#[derive(Debug)]
pub struct Limit {
    in_flight: AtomicUsize,
    most: AtomicUsize,
    adaptive: Option<(usize, usize)>,
    /// Latency over a long time, nanoseconds; 0 before the first.
    usual: AtomicU64,
}

impl Limit {
    /// Always `most` places.
    pub const fn fixed(most: usize) -> Self {
        Self { in_flight: AtomicUsize::new(0), most: AtomicUsize::new(most), adaptive: None, usual: AtomicU64::new(0) }
    }

    /// Between `least` and `most` places, beginning with `first`.
    pub const fn adaptive(first: usize, least: usize, most: usize) -> Self {
        Self {
            in_flight: AtomicUsize::new(0),
            most: AtomicUsize::new(first),
            adaptive: Some((least, most)),
            usual: AtomicU64::new(0),
        }
    }

    /// Takes a place if there is one.
    pub fn try_enter(&self) -> bool {
        let most = self.most.load(Relaxed);
        self.in_flight.fetch_update(Relaxed, Relaxed, |count| (count < most).then_some(count + 1)).is_ok()
    }

    /// Gives a place back; a call that was not `ok` says nothing about latency.
    pub fn leave(&self, _now: Time, latency: Duration, ok: bool) {
        let busy = self.in_flight.fetch_update(Relaxed, Relaxed, |count| Some(count.saturating_sub(1))).unwrap_or(0);
        if let (Some(bounds), true) = (self.adaptive, ok) {
            self.adapt(bounds, nanos(latency).max(1), busy);
        }
    }

    /// Places in all.
    pub fn current(&self) -> usize {
        self.most.load(Relaxed)
    }

    /// Places taken.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Relaxed)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "counts and ratios"
    )]
    fn adapt(&self, (least, most): (usize, usize), latency: u64, busy: usize) {
        let usual = match self.usual.load(Relaxed) {
            0 => latency,
            usual => usual - usual / 100 + latency / 100,
        };
        self.usual.store(usual.max(1), Relaxed);
        let now = self.most.load(Relaxed);
        // With half of the places empty, latency says nothing about the limit.
        if busy * 2 < now && latency <= usual * 2 {
            return;
        }
        let gradient = (1.5 * usual as f64 / latency as f64).clamp(0.5, 1.0);
        let wanted = now as f64 * gradient + (now as f64).sqrt();
        let next = (now as f64 * 0.8 + wanted * 0.2).round() as usize;
        self.most.store(next.clamp(least, most), Relaxed);
    }
}
