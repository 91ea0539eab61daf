//! The search MCP server: text found in indexes, embedded (tantivy) or in an Elasticsearch or OpenSearch cluster.
//!
//! [`service`] makes it from [`Settings`]; the kit serves it. One query language, one set of filters and one shape of results stand
//! before every store (`query.rs`, `filter.rs`, `model.rs`); what a store can do is one trait (`store.rs`).

use std::{path::Path, sync::Arc};

use weft_kit::{Changes, Service, Template};

mod aggregation;
mod elastic;
mod embedded;
mod fault;
mod filter;
mod fuse;
mod geo;
mod ingest;
mod library;
mod model;
mod names;
mod prompts;
mod query;
mod question;
mod resources;
mod settings;
mod slow;
mod store;
mod synonyms;
mod tools;
mod vectors;

pub(crate) use library::Library;
pub use settings::{ClusterSettings, Limits, Settings, SharedIndex};
pub use weft_extract::{PdfLimits, RootSettings, read_pdf};

/// The text of `service.toml`.
pub const MANIFEST: &str = include_str!("../service.toml");

/// The service; `state` is where embedded indexes are kept.
pub fn service(settings: Settings, state: &Path) -> Result<Service, anyhow::Error> {
    let changes = Changes::new();
    let library = Library::open(&settings, state, changes.clone())?;
    let mut service = tools::add(Service::build(MANIFEST, env!("CARGO_PKG_VERSION"), library), &settings);
    for (uri, name, description) in resources::TEMPLATES {
        let (uri, name, description) = (uri.to_owned(), name.to_owned(), description.to_owned());
        service = service.template(Template { uri, name, description, mime: Some("application/json".to_owned()) });
    }
    Ok(prompts::add(service)
        .resources(resources::list, resources::read)
        .complete(resources::complete)
        .changes(&changes)
        .task(|library: Arc<Library>, stop| async move { library.tend(stop).await })
        .finish()?)
}
