//! Many instances of many servers over a real Consul: a dev agent, servers and gateways as processes of their own, and a load
//! that counts what its clients see.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use serde_json::Value;
use weft_testkit::free_port;

use crate::{
    harness::{command, eventually, variable},
    http::{parse, request},
};

mod adapted;
mod cluster;
mod composed;
mod connect;
mod faults;
mod identity;
mod keys;
mod life;
mod load;
mod partition;
mod registry;
mod scale;
mod slices;
mod tls;

pub(crate) use load::{Load, PATIENCE, call, pass};

/// A program that ends with the test.
pub(crate) struct Process(Child);

impl Process {
    fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).spawn().unwrap())
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) {
        let began = Instant::now();
        while self.0.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < Duration::from_secs(60), "a process did not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A Consul agent that forgets everything when it is killed.
pub(crate) struct Consul {
    process: Process,
    ports: [u16; 4],
}

impl Consul {
    pub(crate) fn start() -> Self {
        let ports = [free_port(), free_port(), free_port(), free_port()];
        let consul = Self { process: Self::spawn(ports, tempfile::tempfile().unwrap()), ports };
        consul.await_leader();
        consul
    }

    fn spawn([http, lan, wan, server]: [u16; 4], log: std::fs::File) -> Process {
        let mut agent = command(&variable("WEFT_CONSUL"));
        agent.args(["agent", "-dev", "-bind=127.0.0.1", "-client=127.0.0.1", "-disable-host-node-id"]);
        agent.args(["-grpc-port=-1", "-dns-port=-1", "-hcl", "disable_update_check = true"]);
        agent.args([format!("-http-port={http}"), format!("-serf-lan-port={lan}"), format!("-serf-wan-port={wan}")]);
        agent.arg(format!("-server-port={server}")).stdout(log.try_clone().unwrap()).stderr(log);
        Process::start(&mut agent)
    }

    fn await_leader(&self) {
        eventually("Consul has a leader", || self.try_get("/v1/status/leader").is_some_and(|text| text.len() > 4));
    }

    fn try_get(&self, path: &str) -> Option<String> {
        let mut socket = TcpStream::connect(("127.0.0.1", self.ports[0])).ok()?;
        socket.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
        write!(socket, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").ok()?;
        let mut raw = Vec::new();
        socket.read_to_end(&mut raw).ok()?;
        raw.windows(4).any(|window| window == b"\r\n\r\n").then(|| parse(&raw).text())
    }

    pub(crate) fn put(&self, path: &str, body: &Value) -> Value {
        let answer = request(self.ports[0], "PUT", path, &[], body.to_string().as_bytes());
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        serde_json::from_slice(&answer.body).unwrap_or(Value::Null)
    }

    pub(crate) fn send(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = request(self.ports[0], method, path, &[], body.to_string().as_bytes());
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        serde_json::from_slice(&answer.body).unwrap_or(Value::Null)
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        serde_json::from_str(&self.try_get(path).unwrap_or_default()).unwrap_or(Value::Null)
    }

    pub(crate) fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Kills it; nothing of what it knew comes back.
    pub(crate) fn kill(&mut self) {
        self.process.signal("KILL");
        self.process.wait();
    }

    pub(crate) fn again(&mut self) {
        self.process = Self::spawn(self.ports, tempfile::tempfile().unwrap());
        self.await_leader();
    }

    /// For `--registry`, with what holds for checks.
    fn registry(&self, checks: &str) -> String {
        format!("consul://127.0.0.1:{}?{checks}", self.ports[0])
    }

    /// For `--identity`.
    pub(crate) fn identity(&self) -> String {
        format!("consul://127.0.0.1:{}", self.ports[0])
    }
}

/// A mesh: Consul, and a folder for keys.
pub(crate) struct Mesh {
    pub(crate) consul: Consul,
    folder: tempfile::TempDir,
    made: AtomicUsize,
    checks: &'static str,
    pub(crate) identity: Option<String>,
    /// The collector that all are told of.
    pub(crate) traces: Option<String>,
}

impl Mesh {
    /// With checks that hurry: who dies is soon known to be dead, and who is held up may seem to be for a moment.
    pub(crate) fn start() -> Self {
        let (consul, folder) = (Consul::start(), tempfile::tempdir().unwrap());
        let checks = "check_s=0.5&ttl_s=4&hold_s=6";
        Self { consul, folder, made: AtomicUsize::new(0), checks, identity: None, traces: None }
    }

    /// For tests that count who is asked: a pause of the machine makes nobody unhealthy.
    pub(crate) fn patient() -> Self {
        Self { checks: "check_s=5&ttl_s=60", ..Self::start() }
    }

    fn registry(&self) -> String {
        self.consul.registry(self.checks)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn identity(&self) -> String {
        self.identity.clone().unwrap_or_else(|| format!("dev:{}", self.path("ca").display()))
    }

    /// By the variable that every program with OpenTelemetry knows.
    fn told(&self, weft: &mut Command) {
        weft.envs(self.traces.iter().map(|url| ("OTEL_EXPORTER_OTLP_ENDPOINT", url)));
    }

    /// An echo server; gives its process and its id in the registry.
    pub(crate) fn echo(&self) -> Echo {
        self.echo_as(&self.identity())
    }

    pub(crate) fn echo_as(&self, identity: &str) -> Echo {
        let state = self.path(&format!("server-{}", self.made.fetch_add(1, Ordering::Relaxed)));
        let (port, admin) = (free_port(), free_port());
        let mut weft = command(&variable("WEFT_BIN"));
        weft.args(["serve", "echo", "--listen", &format!("127.0.0.1:{port}")]);
        weft.args(["--admin", &format!("127.0.0.1:{admin}"), "--registry", &self.registry()]);
        weft.args(["--identity", identity, "--log", "error", "--state"]).arg(state);
        self.told(&mut weft);
        Echo { process: Process::start(&mut weft), port, admin, id: format!("mcp-echo-{port}") }
    }

    /// A program on stdio as a member, under a name.
    pub(crate) fn adapted(&self, name: &str, program: &str) -> Process {
        let state = self.path(&format!("server-{}", self.made.fetch_add(1, Ordering::Relaxed)));
        let mut weft = command(&variable("WEFT_BIN"));
        weft.args(["adapt", "--name", name, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        weft.args(["--registry", &self.registry(), "--identity", &self.identity(), "--log", "error", "--state"]);
        Process::start(weft.arg(state).args(["--", program]))
    }

    /// One instance of a service, with the settings of a file.
    pub(crate) fn serve(&self, service: &str, config: &Path) -> Process {
        let state = self.path(&format!("server-{}", self.made.fetch_add(1, Ordering::Relaxed)));
        let mut weft = command(&variable("WEFT_BIN"));
        weft.args(["serve", service, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--config"]).arg(config);
        weft.args(["--registry", &self.registry(), "--identity", &self.identity(), "--log", "error", "--state"]);
        self.told(&mut weft);
        Process::start(weft.arg(state))
    }

    pub(crate) fn gateway(&self) -> Gateway {
        self.gateway_with(&[])
    }

    /// A gateway that is told more.
    pub(crate) fn gateway_with(&self, more: &[&str]) -> Gateway {
        self.gateway_at(&self.registry(), more, &[])
    }

    /// A gateway with another registry, and variables.
    fn gateway_at(&self, registry: &str, more: &[&str], variables: &[(&str, &str)]) -> Gateway {
        let mut weft = command(&variable("WEFT_BIN"));
        weft.args(["gateway", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log", "error"]);
        weft.args(self.traces.iter().flat_map(|url| ["--otlp", url]));
        weft.args(["--registry", registry, "--identity", &self.identity(), "--state"]);
        weft.envs(variables.iter().copied());
        // Replicas share the key of sessions.
        weft.arg(self.path("gateway")).args(more).stdout(Stdio::piped());
        let mut process = Process::start(&mut weft);
        let mut lines = BufReader::new(process.0.stdout.take().unwrap()).lines();
        let mut port = || {
            let line = lines.next().expect("the gateway ended before it said where it listens").unwrap();
            let address = line.rsplit(':').next().unwrap().split('/').next().unwrap().to_owned();
            address.parse().unwrap_or_else(|_| panic!("{line}"))
        };
        let (port, admin) = (port(), port());
        std::thread::spawn(move || lines.for_each(drop));
        Gateway { process, port, admin }
    }
}

/// A server of its own.
pub(crate) struct Echo {
    pub(crate) process: Process,
    pub(crate) port: u16,
    pub(crate) admin: u16,
    pub(crate) id: String,
}

/// A gateway of its own.
pub(crate) struct Gateway {
    pub(crate) process: Process,
    pub(crate) port: u16,
    pub(crate) admin: u16,
}

impl Gateway {
    pub(crate) fn status(&self) -> Value {
        request(self.admin, "GET", "/api/v1/status", &[], b"").json()
    }

    /// Ids of the echo instances, with the registry's opinion.
    pub(crate) fn instances(&self) -> Vec<(String, bool)> {
        let status = self.status();
        let services = status["services"].as_array().unwrap();
        let echo = services.iter().find(|service| service["service"] == "echo");
        let instances = echo.and_then(|echo| echo["instances"].as_array()).cloned().unwrap_or_default();
        instances.iter().map(|it| (it["id"].as_str().unwrap().to_owned(), it["healthy"] == true)).collect()
    }

    /// Waits until so many echo instances take calls and the tool is known.
    pub(crate) fn await_healthy(&self, count: usize) {
        eventually(&format!("{count} instances are healthy"), || {
            self.instances().iter().filter(|(_, healthy)| *healthy).count() == count
        });
        eventually("the tool is known", || call(self.port, Duration::from_secs(10)).is_ok());
    }

    /// The sum of a metric over labels that contain `part`.
    pub(crate) fn metric(&self, name: &str, part: &str) -> f64 {
        let text = request(self.admin, "GET", "/metrics", &[], b"").text();
        let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(part));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

/// Whether a file's folder can be written: kept here for the tests that rotate certificates.
pub(crate) fn write(path: &Path, text: &str) {
    let fresh = path.with_extension("fresh");
    std::fs::write(&fresh, text).unwrap();
    std::fs::rename(fresh, path).unwrap();
}
