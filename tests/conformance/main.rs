//! An MCP server that shows every feature the official conformance suite asks for, in both eras: the yardstick that the
//! gateway is held against. Flags become a listening endpoint; the features live in the modules of their names.

#![expect(
    deprecated,
    reason = "logging, sampling and roots are deprecated in the newest revision and required in the older ones"
)]

mod changes;
mod only;
mod prompts;
mod resources;
mod server;
mod tools;

use std::{net::SocketAddr, process::ExitCode, sync::Arc};

use anyhow::Context as _;
use clap::Parser;
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
};

use crate::{
    only::{Only, refuse_others},
    server::Server,
};

/// Serves every feature of MCP over plain HTTP, for the conformance suite.
#[derive(Parser)]
#[command(name = "conformance-server")]
struct Arguments {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Speak one era only, instead of both
    #[arg(long)]
    only: Option<Only>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let sessions = Arc::new(LocalSessionManager::default());
    let server = Server::new(Arc::clone(&sessions))?;
    let config = StreamableHttpServerConfig::default().with_allowed_origins([
        "http://localhost:*",
        "http://127.0.0.1:*",
        "http://[::1]:*",
    ]);
    let service = StreamableHttpService::new(move || Ok(server.fresh()), sessions, config);
    let listener = tokio::net::TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("cannot listen on {}: choose another address with --listen", arguments.listen))?;
    println!("listening on {}", listener.local_addr()?);
    let router = axum::Router::new().route_service("/mcp", service);
    let router = match arguments.only {
        Some(only) => router.layer(axum::middleware::from_fn(move |request, next| refuse_others(only, request, next))),
        None => router,
    };
    axum::serve(listener, router).await.context("the server stopped")
}
