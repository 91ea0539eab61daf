//! `weft serve <service>` and `weft gateway`: one process of the mesh, as its own program would run it.

use std::{ffi::OsString, process::ExitCode};

use clap::Args;
use weft_kit::NoSettings;

/// What `weft serve` can be told.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Service {
    /// The service (filesystem, database, vectorstore, memory, search, aiml or echo), and its own flags; `weft serve <SERVICE> --help` lists them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "SERVICE [FLAGS]")]
    words: Vec<OsString>,
}

/// What `weft gateway` can be told.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Gateway {
    /// Its own flags; --help lists them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<OsString>,
}

/// Runs one service.
pub(crate) fn service(arguments: Service) -> ExitCode {
    let mut rest = arguments.words.into_iter();
    let name = rest.next().unwrap_or_default().to_string_lossy().into_owned();
    let words = words(format!("weft serve {name}"), rest.collect());
    match name.as_str() {
        "filesystem" => {
            weft_kit::main_with(words, weft_filesystem::MANIFEST, VERSION, |own, _| weft_filesystem::service(own))
        }
        "database" => weft_kit::main_with(words, weft_database::MANIFEST, VERSION, weft_database::service),
        "vectorstore" => weft_kit::main_with(words, weft_vectorstore::MANIFEST, VERSION, weft_vectorstore::service),
        "memory" => weft_kit::main_with(words, weft_memory::MANIFEST, VERSION, weft_memory::service),
        "search" => weft_kit::main_with(words, weft_search::MANIFEST, VERSION, weft_search::service),
        "aiml" => weft_kit::main_with(words, weft_aiml::MANIFEST, VERSION, weft_aiml::service),
        "echo" => weft_kit::main_with(words, weft_echo::MANIFEST, VERSION, |_: NoSettings, _| weft_echo::service()),
        "" | "-h" | "--help" => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        other => {
            eprintln!("error: there is no service {other:?}\n\n{USAGE}");
            ExitCode::FAILURE
        }
    }
}

const USAGE: &str = "\
Run one service as a process of its own

Usage: weft serve <SERVICE> [FLAGS]

Services:
  filesystem   Files and directories inside the allowed roots
  database     PostgreSQL, SQLite, Redis and Neo4j
  vectorstore  Collections of texts and vectors
  memory       What agents remember, shared between them
  search       Text found in indexes
  aiml         Models: Ollama, OpenAI-compatible servers, and what works without
  echo         For tests and benchmarks

`weft serve <SERVICE> --help` lists the flags.";

/// Runs one gateway.
pub(crate) fn gateway(arguments: Gateway) -> ExitCode {
    weft_gateway::main_with(words("weft gateway".to_owned(), arguments.rest))
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn words(name: String, rest: Vec<OsString>) -> Vec<OsString> {
    [OsString::from(name)].into_iter().chain(rest).collect()
}
