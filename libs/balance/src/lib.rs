//! Which instance takes a call, and whether a call may be made at all: algorithms as values that are told the time.
//!
//! Nothing here has a clock, a lock or a source of randomness: the caller gives the time and the random number, so that
//! thousands of scenarios can be played in a test. All methods take `&self`; state is in atomics, and a torn read between
//! two of them costs a slightly worse choice, never a wrong one.

use std::{ops::Add, time::Duration};

mod breaker;
mod bucket;
mod budget;
mod latencies;
mod ledger;
mod limit;
mod load;
mod policy;
mod pool;
mod ring;

pub use breaker::{BreakerConfig, BreakerState};
pub use bucket::Bucket;
pub use budget::Budget;
pub use latencies::Latencies;
pub use limit::Limit;
pub use policy::{Policy, UnknownPolicy};
pub use pool::{Config, Member, MemberState, NoInstance, Outcome, Pick, Pool};

/// Nanoseconds since an origin that the caller has fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Time(pub u64);

impl Time {
    /// The time since `earlier`; zero when it is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }
}

pub(crate) fn nanos(duration: Duration) -> u64 {
    duration.as_nanos().try_into().unwrap_or(u64::MAX)
}

/// A hash that is the same in every process and every build: FNV-1a (64 bit), finished with the mixer of SplitMix64 so
/// that near keys fall far apart.
pub fn hash(bytes: &[u8]) -> u64 {
    let mut state: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in bytes {
        state = (state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    mix(state)
}

pub(crate) const fn mix(mut state: u64) -> u64 {
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}
