//! The filesystem server against hostile paths, concurrent changes and ordinary work, on real directories.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod boundary;
mod changing;
mod desk;
mod finding;
mod reading;
mod served;
