//! Properties that hold for any bytes. Each is a function of bytes alone, so that libFuzzer can run it too (see `fuzz/`).

pub(crate) mod envelope;
pub(crate) mod headers;
pub(crate) mod sse;
