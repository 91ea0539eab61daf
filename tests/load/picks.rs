//! What choosing an instance costs: the balancer alone, without a network, at several sizes of a service.
//!
//! One thread, everything healthy, sixteen calls in flight: the cost that every call pays. Best of several rounds, because
//! what other programs take from the processor is not the balancer's.

use std::{
    collections::VecDeque,
    fmt::Write as _,
    hint::black_box,
    time::{Duration, Instant},
};

use weft_balance::{Config, Member, Outcome, Pick, Policy, Pool, Time};

const SIZES: [usize; 3] = [10, 100, 1000];
const ROUNDS: usize = 7;
const CALLS: u32 = 200_000;
const BUILDS: u32 = 20;
/// Calls that are begun and not finished yet.
const IN_FLIGHT: usize = 16;

/// One policy at one size.
pub(crate) struct Row {
    policy: Policy,
    instances: usize,
    /// One choice alone.
    pick: Duration,
    /// A choice, the beginning and the end of a call.
    call: Duration,
    /// A new pool when one of the members is another, for each member.
    build: Duration,
}

/// Measures all policies at all sizes; takes some seconds.
pub(crate) fn rows() -> Vec<Row> {
    Policy::ALL.into_iter().flat_map(|policy| SIZES.map(|instances| row(policy, instances))).collect()
}

/// The rows as a table of Markdown.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut table = String::from(
        "| policy | instances | pick, ns | pick + begin + finish, ns | pool with one member changed, µs |\n\
         |---|---:|---:|---:|---:|\n",
    );
    for row in rows {
        let (pick, call, build) = (row.pick.as_nanos(), row.call.as_nanos(), row.build.as_micros());
        let _ = writeln!(table, "| `{}` | {} | {pick} | {call} | {build} |", row.policy, row.instances);
    }
    table
}

fn row(policy: Policy, instances: usize) -> Row {
    let config = Config { policy, seed: 1, ..Config::default() };
    let pool = Pool::build(&config, members(instances, 0), None, Time(1 << 40));
    let (pick, call) = ((0..ROUNDS).map(|_| picks(&pool)).min(), (0..ROUNDS).map(|_| calls(&pool)).min());
    let build = (0..ROUNDS).map(|_| builds(&config, instances)).min();
    let [pick, call, build] = [pick, call, build].map(Option::unwrap_or_default);
    Row { policy, instances, pick, call, build }
}

/// All alike; the last one is another in each `generation`.
fn members(count: usize, generation: u32) -> Vec<Member> {
    let member = |key| Member { key, weight: 1, zone: None, healthy: true };
    let stay = (1..count).map(|number| member(format!("instance-{number}")));
    stay.chain([member(format!("changing-{generation}"))]).collect()
}

/// A clock that goes on by a microsecond a call, and numbers that look random.
fn chance(call: u32) -> (Time, u64) {
    let call = u64::from(call);
    (Time((1 << 41) + call * 1000), weft_balance::hash(&call.to_le_bytes()))
}

fn picks(pool: &Pool) -> Duration {
    let began = Instant::now();
    for call in 0..CALLS {
        let (now, draw) = chance(call);
        let _ = black_box(pool.pick(now, draw, Some(draw), &[]));
    }
    began.elapsed() / CALLS
}

fn calls(pool: &Pool) -> Duration {
    let mut open: VecDeque<Pick> = VecDeque::with_capacity(IN_FLIGHT + 1);
    let began = Instant::now();
    for call in 0..CALLS {
        let (now, draw) = chance(call);
        if let Ok(pick) = pool.pick(now, draw, Some(draw), &[]) {
            pool.begin(&pick, now);
            open.push_back(pick);
        }
        if open.len() > IN_FLIGHT
            && let Some(pick) = open.pop_front()
        {
            pool.finish(&pick, now, Outcome::Success { latency: Duration::from_micros(900 + draw % 256) });
        }
    }
    let elapsed = began.elapsed() / CALLS;
    open.iter().for_each(|pick| pool.finish(pick, Time(1 << 42), Outcome::Cancelled));
    elapsed
}

fn builds(config: &Config, instances: usize) -> Duration {
    let mut pool = Pool::build(config, members(instances, 0), None, Time(1 << 40));
    let sets: Vec<Vec<Member>> = (1..=BUILDS).map(|generation| members(instances, generation)).collect();
    let began = Instant::now();
    for set in sets {
        pool = Pool::build(config, set, Some(&pool), Time(1 << 41));
    }
    let elapsed = began.elapsed() / BUILDS;
    black_box(pool);
    elapsed
}
