//! The page that a run is written down as: method, machine, table, ratios side by side.

use std::time::Duration;

use crate::{drive::Measured, process, work::Work, world::Place};

/// How the calls are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    /// That many callers, each with one call under way.
    Closed(usize),
    /// That many calls a second.
    Open(u32),
}

/// One line of the table: the same work by one way, some rounds of it.
pub(crate) struct Row {
    pub(crate) work: Work,
    pub(crate) place: Place,
    pub(crate) load: Load,
    pub(crate) rounds: Vec<Measured>,
}

/// What the gateway's process holds, MiB.
pub(crate) struct Memory {
    /// Before its first call.
    pub(crate) fresh: f64,
    /// With sessions and their streams open.
    pub(crate) sessions: f64,
    /// After all rounds.
    pub(crate) worked: f64,
}

/// All that was measured.
pub(crate) struct Page {
    pub(crate) rows: Vec<Row>,
    pub(crate) rounds: usize,
    pub(crate) length: Duration,
    pub(crate) memory: Memory,
    /// Sessions that were open for the second figure of memory.
    pub(crate) sessions: usize,
    /// Requests to servers for each tool call at the gateway.
    pub(crate) attempts: f64,
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

impl Row {
    fn of(&self, figure: impl Fn(&Measured) -> f64) -> f64 {
        median(self.rounds.iter().map(figure).collect())
    }

    /// The row that this one, when it is the gateway's, is compared with.
    fn rival<'a>(&self, rows: &'a [Self], place: Place) -> Option<&'a Self> {
        let same = |row: &&Self| row.place == place && row.work == self.work && row.load == self.load;
        rows.iter().find(same).filter(|_| self.place == Place::Gateway)
    }

    /// The median of what each round of this row and of the other make together: what disturbed one disturbed both.
    fn beside(&self, rival: &Self, figure: impl Fn(&Measured, &Measured) -> f64) -> f64 {
        median(self.rounds.iter().zip(&rival.rounds).map(|(own, other)| figure(own, other)).collect())
    }

    /// This row's throughput as a share of another's. An open loop has the same throughput everywhere.
    fn share(&self, rival: Option<&Self>) -> String {
        let rival = rival.filter(|_| matches!(self.load, Load::Closed(_)));
        let share = rival.map(|rival| self.beside(rival, |own, other| own.rate() / other.rate()));
        share.map_or_else(|| "–".to_owned(), |share| format!("{share:.2}"))
    }

    fn added(&self, rival: Option<&Self>) -> String {
        let added = rival.map(|rival| self.beside(rival, |own, other| own.at(500) - other.at(500)));
        added.map_or_else(|| "–".to_owned(), time)
    }

    fn print(&self, rows: &[Self]) {
        let load = match self.load {
            Load::Closed(1) => "1 connection".to_owned(),
            Load::Closed(connections) => format!("{connections} connections"),
            Load::Open(rate) => format!("open, {rate}/s"),
        };
        let (direct, nginx) = (self.rival(rows, Place::Direct), self.rival(rows, Place::Nginx));
        println!(
            "| {} | {load} | {} | {:.0} | {} | {} | {} | {:.3} | {} | {} | {} |",
            self.work.name(),
            self.place.name(),
            self.of(Measured::rate),
            time(self.of(|round| round.at(500))),
            time(self.of(|round| round.at(990))),
            time(self.of(|round| round.at(999))),
            self.of(Measured::cpu_per_thousand),
            self.share(direct),
            self.share(nginx),
            self.added(direct),
        );
    }
}

fn time(seconds: f64) -> String {
    if seconds.abs() < 0.001 { format!("{:.0} µs", seconds * 1e6) } else { format!("{:.2} ms", seconds * 1e3) }
}

const METHOD: &str = "\
*direct* is a server of its own over plain HTTP. *nginx* is the same server behind nginx (two workers, kept-alive
connections, no access log) as a plain HTTP proxy. *gateway* is `weft up`: the gateway and its own servers in one
process, mutual TLS between them, logging at `error` as the servers do. Clients speak HTTP/1.1 over kept-alive
connections; in the session era each begins a session first. The closed loop asks again as soon as it is answered. The
open loop sends at a fixed rate and counts latency from the moment a call was due, so that waiting is not left out.
Every answer is checked, those that warm up too; a run with a wrong one fails. Throughput counts right answers. CPU is
that of all programs on the way, the server included. Ratios are of throughput; they and the p50 that the gateway adds
to direct calls are medians of what the rounds gave one by one.

The load generator shares the machine with what it measures. So throughput is lower than it would be without, and the
ratios are nearer to 1, because the generator's own work is in both figures.";

impl Page {
    pub(crate) fn print(&self) {
        let Memory { fresh, sessions, worked } = self.memory;
        println!("# Performance\n");
        println!("`cargo xtask bench`, all on loopback: for each row {} rounds of", self.rounds);
        println!(
            "{:.1} s, the rows taken in turn; medians. Machine: {}.\n",
            self.length.as_secs_f64(),
            process::machine()
        );
        println!("{METHOD}\n");
        print!("| work | load | through | calls/s | p50 | p99 | p99.9 | CPU s per 1,000 calls ");
        println!("| gateway/direct | gateway/nginx | added p50 |");
        println!("|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|");
        for row in &self.rows {
            row.print(&self.rows);
        }
        println!("\nRequests to servers for each tool call at the gateway: {:.3}.\n", self.attempts);
        println!("Resident memory of `weft up`, gateway and servers together: {fresh:.0} MiB before the first call,");
        println!("{sessions:.0} MiB with {} sessions and their streams open,", self.sessions);
        println!("{worked:.0} MiB after all rounds.");
    }
}
