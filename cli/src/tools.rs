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
    // One database of each kind, so that every tool is offered; none of them is spoken to.
    let databases = ["cache=write+redis://127.0.0.1:1", "graph=write+bolt://127.0.0.1:1"].map(str::to_owned).to_vec();
    let plan = services::Plan { root: PathBuf::from("."), databases, models: None, read_only: false, echo: false };
    let scratch = std::env::temp_dir().join(format!("weft-tools-{}", std::process::id()));
    let services = services::all(&plan, &scratch);
    let _ = std::fs::remove_dir_all(&scratch);
    let services = services?;
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
