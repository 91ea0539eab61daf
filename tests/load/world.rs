//! The programs under test on loopback, and the ways that lead to their tools.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
};

use anyhow::{Context as _, Result};
use weft_testkit::free_port;

use crate::{
    client::{Line, Spot},
    nginx,
    process::{Program, command},
    work::{self, Service, Work},
};

/// A way to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Direct,
    Nginx,
    Gateway,
}

impl Place {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Nginx => "nginx",
            Self::Gateway => "gateway",
        }
    }
}

/// A program and the port that it listens on.
struct Server {
    program: Arc<Program>,
    port: u16,
}

/// All programs, ended when this is dropped.
pub(crate) struct World {
    gateway: Gateway,
    nginx: Option<(Arc<Program>, Vec<u16>)>,
    echo: Server,
    files: Option<Server>,
    // The last field, so that programs end before their files go.
    folder: tempfile::TempDir,
}

/// `weft up`: gateway and servers in one process.
pub(crate) struct Gateway {
    program: Arc<Program>,
    port: u16,
    admin: u16,
}

fn variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

pub(crate) fn required(name: &str) -> Result<PathBuf> {
    variable(name).with_context(|| format!("{name} is not set: run this with `cargo xtask bench`"))
}

impl World {
    pub(crate) fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let at = folder.path();
        let root = at.join("root");
        fs::create_dir(&root)?;
        fs::write(root.join("1k.txt"), work::file(1 << 10))?;
        fs::write(root.join("64k.txt"), work::file(64 << 10))?;
        let config = at.join("files.toml");
        fs::write(&config, format!("[[service.roots]]\npath = '{}'\n", root.display()))?;
        let echo = server(&required("WEFT_ECHO_BIN")?, &at.join("echo"), None)?;
        let files = match variable("WEFT_FILESYSTEM_BIN") {
            Some(program) => Some(server(&program, &at.join("files"), Some(&config))?),
            None => {
                eprintln!("WEFT_FILESYSTEM_BIN is not set, so files are read through the gateway only");
                None
            }
        };
        let behind: Vec<u16> = [Some(&echo), files.as_ref()].into_iter().flatten().map(|server| server.port).collect();
        let nginx = nginx::start(&at.join("nginx"), &behind)?.map(|nginx| (Arc::new(nginx.program), nginx.ports));
        let gateway = Gateway::start(&at.join("state"), &root)?;
        Ok(Self { gateway, nginx, echo, files, folder })
    }

    /// A gateway like the first that nobody has called yet.
    pub(crate) fn fresh_gateway(&self) -> Result<Gateway> {
        Gateway::start(&self.folder.path().join("fresh"), &self.folder.path().join("root"))
    }

    pub(crate) fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// Where this work is done by way of this place; nothing where a program that it takes is not there.
    pub(crate) fn spot(&self, place: Place, work: Work) -> Result<Option<Spot>> {
        let own = work.tool().map(|(own, _)| own);
        if place == Place::Gateway {
            let tool = work.tool().map(|(_, there)| there);
            let programs = vec![self.gateway.program.clone()];
            return Spot::new(work, self.gateway.port, work.path(), tool, programs).map(Some);
        }
        let (server, behind) = match work.service() {
            Service::Echo => (Some(&self.echo), 0),
            Service::Filesystem => (self.files.as_ref(), 1),
        };
        let Some(server) = server else { return Ok(None) };
        if place == Place::Direct {
            return Spot::new(work, server.port, "/mcp", own, vec![server.program.clone()]).map(Some);
        }
        let Some((nginx, ports)) = &self.nginx else { return Ok(None) };
        let port = ports.get(behind).context("nginx has no port for this server")?;
        Spot::new(work, *port, "/mcp", own, vec![nginx.clone(), server.program.clone()]).map(Some)
    }
}

/// Starts a server of its own over plain HTTP.
fn server(program: &Path, state: &Path, config: Option<&Path>) -> Result<Server> {
    let port = free_port();
    let mut run = command(program);
    run.args(["--listen", &format!("127.0.0.1:{port}"), "--log", "error", "--state"]).arg(state);
    if let Some(config) = config {
        run.arg("--config").arg(config);
    }
    let mut program = Program::start(run, None)?;
    program.listening(port)?;
    Ok(Server { program: Arc::new(program), port })
}

impl Gateway {
    fn start(state: &Path, root: &Path) -> Result<Self> {
        let mut run = command(&required("WEFT_BIN")?);
        run.args(["up", "--with-echo", "--log", "error", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        run.arg("--state").arg(state).arg("--root").arg(root).stdout(Stdio::piped());
        let mut program = Program::start(run, None)?;
        let mut lines = BufReader::new(program.output()?).lines();
        let (mut port, mut admin) = (None, None);
        while port.is_none() || admin.is_none() {
            let line = lines.next().context("`weft up` ended before it said where it listens")??;
            match line.split_whitespace().next() {
                Some("endpoint") => port = port_in(&line),
                Some("console") => admin = port_in(&line),
                _ => {}
            }
        }
        // Somebody has to read on, or the program would stand still at its next line.
        std::thread::spawn(move || lines.for_each(drop));
        let (port, admin) = (port.context("no endpoint")?, admin.context("no console")?);
        program.listening(port)?;
        Ok(Self { program: Arc::new(program), port, admin })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Resident memory, MiB.
    pub(crate) fn resident(&self) -> Result<f64> {
        self.program.resident()
    }

    /// The sum of a metric over all its labels.
    pub(crate) async fn metric(&self, name: &str) -> Result<f64> {
        let text = Line::connect(self.admin).await?.get("/metrics").await?;
        let values = text.lines().filter_map(|line| {
            let rest = line.strip_prefix(name).filter(|rest| rest.starts_with([' ', '{']))?;
            rest.rsplit(' ').next()?.parse::<f64>().ok()
        });
        Ok(values.sum())
    }
}

/// The port in a line that ends in an address such as `http://127.0.0.1:8080/mcp`.
fn port_in(line: &str) -> Option<u16> {
    line.rsplit(':').next()?.split('/').next()?.parse().ok()
}
