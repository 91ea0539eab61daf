//! What every tool works with, and the way from a caller's words to a collection in a store.

use std::{path::Path, sync::Arc};

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;
use weft_extract::{Roots, pdf::Reader};
use weft_kit::{Call, ToolError};

use crate::{
    check,
    claims::Claims,
    embed::Embedders,
    fetch::Fetcher,
    model::{Collection, Spec},
    rerank::Reranker,
    settings::Settings,
    snapshot::Snapshots,
    store::Store,
    stores,
};

/// Stores and embedders, opened.
#[derive(Debug)]
pub(crate) struct Desk {
    stores: Vec<Named>,
    pub(crate) embedders: Embedders,
    pub(crate) reranker: Reranker,
    pub(crate) snapshots: Snapshots,
    /// The folders that files are ingested from.
    pub(crate) roots: Roots,
    pub(crate) pdf: Reader,
    /// Sources that are being written.
    pub(crate) claims: Claims,
    fetcher: Option<Fetcher>,
}

/// A store under the name that tools know.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) read_only: bool,
    pub(crate) store: Arc<dyn Store>,
}

/// A collection that a caller named: the store, the caller's own tenant, and the name in the store.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) store_name: String,
    pub(crate) tenant: String,
    pub(crate) name: String,
}

impl Desk {
    pub(crate) fn open(settings: &Settings, state: &Path) -> Result<Self, anyhow::Error> {
        settings.check()?;
        let open = |one: &crate::settings::StoreSettings| -> Result<Named, anyhow::Error> {
            Ok(Named { name: one.name().to_owned(), read_only: one.read_only(), store: stores::open(one, state)? })
        };
        let stores = settings.stores.iter().map(open).collect::<Result<_, _>>()?;
        let embedders = settings.embedders.iter().map(weft_embed::open).collect::<Result<_, _>>()?;
        Ok(Self {
            stores,
            embedders: Embedders::new(embedders),
            reranker: Reranker::open(settings.reranker.as_ref())?,
            snapshots: Snapshots::new(settings.snapshots.clone().unwrap_or_else(|| state.join("snapshots"))),
            roots: Roots::open(&settings.folders())?,
            pdf: Reader::new(&settings.pdf),
            claims: Claims::default(),
            fetcher: Fetcher::open(&settings.fetch)?,
        })
    }

    /// Ends the stores' work beside the calls once the service is told to stop.
    pub(crate) async fn tend(self: Arc<Self>, stop: CancellationToken) {
        stop.cancelled().await;
        join_all(self.stores.iter().map(|named| named.store.settle())).await;
    }

    pub(crate) fn stores(&self) -> &[Named] {
        &self.stores
    }

    /// The store of this name; the first without one.
    pub(crate) fn store(&self, name: Option<&str>) -> Result<&Named, ToolError> {
        let found = match name {
            None => self.stores.first(),
            Some(name) => self.stores.iter().find(|store| store.name == name),
        };
        found.ok_or_else(|| {
            let known: Vec<_> = self.stores.iter().map(|store| store.name.as_str()).collect();
            ToolError::not_found(format!("there is no store `{}`", check::shorten(name.unwrap_or_default())))
                .hint(format!("there are: {}", known.join(", ")))
        })
    }

    /// The store, if it may be changed.
    pub(crate) fn writable(&self, name: Option<&str>) -> Result<&Named, ToolError> {
        let store = self.store(name)?;
        if store.read_only {
            return Err(ToolError::refused(format!("the store `{}` is read-only", store.name)));
        }
        Ok(store)
    }

    /// A collection to read from.
    pub(crate) async fn place(&self, call: &Call, store: Option<&str>, collection: &str) -> Result<Place, ToolError> {
        self.in_store(call, self.store(store)?, collection).await
    }

    /// A collection to write to.
    pub(crate) async fn writable_place(
        &self,
        call: &Call,
        store: Option<&str>,
        collection: &str,
    ) -> Result<Place, ToolError> {
        self.in_store(call, self.writable(store)?, collection).await
    }

    /// What reads from the web.
    pub(crate) fn fetcher(&self) -> Result<&Fetcher, ToolError> {
        let none = || ToolError::refused("this server reads nothing from the web").hint("the operator can name hosts");
        self.fetcher.as_ref().ok_or_else(none)
    }

    async fn in_store(&self, call: &Call, named: &Named, collection: &str) -> Result<Place, ToolError> {
        let name = check::name(collection)?;
        let name = call.run(named.store.resolve(call.namespace(), name)).await??;
        Ok(Place {
            store: Arc::clone(&named.store),
            store_name: named.name.clone(),
            tenant: call.namespace().to_owned(),
            name,
        })
    }
}

impl Place {
    /// The collection as it is now.
    pub(crate) async fn collection(&self, call: &Call) -> Result<Collection, ToolError> {
        call.run(self.store.collection(&self.tenant, &self.name)).await?
    }

    /// What was decided about it.
    pub(crate) async fn spec(&self, call: &Call) -> Result<Spec, ToolError> {
        Ok(self.collection(call).await?.spec)
    }
}
