//! List, then watch, for ever (Kubernetes documentation, "API concepts: efficient detection of changes").
//!
//! A list says all, a watch what changes after it. A watch that ends is taken up again at the last version that was
//! seen, also by bookmarks; when the server no longer knows that version (410) there is a new list. The loop is written
//! here and not taken from a library, because what is stale must be known: it is, from the first request that fails
//! until the next one that is answered, while a watch that merely ends says nothing.

use std::{collections::BTreeMap, pin::pin, time::Duration};

use futures_util::StreamExt;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{
    Error,
    api::{ListParams, WatchEvent, WatchParams},
};
use tokio::time::{Instant, sleep, timeout};

use super::{Kubernetes, slice};
use crate::Instance;

/// A watch is ended by the server after so long …
const WATCH: u32 = 290;
/// … so that one which is silent for longer has lost its connection.
const SILENCE: Duration = Duration::from_secs(WATCH as u64 + 10);
/// For the answer to a request to begin, and for a list to end.
const ANSWER: Duration = Duration::from_secs(30);
/// A watch that lives for so long was a good one.
const GOOD: Duration = Duration::from_secs(5);
/// Between requests that fail, at first and at most.
const WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// Slices per page of a list.
const PAGE: u32 = 500;

/// Why a request, or a watch, is over.
enum End {
    /// As watches end.
    Closed,
    /// The server no longer knows the version.
    Expired,
    /// Anything else.
    Failed(String),
}

/// The slices that are known, and how far.
#[derive(Default)]
struct Known {
    slices: BTreeMap<slice::Key, Vec<Instance>>,
    version: Option<String>,
    /// Requests and watches in a row that came to nothing.
    failures: u32,
}

pub(super) async fn follow(source: &Kubernetes) {
    let mut known = Known::default();
    loop {
        let end = match round(source, &mut known).await {
            Ok(()) => End::Closed,
            Err(end) => end,
        };
        let wait = back_off(known.failures, fastrand::f64());
        known.failures = known.failures.saturating_add(1);
        match end {
            End::Closed => {}
            End::Expired => known.version = None,
            End::Failed(why) => {
                if source.latest.mark_stale() {
                    tracing::warn!(why, "the cluster's API is away: the last good set of instances stays in use");
                }
            }
        }
        sleep(wait).await;
    }
}

/// A list if need be, and one watch.
async fn round(source: &Kubernetes, known: &mut Known) -> Result<(), End> {
    let version = match known.version.take() {
        Some(version) => version,
        None => list(source, known).await?,
    };
    known.version = Some(version.clone());
    let params = WatchParams::default().labels(&source.options.selector).timeout(WATCH);
    let events = in_time(source.api.watch(&params, &version)).await?;
    let began = Instant::now();
    // An accepted watch is as good as an answer: nothing has changed since the version.
    publish(source, known);
    let mut events = pin!(events);
    while let Ok(Some(event)) = timeout(SILENCE, events.next()).await {
        apply(source, known, event.map_err(end_of)?)?;
        known.failures = 0;
    }
    if began.elapsed() >= GOOD {
        known.failures = 0;
    }
    Ok(())
}

/// Everything, page by page; gives the version of the list.
async fn list(source: &Kubernetes, known: &mut Known) -> Result<String, End> {
    let mut params = ListParams::default().labels(&source.options.selector).limit(PAGE);
    let mut slices = BTreeMap::new();
    loop {
        let page = in_time(source.api.list(&params)).await?;
        for one in &page.items {
            slices.insert(slice::key(one), slice::instances(one, &source.options));
        }
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params.continue_token = Some(token),
            None => {
                let version = page.metadata.resource_version.filter(|version| !version.is_empty());
                let version = version.ok_or_else(|| End::Failed("a list without a resourceVersion".into()))?;
                known.slices = slices;
                publish(source, known);
                return Ok(version);
            }
        }
    }
}

fn apply(source: &Kubernetes, known: &mut Known, event: WatchEvent<EndpointSlice>) -> Result<(), End> {
    let slice = match event {
        WatchEvent::Added(slice) | WatchEvent::Modified(slice) => {
            known.slices.insert(slice::key(&slice), slice::instances(&slice, &source.options));
            slice
        }
        WatchEvent::Deleted(slice) => {
            known.slices.remove(&slice::key(&slice));
            slice
        }
        WatchEvent::Bookmark(bookmark) => {
            known.version = Some(bookmark.metadata.resource_version);
            return Ok(());
        }
        WatchEvent::Error(status) => {
            // Whatever it is: what happened since the version may be lost.
            known.version = None;
            return Err(end_of(Error::Api(status)));
        }
    };
    if let Some(version) = slice.metadata.resource_version {
        known.version = Some(version);
    }
    publish(source, known);
    Ok(())
}

fn publish(source: &Kubernetes, known: &Known) {
    let was_stale = source.latest.is_stale();
    source.latest.replace(slice::join(known.slices.values()), false);
    if was_stale {
        tracing::info!(slices = known.slices.len(), "the cluster's API answers");
    }
}

async fn in_time<T>(request: impl Future<Output = Result<T, Error>>) -> Result<T, End> {
    match timeout(ANSWER, request).await {
        Ok(answer) => answer.map_err(end_of),
        Err(_) => Err(End::Failed(format!("no answer within {} s", ANSWER.as_secs()))),
    }
}

fn end_of(error: Error) -> End {
    match error {
        Error::Api(status) if status.code == 410 => End::Expired,
        Error::Api(status) => End::Failed(format!("{} {}: {}", status.code, status.reason, status.message)),
        other => End::Failed(other.to_string()),
    }
}

/// Twice as long after every failure, all of it left to chance at first and one half later: when a server ends the
/// watches of many gateways at once, they do not come back at once.
fn back_off(failures: u32, chance: f64) -> Duration {
    let (first, most) = WAITS;
    if failures == 0 {
        return (first / 2).mul_f64(chance);
    }
    let whole = first.saturating_mul(1 << failures.min(10)).min(most);
    whole / 2 + (whole / 2).mul_f64(chance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_are_never_in_step() {
        let longest: Vec<_> = (0..8).map(|failures| back_off(failures, 1.0).as_millis()).collect();
        assert_eq!(longest, [500, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
        assert_eq!(back_off(0, 0.0), Duration::ZERO);
        assert_eq!(back_off(u32::MAX, 0.0), WAITS.1 / 2);
    }
}
