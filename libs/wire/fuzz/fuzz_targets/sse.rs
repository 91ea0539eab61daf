//! Random bytes → the properties of `sse`, under libFuzzer; the same file is run by the crate's own tests.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/it/targets/sse.rs"]
mod target;

fuzz_target!(|data: &[u8]| target::check(data));
