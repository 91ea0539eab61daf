//! The program `weft-gateway`.

/// A call is hundreds of small blocks, made and freed on two threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    weft_adapt::run_shim().unwrap_or_else(|| weft_gateway::main_with(std::env::args_os()))
}
