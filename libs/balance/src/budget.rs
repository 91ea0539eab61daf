//! A retry budget: retries may be a share of the calls, and a few a second where there are few calls.
//!
//! A number of retries per call turns an outage into several times the load; a share of all calls cannot.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::Time;

/// One retry, in the budget's small coin.
const ONE: u64 = 1_000_000;
/// Seconds of calls or of the floor that can be saved up.
const SAVED: f64 = 10.0;

/// What a service may spend on retries.
#[derive(Debug)]
pub struct Budget {
    per_call: u64,
    per_second: f64,
    most: u64,
    coins: AtomicU64,
    paid: AtomicU64,
}

impl Budget {
    /// `ratio` retries for each call, and `floor_per_second` besides.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "small amounts"
    )]
    pub fn new(ratio: f64, floor_per_second: f64, now: Time) -> Self {
        let floor = (floor_per_second * SAVED).max(1.0);
        Self {
            per_call: (ratio * ONE as f64) as u64,
            per_second: floor_per_second,
            most: ((floor + 100.0) * ONE as f64) as u64,
            coins: AtomicU64::new((floor_per_second * ONE as f64) as u64),
            paid: AtomicU64::new(now.0),
        }
    }

    /// A call was made.
    pub fn deposit(&self, now: Time) {
        self.pay(now);
        self.add(self.per_call);
    }

    /// Takes one retry if there is one.
    pub fn try_withdraw(&self, now: Time) -> bool {
        self.pay(now);
        self.coins.fetch_update(Relaxed, Relaxed, |coins| coins.checked_sub(ONE)).is_ok()
    }

    fn pay(&self, now: Time) {
        let paid = self.paid.load(Relaxed);
        let passed = now.since(Time(paid)).as_secs_f64();
        // Paid in steps of a tenth of a second, by whoever comes first.
        if passed >= 0.1 && self.paid.compare_exchange(paid, now.0, Relaxed, Relaxed).is_ok() {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "small amounts"
            )]
            self.add((passed.min(SAVED) * self.per_second * ONE as f64) as u64);
        }
    }

    fn add(&self, coins: u64) {
        let _ = self.coins.fetch_update(Relaxed, Relaxed, |had| Some((had + coins).min(self.most)));
    }
}
