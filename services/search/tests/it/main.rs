//! The search server, by its tools: embedded indexes, the attacks on them, and kills.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod attacks;
mod cluster;
mod crash;
mod desk;
mod elastic;
mod embedded;
mod geo;
mod hybrid;
mod ingest;
#[path = "../../examples/measure/judged.rs"]
mod judged;
mod pdf;
mod plans;
mod relevance;
mod served;
mod sets;
mod snapshot;
mod writings;
