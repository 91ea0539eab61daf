//! Real databases and models for tests: started once per test program, on free ports and in folders of their own, and gone with it.
//!
//! `cargo xtask test` installs them and says where they are (`WEFT_PYTHON_STORES`); a test that is run without asks in vain, prints
//! why, and returns.

#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a test that cannot start what it needs must fail loudly"
)]

use std::{
    fs,
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU16, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use rustix::process::getuid;

mod gguf;
mod llama;
mod models;
mod postgres;

pub use llama::{llama, llama_alone};
pub use models::{Models, models};
pub use postgres::{Postgres, extended_postgres, postgres};

/// The user that databases run as when the tests run as root, which PostgreSQL refuses: nobody.
const NOBODY: u32 = 65_534;
/// The longest that one may take to start.
const PATIENCE: Duration = Duration::from_secs(180);

/// A running Chroma server.
#[derive(Debug)]
pub struct Chroma {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
}

/// The Chroma server of this test program; `None`, and a line about it, where none is installed.
pub fn chroma() -> Option<&'static Chroma> {
    static SERVER: OnceLock<Option<Chroma>> = OnceLock::new();
    SERVER.get_or_init(Chroma::start).as_ref()
}

impl Chroma {
    fn start() -> Option<Self> {
        site_packages()?;
        let python = std::env::var_os("WEFT_PYTHON_STORES")?;
        let (port, folder) = (free_port(), scratch("chroma"));
        let script = format!(
            "import chromadb_rust_bindings as c; c.cli(['chroma','run','--host','127.0.0.1','--port','{port}','--path','{}'])",
            folder.display()
        );
        let mut server = Command::new("setpriv");
        server
            .args(["--pdeathsig", "KILL", "--"])
            .arg(python)
            .args(["-c", &script])
            .env("ANONYMIZED_TELEMETRY", "False");
        keep(server, "chroma");
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(Instant::now() < until, "Chroma does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(Self { url: format!("http://127.0.0.1:{port}") })
    }
}

/// The URL of the graph database of this test program, a server that speaks Bolt 5.4; `None`, and a line about it, where none is
/// installed. `WEFT_BOLT_URL` names one that runs already.
pub fn bolt() -> Option<&'static str> {
    static SERVER: OnceLock<Option<String>> = OnceLock::new();
    SERVER.get_or_init(start_bolt).as_deref()
}

fn start_bolt() -> Option<String> {
    if let Ok(url) = std::env::var("WEFT_BOLT_URL") {
        return Some(url);
    }
    let Some(program) = std::env::var_os("WEFT_BOLT_SERVER") else {
        eprintln!("skipped: WEFT_BOLT_SERVER is not set; `cargo xtask test` installs a graph database and sets it");
        return None;
    };
    let (port, folder) = (free_port(), scratch("bolt"));
    let mut server = Command::new("setpriv");
    server.args(["--pdeathsig", "KILL", "--"]).arg(program).arg("--graph").arg(folder.join("graph.kgl"));
    server.args(["--storage", "memory", "--durability", "off", "--bind", "127.0.0.1", "--port", &port.to_string()]);
    keep(server, "bolt");
    let until = Instant::now() + PATIENCE;
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        assert!(Instant::now() < until, "the graph database does not answer");
        std::thread::sleep(Duration::from_millis(50));
    }
    Some(format!("bolt://127.0.0.1:{port}"))
}

/// The URL of the Redis server of this test program, which acknowledges a write when it is on disk; `None`, and a line about it, where
/// none is installed. `WEFT_REDIS_SERVER` names the program.
pub fn redis() -> Option<&'static str> {
    static SERVER: OnceLock<Option<String>> = OnceLock::new();
    SERVER.get_or_init(start_redis).as_deref()
}

fn start_redis() -> Option<String> {
    let program = std::env::var_os("WEFT_REDIS_SERVER").unwrap_or_else(|| "redis-server".into());
    if Command::new(&program).arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("skipped: no redis-server can be started here");
        return None;
    }
    let (port, folder) = (free_port(), scratch("redis"));
    let mut server = Command::new("setpriv");
    server.args(["--pdeathsig", "KILL", "--"]).arg(program).args(["--bind", "127.0.0.1", "--save", "", "--port"]);
    server.arg(port.to_string()).args(["--appendonly", "yes", "--appendfsync", "always", "--dir"]).arg(folder);
    keep(server, "redis");
    let until = Instant::now() + PATIENCE;
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        assert!(Instant::now() < until, "Redis does not answer");
        std::thread::sleep(Duration::from_millis(20));
    }
    Some(format!("redis://127.0.0.1:{port}/0"))
}

/// Where the Python packages are in which the servers come.
fn site_packages() -> Option<PathBuf> {
    let Some(python) = std::env::var_os("WEFT_PYTHON_STORES") else {
        eprintln!("skipped: WEFT_PYTHON_STORES is not set; `cargo xtask test` installs the databases and sets it");
        return None;
    };
    let venv = Path::new(&python).parent()?.parent()?.join("lib");
    let version =
        fs::read_dir(venv).ok()?.flatten().find(|entry| entry.file_name().to_string_lossy().starts_with("python3"))?;
    Some(version.path().join("site-packages"))
}

/// A port that was free a moment ago, that no other call of this program gave, and that the kernel gives to nobody: it lies below
/// those of outgoing connections (`ip_local_port_range`), of which a test under load makes thousands.
pub fn free_port() -> u16 {
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    const LOWEST: u16 = 10_240;
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let first = range.split_whitespace().next().and_then(|first| first.parse().ok());
    let room = first.filter(|first| *first > 2 * LOWEST).unwrap_or(32_768) - LOWEST;
    // Programs that run at the same time begin apart.
    let next =
        NEXT.get_or_init(|| AtomicU16::new(u16::try_from(std::process::id() % u32::from(room)).unwrap_or_default()));
    let free = (0..room).map(|_| LOWEST + next.fetch_add(1, Ordering::Relaxed) % room);
    let mut free = free.filter(|port| TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).is_ok());
    free.next().expect("a free port")
}

/// A folder that outlives this function, below the one for temporary files: the server that uses it is killed with the program, and
/// the folder is removed by the next one.
fn scratch(name: &str) -> PathBuf {
    let top = std::env::temp_dir().join("weft-testkit");
    fs::create_dir_all(&top).expect("a folder for scratch");
    for entry in fs::read_dir(&top).into_iter().flatten().flatten() {
        let file = entry.file_name();
        let pid = file.to_string_lossy().rsplit('-').next().and_then(|pid| pid.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    let folder = top.join(format!("{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder for the server");
    folder
}

/// Runs as nobody where we are root, and dies with us.
fn as_nobody(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    if getuid().is_root() {
        command.args(["--reuid", &NOBODY.to_string(), "--regid", &NOBODY.to_string(), "--clear-groups"]);
    }
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

fn own(path: &Path) {
    if getuid().is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).expect("the folder is given to nobody");
    }
}

/// Starts a server from a thread that lives as long as the program: what dies with its parent dies with the thread that started it.
fn keep(mut command: Command, name: &'static str) {
    let (tell, told) = mpsc::channel();
    let log = std::env::temp_dir().join("weft-testkit").join(format!("{name}-{}.log", std::process::id()));
    std::thread::spawn(move || {
        let log = fs::File::create(log).expect("a log");
        let errors = log.try_clone().expect("a log");
        let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn();
        let started = child.is_ok();
        let _ = tell.send(started);
        loop {
            std::thread::park();
        }
    });
    assert!(told.recv() == Ok(true), "{name} cannot be started");
}

fn run(command: &mut Command) {
    let status = command.status();
    assert!(status.as_ref().is_ok_and(std::process::ExitStatus::success), "{command:?}: {status:?}");
}
