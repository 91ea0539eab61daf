//! The program `weft-memory`.

fn main() -> std::process::ExitCode {
    weft_kit::main(weft_memory::MANIFEST, env!("CARGO_PKG_VERSION"), weft_memory::service)
}
