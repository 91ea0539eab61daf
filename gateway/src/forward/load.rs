//! A call in flight at an instance, told to the balancer when it ends.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use weft_balance::{Outcome, Pick};

use crate::upstream::{Group, Upstreams};

/// One attempt, from its start to the last byte of its answer or its end without one.
pub(crate) struct Load {
    upstreams: Arc<Upstreams>,
    group: Arc<Group>,
    pick: Pick,
    began: Instant,
    /// Set when the head of the answer came: from then on the call counts by its bytes, not its latency.
    latency: Option<Duration>,
    failed: bool,
    retry_after: Option<Duration>,
}

impl Load {
    pub(super) fn begin(upstreams: &Arc<Upstreams>, group: &Arc<Group>, pick: Pick) -> Self {
        group.pool.begin(&pick, upstreams.now());
        Self {
            upstreams: Arc::clone(upstreams),
            group: Arc::clone(group),
            pick,
            began: Instant::now(),
            latency: None,
            failed: false,
            retry_after: None,
        }
    }

    /// The head of the answer is there; gives how long it took.
    pub(super) fn landed(&mut self) -> Duration {
        *self.latency.insert(self.began.elapsed())
    }

    /// The answer, or the stream behind it, broke off; `retry_after` when the instance asked to be left alone.
    pub(crate) fn fail(&mut self, retry_after: Option<Duration>) {
        (self.failed, self.retry_after) = (true, retry_after);
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let latency = self.latency.unwrap_or_else(|| self.began.elapsed());
        let outcome = match (self.failed, self.latency) {
            (true, _) => Outcome::Failure { latency, retry_after: self.retry_after },
            (false, Some(_)) => Outcome::Success { latency },
            (false, None) => Outcome::Cancelled,
        };
        self.group.pool.finish(&self.pick, self.upstreams.now(), outcome);
    }
}
