//! Vectors → short codes that the graph compares: eight bits or one bit of each number.
//!
//! Codes are small enough to lie in memory and quick to compare; whatever they find is scored again by the exact vectors, so that
//! they decide what is looked at and never what a score is. Vectors are moved by a common centre first: distances do not change by
//! that, and the few bits are spent on what tells vectors apart.

use weft_embed::normalise;

/// What a graph compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) dimensions: usize,
    /// Vectors count by their direction alone.
    pub(super) turned: bool,
    /// One bit of each number instead of eight.
    pub(super) bits: bool,
}

/// The codes of all points of a graph, by slot.
#[derive(Debug)]
pub(super) struct Codes {
    pub(super) shape: Shape,
    pub(super) centre: Vec<f32>,
    /// `dimensions` eight-bit numbers for each slot.
    pub(super) bytes: Vec<i8>,
    /// What one step of a slot's numbers is worth, and the square of its length.
    pub(super) facts: Vec<(f32, f32)>,
    /// The signs of a slot's numbers.
    pub(super) words: Vec<u64>,
}

/// The code of one vector.
#[derive(Debug, Clone)]
pub(super) enum Code {
    Bytes(Vec<i8>, (f32, f32)),
    Words(Vec<u64>),
}

impl Shape {
    /// Words that hold the signs of one vector.
    pub(super) fn words(self) -> usize {
        self.dimensions.div_ceil(64)
    }
}

impl Codes {
    /// Codes around the mean of some vectors.
    pub(super) fn around(shape: Shape, sample: &[Vec<f32>]) -> Self {
        let mut centre = vec![0.0_f32; shape.dimensions];
        #[expect(clippy::cast_precision_loss, reason = "a sample has thousands")]
        let share = 1.0 / sample.len().max(1) as f32;
        for vector in sample {
            let vector = turned(shape, vector);
            centre.iter_mut().zip(&vector).for_each(|(sum, element)| *sum += element * share);
        }
        Self { shape, centre, bytes: Vec::new(), facts: Vec::new(), words: Vec::new() }
    }

    /// The code of a vector.
    pub(super) fn code(&self, vector: &[f32]) -> Code {
        let mut moved = turned(self.shape, vector);
        moved.iter_mut().zip(&self.centre).for_each(|(element, centre)| *element -= centre);
        if self.shape.bits {
            let word = |part: &[f32]| part.iter().enumerate().map(|(at, one)| u64::from(*one > 0.0) << at).sum();
            return Code::Words(moved.chunks(64).map(word).collect());
        }
        let most = moved.iter().fold(0.0_f32, |most, element| most.max(element.abs()));
        let step = if most > 0.0 { most / 127.0 } else { 1.0 };
        #[expect(clippy::cast_possible_truncation, reason = "rounded, and at most 127 by the choice of the step")]
        let bytes = moved.iter().map(|element| (element / step).round() as i8).collect();
        Code::Bytes(bytes, (step, moved.iter().map(|element| element * element).sum()))
    }

    /// Appends a slot.
    pub(super) fn push(&mut self, code: Code) {
        match code {
            Code::Bytes(bytes, facts) => {
                self.bytes.extend(bytes);
                self.facts.push(facts);
            }
            Code::Words(words) => self.words.extend(words),
        }
    }

    /// How far a code is from a slot: something that grows with the distance.
    pub(super) fn far(&self, code: &Code, slot: u32) -> f32 {
        match code {
            Code::Bytes(bytes, facts) => {
                let (theirs, their_facts) = self.bytes_of(slot);
                squares(bytes, *facts, theirs, their_facts)
            }
            Code::Words(words) => differing(words, self.words_of(slot)),
        }
    }

    /// How far two slots are from each other.
    pub(super) fn between(&self, a: u32, b: u32) -> f32 {
        if self.shape.bits {
            return differing(self.words_of(a), self.words_of(b));
        }
        let ((mine, my_facts), (theirs, their_facts)) = (self.bytes_of(a), self.bytes_of(b));
        squares(mine, my_facts, theirs, their_facts)
    }

    fn bytes_of(&self, slot: u32) -> (&[i8], (f32, f32)) {
        let (at, length) = (slot as usize, self.shape.dimensions);
        (&self.bytes[at * length..(at + 1) * length], self.facts[at])
    }

    fn words_of(&self, slot: u32) -> &[u64] {
        let (at, length) = (slot as usize, self.shape.words());
        &self.words[at * length..(at + 1) * length]
    }
}

fn turned(shape: Shape, vector: &[f32]) -> Vec<f32> {
    let mut vector = vector.to_vec();
    if shape.turned {
        normalise(&mut vector);
    }
    vector
}

/// The square of the distance of two vectors, by their codes: |a|² + |b|² − 2ab.
#[expect(clippy::cast_precision_loss, reason = "at most 4,096 products of two seven-bit numbers")]
fn squares(a: &[i8], (step_a, square_a): (f32, f32), b: &[i8], (step_b, square_b): (f32, f32)) -> f32 {
    let dot: i32 = a.iter().zip(b).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum();
    square_a + square_b - 2.0 * step_a * step_b * dot as f32
}

#[expect(clippy::cast_precision_loss, reason = "at most 4,096")]
fn differing(a: &[u64], b: &[u64]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum::<u32>() as f32
}
