//! What the algorithms promise, with the time and the chance given.

use std::{collections::HashMap, time::Duration};

use proptest::prelude::*;
use weft_balance::{
    BreakerState, Bucket, Budget, Config, Limit, Member, NoInstance, Outcome, Policy, Pool, Time, hash,
};

mod learning;
mod simulate;
mod threads;

fn members(count: usize) -> Vec<Member> {
    (0..count).map(|number| Member { key: format!("m{number}"), weight: 1, zone: None, healthy: true }).collect()
}

fn pool(policy: Policy, count: usize) -> Pool {
    Pool::build(&Config { policy, ..Config::default() }, members(count), None, Time(1 << 40))
}

const NOW: Time = Time(1 << 40);
const FAILED: Outcome = Outcome::Failure { latency: Duration::from_millis(1), retry_after: None };
const FINE: Outcome = Outcome::Success { latency: Duration::from_millis(1) };

#[test]
fn round_robin_takes_each_in_turn() {
    let pool = pool(Policy::RoundRobin, 5);
    let mut counts = HashMap::new();
    for _ in 0..100 {
        *counts.entry(pool.pick(NOW, 0, None, &[]).unwrap().index).or_insert(0) += 1;
    }
    assert!(counts.len() == 5 && counts.values().all(|count| *count == 20), "{counts:?}");
}

#[test]
fn one_that_is_outrun_gets_fewer_calls() {
    let pool = pool(Policy::LeastConnections, 2);
    for index in [0, 1] {
        let pick = weft_balance::Pick { index, probe: false };
        pool.begin(&pick, NOW);
        pool.finish(&pick, NOW, FINE);
    }
    pool.outrun(0, NOW, Duration::from_millis(100));
    let to_second = (0..1000_u64).filter(|draw| pool.pick(NOW, draw * 7919, None, &[]).unwrap().index == 1).count();
    assert!(to_second > 650, "{to_second} of 1000");
}

#[test]
fn the_busier_of_two_is_left_alone() {
    let pool = pool(Policy::LeastConnections, 2);
    for _ in 0..10 {
        pool.begin(&weft_balance::Pick { index: 0, probe: false }, NOW);
    }
    let to_second = (0..1000_u64).filter(|draw| pool.pick(NOW, draw * 7919, None, &[]).unwrap().index == 1).count();
    assert!(to_second > 600, "{to_second}");
}

#[test]
fn a_member_that_is_gone_moves_its_own_keys_only() {
    let (before, after) = (pool(Policy::ConsistentHash, 10), {
        let left: Vec<Member> = members(10).into_iter().filter(|member| member.key != "m3").collect();
        Pool::build(&Config { policy: Policy::ConsistentHash, ..Config::default() }, left, None, NOW)
    });
    let owner = |pool: &Pool, key: u64| {
        pool.member(pool.pick(NOW, 0, Some(hash(&key.to_le_bytes())), &[]).unwrap().index).key.clone()
    };
    for key in 0..1000 {
        let was = owner(&before, key);
        assert!(was == "m3" || owner(&after, key) == was, "key {key} moved from {was}");
    }
}

#[test]
fn a_failing_member_is_blocked_and_probed_once_and_comes_back() {
    let pool = pool(Policy::LeastConnections, 4);
    let sick = weft_balance::Pick { index: 0, probe: false };
    for _ in 0..5 {
        pool.begin(&sick, NOW);
        pool.finish(&sick, NOW, FAILED);
    }
    assert_eq!(pool.state(0, NOW).breaker, BreakerState::Blocks);
    assert!((0..200).all(|draw| pool.pick(NOW, draw * 104_729, None, &[]).unwrap().index != 0));
    let later = NOW + Duration::from_secs(2);
    let probes: Vec<_> =
        (0..200).map(|draw| pool.pick(later, draw * 104_729, None, &[]).unwrap()).filter(|pick| pick.probe).collect();
    assert_eq!(probes.len(), 1, "one probe at a time");
    pool.begin(&probes[0], later);
    pool.finish(&probes[0], later, Outcome::Cancelled);
    let again =
        (0..200).map(|draw| pool.pick(later, draw * 104_729, None, &[]).unwrap()).find(|pick| pick.probe).unwrap();
    pool.begin(&again, later);
    pool.finish(&again, later, FINE);
    assert_eq!(pool.state(0, later).breaker, BreakerState::Admits);
}

#[test]
fn at_least_half_stay_however_sick() {
    let pool = pool(Policy::LeastConnections, 4);
    for index in [0, 1, 2, 3].repeat(20) {
        let pick = weft_balance::Pick { index, probe: false };
        pool.begin(&pick, NOW);
        pool.finish(&pick, NOW, FAILED);
    }
    let blocked = (0..4).filter(|index| pool.state(*index, NOW).breaker != BreakerState::Admits).count();
    assert_eq!(blocked, 2);
    assert!(matches!(
        Pool::build(&Config::default(), Vec::new(), None, NOW).pick(NOW, 0, None, &[]),
        Err(NoInstance::Empty)
    ));
    assert!(matches!(
        pool.pick(NOW, 0, None, &[0, 1, 2, 3]),
        Err(NoInstance::AllTried | NoInstance::AllBlocked { .. })
    ));
}

proptest! {
    #[test]
    fn a_budget_never_exceeds_its_share_and_floor(calls in 1_u32..2000, seconds in 0_u32..20) {
        let budget = Budget::new(0.2, 10.0, NOW);
        let mut spent = 0_u32;
        for call in 0..calls {
            let now = NOW + Duration::from_secs(u64::from(seconds)).mul_f64(f64::from(call) / f64::from(calls));
            budget.deposit(now);
            spent += u32::from(budget.try_withdraw(now));
        }
        let allowed = 0.2 * f64::from(calls) + 10.0 * (f64::from(seconds) + 1.0) + 1.0;
        prop_assert!(f64::from(spent) <= allowed, "{} of {}", spent, allowed);
    }

    #[test]
    fn a_bucket_keeps_its_rate(rate in 1_u32..1000, burst in 1_u32..100) {
        let bucket = Bucket::new(f64::from(rate), f64::from(burst), NOW);
        let taken = (0..5000_u64).filter(|step| bucket.try_take(NOW + Duration::from_millis(*step)).is_ok()).count();
        #[expect(clippy::cast_precision_loss, reason = "a small count")]
        let taken = taken as f64;
        prop_assert!(taken <= 5.0 * f64::from(rate) + f64::from(burst) + 1.0, "{}", taken);
    }
}

#[test]
fn a_limit_gives_out_no_more_places_than_it_has() {
    let limit = Limit::fixed(3);
    assert_eq!((0..10).filter(|_| limit.try_enter()).count(), 3);
    limit.leave(NOW, Duration::ZERO, true);
    assert!(limit.try_enter() && !limit.try_enter());
}
