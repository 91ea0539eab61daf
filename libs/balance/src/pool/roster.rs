//! Instances to choose among, in the orders that choosing needs: made once per set, so that a choice need not look at all.

use crate::{Member, ring::Ring};

/// Weights are brought down to this, so that one turn of all stays short.
const MOST_TURNS: u32 = 64;

/// The usable members of a pool, or those of them in one zone.
#[derive(Debug, Default)]
pub(super) struct Roster {
    /// Each member's index as often as its weight, spread out: in turn it is smooth, drawn from it is fair.
    pub(super) turns: Vec<u32>,
    /// Empty unless the policy is consistent hashing.
    pub(super) ring: Ring,
    /// How many there are.
    pub(super) count: usize,
    /// The sum of their weights.
    pub(super) weight: u64,
}

impl Roster {
    /// The roster of the members at `indexes`; `ring` builds the ring of them.
    pub(super) fn new(members: &[Member], indexes: &[u32], ring: Ring) -> Self {
        let weights: Vec<(u32, u32)> = indexes.iter().map(|index| (*index, members[*index as usize].weight)).collect();
        let weight = weights.iter().map(|(_, weight)| u64::from(*weight)).sum();
        Self { turns: turns(weights), ring, count: indexes.len(), weight }
    }
}

/// Each index as often as its weight and as far from itself as can be: its k-th place is at (k + ½) / weight of the turn
/// (earliest deadline first, which spreads as nginx's smooth weighted round robin does and needs one sort).
fn turns(mut weights: Vec<(u32, u32)>) -> Vec<u32> {
    let heaviest = weights.iter().map(|(_, weight)| *weight).max().unwrap_or(0);
    if heaviest > MOST_TURNS {
        for (_, weight) in &mut weights {
            let scaled = (u64::from(*weight) * u64::from(MOST_TURNS) + u64::from(heaviest) / 2) / u64::from(heaviest);
            *weight = u32::try_from(scaled).unwrap_or(MOST_TURNS).max(1);
        }
    }
    let divisor = weights.iter().fold(0, |divisor, (_, weight)| common_divisor(divisor, *weight)).max(1);
    weights.iter_mut().for_each(|(_, weight)| *weight /= divisor);
    if weights.iter().all(|(_, weight)| *weight == 1) {
        return weights.into_iter().map(|(index, _)| index).collect();
    }
    let places = weights.iter().flat_map(|(index, weight)| {
        (0..*weight).map(move |turn| ((u64::from(2 * turn + 1) << 32) / u64::from(2 * weight), *index))
    });
    let mut places: Vec<(u64, u32)> = places.collect();
    places.sort_unstable();
    places.into_iter().map(|(_, index)| index).collect()
}

const fn common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(turns: &[u32], index: u32) -> usize {
        turns.iter().filter(|turn| **turn == index).count()
    }

    #[test]
    fn turns_follow_the_weights_and_are_spread_out() {
        let turns = turns(vec![(0, 5), (1, 1), (2, 2)]);
        assert_eq!([0, 1, 2].map(|index| count(&turns, index)), [5, 1, 2]);
        let longest = turns.chunk_by(|a, b| a == b).map(<[u32]>::len).max();
        assert!(longest <= Some(2), "{turns:?}");
    }

    #[test]
    fn great_weights_keep_their_ratio_and_common_ones_cost_nothing() {
        let great = turns(vec![(0, 3000), (1, 1000), (2, 1)]);
        assert_eq!([0, 1, 2].map(|index| count(&great, index)), [64, 21, 1]);
        assert_eq!(turns(vec![(4, 100), (7, 100)]), [4, 7]);
        assert!(turns(Vec::new()).is_empty());
    }
}
