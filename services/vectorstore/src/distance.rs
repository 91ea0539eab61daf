//! Two vectors → how near they are, in the metric's own terms.
//!
//! Stored vectors are read as little-endian bytes straight from the map of the store: nothing is copied, and the eight running
//! sums let the compiler use the machine's vector instructions without any unsafe code of ours.

use std::cmp::Ordering;

use crate::model::Metric;

/// A vector prepared for many comparisons.
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    metric: Metric,
    vector: Vec<f32>,
    norm: f32,
}

impl Probe {
    pub(crate) fn new(metric: Metric, vector: &[f32]) -> Self {
        Self { metric, vector: vector.to_vec(), norm: norm(vector) }
    }

    /// The score of a stored vector ([`encode`]).
    pub(crate) fn score(&self, stored: &[u8]) -> f32 {
        let Some((head, body)) = stored.split_first_chunk::<4>() else { return 0.0 };
        match self.metric {
            Metric::Dot => self.dot(body),
            Metric::Euclidean => self.squares(body).sqrt(),
            Metric::Cosine => {
                let norms = self.norm * f32::from_le_bytes(*head);
                if norms > f32::MIN_POSITIVE { (self.dot(body) / norms).clamp(-1.0, 1.0) } else { 0.0 }
            }
        }
    }

    fn dot(&self, body: &[u8]) -> f32 {
        self.sum(body, |mine, theirs| mine * theirs)
    }

    fn squares(&self, body: &[u8]) -> f32 {
        self.sum(body, |mine, theirs| (mine - theirs) * (mine - theirs))
    }

    fn sum(&self, body: &[u8], term: impl Fn(f32, f32) -> f32) -> f32 {
        let mut sums = [0.0_f32; 8];
        let (mine, my_rest) = self.vector.as_chunks::<8>();
        let (theirs, their_rest) = body.as_chunks::<32>();
        for (mine, theirs) in mine.iter().zip(theirs) {
            let (theirs, _) = theirs.as_chunks::<4>();
            for lane in 0..8 {
                sums[lane] += term(mine[lane], f32::from_le_bytes(theirs[lane]));
            }
        }
        let rest = my_rest.iter().zip(their_rest.as_chunks::<4>().0);
        sums.iter().sum::<f32>() + rest.map(|(mine, theirs)| term(*mine, f32::from_le_bytes(*theirs))).sum::<f32>()
    }
}

/// A vector as it is stored: its norm, then its elements.
pub(crate) fn encode(vector: &[f32]) -> Vec<u8> {
    let mut out = Vec::with_capacity(4 + 4 * vector.len());
    out.extend_from_slice(&norm(vector).to_le_bytes());
    vector.iter().for_each(|element| out.extend_from_slice(&element.to_le_bytes()));
    out
}

/// The vector of stored bytes.
pub(crate) fn decode(stored: &[u8]) -> Vec<f32> {
    let (elements, _) = stored.get(4..).unwrap_or_default().as_chunks::<4>();
    elements.iter().map(|element| f32::from_le_bytes(*element)).collect()
}

/// The score of two plain vectors.
pub(crate) fn score(metric: Metric, a: &[f32], b: &[f32]) -> f32 {
    Probe::new(metric, a).score(&encode(b))
}

/// Orders scores, the nearest first.
pub(crate) fn nearer(metric: Metric, a: f32, b: f32) -> Ordering {
    match metric {
        Metric::Euclidean => a.total_cmp(&b),
        Metric::Cosine | Metric::Dot => b.total_cmp(&a),
    }
}

/// The Euclidean length.
pub(crate) fn norm(vector: &[f32]) -> f32 {
    vector.iter().map(|element| element * element).sum::<f32>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_what_its_definition_says() {
        let a: Vec<f32> = (0..19_u8).map(f32::from).collect();
        let b: Vec<f32> = (0..19_u8).map(|n| f32::from(n % 3)).collect();
        let dot: f32 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
        assert!((score(Metric::Dot, &a, &b) - dot).abs() < 1e-3);
        assert!((score(Metric::Cosine, &a, &a) - 1.0).abs() < 1e-6);
        assert!(score(Metric::Euclidean, &a, &a).abs() < 1e-6);
        assert!(score(Metric::Cosine, &a, &[0.0; 19]).abs() < 1e-6, "nothing is near to nothing");
        assert_eq!(decode(&encode(&a)), a);
    }
}
