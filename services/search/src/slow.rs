//! Searches that took long → the last of them, for whoever wonders why. Kept in memory, each namespace for itself.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use schemars::JsonSchema;
use serde::Serialize;

/// Kept of each namespace.
const KEPT: usize = 20;
/// Namespaces that any are kept of.
const NAMESPACES: usize = 1_000;

/// One of them.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Slow {
    pub(crate) tool: String,
    pub(crate) index: String,
    pub(crate) query: String,
    pub(crate) milliseconds: u64,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct SlowOnes {
    from: Duration,
    kept: Mutex<HashMap<String, VecDeque<Slow>>>,
}

impl SlowOnes {
    /// What takes `from` or longer is slow.
    pub(crate) fn new(from: Duration) -> Self {
        Self { from, kept: Mutex::default() }
    }

    /// Keeps a search if it was slow.
    pub(crate) fn note(&self, namespace: &str, took: Duration, search: impl FnOnce() -> Slow) {
        if took < self.from {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= NAMESPACES && !kept.contains_key(namespace) {
            kept.clear();
        }
        let own = kept.entry(namespace.to_owned()).or_default();
        own.truncate(KEPT - 1);
        own.push_front(search());
    }

    /// Those of a namespace, the last first.
    pub(crate) fn of(&self, namespace: &str) -> Vec<Slow> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(namespace).into_iter().flatten().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_slow_searches_of_a_namespace_are_kept() {
        let slow = SlowOnes::new(Duration::from_millis(10));
        let search = |number: u64| Slow {
            tool: "search".to_owned(),
            index: "a".to_owned(),
            query: "q".to_owned(),
            milliseconds: number,
        };
        slow.note("a", Duration::from_millis(9), || search(0));
        (1..=30).for_each(|number| slow.note("a", Duration::from_millis(10), || search(number)));
        let kept = slow.of("a");
        assert_eq!((kept.len(), kept[0].milliseconds, kept[19].milliseconds), (20, 30, 11));
        assert!(slow.of("b").is_empty());
    }
}
