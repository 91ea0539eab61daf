//! The choice: a due probe first, then the policy, in the preferred zone while that can take calls, then everywhere.
//!
//! No policy looks at all members while most of them can be used: each tries a few places of its own order and falls back
//! to a search only when these are all taken. What rules a member out is the same for all: its breaker, its wish to be left
//! alone, this call's earlier attempts, and for one that is new, chance, less and less.

use std::sync::atomic::Ordering::Relaxed;

use super::{NoInstance, Pick, Pool, Roster};
use crate::{Policy, Time, mix, nanos};

/// Places drawn or walked before a search: at most half of the members are blocked, so that 16 draws fail once in 65,000.
const TRIES: usize = 16;
/// Points of the ring walked before the bound is given up.
const WALK: usize = 256;
/// A new member begins with one call in so many of its share.
const SLOWEST: u64 = 10;

/// One call's wishes.
#[derive(Clone, Copy)]
struct Ask<'a> {
    now: Time,
    tried: &'a [usize],
}

/// A sequence of random numbers from one (SplitMix64: Steele, Lea and Flood, 2014).
struct Draws(u64);

impl Draws {
    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Below `count`, each as likely.
    fn below(&mut self, count: usize) -> usize {
        usize::try_from((u128::from(self.next()) * count as u128) >> 64).unwrap_or(0)
    }
}

impl Pool {
    /// Chooses for a call; `draw` is a random number, `hash` the call's key, `tried` what it has tried already.
    pub fn pick(&self, now: Time, draw: u64, hash: Option<u64>, tried: &[usize]) -> Result<Pick, NoInstance> {
        let ask = Ask { now, tried };
        // An instance that is due to be probed gets the next call, whatever the policy: otherwise it never returns.
        if let Some(index) = self.due(ask) {
            return Ok(Pick { index, probe: true });
        }
        let mut draws = Draws(draw);
        let near = self.near.as_ref().filter(|near| !self.spills(near));
        let found = near
            .and_then(|near| self.choose(near, hash, &mut draws, ask))
            .or_else(|| self.choose(&self.all, hash, &mut draws, ask));
        found.map(|index| Pick { index, probe: false }).ok_or_else(|| self.why_none(ask))
    }

    /// A blocked member whose time has come. Looks at all, but only when one is known to be due.
    fn due(&self, ask: Ask<'_>) -> Option<usize> {
        let ledger = &self.shared.ledger;
        if !ledger.take_due(ask.now) {
            return None;
        }
        let (mut found, mut next) = (None, Time(u64::MAX));
        for (index, state) in self.states.iter().enumerate() {
            let Some(due) = state.breaker.due().map(|due| due.max(state.load.rests_until())) else { continue };
            let is_free = due <= ask.now && found.is_none() && !ask.tried.contains(&index);
            if is_free && state.breaker.take_probe(ask.now, &self.config.breaker) {
                found = Some(index);
                next = next.min(state.breaker.due().unwrap_or(next));
            } else {
                next = next.min(due);
            }
        }
        ledger.wake_at(next);
        found
    }

    /// True while the preferred zone has too much to do and others have less.
    #[expect(clippy::cast_precision_loss, reason = "counts of calls and members")]
    fn spills(&self, near: &Roster) -> bool {
        let mine = self.shared.near_in_flight.load(Relaxed);
        if mine <= u64::from(self.config.spill) * near.count as u64 {
            return false;
        }
        let theirs = self.shared.in_flight.load(Relaxed).saturating_sub(mine);
        let (near_weight, far_weight) = (near.weight as f64, (self.all.weight - near.weight) as f64);
        theirs as f64 * near_weight < mine as f64 * far_weight
    }

    fn choose(&self, among: &Roster, hash: Option<u64>, draws: &mut Draws, ask: Ask<'_>) -> Option<usize> {
        if among.count == 0 {
            return None;
        }
        match (self.config.policy, hash) {
            (Policy::RoundRobin, _) => self.in_turn(among, draws, ask),
            (Policy::ConsistentHash, Some(key)) => self.by_key(among, key, ask),
            _ => self.lighter(among, draws, ask),
        }
    }

    fn may_take(&self, index: usize, ask: Ask<'_>) -> bool {
        let state = &self.states[index];
        state.breaker.admits() && state.load.rests_until() <= ask.now && !ask.tried.contains(&index)
    }

    /// True when `chance`, a random number, is within the part of its share that a member has by now.
    fn is_ripe(&self, index: usize, now: Time, chance: u64) -> bool {
        let (age, ramp) = (self.states[index].load.age(now), nanos(self.config.slow_start));
        age >= ramp || chance % ramp < age.max(ramp / SLOWEST)
    }

    fn in_turn(&self, among: &Roster, draws: &mut Draws, ask: Ask<'_>) -> Option<usize> {
        let count = among.turns.len() as u64;
        let takes = |index: &usize| self.may_take(*index, ask) && self.is_ripe(*index, ask.now, draws.next());
        (0..4 * TRIES)
            .map(|_| self.shared.turn.fetch_add(1, Relaxed) % count)
            .map(|turn| among.turns[usize::try_from(turn).unwrap_or(0)] as usize)
            .find(takes)
            .or_else(|| self.seek(among, draws, ask))
    }

    /// Two drawn by weight, the lighter one taken. The same may be drawn twice, which is what keeps shares equal among
    /// equals when nothing is in flight; but a slow one is not taken without having been compared.
    fn lighter(&self, among: &Roster, draws: &mut Draws, ask: Ask<'_>) -> Option<usize> {
        let first = self.drawn(among, draws, ask)?;
        let mut second = self.drawn(among, draws, ask)?;
        if first == second && self.expected(first, ask.now) > 2 * self.shared.usual.load(Relaxed) {
            let others = (0..TRIES).filter_map(|_| self.drawn(among, draws, ask));
            second = { others }.find(|other| *other != first).unwrap_or(first);
        }
        if first == second {
            return Some(first);
        }
        let (a, b) = (self.cost(first, ask.now), self.cost(second, ask.now));
        Some(if b < a { second } else { first })
    }

    /// One that may take the call, drawn by weight.
    fn drawn(&self, among: &Roster, draws: &mut Draws, ask: Ask<'_>) -> Option<usize> {
        for _ in 0..TRIES {
            let index = among.turns[draws.below(among.turns.len())] as usize;
            if self.may_take(index, ask) && self.is_ripe(index, ask.now, draws.next()) {
                return Some(index);
            }
        }
        self.seek(among, draws, ask)
    }

    /// The key's first member on the ring that has room: no more than its share of the calls in flight, and some.
    fn by_key(&self, among: &Roster, key: u64, ask: Ask<'_>) -> Option<usize> {
        let room = self.room(among);
        // A new member takes keys one by one; each stays where it was until then.
        let takes = |index: &usize| {
            self.may_take(*index, ask) && self.is_ripe(*index, ask.now, mix(key ^ self.states[*index].seed))
        };
        let has_room = |index: &usize| self.states[*index].load.in_flight() < room(self.members[*index].weight);
        let walk = || among.ring.from(key).take(WALK);
        walk()
            .find(|index| takes(index) && has_room(index))
            .or_else(|| walk().find(takes))
            .or_else(|| self.seek(among, &mut Draws(key), ask))
    }

    /// How many calls a member of some weight may have in flight.
    #[expect(clippy::cast_precision_loss, reason = "counts of calls and members")]
    fn room(&self, among: &Roster) -> impl Fn(u32) -> u64 + use<> {
        let near = !std::ptr::eq(among, &raw const self.all);
        let in_flight = if near { &self.shared.near_in_flight } else { &self.shared.in_flight };
        let (members, blocked) = self.shared.ledger.counts();
        // What blocked members do not take, the others must.
        let more = members as f64 / members.saturating_sub(blocked).max(1) as f64;
        let most =
            (in_flight.load(Relaxed) + 1) as f64 * self.config.bound.max(1.0) * more / among.weight.max(1) as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
        move |weight| (most * f64::from(weight)).ceil() as u64
    }

    /// The first that may take the call, looking from a random place on: when draws have failed.
    fn seek(&self, among: &Roster, draws: &mut Draws, ask: Ask<'_>) -> Option<usize> {
        let (before, after) = among.turns.split_at(draws.below(among.turns.len()));
        after.iter().chain(before).map(|index| *index as usize).find(|index| self.may_take(*index, ask))
    }

    /// What one more call there is expected to take, in terms of its share.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    fn cost(&self, index: usize, now: Time) -> f64 {
        let queue = self.states[index].load.in_flight() as f64;
        let mean = self.all.weight as f64 / self.all.count.max(1) as f64;
        let share = f64::from(self.members[index].weight) / mean;
        self.expected(index, now) as f64 * (queue / share + 1.0)
    }

    /// Nanoseconds.
    fn expected(&self, index: usize, now: Time) -> u64 {
        self.states[index].load.expected(now, nanos(self.config.penalty))
    }

    fn why_none(&self, ask: Ask<'_>) -> NoInstance {
        let wait = |index: usize| {
            let state = &self.states[index];
            state.breaker.wait(ask.now, &self.config.breaker).max(state.load.rests_until().since(ask.now))
        };
        let usable = || (0..self.members.len()).filter(|index| self.members[*index].is_usable());
        match usable().filter(|index| !ask.tried.contains(index)).map(wait).min() {
            Some(retry_in) => NoInstance::AllBlocked { retry_in },
            None if usable().next().is_some() => NoInstance::AllTried,
            None => NoInstance::Empty,
        }
    }
}
