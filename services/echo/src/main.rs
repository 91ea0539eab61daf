//! The program `weft-echo`.

use weft_kit::NoSettings;

fn main() -> std::process::ExitCode {
    weft_kit::main(weft_echo::MANIFEST, env!("CARGO_PKG_VERSION"), |_: NoSettings, _| weft_echo::service())
}
