//! How long calls of one tool take, as quantiles: when a second attempt is worth it is asked of these, not of a constant.
//!
//! A histogram whose buckets grow with the latency (after HdrHistogram: sixteen to an octave), halved each time that as
//! much has been seen again, so that it follows a tool that changes. 2 KiB, atomics only, no clock.

use std::{
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

use crate::nanos;

/// Buckets per doubling of the latency: a bucket is at most 1/16 wide, its middle at most 1/32 wrong.
const FINE: u32 = 4;
/// Latencies are counted in units of 2^10 ns, about a microsecond.
const UNIT: u32 = 10;
/// Up to 2^30 units, about 18 minutes; the last bucket takes what is longer.
const OCTAVES: u32 = 30 - FINE;
const BUCKETS: usize = ((OCTAVES + 1) << FINE) as usize;
/// What one observation weighs when it comes; what is halved must not vanish at once.
const ONE: u32 = 1 << 10;
/// Observations below which nothing is said.
const LEAST: u32 = 20;
/// After so many observations all before them count half.
const HALVED: u32 = 256;

/// The latencies of late, about the last 500.
#[derive(Debug)]
pub struct Latencies {
    buckets: [AtomicU32; BUCKETS],
    /// Observations in all, up to [`LEAST`].
    seen: AtomicU32,
    /// Observations since the last halving.
    since: AtomicU32,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { buckets: [const { AtomicU32::new(0) }; BUCKETS], seen: AtomicU32::new(0), since: AtomicU32::new(0) }
    }
}

impl Latencies {
    /// Counts one.
    pub fn observe(&self, latency: Duration) {
        self.buckets[bucket(latency)].fetch_add(ONE, Relaxed);
        if self.seen.load(Relaxed) < LEAST {
            self.seen.fetch_add(1, Relaxed);
        }
        // One of the callers passes the mark and halves for all.
        if self.since.fetch_add(1, Relaxed) + 1 == HALVED {
            self.since.fetch_sub(HALVED, Relaxed);
            for bucket in &self.buckets {
                let _ = bucket.fetch_update(Relaxed, Relaxed, |count| (count > 0).then_some(count / 2));
            }
        }
    }

    /// The latency that a `share` of calls (0 to 1) stays within; none before about 20 observations.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a rank")]
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        if self.seen.load(Relaxed) < LEAST {
            return None;
        }
        let counts = || self.buckets.iter().map(|bucket| u64::from(bucket.load(Relaxed)));
        let rank = ((counts().sum::<u64>() as f64 * share.clamp(0.0, 1.0)) as u64).max(1);
        let mut passed = 0;
        let reaches = |count| {
            passed += count;
            passed >= rank
        };
        // Another caller may halve in between; then the rank lies beyond the end, and the slowest bucket is the answer.
        let found = counts().position(reaches).or_else(|| counts().rposition(|count| count > 0));
        found.map(middle)
    }
}

fn bucket(latency: Duration) -> usize {
    let units = u32::try_from(nanos(latency) >> UNIT).unwrap_or(u32::MAX).min((1 << 30) - 1);
    // Below 2^FINE each unit has its own bucket; from there the top FINE + 1 bits choose.
    let octave = (u32::BITS - units.leading_zeros()).saturating_sub(FINE + 1);
    (octave << FINE) as usize + (units >> octave) as usize
}

/// The middle of a bucket.
fn middle(bucket: usize) -> Duration {
    let bucket = bucket as u64;
    let octave = (bucket >> FINE).saturating_sub(1);
    let low = (bucket - (octave << FINE)) << octave;
    Duration::from_nanos((2 * low + (1 << octave)) << (UNIT - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_a_bucket_is_near_all_that_fall_into_it() {
        for nanos in (0..60).map(|power| 3_u64 << power).filter(|nanos| (20_000..1 << 40).contains(nanos)) {
            let (latency, answer) = (Duration::from_nanos(nanos), middle(bucket(Duration::from_nanos(nanos))));
            let ratio = answer.as_secs_f64() / latency.as_secs_f64();
            assert!((0.96..1.04).contains(&ratio), "{latency:?} as {answer:?}");
        }
        assert_eq!(bucket(Duration::MAX), BUCKETS - 1);
        assert!((1..BUCKETS).all(|next| middle(next) > middle(next - 1)));
    }
}
