//! The kit as a client meets it: real sockets, raw requests, both eras.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::needless_pass_by_value, reason = "json!({..}) reads better than &json!({..})")]

mod budgets;
mod cursors;
mod declarations;
mod draining;
mod harness;
mod listening;
mod meshed;
mod plans;
mod rack;
mod rules;
mod session_era;
mod stateless;
mod stopping;
mod streams;
