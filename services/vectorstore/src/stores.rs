//! Settings of a store → the store, opened.
//!
//! Each kind is one module and one arm of [`open`]; the tools never learn which one they talk to. What remote stores have in common
//! (batches, terms, filters that a server cannot say) is here beside them.

mod batch;
mod bm25;
mod chroma;
#[cfg(test)]
mod conform;
mod distance;
mod draft;
mod embedded;
mod matching;
#[cfg(test)]
mod naive;
mod pgvector;
mod qdrant;
mod seen;
mod terms;

use std::{path::Path, sync::Arc, time::Duration};

pub(crate) use embedded::LAG;
pub use embedded::folder::OpenError;
use seen::Seen;

use crate::{
    settings::{RemoteSettings, StoreSettings},
    store::Store,
};

/// Opens a store. `state` is the folder for stores that keep their data here. Servers are not spoken to yet: one that is away is no
/// fault.
pub(crate) fn open(settings: &StoreSettings, state: &Path) -> Result<Arc<dyn Store>, anyhow::Error> {
    let key = |remote: &RemoteSettings| remote.api_key.as_ref().map(weft_kit::Reference::value).transpose();
    let timeout = |remote: &RemoteSettings| Duration::from_millis(remote.timeout_ms);
    let name = settings.name().to_owned();
    Ok(match settings {
        StoreSettings::Embedded(embedded) => {
            let folder = embedded.path.clone().unwrap_or_else(|| state.join("stores").join(&embedded.name));
            Arc::new(Seen { name, store: embedded::Embedded::open(&folder, embedded.max_gib)? })
        }
        StoreSettings::Qdrant(remote) => {
            let store = qdrant::Qdrant::open(&qdrant::Settings {
                url: remote.url.value()?,
                key: key(remote)?,
                connections: remote.pool as usize,
                timeout: timeout(remote),
            })?;
            Arc::new(Seen { name, store })
        }
        StoreSettings::Chroma(remote) => {
            let store = chroma::Chroma::open(&chroma::Settings {
                url: remote.url.value()?,
                token: key(remote)?,
                tenant: remote.space.clone().unwrap_or_else(|| "default_tenant".to_owned()),
                connections: remote.pool as usize,
                timeout: timeout(remote),
            })?;
            Arc::new(Seen { name, store })
        }
        StoreSettings::Pgvector(remote) => {
            let store = pgvector::Pgvector::open(&pgvector::Settings {
                url: remote.url.value()?,
                schema: remote.space.clone().unwrap_or_else(|| "weft_vectors".to_owned()),
                connections: remote.pool,
                timeout: timeout(remote),
            })?;
            Arc::new(Seen { name, store })
        }
    })
}
