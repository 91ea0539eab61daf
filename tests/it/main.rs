//! End to end: the real program, real clients, real failures. Run by `cargo xtask test`, which installs what they need.

mod catalogue;
mod clients;
mod claude;
mod conformance;
mod door;
mod eras;
mod failures;
mod fake;
mod harness;
mod life;
mod sessions;
mod streams;
