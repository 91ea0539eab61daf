//! Texts ranked by the words of a query (Okapi BM25, Robertson and Zaragoza 2009), for stores that find texts but do not rank them.

use std::collections::HashMap;

use super::terms;

const K1: f64 = 1.2;
const B: f64 = 0.75;

/// Gathers the texts that have one of the words.
pub(crate) struct Ranking {
    wanted: Vec<String>,
    /// Id, how often each wanted word stands in the text, and the text's words.
    found: Vec<(String, Vec<u32>, u32)>,
}

impl Ranking {
    pub(crate) fn new(wanted: Vec<String>) -> Self {
        Self { wanted, found: Vec::new() }
    }

    /// Takes note of a text, if it has a word.
    pub(crate) fn add(&mut self, id: &str, text: &str) {
        let place: HashMap<&str, usize> =
            self.wanted.iter().enumerate().map(|(at, word)| (word.as_str(), at)).collect();
        let (mut times, mut length) = (vec![0; self.wanted.len()], 0);
        for word in terms::words(text) {
            length += 1;
            if let Some(at) = place.get(word.as_str()) {
                times[*at] += 1;
            }
        }
        if times.iter().any(|count| *count > 0) {
            self.found.push((id.to_owned(), times, length));
        }
    }

    /// How many were found.
    pub(crate) fn len(&self) -> usize {
        self.found.len()
    }

    /// The words without those that are in at least half of what was found, or without the one that is in the most.
    pub(crate) fn rarer(self) -> Vec<String> {
        let having = |at: usize| self.found.iter().filter(|(_, times, _)| times[at] > 0).count();
        let counts: Vec<usize> = (0..self.wanted.len()).map(having).collect();
        let most = counts.iter().copied().max().unwrap_or(0).min(self.found.len() / 2);
        self.wanted.into_iter().zip(counts).filter(|(_, count)| *count < most.max(1)).map(|(word, _)| word).collect()
    }

    /// Best first, ties by id. `total` is the number of all texts; their mean length is taken from those found.
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "counts and scores of a ranking")]
    pub(crate) fn best(self, total: u64, limit: usize) -> Vec<(String, f32)> {
        let mean =
            self.found.iter().map(|(.., length)| f64::from(*length)).sum::<f64>() / self.found.len().max(1) as f64;
        let rarity: Vec<f64> = (0..self.wanted.len())
            .map(|at| {
                let having = self.found.iter().filter(|(_, times, _)| times[at] > 0).count() as f64;
                (1.0 + ((total as f64).max(having) - having + 0.5) / (having + 0.5)).ln()
            })
            .collect();
        let score = |times: &[u32], length: u32| -> f64 {
            let norm = K1 * (1.0 - B + B * f64::from(length) / mean);
            let of_word =
                |(count, rarity): (&u32, &f64)| rarity * f64::from(*count) * (K1 + 1.0) / (f64::from(*count) + norm);
            times.iter().zip(&rarity).map(of_word).sum()
        };
        let scored = self.found.iter().map(|(id, times, length)| (id.clone(), score(times, *length) as f32));
        let mut scored: Vec<(String, f32)> = scored.collect();
        scored.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        scored.truncate(limit);
        scored
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_words_and_short_texts_come_first() {
        let mut ranking = Ranking::new(vec!["common".to_owned(), "rare".to_owned()]);
        let texts = ["common", "Rare one", "common and a lot of other words", "nothing of it", "common"];
        for (id, text) in ["a", "b", "c", "d", "e"].into_iter().zip(texts) {
            ranking.add(id, text);
        }
        let order: Vec<String> = ranking.best(5, 10).into_iter().map(|(id, _)| id).collect();
        assert_eq!(order, ["b", "a", "e", "c"]);
    }

    #[test]
    fn the_commonest_words_are_left_out_and_at_least_one_of_them() {
        let rarer = |texts: &[&str]| {
            let mut ranking = Ranking::new(["the", "of", "fox"].map(str::to_owned).to_vec());
            texts.iter().for_each(|text| ranking.add(text, text));
            ranking.rarer()
        };
        assert_eq!(rarer(&["the of", "the fox", "the of it", "the end"]), ["fox"]);
        assert_eq!(rarer(&["the", "the end", "of", "of it", "fox", "fox it", "fox end"]), ["the", "of"]);
        assert_eq!(rarer(&["the", "of", "fox"]), Vec::<String>::new(), "each is in as many");
    }
}
