//! Starts `weft up` on free ports with scratch state, and speaks HTTP to it without any MCP library in between.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

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

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGTERM, and how it ended.
    pub(crate) fn terminate(&mut self) -> (ExitStatus, Duration) {
        let began = Instant::now();
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let status = self.child.wait().unwrap();
        (status, began.elapsed())
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
}

impl Drop for Weft {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the program; its standard output is a pipe.
pub(crate) fn spawn(folder: &Folder, arguments: &[String], (port, admin): (u16, u16)) -> Child {
    command(&variable("WEFT_BIN"))
        .args(["up", "--root"])
        .arg(folder.path("root"))
        .arg("--state")
        .arg(folder.path("state"))
        .args(["--listen", &format!("127.0.0.1:{port}"), "--admin", &format!("127.0.0.1:{admin}")])
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

/// An answer that was read to its end.
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The messages of a stream, or the one of a plain answer.
    pub(crate) fn messages(&self) -> Vec<Value> {
        if self.header("content-type").is_some_and(|media| media.starts_with("text/event-stream")) {
            self.events().into_iter().filter_map(|(_, data)| serde_json::from_str(&data).ok()).collect()
        } else {
            vec![self.json()]
        }
    }

    /// The last message: the response.
    pub(crate) fn message(&self) -> Value {
        self.messages().pop().unwrap_or_else(|| panic!("no message: {}", self.text()))
    }

    /// Events as id and data.
    pub(crate) fn events(&self) -> Vec<(String, String)> {
        events(&self.text())
    }
}

/// Events of a stream's text as id and data; comments are left out.
pub(crate) fn events(text: &str) -> Vec<(String, String)> {
    let field = |block: &str, name: &str| {
        block
            .lines()
            .find_map(|line| line.strip_prefix(name).map(|rest| rest.trim_start().to_owned()))
            .unwrap_or_default()
    };
    text.split("\n\n")
        .filter(|block| block.lines().any(|line| line.starts_with("data:") || line.starts_with("id:")))
        .map(|block| (field(block, "id:"), field(block, "data:")))
        .collect()
}

/// Sends a request on a connection of its own; gives the connection.
pub(crate) fn send(port: u16, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    if !headers.iter().any(|(name, _)| *name == "host") {
        head.push_str("host: 127.0.0.1\r\n");
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    // A server that refuses early may close while the body is still on its way.
    let _ = stream.write_all(body);
    stream
}

/// Sends a request and reads the whole answer.
pub(crate) fn request(port: u16, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut stream = send(port, method, path, headers, body);
    let mut raw = Vec::new();
    // What was received counts even if the end was a reset.
    let _ = stream.read_to_end(&mut raw);
    parse(&raw)
}

/// Takes an answer apart: head, and body in chunks or not.
pub(crate) fn parse(raw: &[u8]) -> Answer {
    let end = raw.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or_else(|| panic!("no head: {raw:?}"));
    let head = String::from_utf8_lossy(&raw[..end]).into_owned();
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok()).unwrap();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let body = &raw[end + 4..];
    let chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    Answer { status, headers, body: if chunked { dechunk(body) } else { body.to_vec() } }
}

/// The content of chunks, as far as they came.
pub(crate) fn dechunk(mut body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(line) = body.windows(2).position(|window| window == b"\r\n") {
        let size = std::str::from_utf8(&body[..line]).ok().and_then(|text| usize::from_str_radix(text.trim(), 16).ok());
        let Some(size) = size.filter(|size| *size > 0) else { break };
        let chunk = &body[line + 2..];
        out.extend_from_slice(&chunk[..size.min(chunk.len())]);
        body = chunk.get(size + 2..).unwrap_or_default();
    }
    out
}

/// Reads from an open stream, behind what came of it before (`raw`), until all of it satisfies `enough`.
pub(crate) fn read_until(stream: &mut TcpStream, raw: &mut Vec<u8>, enough: impl Fn(&str) -> bool) -> String {
    let mut part = [0; 4096];
    let began = Instant::now();
    loop {
        assert!(
            began.elapsed() < Duration::from_secs(25),
            "nothing more came; so far: {}",
            String::from_utf8_lossy(raw)
        );
        let text = if raw.windows(4).any(|window| window == b"\r\n\r\n") { parse(raw).text() } else { String::new() };
        if enough(&text) {
            return text;
        }
        let read = stream.read(&mut part).unwrap_or_else(|error| panic!("{error}; so far: {text}"));
        assert!(read > 0, "the stream ended; so far: {text}");
        raw.extend_from_slice(&part[..read]);
    }
}

/// Waits until `condition` holds.
pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < Duration::from_secs(20), "this did not happen: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
