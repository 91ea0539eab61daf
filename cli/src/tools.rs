//! `weft tools`: the tools of every service, without starting any.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::services;

/// What `weft tools` can be told.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Names, descriptions, schemas and annotations as JSON, by service.
    #[arg(long)]
    json: bool,
}

/// Prints the list.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let plan = services::Plan { root: PathBuf::from("."), read_only: false, echo: false };
    let services = services::all(&plan)?;
    if arguments.json {
        let mut lists = serde_json::Map::new();
        for service in &services {
            lists.insert(service.manifest().name().to_owned(), serde_json::from_str(&service.list_json())?);
        }
        println!("{}", serde_json::to_string_pretty(&lists)?);
        return Ok(());
    }
    for service in &services {
        for tool in service.tool_names() {
            println!("{}_{tool}", service.manifest().name());
        }
    }
    Ok(())
}
