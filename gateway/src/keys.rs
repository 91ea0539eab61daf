//! API keys: who may call, as an operator writes it down with `weft keys`, and as a running gateway reads it.
//!
//! A file and not a store: a handful of keys changes a few times a year, must be there before anything else is, and comes from a
//! Secret where there are several replicas. What a key looks like is in `text`, the file in `file`, and what a running gateway
//! knows of it in `live`.

mod file;
pub(crate) mod live;
mod text;

pub use crate::authorize::{InvalidRole, Role};
pub use file::{Entry, KeyFile, KeysError, New};

/// What the file is called in a state directory.
pub const FILE: &str = "keys.json";
