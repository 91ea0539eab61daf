//! Text → scores by the words it shares with other text, always the same on every machine: BM25 (Robertson and Zaragoza 2009) over
//! the documents at hand. The vectors by words are those of `weft_embed`.

use std::collections::{HashMap, HashSet};

use weft_embed::words;

const K1: f64 = 1.2;
const B: f64 = 0.75;

/// From -1 to 1; 0 if one is zero or they do not fit.
pub(crate) fn cosine(one: &[f32], other: &[f32]) -> f64 {
    if one.len() != other.len() {
        return 0.0;
    }
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let lengths = (dot(one, one) * dot(other, other)).sqrt();
    if lengths > 0.0 { dot(one, other) / lengths } else { 0.0 }
}

/// BM25 of each document for the words of the query.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) fn relevance(query: &str, documents: &[String]) -> Vec<f64> {
    let asked: HashSet<String> = words(query).collect();
    let counts: Vec<(HashMap<String, f64>, f64)> = documents
        .iter()
        .map(|document| {
            let (mut counts, mut length) = (HashMap::new(), 0.0);
            for word in words(document) {
                length += 1.0;
                if asked.contains(&word) {
                    *counts.entry(word).or_default() += 1.0;
                }
            }
            (counts, length)
        })
        .collect();
    let total = documents.len().max(1) as f64;
    let mean = (counts.iter().map(|(_, length)| length).sum::<f64>() / total).max(1.0);
    let rarity: HashMap<&String, f64> = asked
        .iter()
        .map(|word| {
            let with = counts.iter().filter(|(counts, _)| counts.contains_key(word)).count() as f64;
            (word, (1.0 + (total - with + 0.5) / (with + 0.5)).ln())
        })
        .collect();
    let score = |(counts, length): &(HashMap<String, f64>, f64)| {
        let part = |(word, count): (&String, &f64)| {
            let rarity = rarity.get(word).copied().unwrap_or_default();
            rarity * count * (K1 + 1.0) / (count + K1 * (1.0 - B + B * length / mean))
        };
        counts.iter().map(part).sum()
    };
    counts.iter().map(score).collect()
}

#[cfg(test)]
mod tests {
    use weft_embed::Lexical;

    use super::*;

    #[test]
    fn what_shares_words_is_nearer_than_what_does_not() {
        let query = Lexical::vector("how do I reset my password");
        let near = cosine(&query, &Lexical::vector("Password reset: how to set a new password"));
        let far = cosine(&query, &Lexical::vector("The weather in Lisbon is sunny"));
        assert!(near > 0.3 && far < 0.15, "{near} {far}");
    }

    #[test]
    fn forms_of_a_word_are_near_each_other() {
        let near = cosine(&Lexical::vector("database"), &Lexical::vector("databases"));
        assert!(near > 0.4, "{near}");
    }

    #[test]
    fn a_rare_word_of_the_query_counts_more_than_a_frequent_one() {
        let documents = ["the cat sat", "the dog ran", "the zebra slept"].map(str::to_owned);
        let scores = relevance("the zebra", &documents);
        assert!(scores[2] > scores[0] && scores[2] > scores[1], "{scores:?}");
    }
}
