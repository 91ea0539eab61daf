//! A rate limit: so many a second, and so many at once after a pause (GCRA, ITU-T I.371).

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use crate::Time;

/// The rate of one caller.
#[derive(Debug)]
pub struct Bucket {
    /// Nanoseconds between two at the steady rate.
    interval: u64,
    /// How far ahead of the steady rate one may be, nanoseconds.
    ahead: u64,
    /// When the next one would be due at the steady rate.
    due: AtomicU64,
}

impl Bucket {
    /// `per_second` at a steady pace, `burst` at once.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "nanoseconds of a rate"
    )]
    pub fn new(per_second: f64, burst: f64, now: Time) -> Self {
        let interval = (1e9 / per_second.max(1e-6)) as u64;
        Self { interval, ahead: (interval as f64 * (burst.max(1.0) - 1.0)) as u64, due: AtomicU64::new(now.0) }
    }

    /// Takes one, or says how long to wait for it.
    pub fn try_take(&self, now: Time) -> Result<(), Duration> {
        let mut due = self.due.load(Relaxed);
        loop {
            let early = due.saturating_sub(now.0);
            if early > self.ahead {
                return Err(Duration::from_nanos(early - self.ahead));
            }
            let next = due.max(now.0).saturating_add(self.interval);
            match self.due.compare_exchange_weak(due, next, Relaxed, Relaxed) {
                Ok(_) => return Ok(()),
                Err(present) => due = present,
            }
        }
    }
}
