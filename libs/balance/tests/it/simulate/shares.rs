//! Who gets how many of the calls.

use std::time::Duration;

use weft_balance::{Config, Policy};

use super::{Behaviour, Rng, START, Server, World, config, seeds};

#[expect(clippy::cast_precision_loss, reason = "counts of calls")]
fn share(part: u64, all: u64) -> f64 {
    part as f64 / all.max(1) as f64
}

fn many(count: usize) -> Vec<Server> {
    (0..count).map(Server::fine).collect()
}

/// A world in which each instance has about `busy` calls in flight.
fn busy_world(seed: u64, config: Config, servers: Vec<Server>, busy: u32) -> World {
    let gap = Duration::from_millis(2).div_f64(share(servers.len() as u64, 1)) / busy.max(1);
    World::new(seed, config, servers, gap)
}

#[test]
fn calls_follow_the_weights() {
    seeds(60, |seed| {
        let mut rng = Rng(seed);
        let policy = [Policy::RoundRobin, Policy::LeastConnections][rng.index(2)];
        let mut servers = many(2 + rng.index(10));
        servers.iter_mut().for_each(|server| server.weight = 1 + u32::try_from(rng.below(4)).unwrap());
        let weight: u64 = servers.iter().map(|server| u64::from(server.weight)).sum();
        let mut world = busy_world(seed, config(policy, seed), servers.clone(), 1 + u32::try_from(seed % 4).unwrap());
        world.play_for(world.gap * 4000);
        let slack = if policy == Policy::RoundRobin { 0.03 } else { 0.35 };
        for server in servers {
            let fair = share(u64::from(server.weight), weight);
            let ratio = share(world.seen(server.id).calls, world.calls()) / fair;
            assert!((1.0 - slack..1.0 + slack).contains(&ratio), "{policy}: {ratio} of the share of {}", server.id);
        }
        world.drain();
    });
}

#[test]
fn nobody_has_more_in_flight_on_a_ring_than_its_share_and_a_quarter() {
    seeds(30, |seed| {
        let mut rng = Rng(seed);
        let servers = many(2 + rng.index(30));
        let count = servers.len() as u64;
        let mut world = busy_world(seed, config(Policy::ConsistentHash, seed), servers, 4);
        for _ in 0..1500 {
            world.play_for(world.gap);
            let all: u64 = world.seen.values().map(|seen| seen.in_flight).sum();
            // Room is given by the calls of the moment of the pick; as calls end the peak may stay a little behind.
            let peak = world.seen.values().map(|seen| seen.in_flight).max().unwrap_or(0);
            let most = share((all + count + 4) * 5, count * 4).ceil();
            assert!(share(peak, 1) <= most + 2.0, "{peak} of {all} at one of {count}");
        }
    });
}

#[test]
fn no_herd_on_a_fresh_instance() {
    seeds(60, |seed| {
        let mut rng = Rng(seed);
        let policy = Policy::ALL[rng.index(3)];
        let count = 2 + rng.index(8);
        let mut world = busy_world(seed, config(policy, seed), many(count), 1 + u32::try_from(seed % 8).unwrap());
        // Few calls, but over the whole of the slow start.
        world.gap = world.gap.max(Duration::from_millis(1));
        world.play_for(Duration::from_secs(1));
        world.servers.push(Server::fine(count));
        world.apply();
        let fair = 1.0 / share(count as u64 + 1, 1);
        for (length, most) in [(500, 0.5), (2000, 1.0), (2500, 1.6)] {
            world.forget_counts();
            world.play_for(Duration::from_millis(length));
            let ratio = share(world.seen(count).calls, world.calls()) / fair;
            assert!(ratio <= most, "{policy}: {ratio} of its share within {length} ms");
        }
        world.play_for(Duration::from_secs(1));
        world.forget_counts();
        world.play_for(Duration::from_secs(3));
        let ratio = share(world.seen(count).calls, world.calls()) / fair;
        assert!(ratio > 0.5, "{policy}: {ratio} of its share after its start");
    });
}

#[test]
fn a_fresh_instance_among_slow_ones_is_not_flooded() {
    seeds(40, |seed| {
        let mut servers = many(5);
        servers.iter_mut().for_each(|server| server.behaviour = Behaviour::Slow);
        let mut world = busy_world(seed, config(Policy::LeastConnections, seed), servers, 1);
        world.gap = Duration::from_millis(1);
        world.play_for(Duration::from_secs(1));
        let most = world.seen.values().map(|seen| seen.peak).max().unwrap_or(0);
        world.servers.push(Server { behaviour: Behaviour::Slow, ..Server::fine(9) });
        world.apply();
        world.play_for(Duration::from_secs(1));
        assert!(world.seen(9).peak <= most, "{} at once, where others had {most}", world.seen(9).peak);
    });
}

#[test]
fn nobody_starves() {
    seeds(40, |seed| {
        let mut rng = Rng(seed);
        let policy = [Policy::RoundRobin, Policy::LeastConnections][rng.index(2)];
        let mut servers = many(2 + rng.index(6));
        servers[0].behaviour = [Behaviour::Slow, Behaviour::Lossy(5), Behaviour::Lossy(30)][rng.index(3)];
        let ids: Vec<usize> = servers.iter().map(|server| server.id).collect();
        let mut world = World::new(seed, config(policy, seed), servers, Duration::from_millis(4));
        for _ in 0..2 {
            world.forget_counts();
            world.play_for(Duration::from_secs(30));
            for id in &ids {
                assert!(world.seen(*id).calls > 0, "{policy}: nothing for {id} in half a minute");
            }
        }
    });
}

#[test]
fn a_slow_or_silent_instance_gets_little() {
    seeds(60, |seed| {
        let mut rng = Rng(seed);
        let mut servers = many(2 + rng.index(6));
        let end = START + Duration::from_secs(60);
        servers[0].behaviour = [Behaviour::Slow, Behaviour::Stalling(START, end)][rng.index(2)];
        let fair = 1.0 / share(servers.len() as u64, 1);
        let mut world = World::new(seed, config(Policy::LeastConnections, seed), servers, Duration::from_millis(1));
        world.play_for(Duration::from_secs(8));
        let ratio = share(world.seen(0).calls, world.calls()) / fair;
        assert!(ratio < 0.3, "{ratio} of its share");
    });
}

#[test]
fn one_that_hangs_is_left_before_its_first_call_is_given_up() {
    seeds(20, |seed| {
        let mut servers = many(2 + Rng(seed).index(6));
        servers[0].behaviour = Behaviour::Hanging(START + Duration::from_secs(1));
        let mut world = World::new(seed, config(Policy::LeastConnections, seed), servers, Duration::from_millis(2));
        world.play_for(Duration::from_secs(30));
        let stuck = world.seen(0).in_flight;
        assert!((1..12).contains(&stuck), "{stuck} calls hang where one hung for half a minute");
        world.drain();
    });
}

#[test]
fn the_own_zone_takes_all_until_it_is_overloaded_or_gone() {
    seeds(40, |seed| {
        let mut servers = many(6);
        servers.iter_mut().for_each(|server| server.zone = Some(if server.id < 3 { "a" } else { "b" }));
        let policy = Policy::ALL[Rng(seed).index(3)];
        let config = Config { zone: Some("a".to_owned()), spill: 4, ..config(policy, seed) };
        let mut world = World::new(seed, config, servers, Duration::from_millis(1));
        let far = |world: &World| (3..6).map(|id| world.seen(id).calls).sum::<u64>();
        world.play_for(Duration::from_secs(1));
        assert_eq!(far(&world), 0, "{policy}: nobody needed the other zone");
        // Forty in flight at the rate of now: more than the twelve that the zone takes alone.
        world.gap = Duration::from_micros(50);
        for _ in 0..500 {
            world.play_for(Duration::from_millis(1));
            let [near, far] = [0..3, 3..6].map(|ids| ids.map(|id| world.seen(id).in_flight).sum::<u64>());
            // Calls that end change the balance after the fact, by about the root of their number.
            assert!(near <= 12 || near <= far + 20, "{policy}: {near} near, {far} far");
        }
        assert!(far(&world) > 1000, "{policy}: {} went over", far(&world));
        world.gap = Duration::from_millis(5);
        world.servers.iter_mut().take(3).for_each(|server| server.healthy = false);
        world.apply();
        world.play_for(Duration::from_secs(1));
        assert_eq!(world.refused, 0, "{policy}: the other zone is there");
        world.drain();
    });
}
