//! Load: a closed loop that asks again as soon as it is answered, and an open loop that keeps its rate whatever happens.
//!
//! The open loop counts latency from the moment a call was due, sends every call that was due, and lets any free
//! connection take the next: a stall is seen by all calls that it held up, not by one for each connection.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::client::{Client, Spot};

/// Connections of the open loop.
const OPEN: usize = 64;
/// How far behind its rate an open loop may fall before it counts what is late as wrong, unsent.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a run gave.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    /// Seconds, sorted.
    latencies: Vec<f64>,
    /// Calls without a right answer; they are in no other figure.
    pub(crate) wrong: usize,
    /// What one of them got.
    pub(crate) sample: Option<String>,
    seconds: f64,
    cpu: f64,
}

impl Measured {
    /// Right answers in a second.
    pub(crate) fn rate(&self) -> f64 {
        count(self.right()) / self.seconds
    }

    /// Seconds of processor time for 1,000 calls.
    pub(crate) fn cpu_per_thousand(&self) -> f64 {
        self.cpu / count(self.right().max(1)) * 1000.0
    }

    /// Right answers.
    pub(crate) fn right(&self) -> usize {
        self.latencies.len()
    }

    /// The latency, in seconds, that so many of 1,000 calls did not exceed (nearest rank).
    pub(crate) fn at(&self, of_thousand: usize) -> f64 {
        let rank = (self.right() * of_thousand).div_ceil(1000);
        self.latencies.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }

    fn merge(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        self.wrong += other.wrong;
        self.sample = self.sample.take().or(other.sample);
    }

    fn failed(&mut self, why: String) {
        self.wrong += 1;
        self.sample.get_or_insert(why);
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of calls are far below 2^52")]
fn count(calls: usize) -> f64 {
    calls as f64
}

/// When the next call is to be sent.
#[derive(Clone)]
enum Pace {
    /// At once, until then.
    Closed(Instant),
    Open(Arc<Schedule>),
}

/// Calls that are due one after the other; each is taken once.
struct Schedule {
    began: Instant,
    every: Duration,
    total: usize,
    next: AtomicUsize,
    due: Semaphore,
}

impl Schedule {
    fn new(rate: u32, length: Duration) -> Arc<Self> {
        let every = Duration::from_secs(1) / rate;
        let total = usize::try_from(length.as_nanos() / every.as_nanos().max(1)).unwrap_or(usize::MAX);
        Arc::new(Self { began: Instant::now(), every, total, next: AtomicUsize::new(0), due: Semaphore::new(0) })
    }

    fn at(&self, number: usize) -> Instant {
        self.began + self.every.saturating_mul(u32::try_from(number).unwrap_or(u32::MAX))
    }

    /// Lets calls go when they are due. On a thread of its own, because a thread wakes within some 60 µs and the
    /// runtime's timer within a millisecond, which would be most of what is measured.
    fn keep(&self) {
        for number in 0..self.total {
            std::thread::sleep(self.at(number).saturating_duration_since(Instant::now()));
            self.due.add_permits(1);
        }
        self.due.add_permits(OPEN);
    }

    async fn take(&self) -> Option<Instant> {
        self.due.acquire().await.ok()?.forget();
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number < self.total).then(|| self.at(number))
    }
}

/// Runs `connections` callers for `length`.
pub(crate) async fn closed(spot: &Spot, connections: usize, length: Duration) -> Result<Measured> {
    let clients = connect(spot, connections).await?;
    let before = spot.cpu()?;
    let began = Instant::now();
    run(spot, clients, Pace::Closed(began + length), began, before).await
}

/// Sends `rate` calls a second for `length`.
pub(crate) async fn open(spot: &Spot, rate: u32, length: Duration) -> Result<Measured> {
    let clients = connect(spot, OPEN).await?;
    let before = spot.cpu()?;
    let schedule = Schedule::new(rate, length);
    let began = schedule.began;
    let keeper = std::thread::spawn({
        let schedule = schedule.clone();
        move || schedule.keep()
    });
    let measured = run(spot, clients, Pace::Open(schedule), began, before).await;
    let _ = keeper.join();
    measured
}

async fn connect(spot: &Spot, connections: usize) -> Result<Vec<Client>> {
    let mut clients = Vec::new();
    for _ in 0..connections {
        clients.push(Client::connect(spot).await?);
    }
    Ok(clients)
}

async fn run(spot: &Spot, clients: Vec<Client>, pace: Pace, began: Instant, before: f64) -> Result<Measured> {
    let mut callers = JoinSet::new();
    for client in clients {
        callers.spawn(caller(spot.clone(), client, pace.clone()));
    }
    let mut measured = Measured::default();
    while let Some(done) = callers.join_next().await {
        measured.merge(done.context("a caller failed")??);
    }
    measured.seconds = began.elapsed().as_secs_f64();
    measured.cpu = spot.cpu()? - before;
    measured.latencies.sort_by(f64::total_cmp);
    Ok(measured)
}

async fn caller(spot: Spot, mut client: Client, pace: Pace) -> Result<Measured> {
    let mut measured = Measured::default();
    loop {
        let from = match &pace {
            Pace::Closed(end) => Some(Instant::now()).filter(|now| now < end),
            Pace::Open(schedule) => schedule.take().await,
        };
        let Some(from) = from else { break };
        if from.elapsed() > PATIENCE {
            measured.failed(format!("unsent {} s after it was due", PATIENCE.as_secs()));
            continue;
        }
        match client.call().await {
            Ok(()) => measured.latencies.push(from.elapsed().as_secs_f64()),
            Err(error) => measured.failed(format!("{error:#}")),
        }
        // The number of connections is part of what is measured: one that ended is made anew.
        if client.is_closed() {
            client = Client::connect(&spot).await?;
        }
    }
    Ok(measured)
}
