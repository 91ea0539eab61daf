//! A change in a backend → a notification to every client that listens for it.
//!
//! The service publishes, the kit delivers: over `subscriptions/listen` in the stateless era and on the connection itself over
//! stdio. Publishing never waits. A listener that falls behind is told about everything it listens for: being told once too
//! often costs a read, being told too seldom costs the truth. URIs are not per namespace: where tenants share a service,
//! the URI must contain the tenant.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{broadcast, watch};

/// Changes that a listener may be behind.
const BACKLOG: usize = 256;

/// Where a service says what changed. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Changes {
    events: broadcast::Sender<Change>,
    interest: Arc<watch::Sender<Interest>>,
}

/// URIs that are listened for, with the number of listeners.
pub type Interest = BTreeMap<String, usize>;

/// Something that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Updated(Arc<str>),
    Resources,
    Prompts,
    /// So many happened that the listener must assume anything.
    Everything,
}

impl Changes {
    /// A publisher that nobody listens to yet.
    pub fn new() -> Self {
        Self { events: broadcast::channel(BACKLOG).0, interest: Arc::new(watch::Sender::default()) }
    }

    /// The content behind `uri` changed.
    pub fn updated(&self, uri: &str) {
        let _ = self.events.send(Change::Updated(uri.into()));
    }

    /// The list of resources changed.
    pub fn resources_changed(&self) {
        let _ = self.events.send(Change::Resources);
    }

    /// The list of prompts changed.
    pub fn prompts_changed(&self) {
        let _ = self.events.send(Change::Prompts);
    }

    /// The URIs that are listened for now, and whenever that changes: watch these and nothing else.
    pub fn interest(&self) -> watch::Receiver<Interest> {
        self.interest.subscribe()
    }

    pub(crate) fn listen(&self, uris: Vec<String>) -> Listening {
        let listening = Listening { events: self.events.subscribe(), uris, interest: Arc::clone(&self.interest) };
        self.interest.send_modify(|interest| {
            listening.uris.iter().for_each(|uri| *interest.entry(uri.clone()).or_default() += 1);
        });
        listening
    }
}

impl Default for Changes {
    fn default() -> Self {
        Self::new()
    }
}

/// One listener; its interest ends when it is dropped.
pub(crate) struct Listening {
    events: broadcast::Receiver<Change>,
    uris: Vec<String>,
    interest: Arc<watch::Sender<Interest>>,
}

impl Listening {
    pub(crate) fn uris(&self) -> &[String] {
        &self.uris
    }

    /// The next change that this listener asked for; `None` when the service is gone.
    pub(crate) async fn next(&mut self) -> Option<Change> {
        loop {
            match self.events.recv().await {
                Ok(Change::Updated(uri)) if !self.uris.iter().any(|own| **own == *uri) => {}
                Ok(change) => return Some(change),
                Err(broadcast::error::RecvError::Lagged(_)) => return Some(Change::Everything),
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let uris = std::mem::take(&mut self.uris);
        self.interest.send_modify(|interest| {
            for uri in uris {
                interest.entry(uri).and_modify(|count| *count -= 1);
            }
            interest.retain(|_, count| *count > 0);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_listener_hears_only_of_its_own_uris() {
        let changes = Changes::new();
        let mut listening = changes.listen(vec!["file:///a".to_owned()]);
        changes.updated("file:///b");
        changes.updated("file:///a");
        assert_eq!(listening.next().await, Some(Change::Updated("file:///a".into())));
    }

    #[tokio::test]
    async fn a_listener_that_falls_behind_is_told_of_everything() {
        let changes = Changes::new();
        let mut listening = changes.listen(vec!["file:///a".to_owned()]);
        for _ in 0..=BACKLOG {
            changes.updated("file:///b");
        }
        assert_eq!(listening.next().await, Some(Change::Everything));
    }

    #[test]
    fn interest_ends_with_the_last_listener() {
        let changes = Changes::new();
        let (one, two) = (changes.listen(vec!["x:1".to_owned()]), changes.listen(vec!["x:1".to_owned()]));
        drop(one);
        assert_eq!(changes.interest().borrow().get("x:1"), Some(&1));
        drop(two);
        assert!(changes.interest().borrow().is_empty());
    }
}
