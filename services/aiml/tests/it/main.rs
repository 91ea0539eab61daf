//! The server of models against servers that speak the published wire formats, well and badly, and against a real one where it is given.
//!
//! `fake.rs` speaks Ollama's API as its `docs/api.md` gives it and the API that OpenAI published, with what llama.cpp adds; no model is
//! behind either. `real.rs` asks a llama.cpp server, `local.rs` models that this server computes.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod admin;
mod chatting;
mod embedding;
mod failing;
mod fake;
mod local;
mod real;
mod served;
mod shaping;
mod sharing;
mod summarising;
mod without;
