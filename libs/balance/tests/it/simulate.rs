//! Thousands of scenarios from seeds, and what must hold in all of them. What holds at every step is checked by
//! [`world`] itself: the cap on blocked instances, one probe at a time, the retry budget, nobody refused without need.

use std::{panic, time::Duration};

use weft_balance::{Config, Policy, Time};

mod recovery;
pub(crate) mod rng;
mod server;
mod shares;
mod world;

use rng::Rng;
use server::{Behaviour, Server};
use world::{START, World};

/// Plays `scenario` with each seed; the seed of the first that fails is printed.
fn seeds(count: u64, scenario: impl Fn(u64) + panic::RefUnwindSafe) {
    for seed in 0..count {
        if let Err(panic) = panic::catch_unwind(|| scenario(seed)) {
            eprintln!("the scenario failed with seed {seed}");
            panic::resume_unwind(panic);
        }
    }
}

fn config(policy: Policy, seed: u64) -> Config {
    Config { policy, seed, ..Config::default() }
}

fn policy(rng: &mut Rng) -> Policy {
    Policy::ALL[rng.index(3)]
}

/// Any behaviour; what happens once happens within the first ten seconds.
fn behaviour(rng: &mut Rng) -> Behaviour {
    let from = START + Duration::from_millis(rng.below(5000));
    let to = from + Duration::from_millis(rng.below(5000));
    match rng.below(10) {
        0 => Behaviour::Slow,
        1 => Behaviour::Lossy(rng.below(100)),
        2 => Behaviour::Flapping(Duration::from_millis(50 + rng.below(2000))),
        3 => Behaviour::Dead(from, Time(u64::MAX)),
        4 => Behaviour::Dead(from, to),
        5 => Behaviour::Stalling(from, to),
        6 if rng.chance(20) => Behaviour::Resting(Duration::from_millis(rng.below(3000))),
        _ => Behaviour::Fine,
    }
}

fn server(id: usize, rng: &mut Rng) -> Server {
    Server {
        weight: [1, 1, 1, 2, 5, 100, 0][rng.index(7)],
        zone: [None, Some("a"), Some("b")][rng.index(3)],
        healthy: rng.chance(95),
        behaviour: behaviour(rng),
        ..Server::fine(id)
    }
}

/// One change of the set: somebody joins, leaves, or is seen otherwise by the registry.
fn change(world: &mut World, next: &mut usize) {
    let count = world.servers.len();
    let at = world.rng.index(count);
    match world.rng.below(4) {
        0 if count > 1 => drop(world.servers.remove(at)),
        1 if count > 0 => world.servers[at].healthy ^= true,
        2 => world.servers.reverse(),
        _ => {
            let mut rng = world.rng.clone();
            world.servers.push(server(*next, &mut rng));
            *next += 1;
        }
    }
    world.apply();
}

fn chaos(seed: u64, sizes: &[usize]) {
    let mut rng = Rng(seed ^ 0xc4a0_5000);
    let most = sizes[rng.index(sizes.len())];
    let size = 1 + rng.index(most);
    let zone = rng.chance(30).then(|| "a".to_owned());
    let mut config = Config { zone, spill: 1, ..config(policy(&mut rng), seed) };
    // Shorter than what a silent instance takes, at times: then probes expire while they are out.
    config.breaker.probe = Duration::from_millis([200, 700, 10_000][rng.index(3)]);
    let servers: Vec<Server> = (0..size).map(|id| server(id, &mut rng)).collect();
    let mut world = World::new(seed, config, servers, Duration::from_millis(2 + rng.below(80)));
    world.cancelled = rng.below(10);
    let mut next = size;
    for _ in 0..6 {
        world.play_for(Duration::from_millis(200 + rng.below(2500)));
        change(&mut world, &mut next);
    }
    world.drain();
}

#[test]
fn chaos_among_few_breaks_no_promise() {
    seeds(2000, |seed| chaos(seed, &[1, 2, 3, 5, 12]));
}

#[test]
fn chaos_among_many_breaks_no_promise() {
    seeds(60, |seed| chaos(seed, &[100, 300, 1000]));
}
