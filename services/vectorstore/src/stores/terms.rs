//! Words of a text and instants of a date: what remote stores are given besides the metadata, so that a filter means the same in
//! each of them.
//!
//! Every engine splits text in its own way and reads dates in its own way (PostgreSQL's `lower` follows the locale of the
//! database, Chroma knows substrings only). The rule of [`crate::model::Filter::Words`] and RFC 3339 are applied here instead, once,
//! when a point is written.

use serde_json::{Map, Value, json};

pub(crate) use weft_embed::words;

/// The words of a text, each once, sorted.
pub(crate) fn distinct_words(text: &str) -> Vec<String> {
    let mut found: Vec<String> = words(text).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// The elements that a condition looks at: those of a list, or the value itself.
pub(crate) fn elements(value: &Value) -> &[Value] {
    match value {
        Value::Array(list) => list,
        one => std::slice::from_ref(one),
    }
}

/// For each field with strings: a list of the distinct words of each string.
pub(crate) fn words_of(metadata: &Map<String, Value>) -> Map<String, Value> {
    collect(metadata, |text| Some(json!(distinct_words(text))))
}

/// For each field with RFC 3339 dates: a list of them in microseconds since 1970.
pub(crate) fn times_of(metadata: &Map<String, Value>) -> Map<String, Value> {
    collect(metadata, |text| instant(text).map(Value::from))
}

fn collect(metadata: &Map<String, Value>, of: impl Fn(&str) -> Option<Value>) -> Map<String, Value> {
    let derived = metadata.iter().map(|(field, value)| {
        let list: Vec<Value> = elements(value).iter().filter_map(Value::as_str).filter_map(&of).collect();
        (field.clone(), Value::Array(list))
    });
    derived.filter(|(_, list)| list.as_array().is_some_and(|list| !list.is_empty())).collect()
}

/// Microseconds since 1970 of an RFC 3339 date and time; `None` if it is none. Finer digits are cut off.
pub(crate) fn instant(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let shape = |at: usize, accepted: &[u8]| bytes.get(at).is_some_and(|byte| accepted.contains(byte));
    if !(shape(4, b"-") && shape(7, b"-") && shape(10, b"Tt ") && shape(13, b":") && shape(16, b":")) {
        return None;
    }
    let [year, month, day] = [number(text, 0, 4)?, number(text, 5, 7)?, number(text, 8, 10)?];
    let [hour, minute, second] = [number(text, 11, 13)?, number(text, 14, 16)?, number(text, 17, 19)?];
    let in_month = days_in(year, month)?;
    if !(1..=in_month).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (micros, zone) = fraction(text.get(19..)?)?;
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset(zone)?;
    Some(seconds * 1_000_000 + micros)
}

fn number(text: &str, from: usize, to: usize) -> Option<i64> {
    let digits = text.get(from..to)?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// The microseconds of `.123456789`, and what follows it.
fn fraction(rest: &str) -> Option<(i64, &str)> {
    let Some(tail) = rest.strip_prefix('.') else { return Some((0, rest)) };
    let end = tail.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, zone) = tail.split_at(end);
    let micros = format!("{:0<6}", &digits[..end.min(6)]);
    (end > 0).then(|| Some((micros.parse().ok()?, zone)))?
}

/// Seconds east of Greenwich.
fn offset(zone: &str) -> Option<i64> {
    if matches!(zone, "Z" | "z") {
        return Some(0);
    }
    let sign = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = (number(zone, 1, 3)?, number(zone, 4, 6)?);
    let well_formed = zone.len() == 6 && zone.as_bytes()[3] == b':' && hours < 24 && minutes < 60;
    well_formed.then_some(sign * (hours * 3600 + minutes * 60))
}

fn days_in(year: i64, month: i64) -> Option<i64> {
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    Some(match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    })
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar, by years that begin in March.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_counted_as_the_calendar_does() {
        assert_eq!(instant("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(instant("2000-02-29T12:00:00.5+02:00"), Some(951_818_400_500_000));
        assert_eq!(instant("1969-12-31T23:59:59.000001999Z"), Some(-999_999));
        assert_eq!(instant("2026-11-21T08:00:00-05:30"), Some(1_795_267_800_000_000));
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in
            ["", "yesterday", "2026-02-29T00:00:00Z", "2026-01-01", "2026-01-01T00:00:00", "2026-01-01T24:00:00Z"]
        {
            assert_eq!(instant(text), None, "{text}");
        }
        assert_eq!(instant("2026-01-01T00:00:00.Z"), None);
        assert_eq!(instant("ä026-01-01T00:00:00Z"), None);
    }

    #[test]
    fn words_are_lower_cased_and_split_at_what_is_no_letter_or_digit() {
        assert_eq!(words("Grüße, O'Neil_2!").collect::<Vec<_>>(), ["grüße", "o", "neil", "2"]);
    }
}
