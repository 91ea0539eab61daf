//! Answers that need not be asked for twice: the same question to the same model with nothing left to chance.
//!
//! Keys are digests over namespace, model, its digest and the whole request, so nothing is shared between tenants and a model that
//! changed is asked again. The oldest go first when the bytes are used up.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::settings::CacheSettings;

/// The digest of a question.
pub(crate) type Key = [u8; 32];

/// The digest of anything that serialises.
pub(crate) fn key(parts: &impl Serialize) -> Key {
    Sha256::digest(serde_json::to_vec(parts).unwrap_or_default()).into()
}

#[derive(Debug, Default)]
struct Kept {
    answers: HashMap<Key, (Instant, Vec<u8>)>,
    order: VecDeque<(Instant, Key)>,
    bytes: usize,
}

/// The kept answers.
#[derive(Debug)]
pub(crate) struct Cache {
    most: usize,
    ttl: Duration,
    kept: Mutex<Kept>,
}

impl Cache {
    pub(crate) fn new(settings: CacheSettings) -> Self {
        Self { most: settings.bytes, ttl: Duration::from_secs(settings.ttl_s), kept: Mutex::default() }
    }

    /// The answer to the question of this key, if it is still good.
    pub(crate) fn get(&self, key: &Key, now: Instant) -> Option<Vec<u8>> {
        let kept = self.kept();
        let found = kept.answers.get(key).filter(|(since, _)| now.saturating_duration_since(*since) < self.ttl);
        let found = found.map(|(_, answer)| answer.clone());
        drop(kept);
        let outcome = if found.is_some() { "hit" } else { "miss" };
        metrics::counter!(weft_kit::names::AIML_CACHE.name, "outcome" => outcome).increment(1);
        found
    }

    /// Keeps an answer, unless it would take more than a tenth of everything.
    pub(crate) fn put(&self, key: Key, answer: Vec<u8>, now: Instant) {
        if answer.len() > self.most / 10 {
            return;
        }
        let mut kept = self.kept();
        kept.bytes += answer.len();
        if let Some((_, before)) = kept.answers.insert(key, (now, answer)) {
            kept.bytes -= before.len();
        }
        kept.order.push_back((now, key));
        while let Some((since, oldest)) = kept.order.front().copied() {
            let aged = now.saturating_duration_since(since) >= self.ttl;
            if kept.bytes <= self.most && !aged {
                break;
            }
            kept.order.pop_front();
            // One that was kept again since stands further back.
            if kept.answers.get(&oldest).is_some_and(|(own, _)| *own == since)
                && let Some((_, answer)) = kept.answers.remove(&oldest)
            {
                kept.bytes -= answer.len();
            }
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn answers_are_good_until_they_are_old() {
        let (cache, now) = (Cache::new(CacheSettings { bytes: 1_000, ttl_s: 10 }), Instant::now());
        cache.put(key(&"q"), b"a".to_vec(), now);
        assert_eq!(cache.get(&key(&"q"), now + Duration::from_secs(9)), Some(b"a".to_vec()));
        assert_eq!(cache.get(&key(&"q"), now + Duration::from_secs(10)), None);
        assert_eq!(cache.get(&key(&"other"), now), None);
    }

    proptest! {
        #[test]
        fn it_never_holds_more_than_it_may(puts in prop::collection::vec((0u8..20, 0usize..150, 0u64..4), 1..100)) {
            let cache = Cache::new(CacheSettings { bytes: 1_000, ttl_s: 10 });
            let mut now = Instant::now();
            for (question, size, wait) in puts {
                now += Duration::from_secs(wait);
                cache.put(key(&question), vec![0; size], now);
                let kept = cache.kept();
                prop_assert!(kept.bytes <= 1_000);
                prop_assert_eq!(kept.bytes, kept.answers.values().map(|(_, answer)| answer.len()).sum::<usize>());
            }
        }
    }
}
