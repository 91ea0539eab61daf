//! The same promises when many threads call at once and the set changes under them.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use weft_balance::{BreakerConfig, BreakerState, Config, Member, Outcome, Policy, Pool, Time};

use crate::simulate::rng::Rng;

const START: Time = Time(1 << 40);
/// Members that never leave.
const STAY: usize = 5;

fn members(count: usize) -> Vec<Member> {
    (0..count).map(|id| Member { key: format!("s{id}"), weight: 1, zone: None, healthy: true }).collect()
}

/// Calls that fail more often than not, on a clock that all threads push on.
fn call(pool: &Mutex<Arc<Pool>>, clock: &AtomicU64, probes: &Mutex<HashMap<String, u32>>, rng: &mut Rng) {
    let pool = Arc::clone(&pool.lock().unwrap_or_else(PoisonError::into_inner));
    let now = Time(clock.fetch_add(50_000, Relaxed));
    let Ok(pick) = pool.pick(now, rng.next(), Some(rng.next()), &[]) else { return };
    let key = pool.member(pick.index).key.clone();
    let count = |change: fn(u32) -> u32| {
        let mut probes = probes.lock().unwrap_or_else(PoisonError::into_inner);
        let out = probes.entry(key.clone()).or_default();
        *out = change(*out);
        *out
    };
    if pick.probe {
        let out = count(|out| out + 1);
        // Who left and came back is another instance, of which an earlier one's probe says nothing.
        assert!(out == 1 || pick.index >= STAY, "{key} is probed twice at once");
    }
    pool.begin(&pick, now);
    std::thread::yield_now();
    let latency = Duration::from_millis(1);
    let outcome = match rng.below(10) {
        0..4 => Outcome::Success { latency },
        4 => Outcome::Cancelled,
        _ => Outcome::Failure { latency, retry_after: None },
    };
    if pick.probe {
        count(|out| out - 1);
    }
    pool.finish(&pick, Time(clock.load(Relaxed)), outcome);
}

/// Somebody joins or leaves while calls are under way.
fn change(config: &Config, pool: &Mutex<Arc<Pool>>, now: Time, more: usize) {
    let mut pool = pool.lock().unwrap_or_else(PoisonError::into_inner);
    *pool = Arc::new(Pool::build(config, members(STAY + more), Some(&pool), now));
}

#[test]
fn promises_hold_with_threads_and_a_set_that_changes() {
    for (policy, seed) in Policy::ALL.into_iter().zip(1..) {
        let first = Duration::from_millis(2);
        let breaker = BreakerConfig { first, consecutive: 2, probe: Duration::from_secs(3600), ..Default::default() };
        let config = Config { policy, seed, breaker, ..Config::default() };
        let pool = Mutex::new(Arc::new(Pool::build(&config, members(9), None, START)));
        let (clock, probes) = (AtomicU64::new(START.0), Mutex::new(HashMap::new()));
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (config, pool, clock, probes) = (&config, &pool, &clock, &probes);
                let mut rng = Rng(seed * 100 + thread);
                let mut round = move || {
                    (0..50).for_each(|_| call(pool, clock, probes, &mut rng));
                    change(config, pool, Time(clock.load(Relaxed)), rng.index(8));
                };
                scope.spawn(move || (0..80).for_each(|_| round()));
            }
        });
        let (pool, now) = (pool.into_inner().unwrap(), Time(clock.load(Relaxed)));
        let blocked = (0..pool.len()).filter(|index| pool.state(*index, now).breaker != BreakerState::Admits).count();
        assert!(blocked <= pool.len() / 2, "{policy}: {blocked} of {} are blocked", pool.len());
        assert_eq!(pool.in_flight(), 0);
        assert!((0..pool.len()).all(|index| pool.state(index, now).in_flight == 0));
    }
}
