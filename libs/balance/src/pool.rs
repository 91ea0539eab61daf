//! The instances of one service and the choice among them.
//!
//! A [`Pool`] is built anew when the set changes; members that stay keep what is known of them, and what concerns the
//! service as a whole (calls in flight, blocked instances) outlives the pool in [`Shared`]. How one is chosen is in
//! `pool/choose.rs`.

use std::{
    sync::{
        Arc,
        atomic::{
            AtomicU64,
            Ordering::{AcqRel, Relaxed},
        },
    },
    time::Duration,
};

use crate::{
    Policy, Time,
    breaker::{Breaker, BreakerConfig, BreakerState},
    ledger::Ledger,
    load::{Load, UNKNOWN},
    nanos,
};

mod build;
mod choose;
mod roster;

use roster::Roster;

/// How a pool behaves.
#[derive(Debug, Clone)]
pub struct Config {
    /// The policy.
    pub policy: Policy,
    /// The breakers.
    pub breaker: BreakerConfig,
    /// An instance that is new, or admitted again, gets its full share only after this long.
    pub slow_start: Duration,
    /// Instances of this zone are preferred while they can take calls.
    pub zone: Option<String>,
    /// Calls in flight per instance of the preferred zone above which other zones help, while they are less busy.
    pub spill: u32,
    /// What a failure counts as latency, at least.
    pub penalty: Duration,
    /// No instance takes more than this many times its share of the calls in flight, on a ring.
    pub bound: f64,
    /// A number that differs between gateways, so that they neither probe nor begin in step.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            breaker: BreakerConfig::default(),
            slow_start: Duration::from_secs(5),
            zone: None,
            spill: 32,
            penalty: Duration::from_secs(1),
            bound: 1.25,
            seed: 0,
        }
    }
}

/// One instance, as the balancer knows it.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its name: unique in its service, the same for as long as it lives.
    pub key: String,
    /// Its share relative to others; 0 takes no calls.
    pub weight: u32,
    /// Where it runs.
    pub zone: Option<String>,
    /// The registry's opinion.
    pub healthy: bool,
}

impl Member {
    const fn is_usable(&self) -> bool {
        self.healthy && self.weight > 0
    }
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
        /// It asked to be left alone for so long; five minutes at most are believed.
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
    /// All are blocked by their breakers or asked to be left alone.
    AllBlocked {
        /// When the first may be tried.
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

/// What is known of an instance for as long as it lives.
#[derive(Debug)]
struct State {
    load: Load,
    breaker: Breaker,
    /// Differs between instances and between gateways.
    seed: u64,
    /// In the preferred zone.
    near: bool,
}

/// What is known of a service for as long as it lives.
#[derive(Debug)]
struct Shared {
    ledger: Ledger,
    in_flight: AtomicU64,
    near_in_flight: AtomicU64,
    /// What a call usually takes here, nanoseconds: a slow average of answers.
    usual: AtomicU64,
    /// The next turn of round robin.
    turn: AtomicU64,
}

impl Shared {
    fn new(seed: u64) -> Self {
        Self {
            ledger: Ledger::default(),
            in_flight: AtomicU64::new(0),
            near_in_flight: AtomicU64::new(0),
            usual: AtomicU64::new(UNKNOWN),
            turn: AtomicU64::new(crate::mix(seed) >> 1),
        }
    }

    fn observe(&self, latency: u64) {
        let usual = self.usual.load(Relaxed);
        let next = if latency > usual { usual + (latency - usual) / 32 } else { usual - (usual - latency) / 32 };
        self.usual.store(next.max(1), Relaxed);
    }
}

/// The instances of a service.
#[derive(Debug)]
pub struct Pool {
    config: Config,
    members: Vec<Member>,
    states: Vec<Arc<State>>,
    /// The usable ones.
    all: Roster,
    /// Those of the preferred zone, if they are some of all and not all.
    near: Option<Roster>,
    shared: Arc<Shared>,
}

/// The longest rest an instance can ask for.
const LONGEST_REST: Duration = Duration::from_secs(300);

impl Pool {
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

    /// A call goes to the picked instance.
    pub fn begin(&self, pick: &Pick, now: Time) {
        let state = &self.states[pick.index];
        state.load.enter(now);
        self.shared.in_flight.fetch_add(1, Relaxed);
        if state.near {
            self.shared.near_in_flight.fetch_add(1, Relaxed);
        }
    }

    /// The call's last byte has passed, or there will be none.
    pub fn finish(&self, pick: &Pick, now: Time, outcome: Outcome) {
        let state = &self.states[pick.index];
        if state.load.leave() {
            self.shared.in_flight.fetch_sub(1, AcqRel);
            if state.near {
                self.shared.near_in_flight.fetch_sub(1, AcqRel);
            }
        }
        let (breaker, config, ledger) = (&state.breaker, &self.config.breaker, &self.shared.ledger);
        match outcome {
            Outcome::Success { latency } => {
                state.load.observe(now, latency);
                self.shared.observe(nanos(latency));
                if breaker.succeeded(now, config, pick.probe, ledger) {
                    state.load.renew(now, nanos(latency));
                }
            }
            Outcome::Failure { latency, retry_after } => {
                state.load.observe(now, latency.max(self.config.penalty));
                if let Some(wait) = retry_after {
                    state.load.rest(now + wait.min(LONGEST_REST));
                }
                breaker.failed(now, config, (pick.probe, state.seed), ledger);
            }
            Outcome::Cancelled if pick.probe => breaker.give_probe_back(ledger),
            Outcome::Cancelled => {}
        }
    }

    /// The member at `index` was outrun by another that was asked later: what it has taken so far counts as its latency, so
    /// that fewer calls go to one that has to be outrun. It is no failure; the call itself is finished as cancelled.
    pub fn outrun(&self, index: usize, now: Time, so_far: Duration) {
        self.states[index].load.observe(now, so_far);
    }

    /// A member's state.
    pub fn state(&self, index: usize, now: Time) -> MemberState {
        let state = &self.states[index];
        MemberState {
            in_flight: state.load.in_flight(),
            ewma: Duration::from_nanos(state.load.average(now)),
            breaker: state.breaker.state(now),
        }
    }

    /// Calls in flight at all instances, those that have left included.
    pub fn in_flight(&self) -> u64 {
        self.shared.in_flight.load(Relaxed)
    }
}
