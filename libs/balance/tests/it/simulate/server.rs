//! What an instance in a scenario does with a call.

use std::time::Duration;

use weft_balance::{Outcome, Time};

use super::rng::Rng;

/// How an instance behaves.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Behaviour {
    /// Answers in one to three milliseconds.
    Fine,
    /// Twenty times as slow.
    Slow,
    /// Fails so many calls of a hundred.
    Lossy(u64),
    /// Fails everything every other time of this length.
    Flapping(Duration),
    /// Refuses connections between two times.
    Dead(Time, Time),
    /// Says nothing between two times, until callers give up.
    Stalling(Time, Time),
    /// Keeps every call for a minute from some time on.
    Hanging(Time),
    /// Fails and asks to be left alone for a while now and then.
    Resting(Duration),
}

/// One process.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) id: usize,
    pub(crate) weight: u32,
    pub(crate) zone: Option<&'static str>,
    pub(crate) healthy: bool,
    pub(crate) behaviour: Behaviour,
}

/// When a caller gives up.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(1);

impl Server {
    pub(crate) const fn fine(id: usize) -> Self {
        Self { id, weight: 1, zone: None, healthy: true, behaviour: Behaviour::Fine }
    }

    /// What comes of a call that begins now, and after how long.
    pub(crate) fn answer(&self, now: Time, rng: &mut Rng) -> Outcome {
        let usual = Duration::from_micros(1000 + rng.below(2000));
        let (fine, failed) = (Outcome::Success { latency: usual }, failure(usual, None));
        let within = |from: Time, to: Time| from <= now && now < to;
        match self.behaviour {
            Behaviour::Slow => Outcome::Success { latency: usual * 20 },
            Behaviour::Lossy(percent) if rng.chance(percent) => failed,
            Behaviour::Flapping(length) if u128::from(now.0) / length.as_nanos() % 2 == 1 => failed,
            Behaviour::Dead(from, to) if within(from, to) => failed,
            Behaviour::Stalling(from, to) if within(from, to) => failure(TIMEOUT, None),
            Behaviour::Hanging(from) if from <= now => failure(60 * TIMEOUT, None),
            Behaviour::Resting(wait) if rng.chance(5) => failure(usual, Some(wait)),
            _ => fine,
        }
    }
}

const fn failure(latency: Duration, retry_after: Option<Duration>) -> Outcome {
    Outcome::Failure { latency, retry_after }
}
