//! A limit on calls in flight, fixed or adapting to how latency answers to load (the gradient of Netflix's
//! concurrency-limits, as an idea).
//!
//! The adaptive one compares the latency of now with that of an idle server. While they are alike and the places are used,
//! it grows; when calls take half as long again, they queue, and it shrinks in proportion. The limit is a fraction inside,
//! so that one place can become two, and a little queue is not a reason to grow, so that two can become one again.
//!
//! What an idle server takes cannot be seen while it is busy, and an average over a long time would learn the queue. So
//! every while the limit falls to half, calls drain, and some are measured; this also finds a server that has changed.

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use crate::{Time, nanos};

/// Latency in terms of an idle server's above which calls are thought to queue.
const TOLERANCE: f64 = 1.5;
/// Calls between two measurements, at least; a measurement takes about two for each place, and [`SAMPLES`].
const PERIOD: u64 = 300;
/// Calls that a measurement is the mean of.
const SAMPLES: u64 = 20;

/// Places for calls.
#[derive(Debug)]
pub struct Limit {
    in_flight: AtomicUsize,
    /// Places now.
    most: AtomicUsize,
    adaptive: Option<Adaptive>,
}

/// Numbers that learn. Callers may overwrite each other's: one sample in thousands is lost by that.
#[derive(Debug)]
struct Adaptive {
    least: usize,
    most: usize,
    /// Places as a fraction, when no measurement is under way.
    places: Fraction,
    /// What a call took lately, nanoseconds.
    short: Fraction,
    /// What a call takes when none waits, nanoseconds; 0 before it is known.
    idle: Fraction,
    /// The sum of the measurement under way, nanoseconds.
    sum: AtomicU64,
    /// Calls since the last measurement began.
    calls: AtomicU64,
}

impl Limit {
    /// Always `most` places.
    pub const fn fixed(most: usize) -> Self {
        Self { in_flight: AtomicUsize::new(0), most: AtomicUsize::new(most), adaptive: None }
    }

    /// Between `least` and `most` places, beginning with `first`.
    pub const fn adaptive(first: usize, least: usize, most: usize) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a count of places")]
        let places = first as f64;
        let adaptive = Adaptive {
            least,
            most,
            places: Fraction::new(places),
            short: Fraction::new(0.0),
            idle: Fraction::new(0.0),
            sum: AtomicU64::new(0),
            calls: AtomicU64::new(0),
        };
        Self { in_flight: AtomicUsize::new(0), most: AtomicUsize::new(first), adaptive: Some(adaptive) }
    }

    /// Takes a place if there is one.
    pub fn try_enter(&self) -> bool {
        let most = self.most.load(Relaxed);
        self.in_flight.fetch_update(Relaxed, Relaxed, |count| (count < most).then_some(count + 1)).is_ok()
    }

    /// Gives a place back; a call that was not `ok` says nothing about latency.
    pub fn leave(&self, _now: Time, latency: Duration, ok: bool) {
        let busy = self.in_flight.fetch_update(Relaxed, Relaxed, |count| Some(count.saturating_sub(1))).unwrap_or(0);
        if let (Some(adaptive), true) = (&self.adaptive, ok) {
            self.most.store(adaptive.learn(nanos(latency).max(1), busy), Relaxed);
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
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "counts of places and nanoseconds of a call"
)]
impl Adaptive {
    /// Learns from one call among `busy`; the places from now on.
    fn learn(&self, latency: u64, busy: usize) -> usize {
        let places = self.places.get();
        let halved = (places as usize / 2).max(self.least).max(1);
        // Calls that began before the limit fell are let go; from then on the server has no queue of ours.
        let drained = 2 * places as u64;
        let measured = drained + SAMPLES;
        let call = self.calls.fetch_add(1, Relaxed);
        if call >= measured.max(PERIOD) + measured {
            self.calls.store(0, Relaxed);
            self.sum.store(0, Relaxed);
        }
        if call < measured {
            if call >= drained {
                self.sum.fetch_add(latency, Relaxed);
            }
            if call + 1 == measured {
                self.measured(self.sum.swap(0, Relaxed) as f64 / SAMPLES as f64);
            }
            return halved;
        }
        self.short.set(self.short.get().mul_add(0.9, latency as f64 * 0.1));
        // With half of the places empty, latency says nothing about the limit.
        if busy * 2 >= places as usize {
            self.places.set(self.next(places).clamp(self.least as f64, self.most as f64));
        }
        (self.places.get() as usize).clamp(self.least, self.most)
    }

    fn measured(&self, mean: f64) {
        let idle = self.idle.get();
        // Less is trusted wholly, because some of the queue may have been left; more, by half, because few were measured.
        self.idle.set(if idle == 0.0 || mean < idle { mean } else { f64::midpoint(idle, mean) });
        self.short.set(mean);
    }

    /// One call's step: as many calls as there are places add half the root of their number, or take up to a quarter.
    fn next(&self, places: f64) -> f64 {
        let idle = self.idle.get();
        let gradient = TOLERANCE * idle / self.short.get().max(1.0);
        if gradient >= 1.0 || idle == 0.0 {
            places + 0.5 / places.max(1.0).sqrt()
        } else {
            places - (1.0 - gradient.max(0.5)) * 0.5
        }
    }
}

/// A fraction in an atomic.
#[derive(Debug)]
struct Fraction(AtomicU64);

impl Fraction {
    const fn new(value: f64) -> Self {
        Self(AtomicU64::new(value.to_bits()))
    }

    fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }

    fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Relaxed);
    }
}
