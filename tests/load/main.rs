//! The benchmark: what a call costs through the gateway, beside the same call without it and through nginx.
//!
//! All on loopback, in one run, rounds interleaved, so that ratios stand side by side under the same noise. Every answer is
//! checked; a run with a wrong answer fails. Prints the page `docs/reference/performance.md`.

use std::time::Duration;

use anyhow::{Result, bail};
use clap::Parser;

mod drive;
mod target;
mod work;

use drive::Measured;
use target::{Place, World};
use work::Work;

/// Measures the gateway.
#[derive(Parser)]
struct Arguments {
    /// Short rounds, for a look and not for figures.
    #[arg(long)]
    quick: bool,
}

/// Connections of the closed loop.
const CONNECTIONS: [usize; 3] = [1, 32, 256];
/// Calls per second of the open loop.
const RATE: usize = 2000;
/// Sessions held open while memory is read.
const SESSIONS: usize = 1000;

struct Row {
    work: Work,
    place: Place,
    load: Load,
    rounds: Vec<Measured>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Load {
    Closed(usize),
    Open(usize),
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let (rounds, length) =
        if arguments.quick { (1, Duration::from_millis(400)) } else { (3, Duration::from_millis(1500)) };
    let world = World::start()?;
    let mut rows = plan(&world);
    for _ in 0..rounds {
        for row in &mut rows {
            let spot = world.spot(row.place, row.work).await?;
            // A short run first: connections, caches and branch predictors are not what is measured.
            drive::closed(&spot, 8, length / 8).await?;
            let measured = match row.load {
                Load::Closed(connections) => drive::closed(&spot, connections, length).await?,
                Load::Open(rate) => drive::open(&spot, rate, length).await?,
            };
            row.rounds.push(measured);
        }
    }
    let idle = world.memory(Place::Gateway);
    world.open_sessions(SESSIONS).await?;
    let loaded = world.memory(Place::Gateway);
    let attempts = world.attempts_per_call().await?;
    print_page(&rows, (rounds, length), (idle, loaded), attempts);
    let wrong: u64 = rows.iter().flat_map(|row| &row.rounds).map(|round| round.wrong).sum();
    if wrong > 0 {
        bail!("{wrong} answers were wrong; the figures mean nothing");
    }
    Ok(())
}

fn plan(world: &World) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut add = |work, load, places: &[Place]| {
        let there = places.iter().filter(|place| world.has(**place));
        rows.extend(there.map(|place| Row { work, place: *place, load, rounds: Vec::new() }));
    };
    for connections in CONNECTIONS {
        add(Work::Echo, Load::Closed(connections), &[Place::Direct, Place::Nginx, Place::Gateway]);
    }
    add(Work::Echo, Load::Open(RATE), &[Place::Direct, Place::Nginx, Place::Gateway]);
    add(Work::SessionEcho, Load::Closed(32), &[Place::Direct, Place::Gateway]);
    add(Work::List, Load::Closed(32), &[Place::Direct, Place::Gateway]);
    for work in [Work::Read1K, Work::Read64K] {
        add(work, Load::Closed(32), &[Place::Files, Place::Gateway]);
    }
    rows
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

impl Row {
    fn of(&self, figure: impl Fn(&Measured) -> f64) -> f64 {
        median(self.rounds.iter().map(figure).collect())
    }
}

fn print_page(rows: &[Row], (rounds, length): (usize, Duration), (idle, loaded): (f64, f64), attempts: f64) {
    println!("# Performance\n");
    println!(
        "Measured by `cargo xtask bench` on loopback, release build, {rounds} interleaved rounds of {:.1} s for each row; medians.",
        length.as_secs_f64()
    );
    println!(
        "The load generator shares the machine with what it measures, so absolute figures are low and ratios are what counts.\n"
    );
    println!("Machine: {}.\n", target::machine());
    println!(
        "*direct* is the server over plain HTTP; *nginx* the same server behind nginx as a plain HTTP proxy with kept-alive connections; *gateway* is"
    );
    println!(
        "`weft up`: its gateway and server in one process with mutual TLS between them. CPU is of the process, or processes, under test. The open loop sends"
    );
    println!("at a fixed rate and counts latency from the moment a call was due.\n");
    println!(
        "| work | load | through | calls/s | p50 | p99 | p99.9 | CPU s per 1,000 calls | against direct | against nginx |"
    );
    println!("|---|---|---|--:|--:|--:|--:|--:|--:|--:|");
    for row in rows {
        let rate = row.of(Measured::rate);
        let against = |place: Place| {
            let other =
                rows.iter().find(|other| other.place == place && other.work == row.work && other.load == row.load);
            other
                .filter(|_| row.place == Place::Gateway)
                .map_or_else(|| "–".to_owned(), |other| format!("{:.2}", rate / other.of(Measured::rate)))
        };
        let load = match row.load {
            Load::Closed(connections) => format!("{connections} connections"),
            Load::Open(rate) => format!("{rate}/s"),
        };
        let direct = if against(Place::Direct) == "–" { against(Place::Files) } else { against(Place::Direct) };
        println!(
            "| {} | {load} | {} | {rate:.0} | {} | {} | {} | {:.3} | {direct} | {} |",
            row.work.name(),
            row.place.name(),
            micros(row.of(|round| round.at(0.5))),
            micros(row.of(|round| round.at(0.99))),
            micros(row.of(|round| round.at(0.999))),
            row.of(Measured::cpu_per_thousand),
            against(Place::Nginx),
        );
    }
    println!(
        "\nMemory of `weft up` (gateway and all servers in one process): {idle:.0} MiB after the load, {loaded:.0} MiB with {SESSIONS} sessions open besides."
    );
    println!("Requests to servers for each call of a tool: {attempts:.2}.");
}

fn micros(seconds: f64) -> String {
    if seconds < 0.001 { format!("{:.0} µs", seconds * 1e6) } else { format!("{:.2} ms", seconds * 1e3) }
}
