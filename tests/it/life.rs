//! Beginning and end of `weft up`, and what it says when it cannot begin.

use std::{net::TcpListener, process::Output, time::Duration};

use crate::harness::{Folder, Weft, command, finish, variable};

pub(crate) fn run(folder: &Folder, arguments: &[&str]) -> Output {
    finish(command(&variable("WEFT_BIN")).args(["up", "--state"]).arg(folder.path("state")).args(arguments))
}

#[track_caller]
fn fails(output: &Output, hints: &[&str]) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    for hint in hints {
        assert!(error.contains(hint), "{hint}: {error}");
    }
}

#[test]
fn it_ends_in_order_on_either_signal() {
    for signal in ["TERM", "INT"] {
        let mut weft = Weft::up(&[]);
        let (status, took) = weft.end_by(signal);
        assert!(status.success() && took < Duration::from_secs(20), "{signal}: {status} after {took:?}");
    }
}

#[test]
fn a_second_one_on_the_same_state_says_what_to_do() {
    let weft = Weft::up(&[]);
    let second = run(&weft.folder, &["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    fails(&second, &["another `weft up`", "--state"]);
}

#[test]
fn what_cannot_begin_says_why_and_what_to_do() {
    let folder = Folder::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    fails(&run(&folder, &["--listen", &address, "--admin", "127.0.0.1:0"]), &[&address, "--listen"]);
    fails(&run(&folder, &["--listen", "127.0.0.1:0", "--admin", &address]), &[&address, "--admin"]);
    let ports = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let with = |more: &[&str]| run(&folder, &[&ports[..], more].concat());
    fails(&with(&["--root", "/no/such/place"]), &["/no/such/place", "--root"]);
    fails(&with(&["--add", "no-url"]), &["no-url", "NAME=URL"]);
    fails(&with(&["--add", "UPPER=http://127.0.0.1:1/"]), &["a-z"]);
    let config = folder.path("gateway.toml");
    std::fs::write(&config, "[limits]\nbody_byts = 1\nconcurrency = 0\n").unwrap();
    fails(&with(&["--config", config.to_str().unwrap()]), &["gateway.toml:2", "did you mean limits.body_bytes?"]);
}
