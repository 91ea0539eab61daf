//! What is held of one name between two answers. A value that is told the time and the chance, so that hours of failure
//! are tested in no time.
//!
//! A failure says nothing: what was known stays, stale. That a name does not exist says much, but a name server that was
//! just restarted, or a zone that is being written, says it as well; so instances leave only when that has been the
//! answer for [`LEAVING`]. Until then they are stale.

use std::time::{Duration, Instant};

use crate::Instance;

/// An answer is held no shorter …
pub(super) const SHORTEST: Duration = Duration::from_secs(1);
/// … and no longer than this, whatever its TTL.
pub(super) const LONGEST: Duration = Duration::from_secs(60);
/// For so long a name must be gone before its instances are.
pub(super) const LEAVING: Duration = Duration::from_secs(30);
/// Until a name that is gone is asked for again.
const GONE: Duration = Duration::from_secs(5);
/// Between questions that fail, at most.
const PATIENCE: Duration = Duration::from_secs(30);

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// Instances, good for so long.
    Found(Vec<Instance>, Duration),
    /// The name does not exist, or has no such records.
    Gone,
    /// Nothing that could be used, and why.
    Failed(String),
}

#[derive(Debug, Default)]
enum Standing {
    #[default]
    Unasked,
    Answered,
    Failing {
        times: u32,
    },
    Leaving {
        since: Instant,
        failed: u32,
    },
}

/// What is held of one name.
#[derive(Debug, Default)]
pub(super) struct Held {
    instances: Vec<Instance>,
    standing: Standing,
}

impl Held {
    /// Takes an answer; says how long to wait with the next question. `chance` is in 0..1.
    pub(super) fn take(&mut self, answer: Answer, now: Instant, chance: f64) -> Duration {
        match answer {
            Answer::Found(instances, ttl) => {
                *self = Self { instances, standing: Standing::Answered };
                ttl.clamp(SHORTEST, LONGEST)
            }
            Answer::Gone => {
                let since = match self.standing {
                    Standing::Leaving { since, .. } => since,
                    _ => now,
                };
                self.standing = Standing::Leaving { since, failed: 0 };
                if self.instances.is_empty() || now.saturating_duration_since(since) >= LEAVING {
                    *self = Self { instances: Vec::new(), standing: Standing::Answered };
                }
                GONE
            }
            Answer::Failed(_) => back_off(self.fail(), chance),
        }
    }

    /// What is known.
    pub(super) fn instances(&self) -> &[Instance] {
        &self.instances
    }

    /// True until the first answer, and when what is known is no longer what was answered last.
    pub(super) fn is_stale(&self) -> bool {
        !matches!(self.standing, Standing::Answered)
    }

    /// Counts the failures in a row.
    fn fail(&mut self) -> u32 {
        let (standing, times) = match self.standing {
            Standing::Leaving { since, failed } => (Standing::Leaving { since, failed: failed + 1 }, failed),
            Standing::Failing { times } => (Standing::Failing { times: times.saturating_add(1) }, times),
            Standing::Unasked | Standing::Answered => (Standing::Failing { times: 1 }, 0),
        };
        self.standing = standing;
        times
    }
}

/// Twice as long after every failure, of which one half is left to chance, so that many gateways do not ask at once.
fn back_off(times: u32, chance: f64) -> Duration {
    let whole = SHORTEST.saturating_mul(1 << times.min(10)).min(PATIENCE);
    whole / 2 + (whole / 2).mul_f64(chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(ttl: u64) -> Answer {
        let one = Instance::new("echo".parse().unwrap(), 1, "127.0.0.1:1".parse().unwrap());
        Answer::Found(vec![one], Duration::from_secs(ttl))
    }

    fn failed() -> Answer {
        Answer::Failed("test".into())
    }

    #[test]
    fn an_answer_is_held_for_its_ttl_within_bounds() {
        let now = Instant::now();
        for (ttl, wait) in [(0, 1), (1, 1), (17, 17), (60, 60), (86_400, 60)] {
            let mut held = Held::default();
            assert!(held.is_stale());
            assert_eq!(held.take(found(ttl), now, 0.5), Duration::from_secs(wait));
            assert!(!held.is_stale());
        }
    }

    #[test]
    fn a_failure_keeps_what_is_known_for_ever() {
        let (mut held, begin) = (Held::default(), Instant::now());
        held.take(found(5), begin, 0.0);
        let mut now = begin;
        for _ in 0..10_000 {
            now += held.take(failed(), now, 1.0);
            assert!(held.is_stale() && held.instances().len() == 1);
        }
        assert!(now.duration_since(begin) > LEAVING * 1000);
        held.take(found(5), now, 0.0);
        assert!(!held.is_stale());
    }

    #[test]
    fn questions_that_fail_come_ever_later_and_never_in_step() {
        let (mut held, now) = (Held::default(), Instant::now());
        let waits: Vec<_> = (0..8).map(|_| held.take(failed(), now, 1.0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(held.take(failed(), now, 0.0), PATIENCE / 2);
        held.take(found(5), now, 0.0);
        assert_eq!(held.take(failed(), now, 1.0), SHORTEST);
    }

    #[test]
    fn a_name_that_is_gone_leaves_after_a_while_and_not_by_failures() {
        let (mut held, begin) = (Held::default(), Instant::now());
        held.take(found(5), begin, 0.0);
        held.take(Answer::Gone, begin, 0.0);
        assert!(held.is_stale() && held.instances().len() == 1);
        held.take(failed(), begin + LEAVING * 2, 0.0);
        assert!(held.is_stale() && held.instances().len() == 1);
        held.take(Answer::Gone, begin + LEAVING * 2, 0.0);
        assert!(!held.is_stale() && held.instances().is_empty());
    }

    #[test]
    fn a_name_that_comes_back_begins_anew() {
        let (mut held, begin) = (Held::default(), Instant::now());
        held.take(found(5), begin, 0.0);
        held.take(Answer::Gone, begin, 0.0);
        held.take(found(5), begin + LEAVING / 2, 0.0);
        held.take(Answer::Gone, begin + LEAVING, 0.0);
        assert_eq!(held.instances().len(), 1);
    }

    #[test]
    fn a_name_that_never_was_is_empty_and_not_stale() {
        let mut held = Held::default();
        held.take(Answer::Gone, Instant::now(), 0.0);
        assert!(!held.is_stale() && held.instances().is_empty());
    }
}
