//! What every tool works with: the store, and what is measured, remembered and announced of work in it.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;
use weft_extract::{Roots, pdf::Reader};
use weft_kit::{Call, Changes, ToolError, span::backend};

use crate::{
    elastic::Cluster,
    embedded::Embedded,
    model::{Document, Schema, Written},
    names,
    settings::{Limits, Settings},
    slow::{Slow, SlowOnes},
    store::Store,
    vectors::Embedders,
};

/// How often the store is tended.
const TENDED: Duration = Duration::from_secs(15);

/// The state of the service.
#[derive(Debug)]
pub(crate) struct Library {
    pub(crate) store: Box<dyn Store>,
    pub(crate) limits: Limits,
    pub(crate) roots: Roots,
    pub(crate) pdf: Reader,
    pub(crate) embedders: Embedders,
    pub(crate) slow: SlowOnes,
    changes: Changes,
}

impl Library {
    pub(crate) fn open(settings: &Settings, state: &Path, changes: Changes) -> Result<Self, anyhow::Error> {
        let limits = settings.limits;
        let store: Box<dyn Store> = match &settings.cluster {
            Some(cluster) => Box::new(Cluster::open(cluster, limits)?),
            None => Box::new(Embedded::open(state, limits)?),
        };
        let slow = SlowOnes::new(Duration::from_millis(limits.slow_ms));
        let roots = Roots::open(&settings.directories())?;
        let embedders = Embedders::open(&settings.embedders)?;
        Ok(Self { store, limits, roots, embedders, pdf: Reader::new(&settings.pdf), slow, changes })
    }

    /// The schema of an index that the caller names.
    pub(crate) async fn schema(&self, call: &Call, index: &str) -> Result<Arc<Schema>, ToolError> {
        names::index(index)?;
        self.store.schema(call, index).await
    }

    /// Writes documents, with vectors made of their texts where the index has fields for them.
    pub(crate) async fn write(
        &self,
        call: &Call,
        index: &str,
        mut documents: Vec<Document>,
    ) -> Result<Written, ToolError> {
        let schema = self.store.schema(call, index).await?;
        self.embedders.fill(call, &schema, &mut documents).await?;
        self.store.write(call, index, documents).await
    }

    /// Waits for work on an index, and counts how long it took and how it ended.
    pub(crate) async fn observe<T>(
        &self,
        call: &Call,
        (index, query): (&str, &str),
        work: impl Future<Output = Result<T, ToolError>>,
    ) -> Result<T, ToolError> {
        let span = tracing::info_span!("search", index, store = self.store.kind(), tool = call.tool());
        let about = || {
            let about = vec![
                ("db.system.name", self.store.kind().into()),
                ("db.operation.name", call.tool().to_owned().into()),
                ("db.collection.name", index.to_owned().into()),
            ];
            (format!("{} {index}", call.tool()).into(), about)
        };
        let start = Instant::now();
        // In a box: each layer around it would carry its room again.
        let work = backend(about, |error: &ToolError| error.code().to_owned().into(), Box::pin(work));
        let outcome = work.instrument(span).await;
        let took = start.elapsed();
        let labels = [
            ("store", self.store.kind().to_owned()),
            ("tool", call.tool().to_owned()),
            ("error_type", outcome.as_ref().err().map(|error| error.code().to_owned()).unwrap_or_default()),
        ];
        metrics::histogram!(weft_kit::names::SEARCH_OPERATION_DURATION.name, &labels).record(took.as_secs_f64());
        self.slow.note(call.namespace(), took, || Slow {
            tool: call.tool().to_owned(),
            index: index.to_owned(),
            query: query.chars().take(200).collect(),
            milliseconds: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        });
        outcome
    }

    /// Tends the store until the server ends.
    pub(crate) async fn tend(&self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(TENDED)).await.is_some() {
            self.store.tend().await;
        }
    }

    /// Tells whoever listens that an index was written to, and counts the documents.
    pub(crate) fn written(&self, call: &Call, index: &str, indexed: usize, failed: usize) {
        metrics::counter!(weft_kit::names::SEARCH_DOCUMENTS.name, "outcome" => "indexed").increment(indexed as u64);
        metrics::counter!(weft_kit::names::SEARCH_DOCUMENTS.name, "outcome" => "failed").increment(failed as u64);
        self.changed(call, index);
    }

    /// Tells whoever listens that something in an index changed. The address says the namespace, as changes are told to all.
    pub(crate) fn changed(&self, call: &Call, index: &str) {
        self.changes.updated(&crate::resources::uri(call, index));
    }

    /// Tells whoever listens that there are other indexes than before.
    pub(crate) fn listed(&self) {
        self.changes.resources_changed();
    }
}
