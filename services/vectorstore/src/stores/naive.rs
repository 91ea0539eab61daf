//! The plainest store there can be: everything in maps, every search a scan. What the other stores answer is compared with it.
//!
//! It shares no code with them but the splitting of words and the reading of dates, so that a mistake is not made twice.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::terms;
use crate::model::{Conflict, Filter, Metric, Outcome, Point, Which};

/// The points of one collection.
#[derive(Debug, Default, Clone)]
pub(crate) struct Naive {
    pub(crate) points: BTreeMap<String, Point>,
}

impl Naive {
    /// `None`: the batch is refused.
    pub(crate) fn upsert(&mut self, points: Vec<Point>, conflict: Conflict) -> Option<Vec<Outcome>> {
        let mut next = self.points.clone();
        let mut outcomes = Vec::new();
        for point in points {
            let taken = next.contains_key(&point.id);
            outcomes.push(match (taken, conflict) {
                (false, _) => Outcome::Created,
                (true, Conflict::Replace) => Outcome::Replaced,
                (true, Conflict::Skip) => Outcome::Skipped,
                (true, Conflict::Error) => return None,
            });
            if !taken || conflict == Conflict::Replace {
                next.insert(point.id.clone(), point);
            }
        }
        self.points = next;
        Some(outcomes)
    }

    pub(crate) fn matching(&self, filter: Option<&Filter>) -> Vec<&Point> {
        self.points.values().filter(|point| filter.is_none_or(|filter| fulfils(filter, point))).collect()
    }

    fn chosen(&self, which: &Which) -> Vec<String> {
        match which {
            Which::Ids(ids) => self.points.keys().filter(|id| ids.contains(id)).cloned().collect(),
            Which::Filter(filter) => self.matching(Some(filter)).iter().map(|point| point.id.clone()).collect(),
        }
    }

    pub(crate) fn update(&mut self, which: &Which, set: &Map<String, Value>, unset: &[String]) -> u64 {
        let ids = self.chosen(which);
        for id in &ids {
            let metadata = &mut self.points.get_mut(id).unwrap().metadata;
            metadata.retain(|field, _| !unset.contains(field));
            metadata.extend(set.clone());
        }
        ids.len() as u64
    }

    pub(crate) fn delete(&mut self, which: &Which) -> u64 {
        let ids = self.chosen(which);
        ids.iter().for_each(|id| drop(self.points.remove(id)));
        ids.len() as u64
    }

    pub(crate) fn facet(&self, field: &str, filter: Option<&Filter>, limit: usize) -> Vec<(Value, u64)> {
        let mut counts: Vec<(Value, u64)> = Vec::new();
        for point in self.matching(filter) {
            let mut of_point: Vec<&Value> = Vec::new();
            for value in point.metadata.get(field).into_iter().flat_map(terms::elements) {
                let counted = of_point.iter().any(|seen| equal(seen, value));
                if !counted && !value.is_null() {
                    of_point.push(value);
                }
            }
            for value in of_point {
                match counts.iter_mut().find(|(seen, _)| equal(seen, value)) {
                    Some((_, count)) => *count += 1,
                    None => counts.push((value.clone(), 1)),
                }
            }
        }
        counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| by_value(&a.0, &b.0)));
        counts.truncate(limit);
        counts
    }

    /// All matching points by nearness, ties by id.
    pub(crate) fn nearest(&self, metric: Metric, query: &[f32], filter: Option<&Filter>) -> Vec<(String, f64)> {
        let scored =
            self.matching(filter).into_iter().map(|point| (point.id.clone(), score(metric, query, &point.vector)));
        let mut scored: Vec<(String, f64)> = scored.collect();
        scored.sort_by(|a, b| {
            let nearer = if metric == Metric::Euclidean { a.1.total_cmp(&b.1) } else { b.1.total_cmp(&a.1) };
            nearer.then_with(|| a.0.cmp(&b.0))
        });
        scored
    }
}

/// Numbers first, by size; then everything else by its text.
pub(crate) fn by_value(a: &Value, b: &Value) -> Ordering {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => text(a).cmp(&text(b)),
    }
}

pub(crate) fn equal(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a.total_cmp(&b).is_eq(),
        _ => a == b,
    }
}

fn score(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    match metric {
        Metric::Dot => product(a, b),
        Metric::Cosine => product(a, b) / (product(a, a) * product(b, b)).sqrt(),
        Metric::Euclidean => a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum::<f64>().sqrt(),
    }
}

pub(crate) fn fulfils(filter: &Filter, point: &Point) -> bool {
    let any = |field: &String, test: &dyn Fn(&Value) -> bool| {
        point.metadata.get(field).is_some_and(|value| terms::elements(value).iter().any(test))
    };
    match filter {
        Filter::All(parts) => parts.iter().all(|part| fulfils(part, point)),
        Filter::Any(parts) => parts.iter().any(|part| fulfils(part, point)),
        Filter::Not(part) => !fulfils(part, point),
        Filter::In { field, values } => any(field, &|have| values.iter().any(|value| equal(have, value))),
        Filter::IsNull { field } => point.metadata.get(field).is_none_or(Value::is_null),
        Filter::Ids(ids) => ids.contains(&point.id),
        Filter::Words { field, words } => any(field, &|have| {
            let found = terms::distinct_words(have.as_str().unwrap_or_default());
            have.is_string() && terms::words(words).all(|word| found.contains(&word))
        }),
        Filter::Range { field, gt, gte, lt, lte } => any(field, &|have| {
            let holds = |bound: &Option<Value>, wanted: &[Ordering]| {
                bound.as_ref().is_none_or(|bound| against(have, bound).is_some_and(|order| wanted.contains(&order)))
            };
            holds(gt, &[Ordering::Greater])
                && holds(gte, &[Ordering::Greater, Ordering::Equal])
                && holds(lt, &[Ordering::Less])
                && holds(lte, &[Ordering::Less, Ordering::Equal])
        }),
    }
}

fn against(have: &Value, bound: &Value) -> Option<Ordering> {
    match (have.as_str(), bound.as_str()) {
        (Some(have), Some(bound)) => Some(terms::instant(have)?.cmp(&terms::instant(bound)?)),
        _ => have.as_f64()?.partial_cmp(&bound.as_f64()?),
    }
}
