//! The lines of one adapter: how many there may be, and how soon one is started again that would not start.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use weft_telemetry::names;

use crate::{Options, line::Line};

/// Why there is no line.
pub(crate) enum NoLine {
    /// There are as many as there may be.
    Full,
    /// What is behind it would not start; another try is worth it after this long.
    Failed(String, Duration),
}

/// The lines of an adapter.
pub(crate) struct Pool {
    options: Options,
    lines: tokio::sync::Mutex<BTreeMap<String, Arc<Line>>>,
    running: Mutex<Vec<Weak<Line>>>,
    starts: Mutex<Starts>,
}

/// How starts went of late.
#[derive(Debug, Default)]
struct Starts {
    failures: u32,
    last: Option<Instant>,
}

/// The first wait after a failed start, doubled up to the last.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LAST_WAIT: Duration = Duration::from_secs(30);
/// A caller is kept waiting for a start for this long at most.
const PATIENCE: Duration = Duration::from_secs(2);

impl Pool {
    pub(crate) fn new(options: Options) -> Self {
        Self { options, lines: tokio::sync::Mutex::default(), running: Mutex::default(), starts: Mutex::default() }
    }

    /// False while what is behind the lines cannot be started.
    pub(crate) fn is_healthy(&self) -> bool {
        lock(&self.starts).failures == 0
    }

    pub(crate) fn succeeded(&self) {
        *lock(&self.starts) = Starts::default();
    }

    /// Forgets a shared line.
    pub(crate) async fn remove(&self, key: &str) {
        self.lines.lock().await.remove(key);
    }

    /// The line of this name, started if need be.
    pub(crate) async fn shared(&self, key: &str) -> Result<Arc<Line>, NoLine> {
        let mut lines = self.lines.lock().await;
        lines.retain(|_, line| !line.is_over());
        if let Some(line) = lines.get(key) {
            return Ok(Arc::clone(line));
        }
        let line = self.open().await?;
        lines.insert(key.to_owned(), Arc::clone(&line));
        Ok(line)
    }

    /// A line of its own.
    pub(crate) async fn open(&self) -> Result<Arc<Line>, NoLine> {
        if self.running() >= self.options.most {
            return Err(NoLine::Full);
        }
        let wait = {
            let starts = lock(&self.starts);
            let pause = FIRST_WAIT.saturating_mul(1 << starts.failures.min(9)).min(LAST_WAIT);
            let since = starts.last.map_or(Duration::MAX, |last| last.elapsed());
            (starts.failures > 0).then(|| pause.saturating_sub(since)).filter(|wait| !wait.is_zero())
        };
        if let Some(wait) = wait {
            if wait > PATIENCE {
                return Err(NoLine::Failed("it failed to start again and again".into(), wait));
            }
            tokio::time::sleep(wait).await;
        }
        let line = Line::open(&self.options).await.map_err(|why| NoLine::Failed(why, self.failed()))?;
        metrics::counter!(names::CHILD_STARTS.name, "service" => Arc::clone(&self.options.name)).increment(1);
        lock(&self.running).push(Arc::downgrade(&line));
        self.running();
        Ok(line)
    }

    /// Notes a failed start; gives when another one is worth it.
    pub(crate) fn failed(&self) -> Duration {
        metrics::counter!(names::CHILD_FAILURES.name, "service" => Arc::clone(&self.options.name)).increment(1);
        let mut starts = lock(&self.starts);
        starts.failures += 1;
        starts.last = Some(Instant::now());
        FIRST_WAIT.saturating_mul(1 << starts.failures.min(9)).min(LAST_WAIT)
    }

    /// Lines that live.
    fn running(&self) -> usize {
        let mut running = lock(&self.running);
        running.retain(|line| line.upgrade().is_some_and(|line| !line.is_over()));
        #[expect(clippy::cast_precision_loss, reason = "a count of processes")]
        metrics::gauge!(names::CHILDREN.name, "service" => Arc::clone(&self.options.name)).set(running.len() as f64);
        running.len()
    }

    /// Ends shared lines that have no session.
    pub(crate) async fn end_unused(&self) {
        let mut lines = self.lines.lock().await;
        lines.retain(|_, line| {
            let unused = {
                let state = line.lock();
                state.seats.is_empty() && state.pending.is_empty()
            };
            if unused {
                line.end();
            }
            !unused && !line.is_over()
        });
        drop(lines);
        self.running();
    }

    /// Ends all lines, and waits until what is behind them has ended.
    pub(crate) async fn shutdown(&self) {
        let all: Vec<Arc<Line>> = lock(&self.running).iter().filter_map(Weak::upgrade).collect();
        all.iter().for_each(|line| line.end());
        let gone = async {
            while all.iter().any(|line| !line.is_over()) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(8), gone).await.is_err() {
            tracing::warn!(service = &*self.options.name, "a program did not end");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
