//! The sources over the network, each against a server on the loopback that speaks the published wire format.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[cfg(feature = "kubernetes")]
mod apiserver;
mod dns;
#[cfg(feature = "kubernetes")]
mod kubernetes;
mod nameserver;

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;
use weft_mesh::{Instance, Snapshot};

/// Waits for a snapshot that is as `expected`; shows the last one when it does not come.
async fn until(watch: &mut watch::Receiver<Arc<Snapshot>>, expected: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
    let waiting = tokio::time::timeout(Duration::from_secs(60), watch.wait_for(|present| expected(present))).await;
    if let Ok(found) = waiting.map(|found| Arc::clone(&found.unwrap())) {
        watch.mark_unchanged();
        return found;
    }
    panic!("the registry stays at {:#?}", watch.borrow())
}

fn all(snapshot: &Snapshot) -> Vec<&Instance> {
    snapshot.services.values().flatten().collect()
}

/// A task that ends with the test.
struct Owned(tokio::task::JoinHandle<()>);

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.abort();
    }
}
