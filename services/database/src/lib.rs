//! The database MCP server: SQL, key-value and graph databases behind named connections.
//!
//! [`service`] makes it from [`Settings`]; the kit serves it. What a caller may do is decided in one place (`access.rs`), what a
//! statement does in another (`sql/gate.rs`), and every backend enforces the same once more by its own means.

use std::{path::Path, sync::Arc};

use weft_kit::{Service, Template};

mod access;
mod connections;
mod fault;
mod graph;
mod named;
mod prompts;
mod pulse;
mod redis;
mod resources;
mod settings;
mod sql;
mod tools;

pub(crate) use connections::Databases;
pub use graph::GraphSettings;
pub use named::{NamedQuery, Parameter, ParameterType};
pub use redis::{Dangerous, RedisFault, RedisSettings};
pub use settings::{Access, Limits, PostgresSettings, Rights, Settings, SqliteSettings};

/// The text of `service.toml`.
pub const MANIFEST: &str = include_str!("../service.toml");

/// The service; `state` is where the embedded database is kept when no connection is named.
pub fn service(settings: Settings, state: &Path) -> Result<Service, anyhow::Error> {
    let databases = Databases::open(&settings, state)?;
    let offered = databases.offered();
    let mut service = tools::add(Service::build(MANIFEST, env!("CARGO_PKG_VERSION"), databases), offered);
    for (uri, name, description) in resources::TEMPLATES {
        let (uri, name, description) = (uri.to_owned(), name.to_owned(), description.to_owned());
        service = service.template(Template { uri, name, description, mime: Some("application/json".to_owned()) });
    }
    Ok(prompts::add(service)
        .resources(resources::list, resources::read)
        .complete(resources::complete)
        .fitness(Databases::fitness)
        .task(|databases: Arc<Databases>, stop| async move {
            stop.run_until_cancelled(databases.try_named()).await;
        })
        .task(|databases: Arc<Databases>, stop| async move { databases.watch(stop).await })
        .task(|databases: Arc<Databases>, stop| async move { databases.end(stop).await })
        .finish()?)
}
