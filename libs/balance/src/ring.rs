//! Consistent hashing on a ring (Karger et al., 1997): when an instance leaves or joins, only the keys near its points
//! move, on average the instance's own share of them.
//!
//! A table over the high bits of the key says where on the ring to begin, so that a look-up costs the same for ten and for
//! a thousand instances. A changed set merges the points that came into those that stay, instead of sorting all again.

use std::collections::HashSet;

use crate::{hash, mix};

/// Points per unit of weight: shares lie within some ten percent of each other (1 / √128).
const POINTS: u32 = 128;
/// Weights above this count as this.
const HEAVIEST: u32 = 16;

#[derive(Debug, Default)]
pub(crate) struct Ring {
    /// Sorted.
    points: Vec<(u64, u32)>,
    /// For each value of a key's high bits the first point that is not before them.
    starts: Vec<u32>,
    /// How far a key is shifted to get its high bits.
    shift: u32,
}

impl Ring {
    /// The ring of `members` (index, key, weight). `kept` says for each index of `previous` which index the member has
    /// now, if it is here with the same weight.
    pub(crate) fn new<'a>(
        members: impl Iterator<Item = (u32, &'a str, u32)>,
        previous: Option<(&Self, &[Option<u32>])>,
    ) -> Self {
        let mut stay = Vec::new();
        let mut known = HashSet::new();
        if let Some((ring, kept)) = previous.filter(|(ring, _)| !ring.points.is_empty()) {
            let place = |index: u32| kept.get(index as usize).copied().flatten();
            stay.extend(ring.points.iter().filter_map(|(point, index)| Some((*point, place(*index)?))));
            known.extend(kept.iter().flatten().copied());
        }
        let mut fresh: Vec<(u64, u32)> = members
            .filter(|(index, ..)| !known.contains(index))
            .flat_map(|(index, key, weight)| points(index, key, weight))
            .collect();
        fresh.sort_unstable();
        Self::of(merged(stay, fresh))
    }

    fn of(points: Vec<(u64, u32)>) -> Self {
        let bits = points.len().next_power_of_two().trailing_zeros().max(1);
        let shift = u64::BITS - bits;
        let mut starts = Vec::with_capacity((1 << bits) + 1);
        for (number, (point, _)) in (0..).zip(&points) {
            // The point's own bucket begins here, and so do all empty ones before it.
            let bucket = usize::try_from(point >> shift).unwrap_or(usize::MAX);
            while starts.len() <= bucket {
                starts.push(number);
            }
        }
        Self { points, starts, shift }
    }

    /// Members in the order in which a key falls to them; the same one may come more than once.
    pub(crate) fn from(&self, key: u64) -> impl Iterator<Item = usize> + '_ {
        let bucket = usize::try_from(key >> self.shift.min(63)).unwrap_or(usize::MAX);
        let first = self.starts.get(bucket).map_or(self.points.len(), |start| *start as usize);
        let start = first + self.points[first..].iter().take_while(|(point, _)| *point < key).count();
        self.points[start..].iter().chain(&self.points[..start]).map(|(_, index)| *index as usize)
    }
}

fn points(index: u32, key: &str, weight: u32) -> impl Iterator<Item = (u64, u32)> {
    let base = hash(key.as_bytes());
    let count = POINTS * weight.min(HEAVIEST);
    (0..count).map(move |point| (mix(base.wrapping_add(u64::from(point).wrapping_mul(0x9e37_79b9_7f4a_7c15))), index))
}

fn merged(stay: Vec<(u64, u32)>, fresh: Vec<(u64, u32)>) -> Vec<(u64, u32)> {
    if fresh.is_empty() {
        return stay;
    }
    let mut all = Vec::with_capacity(stay.len() + fresh.len());
    let mut stay = stay.into_iter().peekable();
    for point in fresh {
        while let Some(before) = stay.next_if(|other| *other < point) {
            all.push(before);
        }
        all.push(point);
    }
    all.extend(stay);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(keys: &[&str], previous: Option<(&Ring, &[Option<u32>])>) -> Ring {
        Ring::new((0..).zip(keys).map(|(index, key)| (index, *key, 1)), previous)
    }

    #[test]
    fn a_merged_ring_is_the_ring_built_anew() {
        let before = ring(&["a", "b", "c", "d"], None);
        let merged = ring(&["d", "e", "a", "b"], Some((&before, &[Some(2), Some(3), None, Some(0)])));
        assert_eq!(merged.points, ring(&["d", "e", "a", "b"], None).points);
    }

    #[test]
    fn the_table_of_starts_finds_what_a_search_finds() {
        let ring = ring(&["a", "b", "c"], None);
        for key in (0..10_000).map(mix).chain([0, u64::MAX, ring.points[0].0, ring.points[7].0]) {
            let start = ring.points.partition_point(|(point, _)| *point < key) % ring.points.len();
            assert_eq!(ring.from(key).next(), Some(ring.points[start].1 as usize), "key {key}");
        }
        assert_eq!(Ring::default().from(5).next(), None);
        assert_eq!(Ring::of(Vec::new()).from(5).next(), None);
    }
}
