//! Points in time: microseconds inside, RFC 3339 outside, and a clock that never gives the same one twice.
//!
//! A day without a time (`2026-01-31`) is its first moment in UTC. What lies outside of the years 0 to 9999 is refused.

use std::{
    borrow::Cow,
    sync::atomic::{AtomicI64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Microseconds in a second.
const MICROS: i64 = 1_000_000;
/// The last moment that has four digits for its year.
const LAST: i64 = 253_402_300_799 * MICROS;
/// The first one of the year 0.
const FIRST: i64 = -62_167_219_200 * MICROS;

/// Microseconds since 1970, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Moment(i64);

impl Moment {
    /// From microseconds since 1970; what lies beyond the years 0 to 9999 becomes their end.
    pub(crate) fn from_micros(micros: i64) -> Self {
        Self(micros.clamp(FIRST, LAST))
    }

    /// Microseconds since 1970.
    pub(crate) fn micros(self) -> i64 {
        self.0
    }

    /// By the wall clock.
    pub(crate) fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::from_micros(i64::try_from(since.as_micros()).unwrap_or(LAST))
    }

    /// Later by so many seconds.
    pub(crate) fn plus_seconds(self, seconds: u64) -> Self {
        let micros = i64::try_from(seconds).unwrap_or(LAST).saturating_mul(MICROS);
        Self::from_micros(self.0.saturating_add(micros))
    }

    /// Days from `earlier` to here; 0 if that is later.
    pub(crate) fn days_since(self, earlier: Self) -> f64 {
        let seconds = self.0.saturating_sub(earlier.0).max(0) / MICROS;
        u32::try_from(seconds).map_or(f64::from(u32::MAX), f64::from) / 86_400.0
    }

    /// From RFC 3339, or a day.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let whole = if text.len() == 10 { Cow::Owned(format!("{text}T00:00:00Z")) } else { Cow::Borrowed(text) };
        let parsed = OffsetDateTime::parse(&whole, &Rfc3339)
            .map_err(|_| format!("{text:?} is no time: write 2026-01-31T12:00:00Z or 2026-01-31"))?;
        Ok(Self::from_micros(i64::try_from(parsed.unix_timestamp_nanos() / 1_000).unwrap_or(LAST)))
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let time =
            OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000).map_err(|_| std::fmt::Error)?;
        f.write_str(&time.format(&Rfc3339).map_err(|_| std::fmt::Error)?)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::parse(&Cow::<str>::deserialize(from)?).map_err(D::Error::custom)
    }
}

impl JsonSchema for Moment {
    fn schema_name() -> Cow<'static, str> {
        "Moment".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string"})
    }
}

/// Gives moments that only grow, so that the order of what one instance wrote is the order of their times.
#[derive(Debug, Default)]
pub(crate) struct Clock(AtomicI64);

impl Clock {
    /// Now, or just after the last one given and after `previous`.
    pub(crate) fn after(&self, previous: Option<Moment>) -> Moment {
        let least = Moment::now().0.max(previous.map_or(FIRST, |moment| moment.0 + 1));
        let last = self.0.fetch_max(least, Ordering::Relaxed);
        if last < least {
            return Moment(least);
        }
        Moment(self.0.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_back_as_they_were_written() {
        for text in ["2026-01-31T12:00:00.000001Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"] {
            assert_eq!(Moment::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Moment::parse("2026-01-31").unwrap().to_string(), "2026-01-31T00:00:00Z");
        assert!(Moment::parse("tomorrow").unwrap_err().contains("2026-01-31"));
    }

    #[test]
    fn a_clock_never_stands_still_nor_goes_back() {
        let clock = Clock::default();
        let far = Moment::now().plus_seconds(3_600);
        let mut last = clock.after(Some(far));
        assert!(last > far);
        for _ in 0..1_000 {
            let next = clock.after(None);
            assert!(next > last);
            last = next;
        }
    }
}
