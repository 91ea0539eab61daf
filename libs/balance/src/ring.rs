//! Consistent hashing on a ring: when an instance leaves or joins, only the keys near its points move.

use crate::{hash, mix};

/// Points per unit of weight: enough for shares within some percent of each other.
const POINTS: u32 = 128;

#[derive(Debug, Default)]
pub(crate) struct Ring {
    points: Vec<(u64, u32)>,
}

impl Ring {
    pub(crate) fn new<'a>(members: impl Iterator<Item = (&'a str, u32)>) -> Self {
        let mut points = Vec::new();
        for (index, (key, weight)) in members.enumerate() {
            let base = hash(key.as_bytes());
            let count = POINTS.saturating_mul(weight.min(16));
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            points
                .extend((0..count).map(|point| {
                    (mix(base.wrapping_add(u64::from(point).wrapping_mul(0x9e37_79b9_7f4a_7c15))), index)
                }));
        }
        points.sort_unstable();
        Self { points }
    }

    /// Members in the order in which a key falls to them; the same one may come more than once.
    pub(crate) fn from(&self, key: u64) -> impl Iterator<Item = usize> + '_ {
        let start = self.points.partition_point(|(point, _)| *point < key);
        self.points[start..].iter().chain(&self.points[..start]).map(|(_, index)| *index as usize)
    }
}
