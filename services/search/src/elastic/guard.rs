//! A body in the cluster's own query language → whether it stays within the index that it is asked of.
//!
//! What may stand in it is listed, at each level, and everything else is refused: scripts and fields made at run time, lookups in
//! other indexes (terms lookup, more-like-this by id, percolation, indexed shapes, points in time), patterns that walk whole
//! dictionaries, and sizes without bounds. A list of what is forbidden would be out of date with the next version.

use serde_json::{Map, Value, json};
use weft_kit::ToolError;

mod counts;

/// Levels of queries and of aggregations.
const DEEPEST: usize = 5;
/// Hits of one answer, and how far in.
const SIZE: (u64, u64) = (100, 10_000);
/// Hits that are counted, which is what a cluster does by itself.
const COUNTED: u64 = 10_000;
/// Documents that each shard looks at before it ends and says so.
const LOOKED_AT: u64 = 10_000_000;

const TOP: [&str; 16] = [
    "query",
    "size",
    "from",
    "sort",
    "_source",
    "fields",
    "aggs",
    "aggregations",
    "highlight",
    "post_filter",
    "min_score",
    "collapse",
    "explain",
    "search_after",
    "track_total_hits",
    "terminate_after",
];
/// Queries whose inside is not a query.
const LEAVES: [&str; 16] = [
    "match_all",
    "match_none",
    "match",
    "match_phrase",
    "match_phrase_prefix",
    "match_bool_prefix",
    "multi_match",
    "combined_fields",
    "term",
    "range",
    "exists",
    "prefix",
    "fuzzy",
    "ids",
    "geo_distance",
    "geo_bounding_box",
];
/// Wherever they stand.
const NOWHERE: [&str; 15] = [
    "script",
    "scripts",
    "script_fields",
    "runtime_mappings",
    "stored_fields",
    "docvalue_fields",
    "indexed_shape",
    "inner_hits",
    "highlight_query",
    "query_vector_builder",
    "_name",
    "like",
    "pit",
    "index",
    "lookup",
];

/// Whether a body may be sent.
pub(crate) fn check(body: &Value) -> Result<(), ToolError> {
    let body = object(body, "the body")?;
    anywhere(&Value::Object(body.clone()), 0)?;
    for (key, value) in body {
        if !TOP.contains(&key.as_str()) {
            return Err(refused(key));
        }
        match key.as_str() {
            "query" | "post_filter" => query(value, 0)?,
            "aggs" | "aggregations" => counts::check(value)?,
            "sort" => sort(value)?,
            _ => {}
        }
    }
    let number = |key: &str, usual: u64| match body.get(key) {
        None => Ok(usual),
        Some(value) => value.as_u64().ok_or_else(|| ToolError::invalid(format!("{key} is a whole number"))),
    };
    let (size, from) = (number("size", 10)?, number("from", 0)?);
    if size > SIZE.0 || size.saturating_add(from) > SIZE.1 {
        return Err(ToolError::invalid(format!("size is at most {}, and from with it at most {}", SIZE.0, SIZE.1)));
    }
    if !(1..=LOOKED_AT).contains(&number("terminate_after", LOOKED_AT)?) {
        return Err(ToolError::invalid(format!("terminate_after is 1 to {LOOKED_AT}")));
    }
    let counted = body.get("track_total_hits");
    if counted.is_some_and(|most| *most != false && most.as_u64().is_none_or(|most| most > COUNTED)) {
        return Err(ToolError::invalid(format!("track_total_hits is false, or at most {COUNTED}"))
            .hint("count tells how many there are"));
    }
    Ok(())
}

/// A body that was checked, with the bounds that it does not name.
pub(crate) fn bounded(body: &Value) -> Value {
    let mut body = body.clone();
    body["timeout"] = json!("20s");
    for (key, most) in [("terminate_after", LOOKED_AT), ("track_total_hits", COUNTED)] {
        if body.get(key).is_none() {
            body[key] = json!(most);
        }
    }
    body
}

/// Fields and `_score`; an order by what a query inside finds would have to be looked through as well.
fn sort(value: &Value) -> Result<(), ToolError> {
    let keys = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    for inside in keys.iter().filter_map(Value::as_object).flat_map(Map::values) {
        if inside.get("nested").is_some() || inside.get("filter").is_some() {
            return Err(refused("nested sort"));
        }
    }
    Ok(())
}

fn refused(what: &str) -> ToolError {
    let what: String = what.chars().take(60).collect();
    ToolError::refused(format!("{what:?} may not stand in a native query"))
        .hint("search and aggregate do most of it without; describe_index names the fields")
}

fn object<'v>(value: &'v Value, what: &str) -> Result<&'v Map<String, Value>, ToolError> {
    value.as_object().ok_or_else(|| ToolError::invalid(format!("{what} is an object")))
}

fn deep(depth: usize) -> Result<(), ToolError> {
    if depth > DEEPEST {
        return Err(ToolError::invalid(format!("queries and aggregations nest at most {DEEPEST} deep")));
    }
    Ok(())
}

/// Looks for what is allowed nowhere, a field of that name included: it is better not to be asked than to be mistaken.
fn anywhere(value: &Value, depth: usize) -> Result<(), ToolError> {
    if depth > 8 * DEEPEST {
        return Err(ToolError::invalid("the body nests too deep"));
    }
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                let bad = NOWHERE.contains(&key.as_str()) || key.contains("script");
                if bad {
                    return Err(refused(key));
                }
                anywhere(inner, depth + 1)?;
            }
            Ok(())
        }
        Value::Array(values) => values.iter().try_for_each(|value| anywhere(value, depth + 1)),
        _ => Ok(()),
    }
}

fn query(value: &Value, depth: usize) -> Result<(), ToolError> {
    deep(depth)?;
    for (kind, inside) in object(value, "a query")? {
        let queries = |keys: &[&str]| -> Result<(), ToolError> {
            for (key, inner) in object(inside, kind)? {
                if keys.contains(&key.as_str()) {
                    let list = inner.as_array().map_or(std::slice::from_ref(inner), Vec::as_slice);
                    list.iter().try_for_each(|inner| query(inner, depth + 1))?;
                } else if inner.is_object() || inner.is_array() {
                    return Err(refused(key));
                }
            }
            Ok(())
        };
        match kind.as_str() {
            "bool" => queries(&["must", "should", "must_not", "filter"])?,
            "dis_max" => queries(&["queries"])?,
            "constant_score" => queries(&["filter"])?,
            "boosting" => queries(&["positive", "negative"])?,
            "nested" => queries(&["query"])?,
            "terms" => {
                // A list, not the address of one in another document.
                let lookup = object(inside, kind)?.values().any(Value::is_object);
                if lookup {
                    return Err(refused("terms lookup"));
                }
            }
            leaf if LEAVES.contains(&leaf) => {}
            other => return Err(refused(other)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn e03_what_reaches_elsewhere_or_runs_code_is_refused() {
        for bad in [
            json!({"query": {"terms": {"user": {"index": "secret", "id": "1", "path": "users"}}}}),
            json!({"query": {"more_like_this": {"fields": ["a"], "like": [{"_index": "secret", "_id": "1"}]}}}),
            json!({"query": {"percolate": {"field": "q", "index": "secret", "id": "1"}}}),
            json!({"query": {"bool": {"must": [{"script": {"script": "true"}}]}}}),
            json!({"query": {"script_score": {"query": {"match_all": {}}, "script": {"source": "1"}}}}),
            json!({"query": {"function_score": {"query": {"match_all": {}}}}}),
            json!({"query": {"geo_shape": {"place": {"indexed_shape": {"index": "secret", "id": "1"}}}}}),
            json!({"query": {"regexp": {"a": ".*.*.*x"}}}),
            json!({"query": {"wildcard": {"a": "*x"}}}),
            json!({"query": {"query_string": {"query": "/.*.*x/"}}}),
            json!({"query": {"has_child": {"type": "a", "query": {"match_all": {}}}}}),
            json!({"query": {"bool": {"filter": {"pinned": {"ids": []}}}}}),
            json!({"script_fields": {"a": {"script": "1"}}}),
            json!({"runtime_mappings": {"a": {"type": "lookup", "target_index": "secret"}}}),
            json!({"aggs": {"a": {"scripted_metric": {"map_script": "while(true);"}}}}),
            json!({"aggs": {"a": {"terms": {"field": "b"}, "aggs": {"c": {"top_hits": {"script_fields": {}}}}}}}),
            json!({"aggs": {"a": {"terms": {"field": "b", "script": "1"}}}}),
            json!({"pit": {"id": "of another index"}}),
            json!({"suggest": {"a": {"phrase": {"collate": {"query": {}}}}}}),
            json!({"sort": [{"_script": {"type": "number", "script": "1"}}]}),
            json!({"indices_boost": [{"secret": 1}]}),
            json!({"rescore": {}}),
            json!({"knn": {"field": "v", "query_vector_builder": {}}}),
            json!({"_source": false, "docvalue_fields": ["secret"]}),
            json!({"slice": {"id": 0, "max": 2}}),
            json!({"highlight": {"fields": {"a": {"highlight_query": {"regexp": {"a": ".*"}}}}}}),
            json!({"collapse": {"field": "a", "inner_hits": {"size": 1_000_000}}}),
            json!({"sort": [{"a.b": {"nested": {"path": "a", "filter": {"regexp": {"a.b": ".*x"}}}}}]}),
            json!({"aggs": {"a": {"terms": {"field": "b", "include": ".*.*x"}}}}),
        ] {
            assert_eq!(check(&bad).unwrap_err().code(), "refused", "{bad}");
        }
    }

    #[test]
    fn e03_sizes_and_depths_are_bounded() {
        let mut deep = json!({"match_all": {}});
        (0..10).for_each(|_| deep = json!({"bool": {"must": [deep.clone()]}}));
        for bad in [
            json!({"size": 10_000_000}),
            json!({"from": 1_000_000_000, "size": 1}),
            json!({"from": u64::MAX, "size": 100}),
            json!({"size": -1}),
            json!({"query": deep}),
            json!({"terminate_after": 0}),
            json!({"terminate_after": 1_000_000_000}),
            json!({"track_total_hits": true}),
            json!({"track_total_hits": 1_000_000}),
            json!([]),
        ] {
            assert_eq!(check(&bad).unwrap_err().code(), "invalid_arguments", "{bad}");
        }
    }

    #[test]
    fn usual_bodies_pass() {
        for good in [
            json!({}),
            json!({"query": {"bool": {"must": [{"match": {"a": "b"}}], "filter": {"terms": {"c": ["d", "e"]}}, "minimum_should_match": 0}}, "size": 50}),
            json!({"aggs": {"days": {"date_histogram": {"field": "day", "fixed_interval": "1d", "hard_bounds": {"min": "2026-01-01", "max": "2026-03-01"}},
                "aggs": {"mean": {"avg": {"field": "x"}}}}}, "size": 0, "track_total_hits": false, "terminate_after": 1_000}),
            json!({"query": {"nested": {"path": "a", "query": {"range": {"a.b": {"gte": 1}}}}}, "sort": ["_score"], "collapse": {"field": "host"}}),
        ] {
            check(&good).unwrap();
        }
    }

    #[test]
    fn what_a_body_leaves_open_is_bounded() {
        let asked = json!({"query": {"match_all": {}}, "track_total_hits": false});
        let expected = json!({"query": {"match_all": {}}, "track_total_hits": false, "terminate_after": LOOKED_AT, "timeout": "20s"});
        assert_eq!(bounded(&asked), expected);
        assert_eq!(bounded(&json!({}))["track_total_hits"], COUNTED);
    }
}
