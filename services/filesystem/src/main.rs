//! The program `weft-filesystem`.

fn main() -> std::process::ExitCode {
    weft_kit::main(weft_filesystem::MANIFEST, env!("CARGO_PKG_VERSION"), |settings, _| {
        weft_filesystem::service(settings)
    })
}
