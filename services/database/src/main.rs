//! The program `weft-database`.

fn main() -> std::process::ExitCode {
    weft_kit::main(weft_database::MANIFEST, env!("CARGO_PKG_VERSION"), weft_database::service)
}
