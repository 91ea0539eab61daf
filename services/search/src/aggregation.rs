//! Groups → the JSON of aggregations and back. Elasticsearch, OpenSearch and tantivy share it, so it is written once.

use serde_json::{Map, Value, json};

use crate::model::{Bucket, By, Counts, Group};

/// The aggregations, named by their place.
pub(crate) fn request(groups: &[Group]) -> Value {
    let mut request = Map::new();
    for (place, group) in groups.iter().enumerate() {
        let field = &group.field;
        let one = match &group.by {
            By::Values(size) => json!({"terms": {"field": field, "size": size}}),
            By::Steps(width) => json!({"histogram": {"field": field, "interval": width, "min_doc_count": 1}}),
            By::Times(width) => {
                json!({"date_histogram": {"field": field, "fixed_interval": width, "min_doc_count": 1}})
            }
            By::Ranges(ranges) => {
                let ranges: Vec<Value> = ranges.iter().map(|(from, to)| range(*from, *to)).collect();
                json!({"range": {"field": field, "ranges": ranges}})
            }
            By::Summary => json!({"stats": {"field": field}}),
        };
        request.insert(place.to_string(), one);
    }
    Value::Object(request)
}

fn range(from: Option<f64>, to: Option<f64>) -> Value {
    let mut range = Map::new();
    range.extend(from.map(|from| ("from".to_owned(), from.into())));
    range.extend(to.map(|to| ("to".to_owned(), to.into())));
    Value::Object(range)
}

/// The counts out of the results.
pub(crate) fn counts(groups: &[Group], results: &Value) -> Vec<Counts> {
    groups.iter().enumerate().map(|(place, group)| one(group, &results[place.to_string()])).collect()
}

fn one(group: &Group, result: &Value) -> Counts {
    let mut counts = Counts { field: group.field.clone(), ..Counts::default() };
    if group.by == By::Summary {
        for name in ["count", "min", "max", "sum", "avg"] {
            counts.summary.extend(result[name].as_f64().map(|value| (name.to_owned(), value)));
        }
        return counts;
    }
    counts.others = result["sum_other_doc_count"].as_u64().unwrap_or_default();
    let is_range = matches!(group.by, By::Ranges(_));
    for bucket in result["buckets"].as_array().into_iter().flatten() {
        let count = bucket["doc_count"].as_u64().unwrap_or_default();
        // Stores add ranges for what is left over; those were not asked for.
        let extra = is_range && !asked(group, bucket);
        if !extra {
            counts.buckets.push(Bucket { key: key(bucket), count });
        }
    }
    counts
}

fn asked(group: &Group, bucket: &Value) -> bool {
    let By::Ranges(ranges) = &group.by else { return true };
    let same = |one: Option<f64>, other: Option<f64>| match (one, other) {
        (Some(one), Some(other)) => (one - other).abs() < f64::EPSILON * one.abs().max(1.0),
        (None, None) => true,
        _ => false,
    };
    ranges.iter().any(|(from, to)| same(*from, bucket["from"].as_f64()) && same(*to, bucket["to"].as_f64()))
}

/// The key as it is read best.
fn key(bucket: &Value) -> Value {
    match (&bucket["key_as_string"], &bucket["key"]) {
        (Value::String(text), _) if text == "true" || text == "false" => Value::Bool(text == "true"),
        (Value::String(text), _) => Value::String(text.clone()),
        (_, key) => key.clone(),
    }
}
