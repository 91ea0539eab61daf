//! From a set of members to a pool: what is known of those that stay is taken over, and the orders of choosing are made.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, atomic::Ordering::Relaxed},
};

use super::{Config, Member, Pool, Roster, Shared, State};
use crate::{Policy, Time, breaker::Breaker, hash, load::Load, mix, nanos, ring::Ring};

impl Pool {
    /// A pool of `members`; those that `previous` had too keep their state. It takes the place of `previous`, which may
    /// finish the calls that it began and, for a moment, begin more.
    ///
    /// Members that the registry calls healthy again begin with an admitting breaker. When so many left that more than half
    /// of the others are blocked, the first due of these are admitted.
    pub fn build(config: &Config, members: Vec<Member>, previous: Option<&Self>, now: Time) -> Self {
        let shared = previous.map_or_else(|| Arc::new(Shared::new(config.seed)), |pool| Arc::clone(&pool.shared));
        let known: Known<'_> = previous
            .map(|pool| pool.members.iter().map(|member| member.key.as_str()).zip(&pool.states).collect())
            .unwrap_or_default();
        let states = states(config, &members, &known, (&shared, now));
        retire(previous, &members, &shared);
        let usable: Vec<u32> =
            (0..).zip(&members).filter_map(|(index, member)| member.is_usable().then_some(index)).collect();
        let near: Vec<u32> = usable.iter().copied().filter(|index| states[*index as usize].near).collect();
        let is_part = !near.is_empty() && near.len() < usable.len();
        let before = previous.filter(|pool| pool.config.policy == config.policy && pool.config.zone == config.zone);
        let with_ring = before.filter(|_| config.policy == Policy::ConsistentHash);
        let kept = with_ring.map(|pool| kept(pool, &members)).unwrap_or_default();
        let roster = |indexes: &[u32], had: Option<&Roster>| {
            let ring = match config.policy {
                Policy::ConsistentHash => ring(&members, indexes, had.map(|roster| (&roster.ring, kept.as_slice()))),
                _ => Ring::default(),
            };
            Roster::new(&members, indexes, ring)
        };
        let all = roster(&usable, before.map(|pool| &pool.all));
        let near = is_part.then(|| roster(&near, before.and_then(|pool| pool.near.as_ref())));
        let pool = Self { config: config.clone(), members, states, all, near, shared };
        pool.settle(now);
        pool
    }

    /// Brings the ledger in line with the new set.
    fn settle(&self, now: Time) {
        let ledger = &self.shared.ledger;
        ledger.resize(self.all.count);
        while ledger.is_over() {
            let due = |state: &&Arc<State>| state.breaker.due();
            let first = self.states.iter().filter(|state| due(state).is_some()).min_by_key(due);
            if !first.is_some_and(|state| self.admit(state, now)) {
                break;
            }
        }
        if ledger.is_only() {
            let soon = now + self.config.breaker.first;
            self.states.iter().for_each(|state| state.breaker.hasten(soon, ledger));
        }
    }

    fn admit(&self, state: &State, now: Time) -> bool {
        let ended = state.breaker.admit(now, &self.shared.ledger);
        if ended {
            state.load.renew(now, state.load.average(now));
        }
        ended
    }
}

/// The members of the pool before, by key.
type Known<'a> = HashMap<&'a str, &'a Arc<State>>;

fn states(config: &Config, members: &[Member], known: &Known<'_>, (shared, now): (&Shared, Time)) -> Vec<Arc<State>> {
    // The first members of a service are not new to a working service: they get their full share at once.
    let is_first = known.is_empty();
    let began = if is_first { Time(now.0.saturating_sub(nanos(config.slow_start))) } else { now };
    let usual = shared.usual.load(Relaxed);
    let mut states = Vec::with_capacity(members.len());
    for member in members {
        let near = config.zone.is_some() && member.zone == config.zone;
        let state = match known.get(member.key.as_str()).filter(|state| state.near == near) {
            Some(state) => Arc::clone(state),
            None => Arc::new(State {
                load: Load::new(began, usual),
                breaker: Breaker::default(),
                seed: mix(config.seed ^ hash(member.key.as_bytes())),
                near,
            }),
        };
        if !member.is_usable() {
            state.breaker.retire(&shared.ledger);
        } else if state.breaker.revive() {
            state.load.renew(now, usual);
        }
        states.push(state);
    }
    states
}

/// Those that left hold nothing in the ledger any more.
fn retire(previous: Option<&Pool>, members: &[Member], shared: &Shared) {
    let Some(pool) = previous else { return };
    let stays: HashSet<&str> = members.iter().map(|member| member.key.as_str()).collect();
    let gone = pool.members.iter().zip(&pool.states).filter(|(member, _)| !stays.contains(member.key.as_str()));
    gone.for_each(|(_, state)| state.breaker.retire(&shared.ledger));
}

/// For each index of `before` the index now, of members whose points on a ring are the same.
fn kept(before: &Pool, members: &[Member]) -> Vec<Option<u32>> {
    let now: HashMap<&str, (u32, &Member)> =
        (0..).zip(members).map(|(index, member)| (member.key.as_str(), (index, member))).collect();
    let same = |was: &Member| {
        let (index, is) = *now.get(was.key.as_str())?;
        (was.is_usable() && is.is_usable() && was.weight == is.weight && was.zone == is.zone).then_some(index)
    };
    before.members.iter().map(same).collect()
}

fn ring(members: &[Member], indexes: &[u32], previous: Option<(&Ring, &[Option<u32>])>) -> Ring {
    let listed = |index: &u32| {
        let member = &members[*index as usize];
        (*index, member.key.as_str(), member.weight)
    };
    Ring::new(indexes.iter().map(listed), previous)
}
