//! Which records calls have recalled → counts of it in the store, later and many at once.
//!
//! Being recalled is a weak sign of use, and there is much of it: no call waits for it, a record counts once an hour at most, and what is
//! not counted when a process dies is lost. What reads like orders from outside does not get better by being looked at, and a reader of
//! another namespace leaves no trace in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio_util::sync::CancellationToken;
use weft_kit::{Call, ToolError};

use super::Memory;
use crate::{model::Trust, shown::Shown, space::Space};

/// Between two times of counting.
const EVERY: Duration = Duration::from_secs(10);
/// How long counting may take when the service ends.
const LAST: Duration = Duration::from_secs(2);
/// Records that wait at most; more are not counted.
const MOST: usize = 10_000;
/// A use or recall within so many days before is enough: an hour.
const ENOUGH: f64 = 1.0 / 24.0;
/// Records that are counted at once.
const BATCH: usize = 200;

/// What waits to be counted, by the key of the partition.
#[derive(Debug, Default)]
pub(crate) struct Recalls(Mutex<BTreeMap<String, BTreeSet<String>>>);

impl Recalls {
    /// Notes what a call was shown.
    pub(crate) fn note<'a>(&self, call: &Call, shown: impl Iterator<Item = &'a Shown>) {
        let counts =
            |own: &&Shown| own.more.namespace.is_none() && own.trust > Trust::Quarantined && own.kind.is_plain();
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut room = MOST.saturating_sub(waiting.values().map(BTreeSet::len).sum());
        for own in shown.filter(counts) {
            if room == 0 {
                return;
            }
            let part = waiting.entry(Space::of(call, own.visibility).key()).or_default();
            room -= usize::from(part.insert(own.id.clone()));
        }
    }

    fn take(&self) -> BTreeMap<String, BTreeSet<String>> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Memory {
    /// Counts now and then until `stop`, and once more then.
    pub(super) async fn count_recalls(&self, stop: &CancellationToken) {
        loop {
            let goes_on = stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some();
            let patience = if goes_on { EVERY } else { LAST };
            match tokio::time::timeout(patience, self.count_waiting()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "what was recalled cannot be counted now"),
                Err(_) => tracing::warn!("what was recalled is not counted: the store takes too long"),
            }
            if !goes_on {
                return;
            }
        }
    }

    async fn count_waiting(&self) -> Result<(), ToolError> {
        for (space, ids) in self.recalls.take() {
            let ids: Vec<String> = ids.into_iter().collect();
            for part in ids.chunks(BATCH) {
                let uses = self.store.uses(&space, part).await?;
                let now = self.now();
                let is_due = |id: &&String| {
                    let last = uses.get(*id).and_then(|own| own.last);
                    last.is_none_or(|last| now.days_since(last) > ENOUGH)
                };
                let due: Vec<String> = part.iter().filter(is_due).cloned().collect();
                if !due.is_empty() {
                    self.store.count_recall(&space, &due, now).await?;
                }
            }
        }
        Ok(())
    }
}
