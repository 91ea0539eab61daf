//! A long text → its most telling sentences, in their order. Nothing is written that the text does not say.
//!
//! A sentence counts by how many sentences it shares words with (TextRank, Mihalcea and Tarau 2004, without the iteration, which
//! changes little at this size), and a little by standing at the beginning, where most texts say what they are about.

use std::collections::{HashMap, HashSet};

/// Sentences that are looked at; more are taken evenly from the whole text.
const SENTENCES: usize = 2_000;
/// Weight of the first sentence against one in the middle.
const FIRST: f64 = 1.3;

/// Sentences of a text. A break of a line with an empty one after it ends a sentence as well.
pub(crate) fn sentences(text: &str) -> Vec<&str> {
    let mut sentences = Vec::new();
    let mut start = 0;
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        let next = letters.peek().map(|(_, next)| *next);
        let ends = match letter {
            '.' | '!' | '?' => next.is_none_or(char::is_whitespace),
            '。' | '！' | '？' => true,
            '\n' => next == Some('\n'),
            _ => false,
        };
        if ends {
            let end = at + letter.len_utf8();
            sentences.push(text[start..end].trim());
            start = end;
        }
    }
    sentences.push(text[start..].trim());
    sentences.retain(|sentence| !sentence.is_empty());
    sentences
}

/// As many of the most telling sentences as fit into `letters`, at least one.
pub(crate) fn extract(text: &str, letters: usize) -> String {
    let all = sentences(text);
    let step = all.len().div_ceil(SENTENCES).max(1);
    let looked: Vec<&str> = all.into_iter().step_by(step).collect();
    let mut order: Vec<(usize, f64)> = scores(&looked).into_iter().enumerate().collect();
    order.sort_by(|one, other| other.1.total_cmp(&one.1).then(one.0.cmp(&other.0)));
    let mut taken: Vec<usize> = Vec::new();
    let mut left = letters;
    for (place, score) in order {
        let length = looked[place].chars().count() + 1;
        // One that shares nothing is there only where nothing shares anything.
        if taken.is_empty() || (length <= left && score > 0.0) {
            taken.push(place);
            left = left.saturating_sub(length);
        }
    }
    taken.sort_unstable();
    taken.iter().map(|place| looked[*place]).collect::<Vec<_>>().join(" ")
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn scores(sentences: &[&str]) -> Vec<f64> {
    let words: Vec<HashSet<String>> = sentences
        .iter()
        .map(|sentence| weft_embed::words(sentence).filter(|word| word.chars().count() > 3).collect())
        .collect();
    // How many sentences have each word: what all have in common tells little, what one has alone nothing.
    let mut having: HashMap<&str, f64> = HashMap::new();
    for word in words.iter().flatten() {
        *having.entry(word).or_default() += 1.0;
    }
    let total = sentences.len() as f64;
    let weight = |word: &String| {
        let having = having.get(word.as_str()).copied().unwrap_or(1.0);
        if having < 2.0 { 0.0 } else { (having - 1.0) * (1.0 + total / having).ln() }
    };
    let score = |(place, words): (usize, &HashSet<String>)| {
        let sum: f64 = words.iter().map(weight).sum();
        let by_length = sum / (4.0 + words.len() as f64).sqrt();
        by_length * (1.0 + (FIRST - 1.0) / (1.0 + place as f64))
    };
    words.iter().enumerate().map(score).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "The mesh carries calls between agents and servers. Lunch was late. The gateway of the mesh picks a server for \
        each call. Servers that fail are left out by the gateway until they answer calls again. It rained.";

    #[test]
    fn the_sentences_that_share_most_are_taken_in_their_order() {
        let summary = extract(TEXT, 160);
        assert!(
            summary.chars().count() <= 160 && !summary.contains("Lunch") && !summary.contains("rained"),
            "{summary}"
        );
        let places: Vec<usize> = sentences(&summary).iter().map(|sentence| TEXT.find(sentence).unwrap()).collect();
        assert!(places.is_sorted() && !places.is_empty(), "{summary}");
    }

    #[test]
    fn something_is_taken_of_any_text_and_nothing_of_none() {
        assert_eq!(extract("One very long sentence without an end", 5), "One very long sentence without an end");
        assert_eq!(extract(" \n ", 5), "");
    }

    #[test]
    fn numbers_and_abbreviations_inside_of_words_end_no_sentence() {
        assert_eq!(sentences("Version 1.2 is out. Good！Yes"), ["Version 1.2 is out.", "Good！", "Yes"]);
    }
}
