//! Starts `weft up` on free ports with scratch state, and asks it for what tests ask for; `http.rs` carries it.

use std::{
    io::{BufRead as _, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::http::{Answer, request};

/// The newest version of each era.
pub(crate) const SESSION: &str = "2025-11-25";
pub(crate) const STATELESS: &str = "2026-07-28";

/// The value of a variable that `cargo xtask test` sets.
pub(crate) fn variable(name: &str) -> PathBuf {
    let value =
        std::env::var_os(name).unwrap_or_else(|| panic!("{name} is not set: run these tests with `cargo xtask test`"));
    PathBuf::from(value)
}

/// A command without the variables that are meant for the tests.
pub(crate) fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("WEFT_")) {
        command.env_remove(name);
    }
    command
}

/// Runs a program of others to its end; one that does not come to an end is killed and fails the test.
pub(crate) fn finish(command: &mut Command) -> Output {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let collect = |mut pipe: Box<dyn Read + Send>| {
        std::thread::spawn(move || {
            let mut all = Vec::new();
            pipe.read_to_end(&mut all).map(|_| all)
        })
    };
    let (out, err) = (collect(Box::new(child.stdout.take().unwrap())), collect(Box::new(child.stderr.take().unwrap())));
    let status = wait(&mut child, Duration::from_secs(120));
    let (stdout, stderr) = (out.join().unwrap().unwrap(), err.join().unwrap().unwrap());
    let said = || format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    let status = status.unwrap_or_else(|| panic!("{command:?} did not end: {}", said()));
    Output { status, stdout, stderr }
}

/// How a program ended, or none when it had to be killed after `patience`.
fn wait(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let began = Instant::now();
    while began.elapsed() < patience {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    None
}

/// A running `weft up`.
pub(crate) struct Weft {
    child: Child,
    pub(crate) folder: Folder,
    pub(crate) port: u16,
    pub(crate) admin: u16,
    arguments: Vec<String>,
}

/// Scratch directories: `root` is served, `state` keeps keys.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("root")).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

impl Weft {
    pub(crate) fn up(arguments: &[&str]) -> Self {
        let folder = Folder::new();
        std::fs::write(folder.path("root/hello.txt"), "Hello from a file.\n").unwrap();
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Self::start(folder, arguments, (0, 0))
    }

    fn start(folder: Folder, arguments: Vec<String>, ports: (u16, u16)) -> Self {
        let mut child = spawn(&folder, &arguments, ports);
        let mut port = None;
        let mut admin = None;
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for line in lines.by_ref() {
            let line = line.unwrap();
            let at = |line: &str| {
                line.rsplit(':').next().and_then(|rest| rest.split('/').next()).and_then(|port| port.parse().ok())
            };
            if line.starts_with("endpoint") {
                port = at(&line);
            }
            if line.starts_with("console") {
                admin = at(&line);
            }
            if line.starts_with("Stop with") {
                break;
            }
        }
        // What it prints later must have a reader, or the process would be stopped by a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            child,
            folder,
            port: port.expect("no endpoint was printed"),
            admin: admin.expect("no console was printed"),
            arguments,
        }
    }

    /// Kills it without warning and starts it again on the same ports and state.
    pub(crate) fn kill_and_restart(mut self) -> Self {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let folder = std::mem::replace(&mut self.folder, Folder::new());
        let (ports, arguments) = ((self.port, self.admin), self.arguments.clone());
        drop(self);
        Self::start(folder, arguments, ports)
    }

    /// Kills it without warning.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal (`TERM`, `INT`); gives how it ended and after how long.
    pub(crate) fn end_by(&mut self, signal: &str) -> (ExitStatus, Duration) {
        let began = Instant::now();
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
        let status = wait(&mut self.child, Duration::from_secs(30));
        (status.unwrap_or_else(|| panic!("SIG{signal} did not end it")), began.elapsed())
    }

    pub(crate) fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut all = vec![("content-type", "application/json"), ("accept", "application/json, text/event-stream")];
        all.extend(headers);
        request(self.port, "POST", path, &all, body.as_bytes())
    }

    /// A call of the stateless era with the headers that mirror it.
    pub(crate) fn stateless(&self, path: &str, method: &str, params: &Value) -> Answer {
        let body = stateless_body(method, params);
        let mut headers = vec![("mcp-protocol-version", "2026-07-28"), ("mcp-method", method)];
        let name = params["name"].as_str().or(params["uri"].as_str());
        headers.extend(name.map(|name| ("mcp-name", name)));
        self.post(path, &headers, &body)
    }

    /// A tool call of the stateless era on the aggregate endpoint; gives the result.
    pub(crate) fn call(&self, tool: &str, arguments: &Value) -> Value {
        let answer = self.stateless("/mcp", "tools/call", &json!({ "name": tool, "arguments": arguments }));
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.message()["result"].clone()
    }

    /// Begins a session; gives its token.
    pub(crate) fn initialize(&self, path: &str, version: &str) -> String {
        let body = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": version, "capabilities": {}, "clientInfo": { "name": "test", "version": "1" } } });
        let answer = self.post(path, &[], &body.to_string());
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.message()["result"]["protocolVersion"], version);
        answer.header("mcp-session-id").expect("no session").to_owned()
    }

    /// A request within a session.
    pub(crate) fn within(&self, path: &str, token: &str, (id, method): (u32, &str), params: &Value) -> Answer {
        let body = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        self.post(path, &[("mcp-session-id", token)], &body.to_string())
    }

    /// `GET` on the administration address.
    pub(crate) fn admin(&self, path: &str) -> Answer {
        request(self.admin, "GET", path, &[], b"")
    }

    pub(crate) fn status(&self) -> Value {
        self.admin("/api/v1/status").json()
    }

    /// The protocol versions in which a tool, by its own name, was called; waits for the first.
    pub(crate) fn versions_of(&self, tool: &str) -> Vec<String> {
        let versions = || {
            let text = self.admin("/metrics").text();
            let calls = text.lines().filter(|line| {
                line.starts_with("mcp_server_operation_duration_seconds_count")
                    && line.contains(r#"at="gateway""#)
                    && line.contains(r#"mcp_method_name="tools/call""#)
                    && line.contains(&format!("gen_ai_tool_name=\"{tool}\""))
            });
            let version =
                |line: &str| line.split("mcp_protocol_version=\"").nth(1)?.split('"').next().map(str::to_owned);
            calls.filter_map(version).collect::<Vec<_>>()
        };
        eventually("the call was recorded", || !versions().is_empty());
        versions()
    }
}

impl Drop for Weft {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the program; its standard output is a pipe.
pub(crate) fn spawn(folder: &Folder, arguments: &[String], (port, admin): (u16, u16)) -> Child {
    let mut command = command(&variable("WEFT_BIN"));
    command.arg("up");
    if arguments.iter().all(|argument| argument != "--admin") {
        command.args(["--admin", &format!("127.0.0.1:{admin}")]);
    }
    command
        .arg("--root")
        .arg(folder.path("root"))
        .arg("--state")
        .arg(folder.path("state"))
        .args(["--listen", &format!("127.0.0.1:{port}")])
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The body of a request of the stateless era, with id 1.
pub(crate) fn stateless_body(method: &str, params: &Value) -> String {
    let mut params = params.clone();
    let meta = &mut params["_meta"];
    meta["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
    meta["io.modelcontextprotocol/clientCapabilities"] = json!({});
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string()
}

/// Waits until `condition` holds.
pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < Duration::from_secs(20), "this did not happen: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
