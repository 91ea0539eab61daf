//! The program: it serves, stops when it is told to, and explains what keeps it from starting.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

fn echo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weft-echo"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn output(arguments: &[&str]) -> Output {
    echo(arguments).output().unwrap()
}

/// Ends the program however the test ends.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The address in the line that tells that the program serves, and its log to be kept open.
fn address(child: &mut Child) -> (String, impl Iterator<Item = String> + use<>) {
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let address = lines.by_ref().find_map(|line| {
        let record: Value = serde_json::from_str(&line).ok()?;
        (record["message"] == "serving").then(|| record["address"].as_str().unwrap().to_owned())
    });
    (address.expect("the program served before it ended"), lines)
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn it_serves_until_it_is_told_to_stop_and_ends_well() {
    let state = tempfile::tempdir().unwrap();
    let state = state.path().join("made");
    let state = state.to_str().unwrap();
    let mut command = echo(&["--listen", "127.0.0.1:0", "--state", state, "--set", "host.log_json=true"]);
    let mut child = Guard(command.spawn().unwrap());
    let (address, log) = address(&mut child.0);
    assert!(get(&address, "/ready").starts_with("HTTP/1.1 200"));
    assert!(get(&address, "/metrics").contains("weft_process_start_time_seconds"));
    let stop = Command::new("kill").args(["-TERM", &child.0.id().to_string()]).status().unwrap();
    assert!(stop.success());
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.0.try_wait().unwrap() {
            break status;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "it does not stop");
        std::thread::sleep(Duration::from_millis(10));
    };
    assert!(status.success(), "{status}");
    assert!(log.last().is_some_and(|line| line.contains("stopped")));
}

#[test]
fn it_speaks_on_streams_without_a_word_besides() {
    let mut child = Guard(echo(&["--stdio"]).stdin(Stdio::piped()).spawn().unwrap());
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}});
    let params = json!({"name": "echo", "arguments": {"text": "hi"}, "_meta": meta});
    let discover = json!({"jsonrpc": "2.0", "id": 0, "method": "server/discover", "params": {"_meta": meta}});
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    let mut input = child.0.stdin.take().unwrap();
    write!(input, "{discover}\n{call}\n").unwrap();
    let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    let (one, two) = (next(), next());
    let answer = if one["id"] == 1 { one } else { two };
    assert_eq!(answer["result"]["structuredContent"]["data"]["text"], "hi");
    drop(input);
    assert!(child.0.wait().unwrap().success());
}

#[test]
fn what_keeps_it_from_starting_is_explained() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let state = tempfile::tempdir().unwrap();
    let state = state.path().to_str().unwrap();
    for (arguments, told) in [
        (vec!["--listen", &address, "--state", state], "stop what listens there"),
        (vec!["--listen", "0.0.0.0:0", "--state", state], "give the service an identity"),
        (vec!["--set", "host.colour=1"], "colour"),
        (vec!["--set", "rules.confirm=maybe"], "maybe"),
        (vec!["--config", "/nowhere/at/all.toml"], "/nowhere/at/all.toml"),
    ] {
        let out = output(&arguments);
        let error = String::from_utf8(out.stderr).unwrap();
        assert!(!out.status.success() && error.contains(told), "{arguments:?}: {error}");
    }
}

#[test]
fn it_prints_its_tools_and_the_schema_of_its_settings() {
    let tools: Value = serde_json::from_slice(&output(&["--tools"]).stdout).unwrap();
    assert_eq!(tools[0]["name"], "echo");
    let schema: Value = serde_json::from_slice(&output(&["--settings-schema"]).stdout).unwrap();
    assert!(schema["properties"]["rules"].is_object());
}
