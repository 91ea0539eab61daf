//! Two ranked lists of hits → one, by reciprocal ranks.
//!
//! Scores of words and of vectors have no common measure, ranks do: a hit gets `weight / (60 + rank)` from each list it is in (Cormack,
//! Clarke and Büttcher 2009). It is done here and not by the stores, so that it is the same in each of them.

use std::collections::HashMap;

use crate::model::Hit;

/// The constant of reciprocal rank fusion.
const DAMPING: f32 = 60.0;

/// Where a hit stood in each list, from 1.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Ranks {
    pub(crate) words: Option<usize>,
    pub(crate) meaning: Option<usize>,
    /// How near the vectors are, as the store tells it.
    pub(crate) similarity: Option<f32>,
}

impl Ranks {
    /// What the ranks are worth together; `weight` is the part of the meaning, 0 to 1.
    pub(crate) fn score(self, weight: f32) -> f32 {
        #[expect(clippy::cast_precision_loss, reason = "a few hundred ranks")]
        let part = |rank: Option<usize>, weight: f32| rank.map_or(0.0, |rank| weight / (DAMPING + rank as f32));
        part(self.words, 1.0 - weight) + part(self.meaning, weight)
    }
}

impl Ranks {
    /// The sum in words.
    pub(crate) fn told(self, weight: f32) -> String {
        let part = |name: &str, rank: Option<usize>, weight: f32| match rank {
            Some(rank) => format!("{weight:.2} / (60 + rank {rank} by {name})"),
            None => format!("nothing by {name}"),
        };
        format!("{} + {}", part("words", self.words, 1.0 - weight), part("meaning", self.meaning, weight))
    }
}

/// The hits of both lists, best first; ties by id. What the list of words tells of a hit (its highlights) is kept.
pub(crate) fn fuse(words: Vec<Hit>, meaning: Vec<Hit>, weight: f32) -> Vec<(Hit, Ranks)> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut fused: Vec<(Hit, Ranks)> = Vec::with_capacity(words.len() + meaning.len());
    for (hit, rank) in words.into_iter().zip(1..) {
        places.insert(hit.id.clone(), fused.len());
        fused.push((hit, Ranks { words: Some(rank), ..Ranks::default() }));
    }
    for (hit, rank) in meaning.into_iter().zip(1..) {
        let (own, similarity) = (Some(rank), hit.score);
        match places.get(&hit.id) {
            Some(place) => {
                fused[*place].1.meaning = own;
                fused[*place].1.similarity = similarity;
            }
            None => fused.push((hit, Ranks { words: None, meaning: own, similarity })),
        }
    }
    for (hit, ranks) in &mut fused {
        hit.score = Some(ranks.score(weight));
    }
    let score = |hit: &Hit| hit.score.unwrap_or_default();
    fused.sort_by(|(one, _), (other, _)| score(other).total_cmp(&score(one)).then_with(|| one.id.cmp(&other.id)));
    fused
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hits(ids: &[&str]) -> Vec<Hit> {
        let hit = |id: &&str| Hit {
            id: (*id).to_owned(),
            score: Some(1.0),
            sorted: None,
            behind: None,
            source: serde_json::Map::new(),
            highlights: std::collections::BTreeMap::new(),
        };
        ids.iter().map(hit).collect()
    }

    fn order(words: &[&str], meaning: &[&str], weight: f32) -> Vec<String> {
        fuse(hits(words), hits(meaning), weight).into_iter().map(|(hit, _)| hit.id).collect()
    }

    #[test]
    fn what_both_lists_have_comes_before_what_one_has() {
        assert_eq!(order(&["a", "b", "c"], &["c", "d"], 0.5), ["c", "a", "b", "d"]);
        let fused = fuse(hits(&["a", "b"]), hits(&["b"]), 0.5);
        assert_eq!((fused[0].1.words, fused[0].1.meaning), (Some(2), Some(1)));
        assert!((fused[0].0.score.unwrap() - (0.5 / 62.0 + 0.5 / 61.0)).abs() < 1e-6);
    }

    #[test]
    fn the_weight_moves_between_one_list_and_the_other() {
        assert_eq!(order(&["a", "b"], &["x", "y"], 0.0)[..2], ["a", "b"]);
        assert_eq!(order(&["a", "b"], &["x", "y"], 1.0)[..2], ["x", "y"]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_comes_twice(
            words in prop::collection::hash_set("[a-f]", 0..6), meaning in prop::collection::hash_set("[a-f]", 0..6), weight in 0.0..=1.0_f32,
        ) {
            let (one, other): (Vec<&str>, Vec<&str>) = (words.iter().map(String::as_str).collect(), meaning.iter().map(String::as_str).collect());
            let mut fused = order(&one, &other, weight);
            fused.sort();
            let mut all: Vec<String> = words.union(&meaning).cloned().collect();
            all.sort();
            prop_assert_eq!(fused, all);
        }
    }
}
