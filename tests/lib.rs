//! Nothing: the package is its tests and its programs, and `cargo test --lib` must find a library to look at.
