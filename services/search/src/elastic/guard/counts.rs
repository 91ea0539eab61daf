//! The aggregations of a native body → how many buckets they could make, or why they may not be sent.
//!
//! A limit for each is none for all: an aggregation is made anew in each bucket of the one around it, so numbers multiply with every
//! level. And steps of a number or of time are as many as the values lie apart, which nobody knows before: they need bounds.

use serde_json::{Map, Value};
use weft_kit::ToolError;

use super::{deep, object, query, refused};
use crate::{
    filter::{self, Exact},
    model::{Field, Kind},
};

/// Buckets of one aggregation, and of all in one body.
const BUCKETS: (u64, u64) = (1_000, 10_000);
/// Values of `terms` where nobody says how many.
const USUAL: u64 = 10;
/// How finely percentiles are told; each costs the cluster memory.
const COMPRESSION: f64 = 1_000.0;

/// Aggregations that make no buckets, or one.
const SINGLE: [&str; 11] = [
    "stats",
    "extended_stats",
    "avg",
    "min",
    "max",
    "sum",
    "value_count",
    "cardinality",
    "missing",
    "nested",
    "reverse_nested",
];

/// Whether they may be sent.
pub(super) fn check(value: &Value) -> Result<(), ToolError> {
    if buckets(value, 0)? > BUCKETS.1 {
        return Err(ToolError::invalid(format!("the aggregations could make more than {} buckets in all", BUCKETS.1))
            .hint("those inside of another are made for each of its buckets: give smaller sizes"));
    }
    Ok(())
}

/// How many buckets there can be.
fn buckets(value: &Value, depth: usize) -> Result<u64, ToolError> {
    deep(depth)?;
    let mut total = 0_u64;
    for one in object(value, "aggs")?.values() {
        let (mut own, mut inner) = (1, 0_u64);
        for (kind, inside) in object(one, "an aggregation")? {
            match kind.as_str() {
                "aggs" | "aggregations" => inner = inner.saturating_add(buckets(inside, depth + 1)?),
                "meta" => {}
                kind => own = size(kind, inside, depth)?.max(own),
            }
        }
        total = total.saturating_add(inner.saturating_add(1).saturating_mul(own));
    }
    Ok(total)
}

/// How many buckets one makes by itself.
fn size(kind: &str, inside: &Value, depth: usize) -> Result<u64, ToolError> {
    let size = match kind {
        "filter" => query(inside, depth + 1).map(|()| 1)?,
        "filters" => {
            let filters = &inside["filters"];
            let map = filters.as_object().into_iter().flat_map(Map::values);
            let all: Vec<_> = map.chain(filters.as_array().into_iter().flatten()).collect();
            all.iter().try_for_each(|inner| query(inner, depth + 1))?;
            // And those that no filter takes.
            all.len() as u64 + 1
        }
        "terms" => values(inside)?,
        "range" | "date_range" => inside["ranges"].as_array().map_or(1, Vec::len) as u64,
        "histogram" => steps(inside["interval"].as_f64(), inside, Value::as_f64)?,
        "date_histogram" => steps(width(inside), inside, moment)?,
        "percentiles" => {
            let fine = &inside["tdigest"]["compression"];
            if !fine.is_null() && fine.as_f64().is_none_or(|fine| fine > COMPRESSION) {
                return Err(ToolError::invalid(format!("compression of percentiles is at most {COMPRESSION}")));
            }
            1
        }
        known if SINGLE.contains(&known) => 1,
        other => return Err(refused(other)),
    };
    if size > BUCKETS.0 {
        return Err(ToolError::invalid(format!("an aggregation makes at most {} buckets", BUCKETS.0))
            .hint("use wider steps, narrower hard_bounds or a smaller size"));
    }
    Ok(size)
}

/// The most frequent values of a field.
fn values(inside: &Value) -> Result<u64, ToolError> {
    if ["include", "exclude"].iter().any(|key| inside[*key].is_string()) {
        return Err(refused("a pattern of values"));
    }
    let read = |key: &str, usual: u64| match inside.get(key) {
        None => Ok(usual),
        Some(size) => {
            size.as_u64().ok_or_else(|| ToolError::invalid(format!("{key} of an aggregation is a whole number")))
        }
    };
    Ok(read("size", USUAL)?.max(read("shard_size", 0)?))
}

/// Steps of a width between the bounds, which must be there.
fn steps(width: Option<f64>, inside: &Value, read: impl Fn(&Value) -> Option<f64>) -> Result<u64, ToolError> {
    let Some(width) = width.filter(|width| width.is_finite() && *width > 0.0) else {
        return Err(ToolError::invalid(
            "a histogram needs its steps: interval is a number above 0; of dates fixed_interval (like 12h) or calendar_interval (like month)",
        ));
    };
    let bounds = &inside["hard_bounds"];
    let (Some(low), Some(high)) = (read(&bounds["min"]), read(&bounds["max"])) else {
        return Err(ToolError::invalid(
            "a histogram needs hard_bounds with min and max: numbers, or dates in RFC 3339 or milliseconds",
        )
        .hint("without them one value far away makes buckets without number"));
    };
    let count = ((high - low) / width).ceil() + 1.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a few thousand at most, and not below 0"
    )]
    let count = count.clamp(1.0, 1e9) as u64;
    Ok(count)
}

/// The least milliseconds of one step of time.
fn width(inside: &Value) -> Option<f64> {
    const DAY: f64 = 86_400_000.0;
    if let Some(fixed) = inside["fixed_interval"].as_str() {
        let digits = fixed.find(|letter: char| !letter.is_ascii_digit())?;
        let unit = match &fixed[digits..] {
            "ms" => 1.0,
            "s" => 1_000.0,
            "m" => 60_000.0,
            "h" => 3_600_000.0,
            "d" => DAY,
            _ => return None,
        };
        return Some(fixed[..digits].parse::<f64>().ok()? * unit);
    }
    Some(match inside["calendar_interval"].as_str()? {
        "minute" | "1m" => 60_000.0,
        "hour" | "1h" => 3_600_000.0,
        "day" | "1d" => DAY,
        "week" | "1w" => 7.0 * DAY,
        "month" | "1M" => 28.0 * DAY,
        "quarter" | "1q" => 90.0 * DAY,
        "year" | "1y" => 365.0 * DAY,
        _ => return None,
    })
}

/// A moment in milliseconds. Nothing that is reckoned by the cluster (`now-1d`): how far that reaches is not known here.
fn moment(value: &Value) -> Option<f64> {
    if value.is_number() {
        return value.as_f64();
    }
    match filter::exact(&Field::of("day", Kind::Date), value) {
        #[expect(clippy::cast_precision_loss, reason = "the number of steps needs no nanoseconds")]
        Ok(Exact::Date(nanos)) => Some(nanos as f64 / 1e6),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn nested(size: u64, levels: usize) -> Value {
        (0..levels).fold(
            json!({"v": {"avg": {"field": "x"}}}),
            |inner, level| json!({"a": {"terms": {"field": format!("f{level}"), "size": size}, "aggs": inner}}),
        )
    }

    #[test]
    fn e03_numbers_of_buckets_multiply_with_every_level() {
        assert_eq!(buckets(&nested(1_000, 1), 0).unwrap(), 2_000);
        assert_eq!(buckets(&nested(10, 2), 0).unwrap(), 210);
        for bad in [
            nested(1_000, 2),
            nested(1_000, 5),
            nested(100, 3),
            nested(7, 5),
            json!({"a": {"terms": {"field": "b", "size": 100_000}}}),
            json!({"a": {"terms": {"field": "b", "size": 5, "shard_size": 100_000}}}),
            json!({"a": {"terms": {"field": "b", "size": -1}}}),
            json!({"a": {"percentiles": {"field": "b", "tdigest": {"compression": 1e12}}}}),
        ] {
            assert_eq!(check(&bad).unwrap_err().code(), "invalid_arguments", "{bad}");
        }
        for good in [nested(1_000, 1), nested(50, 2), nested(5, 4), json!({"a": {"percentiles": {"field": "b"}}})] {
            check(&good).unwrap();
        }
        let beside: Map<String, Value> =
            (0..11).map(|place| (place.to_string(), json!({"terms": {"field": "b", "size": 1_000}}))).collect();
        assert!(check(&Value::Object(beside)).is_err());
    }

    #[test]
    fn e03_steps_need_bounds_and_are_counted_between_them() {
        let of = |kind: &str, inside: Value| json!({"a": {kind: inside}});
        let dates = |min: Value, max: Value, step: &str| {
            of("date_histogram", json!({"field": "d", "fixed_interval": step, "hard_bounds": {"min": min, "max": max}}))
        };
        for bad in [
            of("histogram", json!({"field": "x", "interval": 1e-9})),
            of("histogram", json!({"field": "x", "interval": 0, "hard_bounds": {"min": 0, "max": 1}})),
            of("histogram", json!({"field": "x", "interval": 0.001, "hard_bounds": {"min": 0, "max": 10}})),
            of("histogram", json!({"field": "x", "interval": 1, "hard_bounds": {"min": 0}})),
            of("histogram", json!({"field": "x", "interval": 1, "hard_bounds": {"min": -1e308, "max": 1e308}})),
            of("date_histogram", json!({"field": "d", "fixed_interval": "1s"})),
            of("date_histogram", json!({"field": "d", "calendar_interval": "day"})),
            of("date_histogram", json!({"field": "d", "interval": "day", "hard_bounds": {"min": 0, "max": 1}})),
            dates(json!("2026-01-01"), json!("2027-01-01"), "1s"),
            dates(json!("now-1d"), json!("now"), "1h"),
            dates(json!("2026-01-01"), json!("2026-02-01"), "é"),
            dates(json!("2026-01-01"), json!("2026-02-01"), "0d"),
        ] {
            assert_eq!(check(&bad).unwrap_err().code(), "invalid_arguments", "{bad}");
        }
        for good in [
            of("histogram", json!({"field": "x", "interval": 5, "hard_bounds": {"min": 0, "max": 100}})),
            dates(json!("2026-01-01"), json!("2026-01-31T12:00:00Z"), "1h"),
            dates(json!(1_767_225_600_000_i64), json!(1_769_817_600_000_i64), "12h"),
            of(
                "date_histogram",
                json!({"field": "d", "calendar_interval": "month", "hard_bounds": {"min": "1990-01-01", "max": "2026-01-01"}}),
            ),
        ] {
            check(&good).unwrap();
        }
        let days = dates(json!("2026-01-01"), json!("2026-01-31"), "1d");
        assert_eq!(buckets(&days, 0).unwrap(), 31);
    }
}
