//! States of an index that are kept for those who page through them: what is written meanwhile does not move their hits.
//!
//! A state costs little (open files, no copy), but as long as it is kept, files of parts that were merged away stay on the disk. So
//! there are few, and each is let go two minutes after it was used last.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tantivy::Searcher;
use uuid::Uuid;

use crate::model::View;

/// States of one index; the one that was not used for longest makes room.
const MOST: usize = 32;
/// How long one is kept after its last use.
const KEPT: Duration = Duration::from_secs(120);

struct Kept {
    name: String,
    searcher: Searcher,
    used: Instant,
}

/// The states that are kept.
#[derive(Default)]
pub(crate) struct Views(Mutex<Vec<Kept>>);

impl fmt::Debug for Views {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Views").finish_non_exhaustive()
    }
}

impl Views {
    /// The state that is meant, or that of now; and its name if it is kept.
    pub(crate) fn of(&self, view: &View, now: Searcher) -> (Searcher, Option<String>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|kept| kept.used.elapsed() < KEPT);
        match view {
            View::Now => (now, None),
            View::Hold => {
                if kept.len() >= MOST {
                    kept.remove(0);
                }
                let name = Uuid::new_v4().simple().to_string();
                kept.push(Kept { name: name.clone(), searcher: now.clone(), used: Instant::now() });
                (now, Some(name))
            }
            View::Held(name) => match kept.iter().position(|kept| kept.name == *name) {
                Some(place) => {
                    let found = kept.remove(place);
                    let searcher = found.searcher.clone();
                    kept.push(Kept { used: Instant::now(), ..found });
                    (searcher, Some(name.clone()))
                }
                None => (now, None),
            },
        }
    }

    /// Lets go of one that is read to its end.
    pub(crate) fn end(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|kept| kept.name != name);
    }

    /// Lets go of those that were not used for too long.
    pub(crate) fn tend(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|kept| kept.used.elapsed() < KEPT);
    }
}
