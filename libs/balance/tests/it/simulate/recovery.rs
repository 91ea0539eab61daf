//! How soon an instance that was sick works again, and which keys move when the set changes.

use std::{collections::HashMap, time::Duration};

use weft_balance::{BreakerState, Config, Member, Outcome, Policy, Pool, hash};

use super::{Behaviour, Rng, START, Server, World, config, seeds};

#[test]
fn who_is_well_again_is_admitted_soon_and_gets_its_share() {
    seeds(120, |seed| {
        let mut rng = Rng(seed);
        let policy = Policy::ALL[rng.index(3)];
        let count = 1 + rng.index(6);
        let sick = Duration::from_millis(500 + rng.below(20_000));
        let mut servers: Vec<Server> = (0..count).map(Server::fine).collect();
        servers[0].behaviour = Behaviour::Dead(START, START + sick);
        let mut world = World::new(seed, config(policy, seed), servers, Duration::from_millis(5));
        world.play_for(sick);
        // Blocks double, so the last is as long as all before it and the first; these may each be a quarter shorter.
        let only = count == 1;
        let most = if only { world.config.breaker.first } else { (sick * 4 / 3).min(world.config.breaker.longest) };
        world.play_for(most + world.config.breaker.first + Duration::from_millis(100));
        assert_eq!(world.state(0), BreakerState::Admits, "{policy}, {count} instances, sick for {sick:?}");
        world.play_for(world.config.slow_start);
        world.forget_counts();
        world.play_for(Duration::from_secs(4));
        let (calls, fair) = (world.seen(0).calls, world.calls() / count as u64);
        assert!(calls * 2 > fair, "{policy}: {calls} calls, where {fair} are its share");
        world.drain();
    });
}

#[test]
fn who_is_admitted_again_begins_slowly() {
    seeds(40, |seed| {
        // Least connections seldom blocks anyone: who fails once looks slow and is avoided before the fifth failure.
        let policy = [Policy::RoundRobin, Policy::ConsistentHash][Rng(seed).index(2)];
        let mut servers: Vec<Server> = (0..4).map(Server::fine).collect();
        servers[0].behaviour = Behaviour::Dead(START, START + Duration::from_secs(2));
        let mut world = World::new(seed, config(policy, seed), servers, Duration::from_millis(1));
        let step = Duration::from_millis(10);
        let mut blocked = false;
        while !blocked || world.state(0) != BreakerState::Admits {
            world.play_for(step);
            blocked |= world.state(0) != BreakerState::Admits;
            assert!(world.now < START + Duration::from_secs(20), "{policy}: neither blocked nor admitted");
        }
        world.forget_counts();
        world.play_for(Duration::from_millis(500));
        let (calls, fair) = (world.seen(0).calls, world.calls() / 4);
        assert!(calls * 2 < fair, "{policy}: {calls} calls at once, where {fair} are its share");
        world.drain();
    });
}

#[test]
fn an_only_instance_that_is_dead_is_asked_a_few_times_a_second_and_no_more() {
    seeds(30, |seed| {
        let mut server = Server::fine(0);
        server.behaviour = Behaviour::Dead(START, START + Duration::from_secs(100));
        let mut world = World::new(seed, config(Policy::default(), seed), vec![server], Duration::from_millis(5));
        world.play_for(Duration::from_secs(20));
        assert!((30..70).contains(&world.seen(0).calls), "{} calls", world.seen(0).calls);
        assert!(world.refused > 1000);
    });
}

#[test]
fn gateways_do_not_probe_in_step() {
    let times = (0..20).map(|seed| {
        let server = |id| Member { key: format!("s{id}"), weight: 1, zone: None, healthy: true };
        let config = config(Policy::RoundRobin, seed);
        let pool = Pool::build(&config, vec![server(0), server(1)], None, START);
        for _ in 0..5 {
            let pick = weft_balance::Pick { index: 0, probe: false };
            pool.begin(&pick, START);
            pool.finish(&pick, START, Outcome::Failure { latency: Duration::ZERO, retry_after: None });
        }
        (0..600).find(|after| pool.state(0, START + Duration::from_millis(*after)).breaker == BreakerState::Probes)
    });
    let mut times: Vec<u64> = times.map(Option::unwrap).collect();
    times.sort_unstable();
    times.dedup();
    assert!(times.len() > 10 && times[0] >= 375 && times[times.len() - 1] <= 501, "{times:?}");
}

#[test]
fn a_probe_that_never_ends_is_replaced_and_counts_no_more() {
    let members = (0..2).map(|id| Member { key: format!("s{id}"), weight: 1, zone: None, healthy: true }).collect();
    let pool = Pool::build(&Config::default(), members, None, START);
    let failed = Outcome::Failure { latency: Duration::ZERO, retry_after: None };
    for _ in 0..5 {
        let pick = weft_balance::Pick { index: 0, probe: false };
        pool.begin(&pick, START);
        pool.finish(&pick, START, failed);
    }
    let probe = |seconds: u64| {
        let now = START + Duration::from_secs(seconds);
        let pick = pool.pick(now, 7, None, &[]).unwrap();
        pool.begin(&pick, now);
        (pick, now)
    };
    let (lost, _) = probe(1);
    assert!(lost.probe && (2..10).all(|seconds| !probe(seconds).0.probe), "one is out");
    let (second, now) = probe(12);
    assert!(second.probe, "the first has expired");
    pool.finish(&lost, now, Outcome::Cancelled);
    assert!(!probe(13).0.probe, "the end of the first does not end the second");
    pool.finish(&second, now, Outcome::Success { latency: Duration::ZERO });
    assert_eq!(pool.state(0, now).breaker, BreakerState::Admits);
}

fn members(ids: impl Iterator<Item = usize>, rng: &mut Rng) -> Vec<Member> {
    let weight = |rng: &mut Rng| [1, 2, 3][rng.index(3)];
    ids.map(|id| Member { key: format!("s{id}"), weight: weight(rng), zone: None, healthy: true }).collect()
}

#[test]
fn who_joins_or_leaves_moves_its_own_share_of_the_keys() {
    seeds(60, |seed| {
        let mut rng = Rng(seed);
        let count = [2, 3, 5, 10, 30, 100][rng.index(6)];
        let config = Config { slow_start: Duration::ZERO, ..config(Policy::ConsistentHash, seed) };
        let all = members(0..count, &mut rng);
        let gone = rng.index(count);
        let left: Vec<Member> =
            all.iter().enumerate().filter(|(id, _)| *id != gone).map(|(_, it)| it.clone()).collect();
        let weight = |members: &[Member]| members.iter().map(|it| f64::from(it.weight)).sum::<f64>();
        let share = f64::from(all[gone].weight) / weight(&all);
        let key = all[gone].key.clone();
        let owners = |pool: &Pool| -> HashMap<u64, String> {
            let owner = |key: u64| pool.pick(START, 0, Some(hash(&key.to_le_bytes())), &[]).unwrap().index;
            (0..3000).map(|key| (key, pool.member(owner(key)).key.clone())).collect()
        };
        let whole = Pool::build(&config, all.clone(), None, START);
        let before = owners(&whole);
        let part = Pool::build(&config, left, Some(&whole), START);
        let after = owners(&part);
        let again = owners(&Pool::build(&config, all, Some(&part), START));
        let moved = before.iter().filter(|(id, owner)| after[id] != **owner).count();
        assert!(before.iter().all(|(id, owner)| *owner == key || after[id] == *owner), "a key of another moved");
        assert!(before == again, "who comes back gets the same keys");
        // Its share, with the unevenness of 128 points (a tenth) and of 3,000 keys at three sigma.
        let most = 3000.0 * share * 1.4 + 3.0 * (3000.0 * share).sqrt();
        assert!(f64::from(u32::try_from(moved).unwrap()) <= most, "{moved} of 3000 moved, share {share}");
    });
}
