//! Real handshakes over loopback sockets: who gets in, who does not, and whether the error says why.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod files;
mod handshakes;
mod public;
mod vault;
