//! Dates, times and durations, and their text in ISO 8601. The calendar is computed here: Cypher's years go to
//! ±999,999,999, further than calendar libraries do.

use std::fmt::{Display, Formatter, Result};

/// A date, a time, both, or a duration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Temporal {
    /// A day.
    Date {
        /// Since 1970-01-01.
        days: i64,
    },
    /// A time of day and its offset.
    Time {
        /// Since midnight, local.
        nanoseconds: i64,
        /// Seconds east of UTC.
        offset: i64,
    },
    /// A time of day.
    LocalTime {
        /// Since midnight.
        nanoseconds: i64,
    },
    /// A day and a time, of no zone.
    LocalDateTime {
        /// Since 1970-01-01T00:00.
        seconds: i64,
        /// Of the second.
        nanoseconds: i64,
    },
    /// A moment and an offset.
    DateTime {
        /// Since 1970-01-01T00:00 UTC.
        seconds: i64,
        /// Of the second.
        nanoseconds: i64,
        /// Seconds east of UTC.
        offset: i64,
    },
    /// A moment and a named zone.
    ZonedDateTime {
        /// Since 1970-01-01T00:00, UTC or local.
        seconds: i64,
        /// Of the second.
        nanoseconds: i64,
        /// `Europe/Berlin`.
        zone: String,
        /// The seconds are those of the clock on the wall there: what Bolt 4 sends.
        local: bool,
    },
    /// A duration, in parts that cannot be turned into one another.
    Duration {
        /// Months.
        months: i64,
        /// Days.
        days: i64,
        /// Seconds.
        seconds: i64,
        /// Of the second.
        nanoseconds: i64,
    },
}

const DAY: i64 = 86_400;
const BILLION: i64 = 1_000_000_000;

impl Display for Temporal {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        match self {
            Self::Date { days } => date(out, *days),
            Self::Time { nanoseconds, offset } => {
                clock(out, nanoseconds.div_euclid(BILLION), nanoseconds.rem_euclid(BILLION))?;
                zone(out, *offset)
            }
            Self::LocalTime { nanoseconds } => {
                clock(out, nanoseconds.div_euclid(BILLION), nanoseconds.rem_euclid(BILLION))
            }
            Self::LocalDateTime { seconds, nanoseconds } => moment(out, *seconds, *nanoseconds),
            Self::DateTime { seconds, nanoseconds, offset } => {
                moment(out, seconds.saturating_add(*offset), *nanoseconds)?;
                zone(out, *offset)
            }
            Self::ZonedDateTime { seconds, nanoseconds, zone, local } => {
                moment(out, *seconds, *nanoseconds)?;
                let utc = if *local { "" } else { "Z" };
                write!(out, "{utc}[{zone}]")
            }
            Self::Duration { months, days, seconds, nanoseconds } => {
                write!(out, "P{months}M{days}DT{seconds}")?;
                fraction(out, *nanoseconds)?;
                out.write_str("S")
            }
        }
    }
}

fn moment(out: &mut Formatter<'_>, seconds: i64, nanoseconds: i64) -> Result {
    date(out, seconds.div_euclid(DAY))?;
    out.write_str("T")?;
    clock(out, seconds.rem_euclid(DAY), nanoseconds)
}

/// Days to year, month and day: Howard Hinnant, "chrono-compatible low-level date algorithms".
fn date(out: &mut Formatter<'_>, days: i64) -> Result {
    let days = i128::from(days) + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i128::from(month <= 2);
    match year {
        0..=9999 => write!(out, "{year:04}-{month:02}-{day:02}"),
        _ => write!(out, "{year:+05}-{month:02}-{day:02}"),
    }
}

fn clock(out: &mut Formatter<'_>, seconds: i64, nanoseconds: i64) -> Result {
    write!(out, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)?;
    fraction(out, nanoseconds)
}

fn fraction(out: &mut Formatter<'_>, nanoseconds: i64) -> Result {
    if nanoseconds == 0 {
        return Ok(());
    }
    let digits = format!("{:09}", nanoseconds.unsigned_abs());
    write!(out, ".{}", digits.trim_end_matches('0'))
}

fn zone(out: &mut Formatter<'_>, offset: i64) -> Result {
    if offset == 0 {
        return out.write_str("Z");
    }
    let (sign, size) = if offset < 0 { ('-', offset.unsigned_abs()) } else { ('+', offset.unsigned_abs()) };
    write!(out, "{sign}{:02}:{:02}", size / 3600, size / 60 % 60)?;
    if size % 60 == 0 { Ok(()) } else { write!(out, ":{:02}", size % 60) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_written_as_iso_8601() {
        let cases = [
            (Temporal::Date { days: 0 }, "1970-01-01"),
            (Temporal::Date { days: 11_016 }, "2000-02-29"),
            (Temporal::Date { days: -1 }, "1969-12-31"),
            (Temporal::Date { days: -719_529 }, "-0001-12-31"),
            (Temporal::Date { days: 2_932_897 }, "+10000-01-01"),
            (Temporal::Time { nanoseconds: 3_661_000_000_005, offset: -5400 }, "01:01:01.000000005-01:30"),
            (Temporal::LocalTime { nanoseconds: 0 }, "00:00:00"),
            (Temporal::LocalDateTime { seconds: -1, nanoseconds: 500_000_000 }, "1969-12-31T23:59:59.5"),
            (Temporal::DateTime { seconds: 0, nanoseconds: 0, offset: 0 }, "1970-01-01T00:00:00Z"),
            (Temporal::DateTime { seconds: 0, nanoseconds: 0, offset: 3600 }, "1970-01-01T01:00:00+01:00"),
            (Temporal::Duration { months: 14, days: -2, seconds: 3, nanoseconds: 10_000_000 }, "P14M-2DT3.01S"),
        ];
        for (temporal, text) in cases {
            assert_eq!(temporal.to_string(), text);
        }
    }

    #[test]
    fn a_zone_by_name_says_whether_its_clock_is_the_local_one() {
        let zoned = |local| {
            let zone = "Europe/Berlin".to_owned();
            Temporal::ZonedDateTime { seconds: 60, nanoseconds: 0, zone, local }.to_string()
        };
        assert_eq!(zoned(false), "1970-01-01T00:01:00Z[Europe/Berlin]");
        assert_eq!(zoned(true), "1970-01-01T00:01:00[Europe/Berlin]");
    }

    #[test]
    fn the_ends_of_time_have_a_text() {
        for days in [i64::MIN, i64::MAX] {
            assert!(Temporal::Date { days }.to_string().len() > 10);
        }
        let far = Temporal::DateTime { seconds: i64::MAX, nanoseconds: i64::MIN, offset: i64::MIN };
        assert!(far.to_string().len() > 10);
    }
}
