//! The filesystem MCP server: files and directories inside allowed roots, for agents.
//!
//! [`service`] makes it from [`Settings`]; the kit serves it. The boundary is `root.rs`: every file is opened below a directory
//! handle by the kernel's own rules, so there is no path to check and no race to lose.

use std::sync::Arc;

use weft_kit::{Changes, Service, Template};

mod content;
mod edit;
mod fault;
mod policy;
mod resources;
mod root;
mod settings;
mod tools;
mod trash;
mod walk;
mod watch;
mod write;

pub use root::RootError;
pub use settings::{Rights, RootSettings, Settings};

/// The text of `service.toml`.
pub const MANIFEST: &str = include_str!("../service.toml");

/// What every tool works with.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) roots: root::Roots,
    pub(crate) changes: Changes,
}

/// The service; the roots are opened here, so that one that cannot be served is known at once.
pub fn service(settings: Settings) -> Result<Service, anyhow::Error> {
    let changes = Changes::new();
    let files = Files { roots: root::Roots::open(&settings)?, changes: changes.clone() };
    let service = tools::add(Service::build(MANIFEST, env!("CARGO_PKG_VERSION"), files));
    let template = Template {
        uri: "file://{+path}".to_owned(),
        name: "file".to_owned(),
        description: "A file or directory inside the allowed directories, by its absolute path.".to_owned(),
        mime: None,
    };
    Ok(service
        .resources(resources::list, resources::read)
        .template(template)
        .complete(resources::complete)
        .changes(&changes)
        .task(|files: Arc<Files>, stop| watch::run(files, stop))
        .finish()?)
}
