//! The memory MCP server: what agents remember, in time and with its source, shared as far as allowed.
//!
//! [`service`] makes it from [`Settings`]; the kit serves it. A caller's words become records (`model.rs`) in partitions that follow from
//! who calls (`space.rs`); tools read and write them through one state (`memory.rs`), which knows stores only by a trait (`store.rs`).

use std::{path::Path, sync::Arc, time::Instant};

use tokio_util::sync::CancellationToken;
use weft_kit::{Changes, Service};

mod filter;
mod fitness;
mod graph;
mod guard;
mod meaning;
mod memory;
mod model;
mod moment;
mod prompts;
mod recall;
mod resources;
mod schema;
mod settings;
mod shown;
mod space;
mod store;
mod teller;
mod tools;
mod words;

use memory::Memory;
pub use settings::{AimlSettings, ChatSettings, ModelSettings, Neo4jSettings, Secrets, Settings, Share, StoreSettings};
pub use space::Visibility;
pub use weft_embed::{EmbedderSettings, HttpSettings};

/// The text of `service.toml`.
pub const MANIFEST: &str = include_str!("../service.toml");

/// The service; `state` is where memory is kept unless the settings say otherwise.
pub fn service(settings: Settings, state: &Path) -> Result<Service, anyhow::Error> {
    let changes = Changes::new();
    let graph_tools = settings.graph_tools;
    let memory = Memory::open(settings, state, changes.clone())?;
    let mut service = tools::add(Service::build(MANIFEST, env!("CARGO_PKG_VERSION"), memory));
    if graph_tools {
        service = tools::official::add(service);
    }
    Ok(prompts::add(service)
        .resources(resources::list, resources::read)
        .template(resources::template())
        .complete(resources::complete)
        .changes(&changes)
        .task(|memory: Arc<Memory>, stop| memory.attend(stop))
        .finish()?)
}

/// For benchmarks: tells when each word of a change comes that another instance made, until `stop`.
pub fn listen(
    settings: Settings,
    state: &Path,
    tell: tokio::sync::mpsc::UnboundedSender<Instant>,
    stop: CancellationToken,
) -> Result<impl Future<Output = ()> + Send + 'static, anyhow::Error> {
    let memory = Memory::open(settings, state, Changes::new())?;
    let told: store::Tell = Arc::new(move |_, _| tell.send(Instant::now()).unwrap_or_default());
    Ok(async move { memory.store.watch(told, stop).await })
}
