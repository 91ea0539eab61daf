//! The memory server over real stores.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod attacks;
mod crash;
mod desk;
mod erasing;
mod forgetting;
mod graph;
mod hearing;
mod keeping;
mod meaning;
mod moving;
mod notes;
mod official;
mod recalling;
mod remembering;
mod same;
mod served;
mod stores;
mod together;
mod truth;
mod wide;
