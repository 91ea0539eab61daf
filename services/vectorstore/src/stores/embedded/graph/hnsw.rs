//! Codes → a navigable graph, and the slots nearest to a code.
//!
//! HNSW (Malkov and Yashunin 2016): every point is linked with near ones, a few of them also on sparser levels above, and a search
//! walks from the top towards what it looks for. Choosing links happens apart from setting them: a builder looks for the links of
//! the next point while others search, and they wait only for the moment in which the links are set.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
};

use roaring::RoaringBitmap;

use super::{
    codes::{Code, Codes},
    order::Near,
};

/// The highest level there can be.
const LEVELS: usize = 16;
/// Steps between two looks at whether anyone still waits.
const OFTEN: usize = 256;

/// The graph.
#[derive(Debug)]
pub(super) struct Hnsw {
    pub(super) codes: Codes,
    pub(super) width: Width,
    /// The number of the point in each slot; they only grow.
    pub(super) numbers: Vec<u32>,
    /// For each slot the count of its links on the lowest level, and the links.
    pub(super) links: Vec<u32>,
    /// The links of slots on higher levels, level 1 first.
    pub(super) upper: HashMap<u32, Vec<Vec<u32>>>,
    /// Where searches begin: a slot, and its level.
    pub(super) entry: Option<(u32, usize)>,
}

/// How many links points have, and how many are looked at to choose them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Width {
    /// Links of a new point on each level; on the lowest it may come to have twice as many.
    pub(super) links: usize,
    pub(super) looked_at: usize,
}

/// What to walk for: how many slots, and of which points.
#[derive(Clone, Copy)]
struct Walk<'a> {
    /// The slot that the code has or will have; 0 for none.
    from: u32,
    level: usize,
    count: usize,
    wanted: Option<&'a RoaringBitmap>,
    stopped: &'a dyn Fn() -> bool,
}

/// The links of a point that is not in the graph yet.
pub(super) struct Placed {
    number: u32,
    code: Code,
    /// By level, the lowest first.
    links: Vec<Vec<u32>>,
    /// The links of others that change with it: level, slot, all its links.
    others: Vec<(usize, u32, Vec<u32>)>,
}

impl Hnsw {
    pub(super) fn new(codes: Codes, width: Width) -> Self {
        Self { codes, width, numbers: Vec::new(), links: Vec::new(), upper: HashMap::new(), entry: None }
    }

    /// The numbers of the points nearest to a code among `wanted`, nearest first; `None` when nobody waits any more.
    pub(super) fn search(
        &self,
        code: &Code,
        count: usize,
        wanted: &RoaringBitmap,
        stopped: &dyn Fn() -> bool,
    ) -> Option<Vec<u32>> {
        let Some((entry, top)) = self.entry else { return Some(Vec::new()) };
        let entry = self.descend(code, entry, top, 0);
        let walk = Walk { from: 0, level: 0, count, wanted: Some(wanted), stopped };
        let found = self.walk(code, &[entry], walk)?;
        Some(found.into_iter().map(|near| self.numbers[near.slot as usize]).collect())
    }

    /// Chooses the links of a new point.
    pub(super) fn place(&self, number: u32, vector: &[f32]) -> Placed {
        let code = self.codes.code(vector);
        let mut placed = Placed {
            number,
            links: vec![Vec::new(); level_of(number, self.width.links) + 1],
            others: Vec::new(),
            code,
        };
        let Some((entry, top)) = self.entry else { return placed };
        let own = placed.links.len() - 1;
        let mut begin = vec![self.descend(&placed.code, entry, top, own)];
        for level in (0..=own.min(top)).rev() {
            let walk = Walk { from: self.next(), level, count: self.width.looked_at, wanted: None, stopped: &|| false };
            let found = self.walk(&placed.code, &begin, walk).unwrap_or_default();
            let chosen = self.choose(&found, self.width.links);
            for near in &chosen {
                let other = self.joined(level, *near);
                placed.others.push((level, near.slot, other));
            }
            placed.links[level] = chosen.iter().map(|near| near.slot).collect();
            begin = found.iter().map(|near| near.slot).collect();
        }
        placed
    }

    /// Sets the links of a new point.
    pub(super) fn link(&mut self, placed: Placed) {
        let Ok(slot) = u32::try_from(self.numbers.len()) else { return };
        let level = placed.links.len() - 1;
        self.numbers.push(placed.number);
        self.codes.push(placed.code);
        self.links.resize(self.links.len() + self.row(), 0);
        if level > 0 {
            self.upper.insert(slot, vec![Vec::new(); level]);
        }
        for (level, links) in placed.links.into_iter().enumerate() {
            self.set(level, slot, &links);
        }
        for (level, other, links) in placed.others {
            self.set(level, other, &links);
        }
        if self.entry.is_none_or(|(_, top)| level > top) {
            self.entry = Some((slot, level));
        }
    }

    /// Numbers of one slot in `links`.
    pub(super) fn row(&self) -> usize {
        2 * self.width.links + 1
    }

    /// The slot that the next point gets.
    fn next(&self) -> u32 {
        u32::try_from(self.numbers.len()).unwrap_or(u32::MAX)
    }

    fn most(&self, level: usize) -> usize {
        if level == 0 { 2 * self.width.links } else { self.width.links }
    }

    fn links_of(&self, level: usize, slot: u32) -> &[u32] {
        if level == 0 {
            let row = &self.links[slot as usize * self.row()..][..self.row()];
            return &row[1..=row[0] as usize];
        }
        self.upper.get(&slot).and_then(|levels| levels.get(level - 1)).map_or(&[], Vec::as_slice)
    }

    fn set(&mut self, level: usize, slot: u32, links: &[u32]) {
        if level == 0 {
            let row = self.row();
            let row = &mut self.links[slot as usize * row..][..row];
            row[0] = u32::try_from(links.len()).unwrap_or_default();
            row[1..=links.len()].copy_from_slice(links);
        } else if let Some(place) = self.upper.get_mut(&slot).and_then(|levels| levels.get_mut(level - 1)) {
            *place = links.to_vec();
        }
    }

    /// The links of a slot when it is also linked with the next new one. A full row is thinned by a quarter, so that it is
    /// not full again with the next link.
    fn joined(&self, level: usize, near: Near) -> Vec<u32> {
        let next = self.next();
        let links = self.links_of(level, near.slot);
        if links.len() < self.most(level) {
            return links.iter().copied().chain([next]).collect();
        }
        let mut all: Vec<Near> =
            links.iter().map(|slot| Near::new(near.slot, *slot, self.codes.between(near.slot, *slot))).collect();
        all.sort_unstable();
        let most = (self.most(level) * 3 / 4).max(2);
        let mut kept: Vec<u32> = self.choose(&all, most - 1).into_iter().map(|near| near.slot).collect();
        kept.push(next);
        kept
    }

    /// Of the nearest, those that lie in different directions: one that is nearer to a chosen one than to the point itself can be
    /// reached by that one. Places that are left are given to the nearest of the others.
    fn choose(&self, found: &[Near], most: usize) -> Vec<Near> {
        let (mut chosen, mut others): (Vec<Near>, Vec<Near>) = (Vec::with_capacity(most), Vec::new());
        for near in found {
            if chosen.len() == most {
                return chosen;
            }
            let hidden = chosen.iter().any(|other| self.codes.between(near.slot, other.slot) < near.far);
            if hidden { others.push(*near) } else { chosen.push(*near) }
        }
        let left = (most / 2).saturating_sub(chosen.len());
        chosen.extend(others.into_iter().take(left));
        chosen
    }

    /// The nearest slot of the level above `to` that steps to ever nearer ones lead to.
    fn descend(&self, code: &Code, entry: u32, top: usize, to: usize) -> u32 {
        let mut here = Near::new(0, entry, self.codes.far(code, entry));
        for level in (to + 1..=top).rev() {
            loop {
                let links = self.links_of(level, here.slot).iter();
                let nearest = links.map(|slot| Near::new(0, *slot, self.codes.far(code, *slot))).min();
                match nearest {
                    Some(nearest) if nearest.far < here.far => here = nearest,
                    _ => break,
                }
            }
        }
        here.slot
    }

    /// The slots nearest to a code that a walk from `begin` finds, nearest first.
    fn walk(&self, code: &Code, begin: &[u32], walk: Walk<'_>) -> Option<Vec<Near>> {
        let mut seen = vec![0_u64; self.numbers.len().div_ceil(64)];
        let mut is_new = |slot: u32| {
            let (word, bit) = (slot as usize / 64, 1_u64 << (slot % 64));
            let was = seen[word] & bit != 0;
            seen[word] |= bit;
            !was
        };
        let (mut ahead, mut found) = (BinaryHeap::new(), BinaryHeap::with_capacity(walk.count + 1));
        let meet = |slot: u32, ahead: &mut BinaryHeap<Reverse<Near>>, found: &mut BinaryHeap<Near>| {
            let near = Near::new(walk.from, slot, self.codes.far(code, slot));
            if found.len() >= walk.count && found.peek().is_some_and(|worst| near.far >= worst.far) {
                return;
            }
            ahead.push(Reverse(near));
            if walk.wanted.is_none_or(|wanted| wanted.contains(self.numbers[slot as usize])) {
                found.push(near);
                if found.len() > walk.count {
                    found.pop();
                }
            }
        };
        for slot in begin {
            if is_new(*slot) {
                meet(*slot, &mut ahead, &mut found);
            }
        }
        let mut steps = 0_usize;
        while let Some(Reverse(near)) = ahead.pop() {
            if found.len() >= walk.count && found.peek().is_some_and(|worst| near.far > worst.far) {
                break;
            }
            steps += 1;
            if steps.is_multiple_of(OFTEN) && (walk.stopped)() {
                return None;
            }
            for slot in self.links_of(walk.level, near.slot) {
                if is_new(*slot) {
                    meet(*slot, &mut ahead, &mut found);
                }
            }
        }
        Some(found.into_sorted_vec())
    }
}

/// The level of a point: each has a share of 1 / `links` of the one below. The same number has the same level always (SplitMix64).
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "53 bits, and few levels"
)]
fn level_of(number: u32, links: usize) -> usize {
    let mut mixed = u64::from(number).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let share = (((mixed ^ (mixed >> 31)) >> 11) as f64 + 1.0) / (1_u64 << 53) as f64;
    ((-share.ln() / (links.max(2) as f64).ln()) as usize).min(LEVELS)
}
