//! The program `weft-search`.

fn main() -> std::process::ExitCode {
    if let Some(code) = weft_search::read_pdf() {
        return code;
    }
    weft_kit::main(weft_search::MANIFEST, env!("CARGO_PKG_VERSION"), weft_search::service)
}
