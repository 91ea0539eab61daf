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
    let plan =
        services::Plan { root: PathBuf::from("."), read_only: false, echo: false, foreign: Vec::new() };
    let services = services::all(&plan)?;
    if arguments.json {
        let lists: serde_json::Map<String, serde_json::Value> =
            services.iter().map(|service| (service.name().to_owned(), service.list_json())).collect();
        println!("{}", serde_json::to_string_pretty(&lists)?);
        return Ok(());
    }
    for service in &services {
        for tool in service.tool_names() {
            println!("{}_{tool}", service.name());
        }
    }
    Ok(())
}
