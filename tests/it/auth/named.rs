//! A gateway for other machines, as the README starts it: what it prints is what a client elsewhere can use, without another setting.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Stdio},
};

use super::tls::{authority, curl, install, issue, text};
use crate::harness::{Folder, command, variable};

/// Ends with the test.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_address_that_is_printed_is_served_under_the_name_of_the_certificate() {
    let (folder, state) = (tempfile::tempdir().unwrap(), Folder::new());
    let here = folder.path();
    authority(here, "ca");
    issue(here, "ca", "server", "DNS:weft.example,DNS:*.mesh.example,IP:127.0.0.1");
    install(here, "server");
    let mut weft = command(&variable("WEFT_BIN"));
    weft.args(["up", "--listen", "0.0.0.0:0", "--admin", "127.0.0.1:0", "--auth", "keys", "--tls-cert"]);
    weft.arg(here.join("tls.crt")).arg("--tls-key").arg(here.join("tls.key"));
    weft.arg("--root").arg(state.path("root")).arg("--state").arg(state.path("state"));
    let mut weft = Started(weft.stdout(Stdio::piped()).spawn().unwrap());
    let mut said = BufReader::new(weft.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let line = said.find(|line| line.contains("claude mcp add")).unwrap();
    std::thread::spawn(move || said.for_each(drop));
    // claude mcp add --transport http weft URL --header "Authorization: Bearer KEY"
    let (url, header) = line.split_once("weft https://").unwrap().1.split_once(" --header ").unwrap();
    let port = url.strip_prefix("weft.example:").unwrap().strip_suffix("/mcp").unwrap();
    let header = header.trim().trim_matches('"');
    let asks = |host: &str| {
        let resolve = format!("{host}:{port}:127.0.0.1");
        let url = format!("https://{host}:{port}/mcp/v1/tools/list");
        text(curl(here, "ca", &["--resolve", &resolve, "--header", header, &url]))
    };
    for host in ["weft.example", "a.mesh.example", "127.0.0.1"] {
        let (done, answer) = asks(host);
        assert!(done && answer.contains("filesystem_read_text_file"), "{host}: {answer}");
    }
    // A page that has its own name lead here.
    let evil = format!("evil.example:{port}");
    let host = format!("host: {evil}");
    let url = format!("https://weft.example:{port}/mcp/v1/tools/list");
    let resolve = format!("weft.example:{port}:127.0.0.1");
    let (_, answer) = text(curl(here, "ca", &["--resolve", &resolve, "--header", header, "--header", &host, &url]));
    assert!(answer.contains("doors.hosts"), "{answer}");
}
