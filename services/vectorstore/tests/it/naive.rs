//! The vector store as simple as it can be: a map, and everything computed from it each time. What the real one is compared with.

use std::collections::BTreeMap;

use serde_json::Value;

/// A point, as it was written.
#[derive(Debug, Clone)]
pub(crate) struct Point {
    pub(crate) vector: Vec<f64>,
    pub(crate) text: Option<String>,
    pub(crate) metadata: serde_json::Map<String, Value>,
}

/// All points.
#[derive(Debug, Default)]
pub(crate) struct Naive(pub(crate) BTreeMap<String, Point>);

impl Naive {
    pub(crate) fn chosen<'a>(&'a self, filter: &'a Value) -> impl Iterator<Item = (&'a String, &'a Point)> {
        self.0.iter().filter(move |(id, point)| fulfils(filter, id, point))
    }

    /// Scores of the points that fulfil the filter.
    pub(crate) fn near(&self, metric: &str, vector: &[f64], filter: &Value) -> BTreeMap<String, f64> {
        self.chosen(filter).map(|(id, point)| (id.clone(), score(metric, vector, &point.vector))).collect()
    }

    /// BM25 of the points that have one of the words.
    pub(crate) fn words(&self, query: &str, filter: &Value) -> BTreeMap<String, f64> {
        let split = |text: &str| text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>();
        let texts: BTreeMap<&String, Vec<String>> =
            self.0.iter().filter_map(|(id, point)| Some((id, split(point.text.as_deref()?)))).collect();
        let count = texts.len() as f64;
        let average = (texts.values().map(Vec::len).sum::<usize>() as f64 / count.max(1.0)).max(1.0);
        let mut asked = split(query);
        asked.sort();
        asked.dedup();
        let mut scores = BTreeMap::new();
        for word in asked {
            let having = texts.values().filter(|text| text.contains(&word)).count() as f64;
            let rarity = (1.0 + (count - having + 0.5) / (having + 0.5)).ln();
            for (id, text) in &texts {
                let times = text.iter().filter(|own| **own == word).count() as f64;
                if times > 0.0 && fulfils(filter, id, &self.0[*id]) {
                    let weight = times * 2.2 / (times + 1.2 * (0.25 + 0.75 * text.len() as f64 / average));
                    *scores.entry((*id).clone()).or_insert(0.0) += rarity * weight;
                }
            }
        }
        scores
    }

    /// How often each value of a field occurs.
    pub(crate) fn facet(&self, field: &str, filter: &Value) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for (_, point) in self.chosen(filter) {
            if let Some(value) = point.metadata.get(field) {
                *counts.entry(value.to_string()).or_insert(0) += 1;
            }
        }
        counts
    }
}

fn score(metric: &str, a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    match metric {
        "dot" => dot(a, b),
        "euclidean" => a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt(),
        _ => {
            let norms = (dot(a, a) * dot(b, b)).sqrt();
            if norms > 0.0 { dot(a, b) / norms } else { 0.0 }
        }
    }
}

fn fulfils(filter: &Value, id: &str, point: &Point) -> bool {
    let list = |value: &Value| value.as_array().unwrap().clone();
    let has = |key: &str| filter.get(key);
    if let Some(all) = has("all") {
        return list(all).iter().all(|filter| fulfils(filter, id, point));
    }
    if let Some(any) = has("any") {
        return list(any).iter().any(|filter| fulfils(filter, id, point));
    }
    if let Some(not) = has("not") {
        return !fulfils(not, id, point);
    }
    if let Some(ids) = has("ids") {
        return list(ids).iter().any(|one| one == id);
    }
    let mine = point.metadata.get(filter["field"].as_str().unwrap());
    if has("is_null").is_some() {
        return mine.is_none();
    }
    let Some(mine) = mine else { return false };
    let number = |value: &Value| value.as_f64();
    let against = |key: &str, fits: fn(f64, f64) -> bool| {
        has(key).is_none_or(|bound| number(mine).is_some_and(|mine| fits(mine, number(bound).unwrap())))
    };
    has("in").is_none_or(|values| list(values).contains(mine))
        && against("gt", |a, b| a > b)
        && against("gte", |a, b| a >= b)
        && against("lt", |a, b| a < b)
        && against("lte", |a, b| a <= b)
}
