//! A seed → documents and questions: words by Zipf's law, so that some are in most documents and many in a few, as in real text.

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};

/// Different words.
const WORDS: usize = 40_000;
/// Words of one text.
const LONG: usize = 120;
const SYLLABLES: [&str; 20] = [
    "ba", "ke", "lo", "mi", "nu", "ra", "se", "to", "vi", "wo", "dra", "fle", "gri", "plo", "stu", "an", "er", "in",
    "or", "um",
];

/// What documents are made of.
pub(crate) struct Corpus {
    words: Vec<String>,
    dice: StdRng,
    pub(crate) documents: Vec<Value>,
}

impl Corpus {
    pub(crate) fn new(count: usize) -> Self {
        let mut dice = StdRng::seed_from_u64(7);
        let mut words: Vec<String> = Vec::with_capacity(WORDS);
        let mut seen = std::collections::HashSet::new();
        while words.len() < WORDS {
            let syllables = dice.random_range(2..5);
            let word: String = (0..syllables).map(|_| SYLLABLES[dice.random_range(0..SYLLABLES.len())]).collect();
            if seen.insert(word.clone()) {
                words.push(word);
            }
        }
        let mut corpus = Self { words, dice, documents: Vec::with_capacity(count) };
        for number in 0..count {
            let document = corpus.document(number);
            corpus.documents.push(document);
        }
        corpus
    }

    /// A word, the more likely the further in front it stands.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place among a few thousand words"
    )]
    fn word(&mut self) -> String {
        let place = (WORDS as f64).powf(self.dice.random_range(0.0..1.0_f64));
        self.words[(place as usize).min(WORDS - 1)].clone()
    }

    fn text(&mut self, count: usize) -> String {
        (0..count).map(|_| self.word()).collect::<Vec<_>>().join(" ")
    }

    fn document(&mut self, number: usize) -> Value {
        let (title, body) = (self.text(6), self.text(LONG));
        let (lat, lon) = (self.dice.random_range(-80.0..80.0_f64), self.dice.random_range(-180.0..180.0_f64));
        json!({"id": number.to_string(), "title": title, "body": body, "tag": format!("t{}", number % 100),
            "year": 1900 + number % 120, "place": {"lat": lat, "lon": lon}})
    }

    /// The body of some document.
    fn body(&mut self) -> Vec<String> {
        let place = self.dice.random_range(0..self.documents.len());
        let body = self.documents[place]["body"].as_str().unwrap_or_default();
        body.split(' ').map(str::to_owned).collect()
    }

    /// One word of some document.
    pub(crate) fn term(&mut self) -> String {
        let body = self.body();
        body[self.dice.random_range(0..body.len())].clone()
    }

    /// Two words that follow each other in some document.
    pub(crate) fn phrase(&mut self) -> String {
        let body = self.body();
        let start = self.dice.random_range(0..body.len() - 1);
        body[start..start + 2].join(" ")
    }

    /// A word of some document with one letter wrong.
    pub(crate) fn typo(&mut self) -> String {
        let mut word = self.term();
        let place = self.dice.random_range(1..word.len());
        word.replace_range(place..=place, "x");
        word
    }
}
