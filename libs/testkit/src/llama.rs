//! A llama.cpp server for tests, with a model that is made here: its words mean nothing, its API, tokens and vectors are real.
//!
//! `cargo xtask test` installs it where it can and says where (`WEFT_LLAMA_SERVER`).

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    process::Command,
    sync::OnceLock,
    time::{Duration, Instant},
};

use crate::{PATIENCE, free_port, gguf, keep, scratch};

/// The API of the llama.cpp server of this test program (`http://127.0.0.1:PORT/v1`), which talks and embeds, one request at a time;
/// `None`, and a line about it, where none is installed. `WEFT_LLAMA_URL` names one that runs already, with a model of its own.
pub fn llama() -> Option<&'static str> {
    static SERVER: OnceLock<Option<String>> = OnceLock::new();
    SERVER.get_or_init(|| std::env::var("WEFT_LLAMA_URL").ok().or_else(|| start("llama"))).as_deref()
}

/// One more of them, for a test that looks at what the server does while nobody else asks it.
pub fn llama_alone() -> Option<&'static str> {
    static SERVER: OnceLock<Option<String>> = OnceLock::new();
    SERVER.get_or_init(|| start("llama-alone")).as_deref()
}

fn start(name: &'static str) -> Option<String> {
    let Some(program) = std::env::var_os("WEFT_LLAMA_SERVER") else {
        eprintln!(
            "skipped: WEFT_LLAMA_SERVER is not set; `cargo xtask test` installs llama.cpp where it can and sets it"
        );
        return None;
    };
    let (port, folder) = (free_port(), scratch(name));
    let model = folder.join("tiny.gguf");
    fs::write(&model, gguf::model()).expect("the model is written");
    let mut server = Command::new("setpriv");
    server.args(["--pdeathsig", "KILL", "--"]).arg(program).arg("--model").arg(model);
    server.args(["--host", "127.0.0.1", "--port", &port.to_string(), "--parallel", "1", "--threads", "1"]);
    server.args(["--embeddings", "--pooling", "mean", "--metrics"]).env("LLAMA_CACHE", folder);
    keep(server, name);
    let until = Instant::now() + PATIENCE;
    while !is_ready(port) {
        assert!(Instant::now() < until, "llama.cpp does not answer");
        std::thread::sleep(Duration::from_millis(50));
    }
    Some(format!("http://127.0.0.1:{port}/v1"))
}

/// It listens before its model is loaded, and says 503 until then.
fn is_ready(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return false };
    let mut answer = [0; 12];
    let asked = stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    asked.and_then(|()| stream.read_exact(&mut answer)).is_ok() && answer == *b"HTTP/1.1 200"
}
