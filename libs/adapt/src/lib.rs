//! A server that speaks on stdio, or by the HTTP+SSE transport of 2024-11-05 → the same server behind Streamable HTTP.
//!
//! [`Adapter::handle`] answers HTTP requests; behind it one line per session, per caller or for all carries messages to a
//! program or an old server and back. Ids and progress tokens are the adapter's own on a line, so that many sessions can share one.
//! Nothing that arrives over HTTP says what is started: that is in [`Options`] alone.

use std::{path::PathBuf, sync::Arc, time::Duration};

mod adapter;
mod answer;
mod child;
mod line;
mod pending;
mod pool;
mod route;
mod sessions;
mod shim;
mod sse;

pub use adapter::Adapter;
pub use shim::run as run_shim;

/// The body of an answer.
pub type Body = http_body_util::combinators::UnsyncBoxBody<bytes::Bytes, std::convert::Infallible>;

/// What is adapted.
#[derive(Debug, Clone)]
pub enum Source {
    /// A program that reads messages on its standard input and writes them on its standard output, one a line.
    Command {
        /// The program: a path, or a name to be found on `PATH`.
        program: String,
        /// Its arguments.
        arguments: Vec<String>,
        /// Its variables; it gets no others but `PATH`, `HOME`, `LANG` and `TMPDIR`.
        variables: Vec<(String, String)>,
        /// Where it runs; where we do without it.
        directory: Option<PathBuf>,
    },
    /// A server of the HTTP+SSE transport (MCP 2024-11-05): its stream's address, and headers of every request.
    Sse {
        /// The address of the stream.
        url: String,
        /// Headers of every request.
        headers: http::HeaderMap,
    },
}

/// Who shares a program or connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sharing {
    /// Nobody: each session has its own.
    #[default]
    Session,
    /// The sessions of one caller.
    Caller,
    /// All.
    Shared,
}

impl std::str::FromStr for Sharing {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "session" => Ok(Self::Session),
            "caller" => Ok(Self::Caller),
            "shared" => Ok(Self::Shared),
            _ => Err(format!("{text:?} is none; write session, caller or shared")),
        }
    }
}

/// What is adapted, and its bounds.
#[derive(Debug, Clone)]
pub struct Options {
    /// The name of the service, for logs and metrics.
    pub name: Arc<str>,
    /// What is adapted.
    pub source: Source,
    /// Who shares it.
    pub sharing: Sharing,
    /// Programs or connections at once; more sessions are refused until one ends.
    pub most: usize,
    /// A session that is not used for this long is ended.
    pub idle: Duration,
    /// The longest message, bytes.
    pub line_bytes: usize,
    /// How long a start may take, the handshake included.
    pub start_within: Duration,
    /// A program that calls [`run_shim`] first thing in its `main`, so that what is started dies with us even when we are killed;
    /// without it only an orderly end ends it.
    pub shim: Option<PathBuf>,
}

impl Options {
    /// The usual bounds.
    pub fn new(name: &str, source: Source) -> Self {
        Self {
            name: name.into(),
            source,
            sharing: Sharing::default(),
            most: 64,
            idle: Duration::from_secs(600),
            line_bytes: 16 << 20,
            start_within: Duration::from_secs(30),
            shim: None,
        }
    }
}
