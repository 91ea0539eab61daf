//! JSON-RPC 2.0 and MCP on the wire: envelopes, header rules, error codes, server-sent events.
//!
//! Pure: bytes in, values or bytes out; no I/O, no clock, no async. Whatever it reads comes from the network, so every parser
//! is bounded, never recurses, and is fuzzed.

pub mod code;
pub mod envelope;
pub mod headers;
pub mod members;
mod object;
pub mod reply;
mod scanner;
pub mod splice;
pub mod sse;
pub mod translate;
pub mod version;
