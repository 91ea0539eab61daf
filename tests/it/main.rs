//! End to end: the real program, real clients, real failures. Run by `cargo xtask test`, which installs what they need.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod across;
mod auth;
mod catalogue;
mod claude;
mod clients;
mod conformance;
mod dashboard;
mod data;
mod door;
mod eras;
mod failures;
mod fake;
mod foreign;
mod guides;
mod harness;
mod http;
mod life;
mod madeup;
mod manifests;
mod memory;
mod mesh;
mod models;
mod sampling;
mod sessions;
mod shape;
mod streams;
mod traces;
mod r#virtual;
mod ways;
