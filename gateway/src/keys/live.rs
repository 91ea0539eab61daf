//! The keys of a running gateway: the file, read again when it changes, and for each key what ends when the key does.
//!
//! Looked at every [`LOOK`] by its stamp: a Secret that is mounted changes by a link, and no notification tells of that. A file
//! that cannot be read keeps the keys that were known; one that is gone has none.

use std::{collections::HashMap, fs, os::unix::fs::MetadataExt as _, path::Path, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use tokio_util::sync::CancellationToken;

use super::{Entry, KeyFile, KeysError, text};
use crate::authenticate::{Caller, Denied, Standing};

/// Between two looks at the file; a revoked key is out within twice this time.
pub(crate) const LOOK: Duration = Duration::from_millis(250);

/// One key, and the caller that it stands for.
#[derive(Debug)]
struct Known {
    entry: Entry,
    hash: [u8; 32],
    caller: Caller,
    /// Cancelled when the key ends: everything that its caller has open ends with it.
    over: CancellationToken,
}

/// All keys, as they are now.
#[derive(Debug)]
pub(crate) struct Keys {
    file: KeyFile,
    known: ArcSwap<HashMap<String, Arc<Known>>>,
}

type Stamp = Option<(u64, u64, i64, i64)>;

impl Keys {
    /// Reads the file, which need not be there.
    pub(crate) fn open(file: KeyFile) -> Result<Self, KeysError> {
        let keys = Self { known: ArcSwap::default(), file };
        keys.take(keys.file.list()?);
        Ok(keys)
    }

    /// Whom a key belongs to.
    pub(crate) fn find(&self, key: &str) -> Result<Caller, Denied> {
        let parts = text::parse(key).map_err(|_| Denied::Mistyped)?;
        let known = self.known.load();
        let known = known.get(parts.id).ok_or(Denied::Unknown)?;
        // In the same time for any wrong secret: how much of it was right must not be measured.
        verify_slices_are_equal(&parts.hash(), &known.hash).map_err(|_| Denied::Unknown)?;
        if known.entry.revoked.is_some() {
            return Err(Denied::Revoked);
        }
        if known.entry.is_over() {
            return Err(Denied::Expired);
        }
        Ok(known.caller.clone())
    }

    /// How many keys are in use.
    pub(crate) fn len(&self) -> usize {
        self.known.load().values().filter(|known| known.entry.is_valid()).count()
    }

    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    /// Follows the file until `stop`; `ended` is told of each caller whose key has ended.
    pub(crate) async fn follow(&self, stop: CancellationToken, ended: impl Fn(&Caller)) {
        // The file may have changed since it was opened.
        let mut seen = None;
        let mut tick = tokio::time::interval(LOOK);
        while stop.run_until_cancelled(tick.tick()).await.is_some() {
            let stamp = self.stamp();
            let mut gone = Vec::new();
            if seen != Some(stamp) {
                match self.file.list() {
                    Ok(entries) => gone = self.take(entries),
                    Err(error) => tracing::error!(%error, "the keys cannot be read; those that were known stay"),
                }
                seen = Some(stamp);
            }
            gone.extend(self.known.load().values().filter(|known| !known.entry.is_valid()).cloned());
            for known in gone.iter().filter(|known| !known.over.is_cancelled()) {
                known.over.cancel();
                ended(&known.caller);
            }
        }
    }

    fn stamp(&self) -> Stamp {
        let meta = fs::metadata(self.file.path()).ok()?;
        Some((meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec()))
    }

    /// Puts fresh entries in the place of the old ones, and gives those that are no more, or not as they were. What has not
    /// changed stays, with all that hangs on it.
    fn take(&self, entries: Vec<Entry>) -> Vec<Arc<Known>> {
        let before = self.known.load_full();
        let mut next: HashMap<String, Arc<Known>> = HashMap::new();
        for entry in entries {
            let same = before.get(&entry.id).filter(|known| known.entry == entry).map(Arc::clone);
            if let Some(known) = same.or_else(|| Known::of(entry).map(Arc::new)) {
                next.insert(known.entry.id.clone(), known);
            }
        }
        let stays = |known: &Arc<Known>| next.get(&known.entry.id).is_some_and(|next| Arc::ptr_eq(next, known));
        let gone = before.values().filter(|known| !stays(known)).cloned().collect();
        self.known.store(Arc::new(next));
        gone
    }
}

impl Known {
    fn of(entry: Entry) -> Option<Self> {
        let over = CancellationToken::new();
        if !entry.is_valid() {
            // Whatever its caller had open hangs on the entry before this one.
            over.cancel();
        }
        // The name for people, the id because a new key of the same name is not the same caller.
        let standing = Standing {
            id: format!("key:{}:{}", entry.name, entry.id).into(),
            role: entry.role,
            tenant: entry.tenant.as_deref().map(Into::into),
            proven: true,
            over: Some(over.clone()),
        };
        Some(Self { hash: entry.hash()?, caller: Caller::new(standing), over, entry })
    }
}

#[cfg(test)]
mod tests;
