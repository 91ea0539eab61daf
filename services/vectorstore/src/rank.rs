//! Ranked lists → one ranked list: fusion, variety, word overlap and groups. Pure: no store, no clock.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;
use weft_embed::words;

use crate::{
    distance,
    model::{Hit, Metric},
};

/// The constant of reciprocal rank fusion (Cormack et al. 2009).
const DAMPING: f32 = 60.0;

/// One list out of several by weighted reciprocal ranks; a hit's parts come from the first list that has it.
pub(crate) fn fuse(lists: Vec<(Vec<Hit>, f32)>) -> Vec<Hit> {
    let mut scores: HashMap<String, f32> = HashMap::new();
    let mut points = BTreeMap::new();
    for (hits, weight) in lists {
        for (hit, rank) in hits.into_iter().zip(1_u16..) {
            *scores.entry(hit.point.id.clone()).or_default() += weight / (DAMPING + f32::from(rank));
            points.entry(hit.point.id.clone()).or_insert(hit.point);
        }
    }
    let mut fused: Vec<Hit> = points
        .into_values()
        .map(|point| Hit { score: scores.get(&point.id).copied().unwrap_or_default(), point })
        .collect();
    sort(&mut fused);
    fused
}

/// Larger scores first, ties by id.
pub(crate) fn sort(hits: &mut [Hit]) {
    hits.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.point.id.cmp(&b.point.id)));
}

/// Picks `limit` hits one by one, each as relevant and as unlike those before it as `lambda` weighs it: 1 is relevance alone
/// (maximal marginal relevance, Carbonell and Goldstein 1998). Relevance is the rank, so that it does not depend on the kind of score.
pub(crate) fn vary(mut hits: Vec<Hit>, lambda: f32, limit: usize) -> Vec<Hit> {
    #[expect(clippy::cast_precision_loss, reason = "at most a few hundred hits")]
    let relevance: HashMap<String, f32> = hits
        .iter()
        .enumerate()
        .map(|(rank, hit)| (hit.point.id.clone(), 1.0 - rank as f32 / hits.len() as f32))
        .collect();
    let mut likeness: HashMap<String, f32> = HashMap::new();
    let mut picked: Vec<Hit> = Vec::new();
    while picked.len() < limit && !hits.is_empty() {
        let value = |hit: &Hit| {
            let near = likeness.get(&hit.point.id).copied().unwrap_or_default();
            lambda * relevance.get(&hit.point.id).copied().unwrap_or_default() - (1.0 - lambda) * near
        };
        let best = (0..hits.len()).reduce(|a, b| if value(&hits[b]) > value(&hits[a]) { b } else { a }).unwrap_or(0);
        let next = hits.remove(best);
        for hit in &hits {
            let near = distance::score(Metric::Cosine, &hit.point.vector, &next.point.vector);
            likeness.entry(hit.point.id.clone()).and_modify(|old| *old = old.max(near)).or_insert(near);
        }
        picked.push(next);
    }
    picked
}

/// Ranks anew by how many of the query's words a text has, weighed by how rare they are among the hits; the rank so far counts for
/// as much. It needs no model, and says so by its name.
pub(crate) fn overlap(mut hits: Vec<Hit>, query: &str) -> Vec<Hit> {
    let asked: BTreeSet<String> = words(query).collect();
    let texts: Vec<BTreeSet<String>> =
        hits.iter().map(|hit| words(hit.point.text.as_deref().unwrap_or_default()).collect()).collect();
    #[expect(clippy::cast_precision_loss, reason = "at most a few hundred hits")]
    let rarity = |word: &String| {
        let having = texts.iter().filter(|text| text.contains(word)).count();
        ((texts.len() as f32 + 1.0) / (having as f32 + 1.0)).ln() + 1.0
    };
    let weights: BTreeMap<&String, f32> = asked.iter().map(|word| (word, rarity(word))).collect();
    let all: f32 = weights.values().sum::<f32>().max(f32::MIN_POSITIVE);
    for ((hit, text), rank) in hits.iter_mut().zip(&texts).zip(0_u16..) {
        let covered: f32 = weights.iter().filter(|(word, _)| text.contains(**word)).map(|(_, weight)| weight).sum();
        hit.score = 0.5 * covered / all + 0.5 / (1.0 + f32::from(rank) / 10.0);
    }
    sort(&mut hits);
    hits
}

/// At most `size` hits of each value of a field, in the order of the hits, and at most `limit` values.
pub(crate) fn group(hits: Vec<Hit>, field: &str, size: usize, limit: usize) -> Vec<(Value, Vec<Hit>)> {
    let mut groups: Vec<(Value, Vec<Hit>)> = Vec::new();
    for hit in hits {
        let value = hit.point.metadata.get(field).cloned().unwrap_or_default();
        match groups.iter().position(|(own, _)| *own == value) {
            Some(at) if groups[at].1.len() < size => groups[at].1.push(hit),
            None if groups.len() < limit => groups.push((value, vec![hit])),
            Some(_) | None => {}
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::Point;

    fn hit(id: &str, vector: &[f32], text: &str) -> Hit {
        let point =
            Point { id: id.to_owned(), vector: vector.to_vec(), text: Some(text.to_owned()), ..Point::default() };
        Hit { point, score: 0.0 }
    }

    fn ids(hits: &[Hit]) -> Vec<&str> {
        hits.iter().map(|hit| hit.point.id.as_str()).collect()
    }

    #[test]
    fn what_stands_high_in_both_lists_wins() {
        let list = |names: &[&str]| names.iter().map(|name| hit(name, &[], "")).collect::<Vec<_>>();
        let fused = fuse(vec![(list(&["a", "b", "c"]), 0.5), (list(&["b", "d"]), 0.5)]);
        assert_eq!(ids(&fused), ["b", "a", "d", "c"]);
        let words_alone = fuse(vec![(list(&["a"]), 0.0), (list(&["b"]), 1.0)]);
        assert_eq!(ids(&words_alone), ["b", "a"]);
    }

    #[test]
    fn variety_puts_the_unlike_before_the_double() {
        let hits = vec![hit("a", &[1.0, 0.0], ""), hit("a2", &[1.0, 0.01], ""), hit("b", &[0.0, 1.0], "")];
        assert_eq!(ids(&vary(hits.clone(), 0.5, 2)), ["a", "b"]);
        assert_eq!(ids(&vary(hits, 1.0, 2)), ["a", "a2"]);
    }

    #[test]
    fn overlap_lifts_the_text_that_has_the_words() {
        let hits = vec![hit("a", &[], "nothing here"), hit("b", &[], "a red fox")];
        assert_eq!(ids(&overlap(hits, "red fox")), ["b", "a"]);
    }

    #[test]
    fn groups_are_bounded_in_number_and_size() {
        let of = |id: &str, value: &str| {
            let mut hit = hit(id, &[], "");
            hit.point.metadata.insert("g".to_owned(), json!(value));
            hit
        };
        let groups = group(vec![of("1", "x"), of("2", "x"), of("3", "y"), of("4", "z")], "g", 1, 2);
        assert_eq!(
            groups.iter().map(|(value, hits)| (value.clone(), hits.len())).collect::<Vec<_>>(),
            [(json!("x"), 1), (json!("y"), 1)]
        );
    }
}
