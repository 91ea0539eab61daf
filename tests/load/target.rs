//! The programs under test, as child processes on loopback, and what the kernel says of them.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;

use crate::work::Work;

/// A way to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Direct,
    Nginx,
    Gateway,
    /// The filesystem server over plain HTTP.
    Files,
}

impl Place {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Direct | Self::Files => "direct",
            Self::Nginx => "nginx",
            Self::Gateway => "gateway",
        }
    }
}

/// One place for one kind of work: where to send what.
#[derive(Debug, Clone)]
pub(crate) struct Spot {
    pub(crate) port: u16,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) expected: &'static str,
    pids: Arc<[u32]>,
}

impl Spot {
    /// Seconds of processor time that the programs on the way have used.
    pub(crate) fn cpu(&self) -> f64 {
        self.pids.iter().map(|pid| cpu(*pid)).sum()
    }
}

/// All programs, ended when this is dropped.
pub(crate) struct World {
    children: Vec<Child>,
    folder: tempfile::TempDir,
    echo: u16,
    files: Option<u16>,
    nginx: Option<u16>,
    gateway: u16,
    admin: u16,
}

impl Drop for World {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn variable(name: &str) -> Result<PathBuf> {
    std::env::var_os(name)
        .map(PathBuf::from)
        .with_context(|| format!("{name} is not set: run this with `cargo xtask bench`"))
}

fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("WEFT_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stderr(Stdio::null()).stdout(Stdio::null());
    command
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn wait_for(port: u16) -> Result<()> {
    for _ in 0..500 {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    bail!("nothing listens on port {port}")
}

impl World {
    pub(crate) fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let root = folder.path().join("root");
        fs::create_dir(&root)?;
        fs::write(root.join("1k.txt"), Work::file(1 << 10))?;
        fs::write(root.join("64k.txt"), Work::file(64 << 10))?;
        let mut world =
            Self { children: Vec::new(), folder, echo: free_port()?, files: None, nginx: None, gateway: 0, admin: 0 };
        world.start_echo()?;
        world.start_gateway(&root)?;
        world.start_files(&root)?;
        world.start_nginx()?;
        Ok(world)
    }

    fn start_echo(&mut self) -> Result<()> {
        let mut echo = command(&variable("WEFT_ECHO_BIN")?);
        let state = self.folder.path().join("echo");
        echo.args(["--listen", &format!("127.0.0.1:{}", self.echo), "--log", "error", "--state"]).arg(state);
        self.children.push(echo.spawn()?);
        wait_for(self.echo)
    }

    fn start_gateway(&mut self, root: &Path) -> Result<()> {
        let mut weft = command(&variable("WEFT_BIN")?);
        let state = self.folder.path().join("state");
        weft.args([
            "up",
            "--with-echo",
            "--log",
            "error",
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
            "--root",
        ]);
        weft.arg(root).arg("--state").arg(state).stdout(Stdio::piped());
        let mut child = weft.spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        for line in lines.by_ref() {
            let line = line?;
            let port =
                line.rsplit(':').next().and_then(|rest| rest.split('/').next()).and_then(|port| port.parse().ok());
            match line.split_whitespace().next() {
                Some("endpoint") => self.gateway = port.context("no port")?,
                Some("console") => self.admin = port.context("no port")?,
                Some("Stop") => break,
                _ => {}
            }
        }
        std::thread::spawn(move || lines.for_each(drop));
        self.children.push(child);
        Ok(())
    }

    fn start_files(&mut self, root: &Path) -> Result<()> {
        let port = free_port()?;
        let mut files = command(&variable("WEFT_FILESYSTEM_BIN")?);
        let config = self.folder.path().join("files.toml");
        fs::write(&config, format!("[[service.roots]]\npath = '{}'\n", root.display()))?;
        files.arg("--config").arg(config).args(["--listen", &format!("127.0.0.1:{port}"), "--log", "error", "--state"]);
        files.arg(self.folder.path().join("files"));
        self.children.push(files.spawn()?);
        self.files = Some(port);
        wait_for(port)
    }

    fn start_nginx(&mut self) -> Result<()> {
        let Some(nginx) = std::env::var_os("WEFT_NGINX") else {
            eprintln!("nginx is not there: its rows are left out");
            return Ok(());
        };
        let port = free_port()?;
        let dir = self.folder.path().join("nginx");
        fs::create_dir(&dir)?;
        let shown = dir.display();
        let config = format!(
            "daemon off; master_process off; worker_processes 1; pid {shown}/pid; error_log {shown}/error crit;\n\
             events {{ worker_connections 2048; }}\n\
             http {{ access_log off; client_body_temp_path {shown}/a; proxy_temp_path {shown}/b; fastcgi_temp_path {shown}/c; uwsgi_temp_path {shown}/d; scgi_temp_path {shown}/e;\n\
             keepalive_requests 1000000; upstream echo {{ server 127.0.0.1:{}; keepalive 256; keepalive_requests 1000000; }}\n\
             server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://echo; proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_set_header Host 127.0.0.1; }} }} }}\n",
            self.echo
        );
        fs::write(dir.join("conf"), config)?;
        self.children.push(command(Path::new(&nginx)).arg("-p").arg(&dir).arg("-c").arg(dir.join("conf")).spawn()?);
        self.nginx = Some(port);
        wait_for(port)
    }

    pub(crate) fn has(&self, place: Place) -> bool {
        match place {
            Place::Nginx => self.nginx.is_some(),
            Place::Files => self.files.is_some(),
            Place::Direct | Place::Gateway => true,
        }
    }

    fn pid(&self, index: usize) -> u32 {
        self.children.get(index).map_or(0, Child::id)
    }

    /// The programs on the way: echo is the first child, then the gateway, the filesystem server, nginx.
    fn pids(&self, place: Place) -> Arc<[u32]> {
        match place {
            Place::Direct => [self.pid(0)].into(),
            Place::Gateway => [self.pid(1)].into(),
            Place::Files => [self.pid(2)].into(),
            Place::Nginx => [self.pid(0), self.pid(3)].into(),
        }
    }

    pub(crate) async fn spot(&self, place: Place, work: Work) -> Result<Spot> {
        let port = match place {
            Place::Direct => self.echo,
            Place::Gateway => self.gateway,
            Place::Files => self.files.unwrap_or_default(),
            Place::Nginx => self.nginx.unwrap_or_default(),
        };
        let name = work.tool().map(|(service, tool)| match place {
            Place::Gateway => format!("{service}_{tool}"),
            _ => tool.to_owned(),
        });
        let session = work == Work::SessionEcho;
        let token = if session && place == Place::Gateway { Some(self.initialize().await?) } else { None };
        let mut params = json!({ "arguments": work.arguments() });
        let mut headers = vec![
            ("host", format!("127.0.0.1:{port}")),
            ("content-type", "application/json".to_owned()),
            ("accept", "application/json, text/event-stream".to_owned()),
        ];
        if let Some(name) = &name {
            params["name"] = json!(name);
        }
        if session {
            headers.push(("mcp-protocol-version", "2025-11-25".to_owned()));
            headers.extend(token.map(|token| ("mcp-session-id", token)));
        } else {
            params["_meta"] = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {} });
            headers.push(("mcp-protocol-version", "2026-07-28".to_owned()));
            headers.push(("mcp-method", work.method().to_owned()));
            headers.extend(name.map(|name| ("mcp-name", name)));
        }
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": work.method(), "params": params }).to_string();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(HeaderName::from_static(name), HeaderValue::from_str(&value)?);
        }
        Ok(Spot {
            port,
            path: "/mcp".to_owned(),
            headers: map,
            body: body.into(),
            expected: work.expected(),
            pids: self.pids(place),
        })
    }

    async fn initialize(&self) -> Result<String> {
        let body = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": { "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "bench", "version": "1" } } });
        let (headers, _) = self.ask(self.gateway, "POST", "/mcp", &body.to_string()).await?;
        let token = headers.get("mcp-session-id").and_then(|token| token.to_str().ok());
        token.map(str::to_owned).context("no session was begun")
    }

    async fn ask(&self, port: u16, method: &str, path: &str, body: &str) -> Result<(HeaderMap, String)> {
        use http_body_util::BodyExt as _;
        let socket = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(socket)).await?;
        tokio::spawn(connection);
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", "127.0.0.1")
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .body(http_body_util::Full::new(Bytes::from(body.to_owned())))?;
        let response = sender.send_request(request).await?;
        let headers = response.headers().clone();
        let body = response.into_body().collect().await?.to_bytes();
        Ok((headers, String::from_utf8_lossy(&body).into_owned()))
    }

    pub(crate) async fn open_sessions(&self, count: usize) -> Result<()> {
        for _ in 0..count {
            self.initialize().await?;
        }
        Ok(())
    }

    /// Attempts at servers for each tool call that the gateway has answered.
    pub(crate) async fn attempts_per_call(&self) -> Result<f64> {
        let (_, text) = self.ask(self.admin, "GET", "/metrics", "").await?;
        let sum = |name: &str, label: &str| -> f64 {
            let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
            lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
        };
        Ok(sum("weft_gateway_attempts_total", "") / sum("weft_gateway_calls_total", "method=\"tools/call\"").max(1.0))
    }

    /// Resident memory, MiB.
    pub(crate) fn memory(&self, place: Place) -> f64 {
        self.pids(place).iter().map(|pid| resident(*pid)).sum()
    }
}

fn cpu(pid: u32) -> f64 {
    // Fields 14 and 15 of proc(5) stat, in ticks of a hundredth of a second; the name in field 2 may hold spaces.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let rest = stat.rsplit(')').next().unwrap_or_default();
    rest.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn resident(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or_default() / 1024.0
}

/// The machine, in a few words.
pub(crate) fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map(|rest| rest.trim_start_matches([' ', '\t', ':']));
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{count} cores, {}", model.unwrap_or("unknown processor"))
}
