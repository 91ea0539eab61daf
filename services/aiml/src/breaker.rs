//! Whether a model should be asked at all: after failures in a row it is left alone, longer each time, then tried by one call.
//!
//! A model that finds no memory says nothing of the others beside it, so each has a breaker of its own. The provider has one too, for
//! what cannot be the model: it is not reached, or one model after the other fails and none succeeds. Values that are told the time: no
//! clock, no lock, no I/O.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// Failures in a row until it blocks.
const FAILURES: u32 = 3;
const FIRST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(60);
/// How long a probe may stay without an outcome until another call may try.
const PROBE: Duration = Duration::from_secs(30);

/// The memory of one provider's failures, and of those of its models that fail.
#[derive(Debug, Default)]
pub(crate) struct Breakers {
    whole: Breaker,
    models: HashMap<String, Breaker>,
}

impl Breakers {
    /// Whether a call of `model` would be admitted.
    pub(crate) fn would_admit(&self, model: &str, now: Instant) -> bool {
        self.whole.would_admit(now) && self.models.get(model).is_none_or(|own| own.would_admit(now))
    }

    /// Whether no model of the provider is admitted.
    pub(crate) fn blocks_all(&self, now: Instant) -> bool {
        !self.whole.would_admit(now)
    }

    /// Admits a call of `model`, or not, as [`Breaker::admit`] does.
    pub(crate) fn admit(&mut self, model: &str, now: Instant) -> bool {
        let admits = self.would_admit(model, now);
        if admits {
            self.whole.admit(now);
            if let Some(own) = self.models.get_mut(model) {
                own.admit(now);
            }
        }
        admits
    }

    /// The model answered.
    pub(crate) fn succeeded(&mut self, model: &str) {
        self.whole.succeeded();
        self.models.remove(model);
    }

    /// The model failed. That it blocks now counts once against the provider.
    pub(crate) fn failed(&mut self, model: &str, now: Instant) {
        let own = self.models.entry(model.to_owned()).or_default();
        own.failed(now);
        if own.failures == FAILURES || self.whole.until.is_some() {
            self.whole.failed(now);
        }
    }

    /// The provider was not reached.
    pub(crate) fn unreached(&mut self, now: Instant) {
        self.whole.failed(now);
    }
}

/// The memory of one's failures.
#[derive(Debug, Default)]
struct Breaker {
    failures: u32,
    /// Nobody is admitted before.
    until: Option<Instant>,
}

impl Breaker {
    /// Whether a call would be admitted.
    fn would_admit(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now >= until)
    }

    /// Admits a call, or not. When it was blocking, the call is the only one until it reports or its time is over.
    fn admit(&mut self, now: Instant) -> bool {
        let admits = self.would_admit(now);
        if admits && self.until.is_some() {
            self.until = Some(now + PROBE);
        }
        admits
    }

    /// It answered.
    fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// It failed.
    fn failed(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= FAILURES {
            let doubled = FIRST.saturating_mul(1 << (self.failures - FAILURES).min(10));
            self.until = Some(now + doubled.min(LONGEST));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_blocks_after_failures_in_a_row_and_admits_one_probe() {
        let (mut breaker, start) = (Breaker::default(), Instant::now());
        for _ in 0..FAILURES {
            assert!(breaker.admit(start));
            breaker.failed(start);
        }
        assert!(!breaker.admit(start));
        let later = start + FIRST;
        assert!(breaker.admit(later) && !breaker.admit(later));
        breaker.failed(later);
        assert!(!breaker.admit(later + FIRST) && breaker.admit(later + FIRST * 2));
        breaker.succeeded();
        assert!(breaker.admit(later) && breaker.admit(later));
    }

    #[test]
    fn a_probe_that_never_reports_blocks_nobody_for_ever() {
        let (mut breaker, start) = (Breaker::default(), Instant::now());
        (0..FAILURES).for_each(|_| breaker.failed(start));
        assert!(breaker.admit(start + FIRST));
        assert!(breaker.admit(start + FIRST + PROBE));
    }

    #[test]
    fn a_model_that_fails_blocks_no_other_and_is_tried_again() {
        let (mut breakers, start) = (Breakers::default(), Instant::now());
        for _ in 0..9 {
            breakers.failed("large", start);
        }
        assert!(!breakers.admit("large", start) && breakers.admit("small", start) && !breakers.blocks_all(start));
        breakers.succeeded("small");
        assert!(!breakers.admit("large", start), "another model's success says nothing of it");
        let later = start + LONGEST * 2;
        assert!(breakers.admit("large", later) && !breakers.admit("large", later));
        breakers.succeeded("large");
        assert!(breakers.admit("large", later) && breakers.models.is_empty());
    }

    #[test]
    fn a_provider_that_is_not_reached_blocks_all_its_models_and_admits_one_probe() {
        let (mut breakers, start) = (Breakers::default(), Instant::now());
        (0..FAILURES).for_each(|_| breakers.unreached(start));
        assert!(!breakers.admit("large", start) && !breakers.admit("small", start) && breakers.blocks_all(start));
        let later = start + FIRST;
        assert!(breakers.admit("large", later) && !breakers.admit("small", later));
        breakers.succeeded("large");
        assert!(breakers.admit("small", later));
    }

    #[test]
    fn a_provider_all_of_whose_models_fail_is_left_alone_as_a_whole() {
        let (mut breakers, start) = (Breakers::default(), Instant::now());
        for model in ["a", "b", "c"] {
            (0..FAILURES).for_each(|_| breakers.failed(model, start));
        }
        assert!(!breakers.admit("d", start));
        assert!(breakers.admit("d", start + FIRST));
        breakers.failed("d", start + FIRST);
        assert!(!breakers.admit("e", start + FIRST * 2), "the probe failed");
    }

    proptest! {
        #[test]
        fn it_never_blocks_longer_than_the_longest(failures in 1u32..200) {
            let (mut breaker, start) = (Breaker::default(), Instant::now());
            (0..failures).for_each(|_| breaker.failed(start));
            prop_assert!(breaker.would_admit(start + LONGEST));
        }
    }
}
