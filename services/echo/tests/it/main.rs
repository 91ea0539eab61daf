//! The echo service: its tools, and the program around it as an operator starts it.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod program;
mod tools;
