//! Starts `weft up` on free ports with scratch state, and asks it for what tests ask for; `http.rs` carries it.

use std::{
    io::{BufRead as _, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use weft_testkit::free_port;

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

/// The services that `weft up` always runs.
const OWN: [&str; 6] = ["aiml", "database", "filesystem", "memory", "search", "vectorstore"];

impl Weft {
    /// Returns when its own services and those of `--add` are known: `weft up` itself waits for them for a moment only.
    pub(crate) fn up(arguments: &[&str]) -> Self {
        let weft = Self::up_at_once(arguments);
        weft.await_services();
        weft
    }

    /// For a service that never answers: returns as soon as `weft up` says that it is up.
    pub(crate) fn up_at_once(arguments: &[&str]) -> Self {
        let folder = Folder::new();
        std::fs::write(folder.path("root/hello.txt"), "Hello from a file.\n").unwrap();
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        // Not ports that the kernel chooses: it could give them to others between a kill and the next start.
        Self::start(folder, arguments, (free_port(), free_port()))
    }

    fn await_services(&self) {
        // Elsewhere than on loopback the console wants a key.
        if self.arguments.iter().any(|argument| argument == "--admin") {
            return;
        }
        let added = self.arguments.windows(2).filter(|pair| pair[0] == "--add");
        let mut expected: Vec<&str> = added.filter_map(|pair| Some(pair[1].split_once('=')?.0)).collect();
        expected.extend(OWN);
        expected.extend(self.arguments.iter().any(|argument| argument == "--with-echo").then_some("echo"));
        let known = |status: &Value, name: &str| {
            let mut services = status["services"].as_array().into_iter().flatten();
            services.any(|it| it["service"] == name && it["tools"].as_array().is_some_and(|tools| !tools.is_empty()))
        };
        eventually("all services are known", || {
            let status = self.status();
            expected.iter().all(|name| known(&status, name))
        });
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
        let again = Self::start(folder, arguments, ports);
        again.await_services();
        again
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
        let status = wait(&mut self.child, Duration::from_secs(60));
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

/// Waits until `condition` holds: for long, because the machine may be slow, and so is what waits ever longer itself.
pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < Duration::from_secs(180), "this did not happen: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Measures for how long the machine did not run us, so that its pauses do not count as slowness of what is tested.
pub(crate) struct Pulse {
    stop: Arc<AtomicBool>,
    beat: JoinHandle<Duration>,
}

impl Pulse {
    pub(crate) fn start() -> Self {
        const BEAT: Duration = Duration::from_millis(20);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let beat = std::thread::spawn(move || {
            let mut lost = Duration::ZERO;
            while !stopped.load(Ordering::Relaxed) {
                let began = Instant::now();
                std::thread::sleep(BEAT);
                lost += began.elapsed().saturating_sub(2 * BEAT);
            }
            lost
        });
        Self { stop, beat }
    }

    /// The time lost since the start.
    pub(crate) fn lost(self) -> Duration {
        self.stop.store(true, Ordering::Relaxed);
        self.beat.join().unwrap()
    }
}
