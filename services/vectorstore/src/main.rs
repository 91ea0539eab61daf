//! The program `weft-vectorstore`.

fn main() -> std::process::ExitCode {
    if let Some(code) = weft_vectorstore::read_pdf() {
        return code;
    }
    weft_kit::main(weft_vectorstore::MANIFEST, env!("CARGO_PKG_VERSION"), weft_vectorstore::service)
}
