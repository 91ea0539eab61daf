//! The database server against real databases.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod attacks;
mod catalogue;
mod crash;
mod desk;
mod extended;
mod named;
mod narrow;
mod operators;
mod postgres;
mod quiet;
mod same;
mod served;
mod sessions;
mod sqlite;
