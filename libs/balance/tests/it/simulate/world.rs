//! A discrete-event simulator: callers, a pool, a retry budget and instances, on a clock that jumps from event to event.
//!
//! It plays the gateway's part (pick, begin, finish, try again where the budget allows) and checks after every step what
//! must hold at any time.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use weft_balance::{BreakerState, Budget, Config, Member, NoInstance, Outcome, Pick, Pool, Time, hash};

use super::{
    rng::Rng,
    server::{Behaviour, Server},
};

/// When every scenario begins.
pub(crate) const START: Time = Time(1 << 40);
/// Attempts at one call.
const ATTEMPTS: usize = 3;
/// The retry budget: a share of the calls, and so many a second.
const BUDGET: (f64, f64) = (0.2, 10.0);

/// A pool, and which server stands at which index.
#[derive(Debug)]
struct Set {
    pool: Pool,
    ids: Vec<usize>,
}

#[derive(Debug)]
struct Call {
    key: u64,
    tried: Vec<usize>,
}

#[derive(Debug)]
enum Event {
    Arrives,
    Ends { call: Call, set: Arc<Set>, pick: Pick, began: Time, outcome: Outcome },
}

/// What was seen of one server.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seen {
    pub(crate) calls: u64,
    pub(crate) in_flight: u64,
    pub(crate) peak: u64,
    /// Until when its probe counts.
    probing: Option<Time>,
    /// Until when it asked to be left alone.
    rests: Time,
}

/// A scenario under way.
pub(crate) struct World {
    pub(crate) rng: Rng,
    pub(crate) now: Time,
    pub(crate) config: Config,
    pub(crate) servers: Vec<Server>,
    pub(crate) seen: HashMap<usize, Seen>,
    pub(crate) refused: u64,
    /// Mean time between calls.
    pub(crate) gap: Duration,
    /// Calls of a hundred that their callers give up.
    pub(crate) cancelled: u64,
    set: Arc<Set>,
    budget: Budget,
    calls: u64,
    retries: u64,
    events: BTreeMap<(Time, u64), Event>,
    number: u64,
}

impl World {
    pub(crate) fn new(seed: u64, config: Config, servers: Vec<Server>, gap: Duration) -> Self {
        let set = Arc::new(Set { pool: Pool::build(&config, Vec::new(), None, START), ids: Vec::new() });
        let mut world = Self {
            rng: Rng(seed),
            now: START,
            config,
            servers,
            seen: HashMap::new(),
            refused: 0,
            gap,
            cancelled: 0,
            set,
            budget: Budget::new(BUDGET.0, BUDGET.1, START),
            calls: 0,
            retries: 0,
            events: BTreeMap::new(),
            number: 0,
        };
        world.apply();
        world.schedule(START, Event::Arrives);
        world
    }

    /// The registry says who there is.
    pub(crate) fn apply(&mut self) {
        let member = |server: &Server| Member {
            key: format!("s{}", server.id),
            weight: server.weight,
            zone: server.zone.map(str::to_owned),
            healthy: server.healthy,
        };
        let members = self.servers.iter().map(member).collect();
        let pool = Pool::build(&self.config, members, Some(&self.set.pool), self.now);
        self.set = Arc::new(Set { pool, ids: self.servers.iter().map(|server| server.id).collect() });
        self.check_cap();
    }

    /// Plays until `time`.
    pub(crate) fn play(&mut self, time: Time) {
        while let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= time) {
            let ((now, _), event) = entry.remove_entry();
            self.now = now;
            match event {
                Event::Arrives => self.arrives(),
                Event::Ends { call, set, pick, began, outcome } => self.ends(call, (&set, pick, began), outcome),
            }
        }
        self.now = time;
    }

    pub(crate) fn play_for(&mut self, length: Duration) {
        self.play(self.now + length);
    }

    /// Lets all calls end; then nothing may be in flight.
    pub(crate) fn drain(&mut self) {
        self.gap = Duration::MAX;
        self.events.retain(|_, event| !matches!(event, Event::Arrives));
        self.play(self.now + Duration::from_secs(3600));
        assert_eq!(self.set.pool.in_flight(), 0, "in flight in all, after all calls ended");
        for index in 0..self.set.pool.len() {
            assert_eq!(
                self.set.pool.state(index, self.now).in_flight,
                0,
                "in flight at {index}, after all calls ended"
            );
        }
    }

    /// Counts from here on.
    pub(crate) fn forget_counts(&mut self) {
        for seen in self.seen.values_mut() {
            (seen.calls, seen.peak) = (0, seen.in_flight);
        }
    }

    pub(crate) fn seen(&self, id: usize) -> Seen {
        self.seen.get(&id).copied().unwrap_or_default()
    }

    pub(crate) fn calls(&self) -> u64 {
        self.seen.values().map(|seen| seen.calls).sum()
    }

    pub(crate) fn state(&self, id: usize) -> BreakerState {
        let index = self.set.ids.iter().position(|other| *other == id);
        self.set.pool.state(index.unwrap_or(usize::MAX), self.now).breaker
    }

    fn schedule(&mut self, time: Time, event: Event) {
        self.number += 1;
        self.events.insert((time, self.number), event);
    }

    fn arrives(&mut self) {
        let gap = u64::try_from(self.gap.as_nanos()).unwrap_or(u64::MAX / 2);
        let next = Duration::from_nanos(self.rng.below(2 * gap));
        self.schedule(self.now + next, Event::Arrives);
        self.budget.deposit(self.now);
        self.calls += 1;
        let key = hash(&self.rng.below(10_000).to_le_bytes());
        self.attempt(Call { key, tried: Vec::new() });
    }

    fn attempt(&mut self, call: Call) {
        let set = Arc::clone(&self.set);
        // As in the gateway: indexes tried are of the set of then.
        let pick = match set.pool.pick(self.now, self.rng.next(), Some(call.key), &call.tried) {
            Ok(pick) => pick,
            Err(none) => return self.refused(none, &call),
        };
        let id = set.ids[pick.index];
        let server = &self.servers[pick.index];
        assert_eq!(server.id, id);
        assert!(server.healthy && server.weight > 0, "{id} takes no calls");
        assert!(!call.tried.contains(&pick.index), "{id} was tried before");
        let mut outcome = server.answer(self.now, &mut self.rng);
        let length = match outcome {
            Outcome::Success { latency } | Outcome::Failure { latency, .. } => latency,
            Outcome::Cancelled => Duration::ZERO,
        };
        if self.rng.chance(self.cancelled) {
            outcome = Outcome::Cancelled;
        }
        let seen = self.seen.entry(id).or_default();
        assert!(seen.rests <= self.now, "{id} asked to be left alone");
        if pick.probe {
            assert!(seen.probing.is_none_or(|until| until <= self.now), "{id} is probed twice at once");
            seen.probing = Some(self.now + self.config.breaker.probe);
        } else {
            assert_eq!(set.pool.state(pick.index, self.now).breaker, BreakerState::Admits, "{id} is blocked");
        }
        seen.calls += 1;
        seen.in_flight += 1;
        seen.peak = seen.peak.max(seen.in_flight);
        set.pool.begin(&pick, self.now);
        self.schedule(self.now + length, Event::Ends { call, set, pick, began: self.now, outcome });
    }

    fn ends(&mut self, mut call: Call, (set, pick, began): (&Arc<Set>, Pick, Time), outcome: Outcome) {
        set.pool.finish(&pick, self.now, outcome);
        let seen = self.seen.entry(set.ids[pick.index]).or_default();
        seen.in_flight -= 1;
        // One that outlived its right ends without ending the right of the next.
        if pick.probe && seen.probing == Some(began + self.config.breaker.probe) {
            seen.probing = None;
        }
        if let Outcome::Failure { retry_after: Some(wait), .. } = outcome {
            seen.rests = seen.rests.max(self.now + wait);
        }
        if !matches!(outcome, Outcome::Failure { .. }) {
            return;
        }
        self.check_cap();
        call.tried.push(pick.index);
        if call.tried.len() < ATTEMPTS && Arc::ptr_eq(set, &self.set) && self.budget.try_withdraw(self.now) {
            self.retries += 1;
            self.check_budget();
            self.attempt(call);
        }
    }

    /// With two instances or more, a first attempt is refused only when all of those that are left asked for it.
    fn refused(&mut self, none: NoInstance, call: &Call) {
        let usable = self.servers.iter().filter(|server| server.healthy && server.weight > 0).count();
        let rests = self.servers.iter().any(|server| matches!(server.behaviour, Behaviour::Resting(_)));
        let may = call.tried.len() * 2 >= usable || usable == 1 || rests;
        assert!(may, "{none:?} of {usable} with {} tried", call.tried.len());
        if let NoInstance::AllBlocked { retry_in } = none {
            let longest = if rests { Duration::from_secs(300) } else { self.config.breaker.longest };
            assert!(retry_in <= longest, "come back in {retry_in:?}");
            assert!(usable > 1 || rests || retry_in <= self.config.breaker.first, "an only one is away {retry_in:?}");
        }
        self.refused += 1;
    }

    fn check_cap(&self) {
        let usable = self.servers.iter().filter(|server| server.healthy && server.weight > 0).count();
        let all = 0..self.set.pool.len();
        let blocked = all.filter(|index| self.set.pool.state(*index, self.now).breaker != BreakerState::Admits).count();
        let most = if usable == 1 { 1 } else { usable / 2 };
        assert!(blocked <= most, "{blocked} of {usable} are blocked");
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of calls")]
    fn check_budget(&self) {
        let passed = self.now.since(START).as_secs_f64();
        let allowed = BUDGET.0 * self.calls as f64 + BUDGET.1 * (passed + 1.0);
        assert!(self.retries as f64 <= allowed, "{} retries, {allowed} allowed", self.retries);
    }
}
