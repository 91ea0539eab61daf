//! Random bytes → the properties of `envelope`, under libFuzzer; the same file is run by the crate's own tests.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/it/targets/envelope.rs"]
mod target;

fuzz_target!(|data: &[u8]| target::check(data));
