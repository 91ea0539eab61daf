//! The program `weft-aiml`.

fn main() -> std::process::ExitCode {
    weft_kit::main(weft_aiml::MANIFEST, env!("CARGO_PKG_VERSION"), weft_aiml::service)
}
