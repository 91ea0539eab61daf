//! One call as a tool sees it: who asks, how long, whether anyone still waits, and how to say that work goes on.
//!
//! A handler gets its [`Call`] first and hands it down to the backend. Long work asks [`Call::check`] between steps (or
//! selects on [`Call::token`]) and stops when the caller is gone; a handler that does not return soon after is dropped.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::budget::Budget;
use crate::caller::Caller;
use crate::error::ToolError;
use crate::seal::{Bound, Purpose, Sealer, Unfit};

/// How long a cursor stays good.
const CURSOR_TTL: Duration = Duration::from_secs(600);

/// The context of one call. Cheap to clone.
#[derive(Clone)]
pub struct Call(Arc<Inner>);

struct Inner {
    caller: Caller,
    tool: String,
    arguments: Value,
    token: CancellationToken,
    stop: OnceLock<Stop>,
    deadline: Instant,
    text_limit: usize,
    says: Option<mpsc::Sender<Says>>,
    shared: Arc<Shared>,
}

/// What all calls of one service share.
pub(crate) struct Shared {
    pub(crate) sealer: Sealer,
    /// Threads that may block at once.
    pub(crate) blocking: Arc<Semaphore>,
}

/// Why a call must stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    Cancelled,
    Deadline,
    Halted,
}

/// What a call tells its client on the way.
#[derive(Debug, Clone)]
pub(crate) enum Says {
    Progress { done: f64, total: Option<f64>, message: Option<String> },
    Log { level: Level, message: String },
}

/// Severity of a message for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For finding faults.
    Debug,
    /// The normal course.
    Info,
    /// Unexpected but handled.
    Warning,
    /// Something failed.
    Error,
}

/// What a call is made of (kit only).
pub(crate) struct Parts {
    pub(crate) caller: Caller,
    pub(crate) tool: String,
    pub(crate) arguments: Value,
    pub(crate) token: CancellationToken,
    pub(crate) deadline: Instant,
    pub(crate) text_limit: usize,
    pub(crate) says: Option<mpsc::Sender<Says>>,
}

impl Call {
    pub(crate) fn new(parts: Parts, shared: Arc<Shared>) -> Self {
        let Parts { caller, tool, arguments, token, deadline, text_limit, says } = parts;
        let stop = OnceLock::new();
        Self(Arc::new(Inner { caller, tool, arguments, token, stop, deadline, text_limit, says, shared }))
    }

    /// Who calls.
    pub fn caller(&self) -> &Caller {
        &self.0.caller
    }

    /// Whose data: confine every query to it.
    pub fn namespace(&self) -> &str {
        &self.0.caller.namespace
    }

    /// The tool's (or prompt's) name, or the method for resources.
    pub fn tool(&self) -> &str {
        &self.0.tool
    }

    /// Fires when the caller cancels or hangs up, when the deadline passes, and when the service stops.
    pub fn token(&self) -> &CancellationToken {
        &self.0.token
    }

    /// The moment after which nobody waits.
    pub fn deadline(&self) -> Instant {
        self.0.deadline
    }

    /// Time left until the deadline.
    pub fn left(&self) -> Duration {
        self.0.deadline.saturating_duration_since(Instant::now())
    }

    /// Fails when work should stop. Cheap enough for every step of a loop.
    pub fn check(&self) -> Result<(), ToolError> {
        if Instant::now() >= self.0.deadline {
            self.stop(Stop::Deadline);
        }
        if self.0.token.is_cancelled() { Err(self.stopped()) } else { Ok(()) }
    }

    /// Awaits `work`, or drops it as soon as the call should stop.
    pub async fn run<T>(&self, work: impl Future<Output = T>) -> Result<T, ToolError> {
        tokio::select! {
            biased;
            () = self.0.token.cancelled() => Err(self.stopped()),
            out = work => Ok(out),
        }
    }

    /// Runs `work` on a thread that may block, with as many at once as the host allows. `work` gets the call to
    /// [`check`](Self::check); its place is freed when it really ends, not when the caller stops waiting.
    pub async fn blocking<T, F>(&self, work: F) -> Result<T, ToolError>
    where
        T: Send + 'static,
        F: FnOnce(&Self) -> Result<T, ToolError> + Send + 'static,
    {
        let place = self.run(self.0.shared.blocking.clone().acquire_owned()).await?;
        let place = place.map_err(|_| ToolError::unavailable("the service is stopping"))?;
        let call = self.clone();
        let ended = tokio::task::spawn_blocking(move || {
            let _place = place;
            work(&call)
        });
        ended.await.unwrap_or_else(|error| Err(ToolError::internal(&error)))
    }

    /// Reports how far the work is. Never waits: reports that come faster than the client can take them are skipped.
    /// `done` must grow.
    pub fn progress(&self, done: f64, total: Option<f64>, message: impl Into<Option<String>>) {
        self.say(Says::Progress { done, total, message: message.into() });
    }

    /// Tells the client something if it asked for messages of this level.
    pub fn log(&self, level: Level, message: impl Into<String>) {
        self.say(Says::Log { level, message: message.into() });
    }

    /// A fresh budget of as much text as this tool may return.
    pub fn budget(&self) -> Budget {
        Budget::new(self.0.text_limit)
    }

    /// An opaque cursor for `position`: good for 10 minutes, for this caller, this tool and these arguments, and only while
    /// the data is still `snapshot` (a version, an etag; `""` when pages need not agree).
    pub fn cursor<P: Serialize>(&self, snapshot: &str, position: &P) -> Result<String, ToolError> {
        let until = unix_now() + CURSOR_TTL.as_secs();
        let sealed = self.0.shared.sealer.seal(Purpose::Cursor, self.bound(), until, &(snapshot, position));
        sealed.ok_or_else(|| ToolError::internal(&"a cursor could not be sealed"))
    }

    /// The position in `cursor`, `None` without one. Compare the snapshot with [`At::fresh`] once the present one is known.
    pub fn resume<P: DeserializeOwned>(&self, cursor: Option<&str>) -> Result<Option<At<P>>, ToolError> {
        let Some(cursor) = cursor else { return Ok(None) };
        let opened = self.0.shared.sealer.open::<(String, P)>(Purpose::Cursor, self.bound(), unix_now(), cursor);
        opened.map(|(snapshot, position)| Some(At { snapshot, position })).map_err(cursor_error)
    }

    pub(crate) fn bound(&self) -> Bound<'_> {
        Bound { caller: &self.0.caller, tool: &self.0.tool, arguments: &self.0.arguments }
    }

    pub(crate) fn sealer(&self) -> &Sealer {
        &self.0.shared.sealer
    }

    pub(crate) fn arguments(&self) -> &Value {
        &self.0.arguments
    }

    /// Makes the call stop; the first reason stays.
    pub(crate) fn stop(&self, why: Stop) {
        let _ = self.0.stop.set(why);
        self.0.token.cancel();
    }

    /// What a stopped call answers.
    pub(crate) fn stopped(&self) -> ToolError {
        match self.0.stop.get() {
            Some(Stop::Deadline) => ToolError::deadline(),
            Some(Stop::Halted) => ToolError::unavailable("the service is stopping"),
            Some(Stop::Cancelled) | None => ToolError::cancelled(),
        }
    }

    fn say(&self, what: Says) {
        if let Some(says) = &self.0.says {
            let _ = says.try_send(what);
        }
    }
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call").field("tool", &self.0.tool).field("caller", &self.0.caller.id).finish_non_exhaustive()
    }
}

/// Where a cursor points, and in which state of the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At<P> {
    snapshot: String,
    position: P,
}

impl<P> At<P> {
    /// The position, if the data is still what it was when the cursor was made.
    pub fn fresh(self, snapshot: &str) -> Result<P, ToolError> {
        if self.snapshot == snapshot {
            return Ok(self.position);
        }
        let stale = ToolError::new("stale_cursor", "the data changed since the cursor was made");
        Err(stale.hint("start again without a cursor"))
    }

    /// The position, whatever happened to the data.
    pub fn position(self) -> P {
        self.position
    }
}

fn cursor_error(unfit: Unfit) -> ToolError {
    let (code, message) = match unfit {
        Unfit::Unknown => ("invalid_cursor", "the cursor is not one that this call was given"),
        Unfit::Expired => ("expired_cursor", "the cursor is older than 10 minutes"),
        Unfit::OtherTool => ("invalid_cursor", "the cursor belongs to another tool"),
        Unfit::OtherArguments => ("invalid_cursor", "the arguments differ from those that the cursor was made with"),
    };
    ToolError::new(code, message).hint("repeat the first call's arguments exactly, or start again without a cursor")
}

/// Seconds since 1970: expiry must mean the same on every instance.
pub(crate) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
