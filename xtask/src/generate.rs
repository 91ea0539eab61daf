//! `cargo xtask gen`: writes the reference pages from the one place where each fact lives, or checks that they are as
//! they would be written. A new page is a file in `generate/` and a line in `PAGES`.

mod alerts;
mod cli;
mod configuration;
mod dashboard;
mod metrics;
mod tools;
mod values;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::binaries;
use crate::repo::Repo;

/// What a page is made from.
enum Source {
    /// Our own crates, linked in: always at hand.
    Linked(fn() -> String),
    /// The `weft` program; `None` when it has nothing to say on the subject yet.
    Program(fn(&Path) -> Result<Option<String>>),
    /// What the repository's files say; the rest of the page, which is given, is written by hand.
    Repository(fn(&Repo, &str) -> Result<String>),
}

struct Page {
    path: &'static str,
    source: Source,
}

const PAGES: [Page; 10] = [
    Page { path: "infra/compose/grafana/dashboards/weft.json", source: Source::Linked(dashboard::page) },
    Page { path: "helm/weft/files/dashboard.json", source: Source::Linked(dashboard::page) },
    Page { path: "infra/compose/prometheus/alerts.yaml", source: Source::Linked(alerts::rules) },
    Page { path: "helm/weft/files/alerts.yaml", source: Source::Linked(alerts::rules) },
    Page { path: "helm/weft/values.yaml", source: Source::Repository(values::page) },
    Page { path: "docs/reference/alerts.md", source: Source::Linked(alerts::page) },
    Page { path: "docs/reference/metrics.md", source: Source::Linked(metrics::page) },
    Page { path: "docs/reference/cli.md", source: Source::Program(cli::page) },
    Page { path: "docs/reference/configuration.md", source: Source::Program(configuration::page) },
    Page { path: "docs/reference/tools.md", source: Source::Program(tools::page) },
];

/// Writes every page, or with `check` compares; true when all is as it should be.
pub(crate) fn run(repo: &Repo, check: bool) -> Result<bool> {
    each(repo, Some(&weft(repo)?), check)
}

/// Compares every page with what this `weft` program gives.
pub(crate) fn check_all(repo: &Repo, weft: &Path) -> Result<bool> {
    each(repo, Some(weft), true)
}

/// Compares the pages that need no program to be built, and all of them when `WEFT_BIN` names one.
pub(crate) fn check_cheap(repo: &Repo) -> Result<bool> {
    let weft = std::env::var_os("WEFT_BIN").map(PathBuf::from);
    each(repo, weft.as_deref(), true)
}

/// Makes each page and writes or compares it; one that cannot be made without a program is left alone.
fn each(repo: &Repo, weft: Option<&Path>, check: bool) -> Result<bool> {
    let mut fresh = true;
    for page in &PAGES {
        let path = repo.root.join(page.path);
        let old = fs::read_to_string(&path).unwrap_or_default();
        let made = match (&page.source, weft) {
            (Source::Linked(make), _) => Some(make()),
            (Source::Repository(make), _) => Some(make(repo, &old)?),
            (Source::Program(make), Some(weft)) => make(weft).with_context(|| format!("cannot make {}", page.path))?,
            (Source::Program(_), None) => None,
        };
        let Some(text) = made.filter(|text| *text != old) else { continue };
        if check {
            println!("{}: stale: run `cargo xtask gen`", page.path);
            fresh = false;
        } else {
            fs::create_dir_all(path.parent().unwrap_or(&repo.root))?;
            fs::write(&path, text).with_context(|| format!("cannot write {}", page.path))?;
            println!("wrote {}", page.path);
        }
    }
    Ok(fresh)
}

/// The program of `WEFT_BIN`, or one that is built now.
fn weft(repo: &Repo) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("WEFT_BIN") {
        return Ok(PathBuf::from(path));
    }
    binaries::build(repo, &["-p", "weft", "--bin", "weft"])?.remove("weft").context("cargo built no weft program")
}

/// The first line of every page.
fn banner(source: &str) -> String {
    format!("<!-- Written by `cargo xtask gen` from {source}. Change that, not this. -->\n\n")
}
