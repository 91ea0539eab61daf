//! End to end: the real program, real clients, real failures. Run by `cargo xtask test`, which installs what they need.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod across;
mod catalogue;
mod claude;
mod clients;
mod conformance;
mod door;
mod eras;
mod failures;
mod fake;
mod foreign;
mod harness;
mod http;
mod life;
mod mesh;
mod sessions;
mod shape;
mod streams;
mod r#virtual;
mod ways;
