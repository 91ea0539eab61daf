//! The benchmark: what a call costs through the gateway, beside the same call without it and through nginx.
//!
//! All on loopback, in one run, rounds interleaved, so that ratios stand side by side under the same noise. Every answer
//! is checked; a run with a wrong answer fails. Prints the page `docs/reference/performance.md`.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

mod client;
mod drive;
mod mesh;
mod nginx;
mod page;
mod picks;
mod process;
mod start;
mod work;
mod world;

use client::{Held, Spot};
use drive::Measured;
use page::{Load, Memory, Page, Row};
use work::Work;
use world::{Place, World};

/// Measures the gateway against its servers alone and against nginx, and prints a page of Markdown.
#[derive(Parser)]
struct Arguments {
    /// Short rounds, for a look and not for figures.
    #[arg(long)]
    quick: bool,
    /// Measures one part alone.
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Subcommand)]
enum Part {
    /// What mutual TLS, many instances and choosing among them cost.
    Mesh,
    /// What choosing an instance costs, without a gateway or a network.
    Picks,
    /// What each program takes before anybody calls it.
    Start,
}

/// Connections of the closed loop.
const CONNECTIONS: [usize; 3] = [1, 32, 256];
/// Calls per second of the open loop: what every way can do on two cores that the generator has its part of.
const RATE: u32 = 1000;
/// Sessions held open while memory is read.
const SESSIONS: usize = 1000;
/// Counts what the gateway asked of servers.
const ATTEMPTS: &str = "weft_gateway_attempts_total";
const ALL: [Place; 3] = [Place::Direct, Place::Nginx, Place::Gateway];

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(Part::Picks) = arguments.part {
        print!("{}", picks::table(&picks::rows()));
        return Ok(());
    }
    if let Some(Part::Start) = arguments.part {
        return start::run(arguments.quick);
    }
    let mesh = matches!(arguments.part, Some(Part::Mesh));
    let mut terminate = signal(SignalKind::terminate())?;
    // Signals end the run by way of its destructors, which end the programs that it started.
    tokio::select! {
        done = measure(arguments.quick), if !mesh => done,
        done = mesh::run(arguments.quick), if mesh => done,
        _ = terminate.recv() => bail!("stopped"),
        _ = tokio::signal::ctrl_c() => bail!("stopped"),
    }
}

async fn measure(quick: bool) -> Result<()> {
    let (rounds, length) = if quick { (1, Duration::from_millis(500)) } else { (5, Duration::from_millis(1200)) };
    let world = World::start()?;
    let mut rows = plan(&world)?;
    let (mut calls, mut attempts) = (0, 0.0);
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        for (row, spot) in &mut rows {
            // Lists are forwarded too, so what servers were asked is counted around the calls of tools alone.
            let counted = row.place == Place::Gateway && row.work.tool().is_some();
            let before = if counted { world.gateway().metric(ATTEMPTS).await? } else { 0.0 };
            // First a short run: connections, caches and allocators that warm up are not what is measured.
            let warm = drive::closed(spot, 8, length / 8).await?;
            check(row, &warm)?;
            let measured = match row.load {
                Load::Closed(connections) => drive::closed(spot, connections, length).await?,
                Load::Open(rate) => drive::open(spot, rate, length).await?,
            };
            check(row, &measured)?;
            if counted {
                attempts += world.gateway().metric(ATTEMPTS).await? - before;
                calls += warm.right() + measured.right();
            }
            row.rounds.push(measured);
        }
    }
    let attempts = attempts / f64::from(u32::try_from(calls).context("too many calls")?);
    let memory = memory(&world).await?;
    let rows = rows.into_iter().map(|(row, _)| row).collect();
    Page { rows, rounds, length, memory, sessions: SESSIONS, attempts }.print();
    drop(world);
    println!();
    start::run(quick)
}

/// Everything that is measured and can be, in the order of a round: the ways of one work side by side.
fn plan(world: &World) -> Result<Vec<(Row, Spot)>> {
    let mut kinds: Vec<_> = CONNECTIONS.into_iter().map(|count| (Work::Echo, Load::Closed(count))).collect();
    kinds.push((Work::Echo, Load::Open(RATE)));
    let others = [Work::SessionEcho, Work::List, Work::ListAll, Work::Read1K, Work::Read64K];
    kinds.extend(others.map(|work| (work, Load::Closed(32))));
    let mut rows = Vec::new();
    for (work, load) in kinds {
        // Only the gateway has the tools of all servers.
        let places = if work == Work::ListAll { &ALL[2..] } else { &ALL[..] };
        for place in places {
            if let Some(spot) = world.spot(*place, work)? {
                rows.push((Row { work, place: *place, load, rounds: Vec::new() }, spot));
            }
        }
    }
    Ok(rows)
}

fn check(row: &Row, measured: &Measured) -> Result<()> {
    let (work, place) = (row.work.name(), row.place.name());
    if measured.wrong > 0 {
        let sample = measured.sample.as_deref().unwrap_or("nothing");
        bail!("{work} through {place}: {} wrong answers, so no figures; one was: {sample}", measured.wrong);
    }
    if measured.right() == 0 {
        bail!("{work} through {place}: no answer at all");
    }
    Ok(())
}

async fn memory(world: &World) -> Result<Memory> {
    let gateway = world.fresh_gateway()?;
    let fresh = gateway.resident()?;
    let mut held = Vec::new();
    for _ in 0..SESSIONS {
        held.push(Held::open(gateway.port()).await?);
    }
    let counted = gateway.metric("weft_gateway_sessions").await?;
    if counted < f64::from(u32::try_from(held.len())?) {
        bail!("{} sessions were begun and the gateway remembers {counted}", held.len());
    }
    Ok(Memory { fresh, sessions: gateway.resident()?, worked: world.gateway().resident()? })
}
