//! The default embedder: words and parts of words, hashed.
//!
//! No model, no network, the same on every machine: features are words and runs of three to five characters of each, weighted by how
//! often they stand in the text, hashed into 384 places with a sign (the hashing trick, Weinberger et al. 2009), and brought to length 1.
//! It finds what is written alike, not what means the same; its name says so, and a better model is a matter of configuration.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::{Embedder, Embedding, error::EmbedError, normalise, words};

/// Length of the vectors.
const DIMENSIONS: usize = 384;
/// What a run of characters weighs against a whole word.
const RUN: f32 = 0.35;
/// What is kept with vectors; another number means that the same text gets another vector.
const MODEL: &str = "lexical/1";

/// The lexical embedder.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lexical;

impl Lexical {
    /// The vector of a text, of length one; all zero for a text without words.
    pub fn vector(text: &str) -> Vec<f32> {
        let mut counts: BTreeMap<String, f32> = BTreeMap::new();
        for word in words(text) {
            *counts.entry(word).or_default() += 1.0;
        }
        let mut vector = vec![0.0; DIMENSIONS];
        for (word, times) in counts {
            let weight = 1.0 + times.ln();
            add(&mut vector, &word, weight);
            for run in runs(&word) {
                add(&mut vector, &run, weight * RUN);
            }
        }
        normalise(&mut vector);
        vector
    }
}

impl Embedder for Lexical {
    fn model(&self) -> &str {
        MODEL
    }

    fn dimensions(&self) -> usize {
        DIMENSIONS
    }

    fn embed<'a>(&'a self, texts: &'a [String]) -> Embedding<'a> {
        Box::pin(async move {
            let texts = texts.to_vec();
            let work = tokio::task::spawn_blocking(move || texts.iter().map(|text| Self::vector(text)).collect());
            work.await.map_err(|cause| EmbedError::Broken { embedder: MODEL.to_owned(), cause: cause.into() })
        })
    }
}

/// Runs of three to five characters, the edges of the word marked; marks keep a run apart from a word that is spelt alike.
fn runs(word: &str) -> impl Iterator<Item = String> {
    let letters: Vec<char> = std::iter::once('<').chain(word.chars()).chain(['>']).collect();
    (3..=5).flat_map(move |length| {
        let runs: Vec<String> =
            letters.windows(length).map(|run| format!("#{}", run.iter().collect::<String>())).collect();
        runs
    })
}

fn add(vector: &mut [f32], feature: &str, weight: f32) {
    let digest = Sha256::digest(feature);
    let place = usize::from(u16::from_le_bytes([digest[0], digest[1]])) % DIMENSIONS;
    vector[place] += if digest[2] & 1 == 0 { weight } else { -weight };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cosine(one: &str, other: &str) -> f32 {
        Lexical::vector(one).iter().zip(Lexical::vector(other)).map(|(one, other)| one * other).sum()
    }

    #[test]
    fn texts_that_are_written_alike_are_near() {
        let near = cosine("the red foxes jump", "a red fox jumped");
        let far = cosine("the red foxes jump", "quarterly balance sheet");
        assert!(near > far + 0.2, "{near} {far}");
        assert_eq!(Lexical::vector(" "), vec![0.0; DIMENSIONS], "no words, no direction");
        assert!((cosine("grün", "grün") - 1.0).abs() < 1e-5);
    }

    /// Collections on disk hold vectors of it: the same text must get the same bytes for ever.
    #[test]
    fn the_vectors_of_version_one_do_not_change() {
        let digest = |text: &str| {
            let bytes: Vec<u8> = Lexical::vector(text).iter().flat_map(|element| element.to_le_bytes()).collect();
            Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        assert_eq!(digest("the red foxes jump"), "36478e7fea4120ff957dfe46ed6df5d235fd533fcb9712f3646b0e548274ba51");
        assert_eq!(
            digest("Grüße, WELT-2 (α) — 漢字 naïve Ünïcode"),
            "ff2902e697af0f05349ec692070ef9bea7c13cdeb19e288934d8e63fb42e0ae5"
        );
    }
}
