//! The filesystem server against hostile paths, concurrent changes and ordinary work, on real directories.

mod boundary;
mod changing;
mod desk;
mod finding;
mod reading;
mod served;
