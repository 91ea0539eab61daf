//! Everything of an MCP service but its tools.
//!
//! An author names tools as async functions over a state and gives them to [`Service::build`]; the kit is the rest: protocol
//! of both eras over HTTP and stdio, mutual TLS, registration, result envelope, budgets, cursors, plans for destructive acts,
//! cancellation and deadlines, health, metrics, and an orderly end. See `README.md` for how to write a service and
//! `services/echo` for the smallest one.
//!
//! ```
//! use std::sync::Arc;
//! use weft_kit::{Annotations, Call, Reply, Service, ServiceFault, Tool, ToolError};
//!
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Greet {
//!     /// Whom to greet.
//!     name: String,
//! }
//!
//! async fn greet(_state: Arc<()>, _call: Call, args: Greet) -> Result<Reply<String>, ToolError> {
//!     let greeting = format!("Hello, {}", args.name);
//!     Ok(Reply::new(greeting.clone()).text(greeting))
//! }
//!
//! const MANIFEST: &str = "name = 'greeter'\ntitle = 'Greeter'\ndescription = 'Greets.'\nport = 7900\npolicy = 'round_robin'";
//!
//! fn service() -> Result<Service, ServiceFault> {
//!     Service::build(MANIFEST, "1.0.0", ())
//!         .tool(Tool::new("greet", Annotations::READ, "Greets someone by name."), greet)
//!         .finish()
//! }
//! assert_eq!(service().unwrap().tool_names().collect::<Vec<_>>(), ["greet"]);
//! ```

mod beside;
mod call;
mod caller;
mod changes;
mod check;
mod clock;
mod core;
mod direct;
mod door;
mod engine;
mod erase;
mod error;
mod fitness;
mod host;
mod http;
mod listen;
mod manifest;
mod meter;
mod offer;
mod perform;
mod plan;
mod probe;
mod program;
mod question;
mod registered;
mod reply;
mod schema;
mod seal;
mod serve;
mod server;
mod service;
mod session_era;
mod settings;
mod signals;
mod stdio;
mod tool;
mod trace;
mod voice;
mod wire_out;

pub mod budget;

pub use crate::budget::Budget;
pub use crate::call::{At, Call, Level};
pub use crate::caller::Caller;
pub use crate::changes::{Changes, Interest};
pub use crate::check::LIST_TOKENS;
pub use crate::core::Rules;
pub use crate::direct::{Called, Direct};
pub use crate::engine::{Engine, EngineBody};
pub use crate::error::ToolError;
pub use crate::fitness::Fitness;
pub use crate::host::{Host, RenderMetrics};
pub use crate::manifest::{Manifest, ManifestError, Policy};
pub use crate::offer::{
    Body, Completing, CompletionOf, Content, Message, Prompt, PromptArguments, Resources, Template,
};
pub use crate::plan::{Approval, Confirm, Plan, Planned, Proposed};
pub use crate::program::{main, main_with};
pub use crate::reply::{Block, Link, Page, Reply, Truncated};
pub use crate::seal::{SealKey, SealKeyError};
pub use crate::serve::{KitError, Running, serve};
pub use crate::service::{Builder, Service, ServiceFault};
pub use crate::settings::NoSettings;
pub use crate::stdio::{StdioError, serve_streams};
pub use crate::tool::{Annotations, Tool};
pub use weft_settings::{InvalidReference, Reference};
pub use weft_telemetry::{database, exchange, names, span};
