//! Embedders against servers that answer as the published formats say, and local models against a reference.
#![expect(clippy::unwrap_used, reason = "tests may stop at once")]

mod local;
mod mesh;
