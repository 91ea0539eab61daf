//! The vector store MCP server: collections of texts and vectors, searched by meaning, words and filters.
//!
//! [`service`] makes it from [`Settings`]. Tools know the trait in `store.rs` alone; where the points really are is a matter of
//! configuration, and everything that is not the same in every store (hybrid search, groups, snapshots, copies) is made once, above it.

use std::path::Path;

use weft_kit::Service;

mod check;
mod chunk;
mod claims;
mod desk;
mod distance;
mod embed;
mod fetch;
mod file;
mod filter;
mod fulfil;
mod ingest;
pub mod measure;
mod model;
mod rank;
mod reading;
mod rerank;
mod seek;
mod settings;
mod snapshot;
mod store;
mod stores;
mod tools;

pub use settings::{
    EmbeddedSettings, FetchSettings, RemoteSettings, RerankServiceSettings, RerankerSettings, Settings, StoreSettings,
};
pub use stores::OpenError;
pub use weft_embed::{EmbedderSettings, HttpSettings, LocalSettings, MeshSettings};
pub use weft_extract::{PdfLimits, RootSettings, read_pdf};

/// The text of `service.toml`.
pub const MANIFEST: &str = include_str!("../service.toml");

/// The service; stores are opened here, so that one that cannot be used is known at once. `state` is the instance's folder.
pub fn service(settings: Settings, state: &Path) -> Result<Service, anyhow::Error> {
    let desk = desk::Desk::open(&settings, state)?;
    let service = tools::add(Service::build(MANIFEST, env!("CARGO_PKG_VERSION"), desk), &settings);
    Ok(service.task(desk::Desk::tend).finish()?)
}
