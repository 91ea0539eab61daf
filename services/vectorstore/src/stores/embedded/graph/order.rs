//! Slots in the order of their distance: what a walk keeps in its heaps.

use std::cmp::Ordering;

/// A slot, and how far it is from where one stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Near {
    pub(super) far: f32,
    /// Orders slots that are equally far, for everyone in another way: else all would link with the same few of many equal points.
    tie: u32,
    pub(super) slot: u32,
}

impl Near {
    pub(super) fn new(from: u32, slot: u32, far: f32) -> Self {
        Self { far, tie: (from ^ slot).wrapping_mul(0x9e37_79b1).rotate_left(15).wrapping_mul(0x85eb_ca77), slot }
    }
}

impl Eq for Near {}

impl PartialOrd for Near {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Near {
    fn cmp(&self, other: &Self) -> Ordering {
        self.far.total_cmp(&other.far).then_with(|| (self.tie, self.slot).cmp(&(other.tie, other.slot)))
    }
}
