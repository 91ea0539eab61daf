//! The work beside the calls: tells of what others write, removes what is past its time, counts what was recalled.
//!
//! It is no part of any call: it begins with the service, ends with it, and what fails here fails no caller.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::Memory;
use crate::{moment::Moment, space, store::Tell};

/// Between two looks for what is past its time.
const SWEEP: Duration = Duration::from_secs(30);

impl Memory {
    /// Work beside the calls: tells of what others write, removes what is past its time, counts recalls, and closes at the end.
    pub(crate) async fn attend(self: Arc<Self>, stop: CancellationToken) {
        let changes = self.changes.clone();
        let kind = self.store.kind();
        let tell: Tell = Arc::new(move |key, id| {
            metrics::counter!(weft_kit::names::MEMORY_HEARD.name, "store" => kind).increment(1);
            changes.updated(&space::record_uri_of(key, id));
            changes.updated(&space::uri_of(key));
        });
        tokio::join!(self.store.watch(tell, stop.clone()), self.sweep(&stop), self.count_recalls(&stop));
        self.store.close().await;
    }

    async fn sweep(&self, stop: &CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(SWEEP)).await.is_some() {
            match self.store.sweep(Moment::now()).await {
                Ok(0) => {}
                Ok(gone) => {
                    metrics::counter!(weft_kit::names::MEMORY_SWEPT.name, "store" => self.store.kind()).increment(gone);
                }
                Err(error) => tracing::warn!(%error, "what is past its time cannot be removed now"),
            }
        }
    }
}
