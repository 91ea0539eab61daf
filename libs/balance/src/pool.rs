//! The instances of one service and the choice among them.
//!
//! A [`Pool`] is built anew when the set changes; members that stay keep what is known of them. The choice is one of three
//! policies over those that are healthy, admitted by their breaker and not tried yet.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::{
    Time,
    breaker::{Breaker, BreakerConfig, BreakerState},
    hash,
    load::Load,
    mix,
    ring::Ring,
};

/// How an instance is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// In turn, by weight.
    RoundRobin,
    /// The lighter of two drawn at random: peak EWMA latency × calls in flight (Mitzenmacher, "The power of two choices").
    #[default]
    LeastConnections,
    /// By key, on a ring, with bounded load (Mirrokni, Thorup and Zadimoghaddam, 2018).
    ConsistentHash,
}

/// How a pool behaves.
#[derive(Debug, Clone)]
pub struct Config {
    /// The policy.
    pub policy: Policy,
    /// The breakers.
    pub breaker: BreakerConfig,
    /// A new instance gets its full share only after this long.
    pub slow_start: Duration,
    /// Instances of this zone are preferred while they can take calls.
    pub zone: Option<String>,
    /// What a failure counts as latency, at least.
    pub penalty: Duration,
    /// No instance takes more than this many times the average load of a ring.
    pub bound: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            breaker: BreakerConfig::default(),
            slow_start: Duration::from_secs(5),
            zone: None,
            penalty: Duration::from_secs(1),
            bound: 1.25,
        }
    }
}

/// One instance, as the balancer knows it.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its name, the same for as long as it lives.
    pub key: String,
    /// Its share relative to others; 0 takes no calls.
    pub weight: u32,
    /// Where it runs.
    pub zone: Option<String>,
    /// The registry's opinion.
    pub healthy: bool,
}

/// A chosen instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pick {
    /// Its place in the pool.
    pub index: usize,
    /// This call decides whether the instance is admitted again.
    pub probe: bool,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The instance answered; an answer that says "the tool failed" is one.
    Success {
        /// Until the head of the answer.
        latency: Duration,
    },
    /// The instance did not answer as an instance should.
    Failure {
        /// Until that was known.
        latency: Duration,
        /// It asked to be left alone for so long.
        retry_after: Option<Duration>,
    },
    /// The caller gave up: nothing is learnt.
    Cancelled,
}

/// Why no instance can be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoInstance {
    /// There is none, or none is healthy.
    Empty,
    /// Breakers block all.
    AllBlocked {
        /// When the first may be probed.
        retry_in: Duration,
    },
    /// Each was tried for this call.
    AllTried,
}

/// A member's state for status pages.
#[derive(Debug, Clone, Copy)]
pub struct MemberState {
    /// Calls in flight.
    pub in_flight: u64,
    /// Smoothed latency.
    pub ewma: Duration,
    /// Its breaker.
    pub breaker: BreakerState,
}

#[derive(Debug)]
struct State {
    load: Load,
    breaker: Breaker,
    seed: u64,
}

/// The instances of a service.
#[derive(Debug)]
pub struct Pool {
    config: Config,
    members: Vec<Member>,
    states: Vec<Arc<State>>,
    /// Member indexes in the smooth order of their weights, for round robin.
    turns: Vec<u32>,
    turn: AtomicUsize,
    ring: Ring,
}

impl Pool {
    /// A pool of `members`; those that `previous` had too keep their state.
    pub fn build(config: &Config, members: Vec<Member>, previous: Option<&Self>, now: Time) -> Self {
        let known: HashMap<&str, &Arc<State>> = previous
            .map(|pool| pool.members.iter().map(|member| member.key.as_str()).zip(&pool.states).collect())
            .unwrap_or_default();
        // The first members of a service are not new to a working service: they get their full share at once.
        let first = previous.is_none_or(|pool| pool.members.is_empty());
        let born = if first { Time(now.0.saturating_sub(crate::nanos(config.slow_start))) } else { now };
        let fresh = |key: &str| {
            Arc::new(State { load: Load::new(born), breaker: Breaker::default(), seed: hash(key.as_bytes()) })
        };
        let states = members
            .iter()
            .map(|member| known.get(member.key.as_str()).map_or_else(|| fresh(&member.key), |state| Arc::clone(state)))
            .collect();
        let turns = if config.policy == Policy::RoundRobin { turns(&members) } else { Vec::new() };
        let ring = match config.policy {
            Policy::ConsistentHash => Ring::new(members.iter().map(|member| (member.key.as_str(), member.weight))),
            _ => Ring::default(),
        };
        let turn = AtomicUsize::new(previous.map_or(0, |pool| pool.turn.load(Relaxed)));
        Self { config: config.clone(), members, states, turns, turn, ring }
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// True without members.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The member at `index`.
    pub fn member(&self, index: usize) -> &Member {
        &self.members[index]
    }

    /// Chooses for a call; `draw` is a random number, `hash` the call's key, `tried` what it has tried already.
    pub fn pick(&self, now: Time, draw: u64, hash: Option<u64>, tried: &[usize]) -> Result<Pick, NoInstance> {
        // An instance that is due to be probed gets a call now and then, whatever the policy: otherwise it never returns.
        if let Some(index) = self.due(now, draw, tried) {
            return Ok(Pick { index, probe: true });
        }
        let found = match (self.config.policy, hash) {
            (Policy::RoundRobin, _) => self.in_turn(now, tried),
            (Policy::ConsistentHash, Some(key)) => self.by_key(now, key, tried),
            _ => self.lighter(now, draw, tried),
        };
        found.map(|index| Pick { index, probe: false }).ok_or_else(|| self.why_none(now, tried))
    }

    fn may_take(&self, index: usize, now: Time, tried: &[usize]) -> bool {
        let (member, state) = (&self.members[index], &self.states[index]);
        member.healthy
            && member.weight > 0
            && !state.breaker.is_blocked()
            && !state.load.is_resting(now)
            && !tried.contains(&index)
    }

    /// A blocked member whose time has come; found by drawing, so that it costs nothing when all is well.
    fn due(&self, now: Time, draw: u64, tried: &[usize]) -> Option<usize> {
        let count = self.members.len();
        let start = usize::try_from(mix(draw) % (count.max(1) as u64)).ok()?;
        (0..count.min(4)).map(|step| (start + step) % count).find(|index| {
            let state = &self.states[*index];
            self.members[*index].healthy
                && state.breaker.state(now) == BreakerState::Probes
                && !tried.contains(index)
                && state.breaker.take_probe()
        })
    }

    fn in_turn(&self, now: Time, tried: &[usize]) -> Option<usize> {
        let count = self.turns.len();
        (0..count.min(self.members.len() * 2 + 16))
            .map(|_| self.turns[self.turn.fetch_add(1, Relaxed) % count] as usize)
            .find(|index| self.may_take(*index, now, tried))
            .or_else(|| self.any(0, now, tried))
    }

    fn by_key(&self, now: Time, key: u64, tried: &[usize]) -> Option<usize> {
        let total: u64 = self.states.iter().map(|state| state.load.in_flight()).sum();
        #[expect(clippy::cast_precision_loss, reason = "counts of calls and members")]
        let average = (total + 1) as f64 / self.members.len().max(1) as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
        let most = (average * self.config.bound).ceil() as u64;
        let takes = |index: &usize| self.may_take(*index, now, tried);
        let walk = || self.ring.from(key).take(self.members.len() * 8 + 64);
        walk()
            .find(|index| takes(index) && self.states[*index].load.in_flight() < most)
            .or_else(|| walk().find(takes))
            .or_else(|| self.any(0, now, tried))
    }

    /// Two drawn at random, the lighter one taken; with a zone, two of it first.
    fn lighter(&self, now: Time, draw: u64, tried: &[usize]) -> Option<usize> {
        let count = self.members.len() as u64;
        if count == 0 {
            return None;
        }
        let at = |number: u64| usize::try_from(number % count).unwrap_or(0);
        let first = self.any(at(draw), now, tried)?;
        let second = self.any(at(mix(draw)), now, tried)?;
        let (a, b) = (self.weight_of(first, now), self.weight_of(second, now));
        Some(if b < a { second } else { first })
    }

    /// The first that may take the call, looking from `start` on; of the preferred zone if there is one.
    fn any(&self, start: usize, now: Time, tried: &[usize]) -> Option<usize> {
        let count = self.members.len();
        let order = || (0..count).map(|step| (start + step) % count);
        if let Some(zone) = &self.config.zone {
            let near = order()
                .find(|index| self.members[*index].zone.as_ref() == Some(zone) && self.may_take(*index, now, tried));
            if near.is_some() {
                return near;
            }
        }
        order().find(|index| self.may_take(*index, now, tried))
    }

    /// The expected wait for one more call there.
    fn weight_of(&self, index: usize, now: Time) -> f64 {
        let (member, state) = (&self.members[index], &self.states[index]);
        #[expect(clippy::cast_precision_loss, reason = "a weight")]
        let queue = (state.load.in_flight() + 1) as f64;
        let age = state.load.age(now).as_secs_f64();
        let ramp = self.config.slow_start.as_secs_f64();
        // A new instance looks up to ten times as loaded as it is, less and less until its time is over.
        let young = if age < ramp { 10.0 - 9.0 * age / ramp } else { 1.0 };
        state.load.average(now).as_secs_f64() * queue * young / f64::from(member.weight.max(1))
    }

    fn why_none(&self, now: Time, tried: &[usize]) -> NoInstance {
        let healthy =
            || (0..self.members.len()).filter(|index| self.members[*index].healthy && self.members[*index].weight > 0);
        let blocked =
            healthy().filter(|index| !tried.contains(index)).map(|index| self.states[index].breaker.wait(now)).min();
        match blocked {
            Some(retry_in) => NoInstance::AllBlocked { retry_in },
            None if healthy().next().is_some() => NoInstance::AllTried,
            None => NoInstance::Empty,
        }
    }

    /// A call goes to the picked instance.
    pub fn begin(&self, pick: &Pick, _now: Time) {
        self.states[pick.index].load.enter();
    }

    /// The call's last byte has passed, or there will be none.
    pub fn finish(&self, pick: &Pick, now: Time, outcome: Outcome) {
        let state = &self.states[pick.index];
        state.load.leave();
        match outcome {
            Outcome::Success { latency } => {
                state.load.observe(now, latency);
                state.breaker.succeeded(now, &self.config.breaker, pick.probe);
            }
            Outcome::Failure { latency, retry_after } => {
                state.load.observe(now, latency.max(self.config.penalty));
                if let Some(wait) = retry_after {
                    state.load.rest(now + wait.min(Duration::from_secs(300)));
                }
                let may_block = self.can_spare_one();
                state.breaker.failed(now, &self.config.breaker, pick.probe, (may_block, state.seed));
            }
            Outcome::Cancelled if pick.probe => state.breaker.give_probe_back(),
            Outcome::Cancelled => {}
        }
    }

    /// At least half of the instances stay, however sick: with none left nothing could be found out.
    fn can_spare_one(&self) -> bool {
        let blocked = self.states.iter().filter(|state| state.breaker.is_blocked()).count();
        (blocked + 1) * 2 <= self.members.len()
    }

    /// A member's state.
    pub fn state(&self, index: usize, now: Time) -> MemberState {
        let state = &self.states[index];
        MemberState {
            in_flight: state.load.in_flight(),
            ewma: state.load.average(now),
            breaker: state.breaker.state(now),
        }
    }
}

/// The smooth weighted order: each member as often as its weight, spread out (the scheme of nginx).
fn turns(members: &[Member]) -> Vec<u32> {
    let weights: Vec<i64> = members.iter().map(|member| i64::from(member.weight.min(64))).collect();
    let total: i64 = weights.iter().sum();
    let mut credit = vec![0_i64; weights.len()];
    let mut turns = Vec::with_capacity(usize::try_from(total).unwrap_or(0));
    if weights.iter().all(|weight| *weight == 1) {
        return (0..u32::try_from(weights.len()).unwrap_or(u32::MAX)).collect();
    }
    for _ in 0..total {
        for (credit, weight) in credit.iter_mut().zip(&weights) {
            *credit += weight;
        }
        let best = credit.iter().enumerate().max_by_key(|(index, credit)| (**credit, std::cmp::Reverse(*index)));
        if let Some((index, _)) = best {
            credit[index] -= total;
            turns.push(u32::try_from(index).unwrap_or(u32::MAX));
        }
    }
    turns
}
