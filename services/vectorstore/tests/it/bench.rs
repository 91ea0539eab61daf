//! A scratch folder and a service over it; and this program once more, as a child that is killed.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use weft_kit::{Called, Caller, Confirm, Direct, Reference, Rules};
use weft_vectorstore::{RemoteSettings, Settings, StoreSettings, service};

/// A vector store in a folder that is thrown away.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
    direct: Option<Direct>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(|_| Settings::default())
    }

    /// Settings that may name folders below the scratch folder.
    pub(crate) fn with(settings: impl FnOnce(&Path) -> Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path());
        let direct = Some(open(folder.path(), settings));
        Self { folder, direct }
    }

    pub(crate) fn path(&self, below: &str) -> std::path::PathBuf {
        self.folder.path().join(below)
    }

    /// The same service, for another tenant.
    pub(crate) fn by(&self, namespace: &str) -> Direct {
        self.direct().by(Caller { id: "other".to_owned(), namespace: namespace.to_owned(), roles: Vec::new() })
    }

    pub(crate) fn direct(&self) -> &Direct {
        self.direct.as_ref().unwrap()
    }

    /// Closes everything and opens it again.
    pub(crate) fn reopen(&mut self) {
        self.direct = None;
        self.direct = Some(open(self.folder.path(), Settings::default()));
    }

    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Called {
        self.direct().call(tool, arguments).await
    }

    pub(crate) async fn ok(&self, tool: &str, arguments: Value) -> Value {
        let called = self.call(tool, arguments).await;
        assert!(!called.is_error, "{}", called.text);
        called.data().clone()
    }

    /// A collection of vectors of this length.
    pub(crate) async fn vectors(&self, name: &str, dimensions: usize) {
        self.ok("create_collection", json!({ "name": name, "dimensions": dimensions })).await;
    }
}

pub(crate) fn open(folder: &Path, settings: Settings) -> Direct {
    let rules = Rules { confirm: Confirm::Auto, ..Rules::default() };
    Direct::new(service(settings, folder).unwrap(), rules).unwrap()
}

/// The embedded store, or the database whose address [`database`] left in the folder.
pub(crate) fn settings(folder: &Path) -> Settings {
    let Ok(url) = std::fs::read_to_string(folder.join("url")) else { return Settings::default() };
    let store = RemoteSettings {
        name: "shared".to_owned(),
        read_only: false,
        url: Reference::Text(url),
        api_key: None,
        space: None,
        pool: 2,
        // A pause of the whole machine is no reason to give up.
        timeout_ms: 60_000,
    };
    Settings { stores: vec![StoreSettings::Pgvector(store)], ..Settings::default() }
}

/// Makes a database for [`settings`]; false, said aloud, if there is no server.
pub(crate) fn database(folder: &Path, name: &str) -> bool {
    let Some(server) = weft_testkit::postgres() else { return false };
    server.run(&format!("CREATE DATABASE {name}"));
    std::fs::write(folder.join("url"), server.url(name)).unwrap();
    true
}

/// Waits until the database has ended what a killed program asked of it.
pub(crate) async fn settled(folder: &Path) {
    let Ok(url) = std::fs::read_to_string(folder.join("url")) else { return };
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let left = "SELECT count(*) FROM pg_stat_activity
                WHERE application_name = 'weft-vectorstore' AND datname = current_database()";
    let mut looks = 0;
    while sqlx::query_scalar::<_, i64>(left).fetch_one(&mut connection).await.unwrap() > 0 {
        looks += 1;
        assert!(looks < 12_000, "the database still serves the program that was killed");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) fn ids(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect()
}

#[track_caller]
pub(crate) fn refused(called: &Called, code: &str) {
    assert!(called.is_error && called.code() == code, "{code}: {}", called.text);
}

/// Runs one test of this program again as a child that is told of `folder` by `variable`, awaits so many lines
/// `acknowledged <number>` of it, kills it `after` that, and gives the last number that it said.
pub(crate) fn killed(
    (test, variable): (&str, &str),
    folder: &Path,
    (awaited, after): (usize, Duration),
) -> Option<u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(variable, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut said =
        lines.filter_map(|line| line.strip_prefix("acknowledged ").and_then(|number| number.parse::<u64>().ok()));
    let mut last = None;
    for _ in 0..awaited {
        last = Some(said.next().expect("the child goes on until it is killed"));
    }
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
    // What it said before it was killed was acknowledged too.
    said.last().or(last)
}
