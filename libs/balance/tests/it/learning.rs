//! What learns from latencies: the adaptive limit against a server with so many workers, and the quantiles.

use std::{collections::BTreeMap, time::Duration};

use weft_balance::{Latencies, Limit, Time};

use crate::simulate::rng::Rng;

/// A server that works on so many calls at once; others wait in line. Callers take every place there is.
struct Server {
    workers: usize,
    service: Duration,
    /// How much a call's work varies, percent of `service` either way.
    varies: u64,
    rng: Rng,
}

impl Server {
    fn new(workers: usize, service: Duration, varies: u64) -> Self {
        Self { workers, service, varies, rng: Rng(7) }
    }

    fn work(&mut self) -> Duration {
        self.service * u32::try_from(100 - self.varies + self.rng.below(2 * self.varies + 1)).unwrap_or(100) / 100
    }

    /// Drives the limit for so many calls; the mean of its places over the last half of them.
    fn drive(&mut self, limit: &Limit, calls: u32, mut now: Time) -> (f64, Time) {
        let mut ends: BTreeMap<(Time, u32), Time> = BTreeMap::new();
        let (mut sum, mut number) = (0.0, 0);
        let mut free = vec![now; self.workers];
        for call in 0..calls {
            while limit.try_enter() {
                let soonest = (0..self.workers).min_by_key(|worker| free[*worker]).unwrap_or(0);
                free[soonest] = free[soonest].max(now) + self.work();
                number += 1;
                ends.insert((free[soonest], number), now);
            }
            let Some(((end, _), began)) = ends.pop_first() else { break };
            now = end;
            limit.leave(now, now.since(began), true);
            if call >= calls / 2 {
                sum += f64::from(u32::try_from(limit.current()).unwrap_or(u32::MAX));
            }
        }
        for ((end, _), began) in ends {
            now = end;
            limit.leave(now, now.since(began), true);
        }
        (sum / f64::from(calls - calls / 2), now)
    }
}

const START: Time = Time(1 << 40);

#[test]
fn an_adaptive_limit_finds_what_a_server_can_do_from_one_place_up() {
    for workers in [1, 2, 3, 5, 8, 20, 60] {
        for varies in [0, 50, 90] {
            for first in [1, 10, 100] {
                let limit = Limit::adaptive(first, 1, 200);
                let mut server = Server::new(workers, Duration::from_millis(10), varies);
                let (places, _) = server.drive(&limit, 20_000, START);
                let ratio = places / f64::from(u32::try_from(workers).unwrap());
                assert!(
                    (0.9..1.7).contains(&ratio),
                    "{places} places for {workers} workers that vary by {varies} %, from {first}"
                );
                assert_eq!(limit.in_flight(), 0);
            }
        }
    }
}

#[test]
fn an_adaptive_limit_follows_a_server_that_changes() {
    let limit = Limit::adaptive(4, 1, 200);
    let (many, now) = Server::new(16, Duration::from_millis(5), 30).drive(&limit, 10_000, START);
    let (few, now) = Server::new(2, Duration::from_millis(5), 30).drive(&limit, 10_000, now);
    let (slower, _) = Server::new(16, Duration::from_millis(50), 30).drive(&limit, 20_000, now);
    assert!((11.0..36.0).contains(&many) && (1.0..5.0).contains(&few), "{many}, then {few}");
    assert!((11.0..36.0).contains(&slower), "{slower} when all calls take ten times as long");
}

#[test]
fn an_adaptive_limit_stays_within_its_bounds_and_does_not_grow_unused() {
    let limit = Limit::adaptive(6, 2, 12);
    for call in 0..5000_u64 {
        assert!(limit.try_enter());
        limit.leave(START, Duration::from_micros(900 + call % 200), true);
        assert!(limit.current() <= 6, "one call at a time is no reason for more");
    }
    Server::new(50, Duration::from_millis(1), 0).drive(&limit, 5000, START);
    assert!((6..=12).contains(&limit.current()), "{}", limit.current());
}

#[test]
fn quantiles_are_none_before_twenty_and_right_after() {
    let latencies = Latencies::default();
    let mut rng = Rng(1);
    for seen in 0..2000_u64 {
        assert_eq!(latencies.quantile(0.95).is_some(), seen >= 20, "after {seen}");
        latencies.observe(Duration::from_micros(1000 + rng.below(100_000)));
    }
    for share in [0.1, 0.5, 0.9, 0.95, 0.99] {
        let (found, right) = (latencies.quantile(share).unwrap().as_secs_f64(), 0.001 + share * 0.1);
        assert!((found / right - 1.0).abs() < 0.12, "{share}: {found}, not {right}");
    }
    assert!(latencies.quantile(0.0) <= latencies.quantile(1.0));
}

#[test]
fn quantiles_forget_what_was_long_ago() {
    let latencies = Latencies::default();
    let about = |latencies: &Latencies, millis: f64| {
        (latencies.quantile(0.95).unwrap().as_secs_f64() * 1000.0 / millis - 1.0).abs() < 0.05
    };
    let observe = |count: u32, millis: u64| (0..count).for_each(|_| latencies.observe(Duration::from_millis(millis)));
    observe(10_000, 10);
    assert!(about(&latencies, 10.0));
    observe(60, 300);
    assert!(about(&latencies, 300.0), "a tool that became slow");
    observe(2000, 10);
    assert!(about(&latencies, 10.0), "and fast again");
}
