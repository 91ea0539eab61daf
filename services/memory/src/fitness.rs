//! How much a record is worth keeping in mind, with the reasons: said importance, use, age.
//!
//! `fitness = importance · kept + use`, at most 1. `kept = 2^(-age/half-life)`, the age being that since the last use (or the writing),
//! and 1 for what is pinned; `use = 0.4 · (1 - 2^(-(used + recalled/8 - 2·misled)/4))`, so that the tenth use says less than the first.
//! To be recalled is a use for the age, and an eighth of one for the rest: that it was found does not say that it helped.

use serde::Serialize;

use crate::{
    model::{Record, Uses},
    moment::Moment,
    schema::terse,
};

/// A part of the score, in words.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Reason {
    pub(crate) because: String,
    pub(crate) value: f64,
}

/// The score and its reasons.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Fitness {
    pub(crate) score: f64,
    pub(crate) reasons: Vec<Reason>,
}

terse!(Fitness, {"type": "object", "required": ["score", "reasons"]});

/// The fitness of a record at a moment.
pub(crate) fn of(record: &Record, uses: Uses, half_life_days: f64, now: Moment) -> Fitness {
    let since = uses.last.unwrap_or(record.recorded_at).max(record.recorded_at);
    let age = now.days_since(since);
    let kept = if record.pinned { 1.0 } else { decay(age, half_life_days) };
    let net = small(uses.used) + small(uses.recalled) / 8.0 - 2.0 * small(uses.misled);
    let use_value = 0.4 * (1.0 - (-net / 4.0).exp2()).max(-1.0);
    let because = if record.pinned {
        format!("importance {:.2}, pinned", record.importance)
    } else {
        format!("importance {:.2}, {age:.1} days without use (half after {half_life_days})", record.importance)
    };
    let counted = format!("used {} times, recalled {}, misled {}", uses.used, uses.recalled, uses.misled);
    let reasons = vec![
        Reason { because, value: round(record.importance * kept) },
        Reason { because: counted, value: round(use_value) },
    ];
    Fitness { score: round((record.importance * kept + use_value).clamp(0.0, 1.0)), reasons }
}

/// What is left of 1 after so many days.
pub(crate) fn decay(days: f64, half_life_days: f64) -> f64 {
    (-days / half_life_days).exp2()
}

/// A count as a real number.
pub(crate) fn small(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}

/// Four digits are enough to be read.
pub(crate) fn round(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;

    #[test]
    fn use_raises_it_age_lowers_it_and_being_misled_lowers_it_more() {
        let now = Moment::now();
        let record = Record { recorded_at: now, ..Record::new("a".into(), Kind::Fact, "x".into(), "me") };
        let of = |used, misled, days: u64| {
            let then = now.plus_seconds(days * 86_400);
            super::of(&record, Uses { used, misled, last: Some(now), recalled: 0 }, 30.0, then).score
        };
        assert!(of(3, 0, 0) > of(1, 0, 0) && of(1, 0, 0) > of(0, 0, 0));
        assert!(of(1, 0, 60) < of(1, 0, 30) && of(1, 0, 30) < of(1, 0, 0));
        assert!(of(1, 1, 0) < of(0, 0, 0));
        let recalled = |recalled, days: u64| {
            let uses = Uses { recalled, last: Some(now.plus_seconds(days * 86_400)), ..Uses::default() };
            super::of(&record, uses, 30.0, now.plus_seconds(60 * 86_400)).score
        };
        assert!(recalled(1, 59) > recalled(1, 1) && recalled(8, 1) > recalled(1, 1));
        assert!(recalled(1, 0) < of(1, 0, 60), "found is less than of use");
        let pinned = Record { pinned: true, ..record.clone() };
        let late = now.plus_seconds(9_000 * 86_400);
        assert!((super::of(&pinned, Uses::default(), 30.0, late).score - 0.5).abs() < 1e-9);
    }
}
