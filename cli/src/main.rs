//! The command `weft`: the only place where the gateway and the services meet.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod adapt;
mod certs;
mod client_config;
mod health;
mod keys;
mod serve;
mod services;
mod state;
mod status;
mod stdio;
mod summary;
mod tools;
mod up;

/// A service mesh for MCP: one endpoint in front of many servers.
#[derive(Debug, Parser)]
#[command(name = "weft", version, about, propagate_version = true, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway and every server in this process, with nothing else needed.
    Up(up::Arguments),
    /// Run one service as a process of its own.
    Serve(serve::Service),
    /// Make a server that speaks on stdio, or by the old HTTP+SSE transport, a member of the mesh.
    Adapt(adapt::Arguments),
    /// Run one gateway as a process of its own.
    Gateway(serve::Gateway),
    /// Print what an MCP client reads to connect to a gateway, or put it into its file.
    ClientConfig(client_config::Arguments),
    /// Make a development authority for `--identity dev:DIR`.
    Certs(certs::Arguments),
    /// Make, list and revoke the keys of callers.
    Keys(keys::Arguments),
    /// Speak MCP on standard input and output for a gateway elsewhere: for hosts that only start programs.
    Stdio(stdio::Arguments),
    /// Ask an administration address whether its process is ready: exit code 0 or 1, and one line why.
    Health(health::Arguments),
    /// Show what a gateway knows: services, instances, health, breakers, load.
    Status(status::Arguments),
    /// List the tools of every service, as clients see them.
    Tools(tools::Arguments),
}

fn main() -> ExitCode {
    if let Some(code) = weft_adapt::run_shim().or_else(weft_search::read_pdf) {
        return code;
    }
    let done = match Cli::parse().command {
        Command::Up(arguments) => up::run(arguments),
        Command::Serve(arguments) => return serve::service(arguments),
        Command::Stdio(arguments) => return stdio::run(arguments),
        Command::Adapt(arguments) => return adapt::run(arguments),
        Command::Gateway(arguments) => return serve::gateway(arguments),
        Command::Certs(arguments) => certs::run(&arguments),
        Command::ClientConfig(arguments) => client_config::run(&arguments),
        Command::Health(arguments) => return health::run(&arguments),
        Command::Keys(arguments) => keys::run(arguments),
        Command::Status(arguments) => status::run(&arguments),
        Command::Tools(arguments) => tools::run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The chain from what was tried to why it failed, one line each.
            eprintln!("error: {error}");
            error.chain().skip(1).for_each(|cause| eprintln!("  because: {cause}"));
            ExitCode::FAILURE
        }
    }
}
