//! The kit as a client meets it: real sockets, raw requests, both eras.

mod budgets;
mod cursors;
mod declarations;
mod draining;
mod harness;
mod listening;
mod plans;
mod rack;
mod rules;
mod session_era;
mod stateless;
mod stopping;
mod streams;
