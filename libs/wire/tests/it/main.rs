//! What the crate promises to those who use it, one file per behaviour.

mod batches;
mod envelopes;
mod mirrored;
mod refused;
mod seeds;
mod streams;
mod targets;
mod validity;
