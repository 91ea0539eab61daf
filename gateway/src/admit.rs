//! Steps 4 and 8: a caller keeps its own pace, and the whole gateway keeps its limit.
//!
//! The pace is checked before a body is read, so that a flood costs headers only. The limit is taken per call and held
//! by a [`Ticket`] until the last byte of the reply, because a slow reader occupies the gateway as much as a slow server.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use weft_balance::{Bucket, Limit, Time};

use crate::{authenticate::Caller, authorize::Permit, refusal::Refusal, settings::Limits, upstream::Place};

/// A caller within its own rate.
pub(crate) struct Paced {
    caller: Caller,
}

impl Paced {
    pub(crate) const fn caller(&self) -> &Caller {
        &self.caller
    }
}

/// Leave to occupy the gateway; gives the place back when dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    /// The place at a service with a limit of its own.
    place: Option<Place>,
    limit: Arc<Limit>,
    origin: Instant,
    began: Instant,
}

impl Ticket {
    /// Holds a place at a service too.
    pub(crate) fn hold(&mut self, place: Option<Place>) {
        self.place = place;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.limit.leave(now(self.origin), self.began.elapsed(), true);
    }
}

/// The counters behind both steps.
#[derive(Debug)]
pub(crate) struct Admission {
    origin: Instant,
    calls: Arc<Limit>,
    streams: Arc<Limit>,
    rate: (f64, f64),
    buckets: papaya::HashMap<Arc<str>, Arc<Bucket>>,
}

/// How long a shed caller is asked to wait.
const SHED_WAIT: Duration = Duration::from_secs(1);
/// Callers remembered before the table is cleared: a bound on memory, not on callers.
const BUCKETS: usize = 100_000;

impl Admission {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            origin: Instant::now(),
            calls: Arc::new(Limit::fixed(limits.concurrency)),
            streams: Arc::new(Limit::fixed(limits.streams)),
            rate: (f64::from(limits.caller_rate), f64::from(limits.caller_burst)),
            buckets: papaya::HashMap::new(),
        }
    }

    /// Takes one request from the caller's own rate.
    pub(crate) fn pace(&self, caller: Caller) -> Result<Paced, Refusal> {
        let time = now(self.origin);
        let buckets = self.buckets.pin();
        let bucket = match buckets.get(caller.id()) {
            Some(bucket) => bucket,
            None => {
                if buckets.len() >= BUCKETS {
                    buckets.clear();
                }
                buckets.get_or_insert_with(caller.id().into(), || Arc::new(Bucket::new(self.rate.0, self.rate.1, time)))
            }
        };
        match bucket.try_take(time) {
            Ok(()) => Ok(Paced { caller }),
            Err(wait) => Err(Refusal::Rate(wait)),
        }
    }

    /// Takes a place for a permitted call; a `lasting` one counts among the streams.
    pub(crate) fn admit(&self, _permit: &Permit, lasting: bool) -> Result<Ticket, Refusal> {
        self.take(if lasting { &self.streams } else { &self.calls })
    }

    /// Takes a place for a stream that stays open without working (the session's GET).
    pub(crate) fn admit_stream(&self) -> Result<Ticket, Refusal> {
        self.take(&self.streams)
    }

    /// Calls and streams that hold a ticket now.
    pub(crate) fn in_flight(&self) -> (usize, usize) {
        (self.calls.in_flight(), self.streams.in_flight())
    }

    fn take(&self, limit: &Arc<Limit>) -> Result<Ticket, Refusal> {
        if limit.try_enter() {
            Ok(Ticket { place: None, limit: Arc::clone(limit), origin: self.origin, began: Instant::now() })
        } else {
            Err(Refusal::Shed(SHED_WAIT))
        }
    }
}

/// The balance crate's clock: nanoseconds since `origin`.
pub(crate) fn now(origin: Instant) -> Time {
    Time(origin.elapsed().as_nanos().try_into().unwrap_or(u64::MAX))
}
