//! `weft serve <service>` and `weft gateway`: one process of the mesh, as its own program would run it.

use std::{ffi::OsString, process::ExitCode};

use clap::Args;

/// What `weft serve` can be told.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Service {
    /// The service: echo, filesystem.
    service: String,
    /// Its own flags; --help lists them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<OsString>,
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
    let words = words(format!("weft serve {}", arguments.service), arguments.rest);
    match arguments.service.as_str() {
        "filesystem" => weft_kit::main_with(words, weft_filesystem::MANIFEST, VERSION, weft_filesystem::service),
        "echo" => {
            weft_kit::main_with(words, weft_echo::MANIFEST, VERSION, |_: weft_kit::NoSettings| weft_echo::service())
        }
        other => {
            eprintln!("error: there is no service {other:?}; there are echo and filesystem");
            ExitCode::FAILURE
        }
    }
}

/// Runs one gateway.
pub(crate) fn gateway(arguments: Gateway) -> ExitCode {
    weft_gateway::main_with(words("weft gateway".to_owned(), arguments.rest))
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn words(name: String, rest: Vec<OsString>) -> Vec<OsString> {
    [OsString::from(name)].into_iter().chain(rest).collect()
}
