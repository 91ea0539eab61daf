//! The stages of `cargo xtask test`, one function each, in the order in which they run: what is cheap and fails often
//! comes first. What one stage makes and a later one needs (tools, binaries) is kept in the session and made on demand,
//! so that `--only e2e` works alone.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::report::{Counts, Outcome};
use crate::repo::Repo;
use crate::tools::Tools;
use crate::tools::containers::{BASE, Containers};
use crate::{binaries, command, generate, image, tidy};

/// One stage.
pub(crate) struct Stage {
    pub(crate) name: &'static str,
    /// Half a sentence for its header.
    pub(crate) about: &'static str,
    pub(crate) run: fn(&mut Session<'_>) -> Result<Outcome>,
}

pub(crate) const STAGES: [Stage; 11] = [
    Stage { name: "tidy", about: "the house rules", run: tidy },
    Stage { name: "fmt", about: "formatting", run: fmt },
    Stage { name: "clippy", about: "lints, warnings are errors", run: clippy },
    Stage { name: "tools", about: "the databases, MCP clients and servers that the tests drive", run: tools },
    Stage { name: "unit", about: "unit, integration and doc tests of every crate", run: unit },
    Stage { name: "build", about: "the binaries that the end-to-end tests start", run: build },
    Stage { name: "e2e", about: "real clients through a real mesh", run: e2e },
    Stage { name: "chart", about: "the Helm chart and the compose file, with the tools that read them", run: chart },
    Stage { name: "images", about: "every program as a confined container, and end-to-end tests of them", run: images },
    Stage { name: "docs", about: "API documentation and generated pages", run: docs },
    Stage { name: "deny", about: "licences, advisories, banned crates", run: deny },
];

/// The programs that the end-to-end tests are told of: name, variable.
const BINARIES: [(&str, &str); 2] = [("weft", "WEFT_BIN"), ("conformance-server", "WEFT_CONFORMANCE_SERVER")];

/// The stages `build` and `e2e` choose the same packages, so that cargo gives both the same features and compiles once.
const E2E_PACKAGES: [&str; 4] = ["-p", "weft", "-p", "weft-tests"];

/// What the stages of one run share.
pub(crate) struct Session<'a> {
    repo: &'a Repo,
    may_install: bool,
    tools: Option<Tools>,
    binaries: Option<Vec<(&'static str, PathBuf)>>,
    counts: Option<Counts>,
}

impl<'a> Session<'a> {
    pub(crate) fn new(repo: &'a Repo, may_install: bool) -> Self {
        Self { repo, may_install, tools: None, binaries: None, counts: None }
    }

    /// What the last stage's tests counted, once.
    pub(crate) fn take_counts(&mut self) -> Option<Counts> {
        self.counts.take()
    }

    fn tools(&mut self) -> Result<&Tools> {
        let tools = match self.tools.take() {
            Some(tools) => tools,
            None if self.may_install => Tools::ensure(self.repo)?,
            None => Tools::installed(self.repo)?,
        };
        Ok(self.tools.insert(tools))
    }

    fn binaries(&mut self) -> Result<&[(&'static str, PathBuf)]> {
        let binaries = match self.binaries.take() {
            Some(binaries) => binaries,
            None => build_binaries(self.repo)?,
        };
        Ok(self.binaries.insert(binaries))
    }

    /// Runs a `cargo test`, its output visible, and keeps its counts.
    fn cargo_test(&mut self, command: &mut Command) -> Result<Outcome> {
        let mut counts = Counts::default();
        let result = command::tee(command, |line| counts.add_line(line));
        self.counts = Some(counts);
        result.map(|()| Outcome::Passed)
    }
}

fn tidy(session: &mut Session<'_>) -> Result<Outcome> {
    if !tidy::run(session.repo)? {
        bail!("`cargo xtask tidy` found something");
    }
    Ok(Outcome::Passed)
}

fn fmt(session: &mut Session<'_>) -> Result<Outcome> {
    if !has_cargo_command(session.repo, "fmt") {
        return Ok(Outcome::Skipped("rustfmt is not installed: `rustup component add rustfmt`".to_owned()));
    }
    command::run(session.repo.cargo().args(["fmt", "--all", "--check"]))?;
    Ok(Outcome::Passed)
}

fn clippy(session: &mut Session<'_>) -> Result<Outcome> {
    if !has_cargo_command(session.repo, "clippy") {
        return Ok(Outcome::Skipped("clippy is not installed: `rustup component add clippy`".to_owned()));
    }
    command::run(session.repo.cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    Ok(Outcome::Passed)
}

fn unit(session: &mut Session<'_>) -> Result<Outcome> {
    let mut cargo = session.repo.cargo();
    cargo.envs(session.tools()?.variables().iter().map(|(name, path)| (name, path)));
    session.cargo_test(cargo.args(["test", "--workspace", "--exclude", "weft-tests", "--no-fail-fast"]))
}

fn tools(session: &mut Session<'_>) -> Result<Outcome> {
    for (variable, path) in session.tools()?.variables() {
        println!("{variable}={}", path.display());
    }
    Ok(Outcome::Passed)
}

fn build(session: &mut Session<'_>) -> Result<Outcome> {
    for (variable, path) in session.binaries()? {
        println!("{variable}={}", path.display());
    }
    Ok(Outcome::Passed)
}

fn e2e(session: &mut Session<'_>) -> Result<Outcome> {
    let mut cargo = e2e_tests(session)?;
    session.cargo_test(&mut cargo)
}

/// All of them, told where everything is.
fn e2e_tests(session: &mut Session<'_>) -> Result<Command> {
    let mut cargo = session.repo.cargo();
    cargo.envs(session.tools()?.variables().iter().map(|(name, path)| (*name, path.clone())));
    cargo.envs(session.binaries()?.iter().map(|(name, path)| (*name, path.clone())));
    cargo.arg("test").args(E2E_PACKAGES).args(["--lib", "--bins", "--test", "it", "--no-fail-fast"]);
    Ok(cargo)
}

/// What it runs, and with which of the tools.
const CHART_CHECKS: [&str; 3] = ["helm/weft/tests/check.py", "infra/compose/check.py", "helm/weft/tests/run.py"];

fn chart(session: &mut Session<'_>) -> Result<Outcome> {
    let mut variables: Vec<_> = session.tools()?.variables().iter().map(|(name, path)| (*name, path.clone())).collect();
    let path_of = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, path)| path.clone());
    let Some(python) = path_of("WEFT_HELM4_PYTHON") else {
        return Ok(Outcome::Skipped("Helm 4 is not installed: run the stage `tools`, on x86_64".to_owned()));
    };
    variables.push(("WEFT_KUBERNETES_VALIDATE", python.with_file_name("kubernetes-validate")));
    variables.extend(session.binaries()?.iter().map(|(name, path)| (*name, path.clone())));
    for script in CHART_CHECKS {
        command::run(
            session.repo.command(&python).arg(script).envs(variables.iter().map(|(name, path)| (name, path))),
        )?;
    }
    Ok(Outcome::Passed)
}

/// The end-to-end tests that are run again with every program in a container. By hand all of them can be: `inside.py` says how.
const INSIDE: [&str; 4] = ["mesh::life", "mesh::identity", "mesh::connect", "mesh::slices"];

fn images(session: &mut Session<'_>) -> Result<Outcome> {
    let containers = match Containers::ensure(session.repo, session.may_install) {
        Ok(containers) => containers,
        Err(error) => return Ok(Outcome::Skipped(format!("{error:#}").replace('\n', " "))),
    };
    // What the unit tests have built already, so that nothing is compiled again.
    let built = binaries::build(session.repo, &["--workspace", "--exclude", "weft-tests", "--bins"])?;
    let weft = built.get("weft").context("the weft binary was not built")?;
    let prebuilt = weft.parent().context("a program lies in a folder")?;
    let images = image::for_tests(session.repo, prebuilt, BASE, containers.variables())?;
    let all_in_one = |image: &String| image.starts_with("weft:");
    let (whole, mut alone): (Vec<_>, Vec<_>) = images.into_iter().partition(all_in_one);
    // In front, and behind it the servers.
    alone.sort_by_key(|image| !image.starts_with("weft-gateway:"));
    for images in [whole, alone] {
        let mut run = session.repo.command("python3");
        run.envs(session.tools()?.variables().iter().map(|(name, path)| (name, path)));
        run.envs(containers.variables().iter().map(|(name, path)| (name, path)));
        command::run(run.arg("infra/images/run.py").args(images))?;
    }
    let mut inside = e2e_tests(session)?;
    inside.envs(containers.variables().iter().map(|(name, path)| (name, path)));
    inside.env("WEFT_BIN", session.repo.root.join("infra/images/inside.py"));
    session.cargo_test(inside.arg("--").args(INSIDE))
}

fn docs(session: &mut Session<'_>) -> Result<Outcome> {
    let mut cargo = session.repo.cargo();
    command::run(cargo.args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    let weft = session.binaries()?.iter().find(|(name, _)| *name == "WEFT_BIN").map(|(_, path)| path.clone());
    if !generate::check_all(session.repo, &weft.context("the weft binary was not built")?)? {
        bail!("`cargo xtask gen --check` found pages that are out of date: run `cargo xtask gen`");
    }
    Ok(Outcome::Passed)
}

fn deny(session: &mut Session<'_>) -> Result<Outcome> {
    if !has_cargo_command(session.repo, "deny") {
        return Ok(Outcome::Skipped("cargo-deny is not installed: `cargo install cargo-deny --locked`".to_owned()));
    }
    let check = |what: &[&str]| command::run(session.repo.cargo().args(["deny", "--workspace", "check"]).args(what));
    check(&["bans", "licenses", "sources"])?;
    // Advisories come over the network, which a machine may well not have.
    if command::works(session.repo.cargo().args(["deny", "fetch", "db"])) {
        check(&["advisories"])?;
    } else {
        println!("notice: advisories were not checked, their database cannot be fetched");
    }
    Ok(Outcome::Passed)
}

fn has_cargo_command(repo: &Repo, name: &str) -> bool {
    command::works(repo.cargo().args([name, "--version"]))
}

fn build_binaries(repo: &Repo) -> Result<Vec<(&'static str, PathBuf)>> {
    let mut built = binaries::build(repo, &[&E2E_PACKAGES[..], &["--bins"]].concat())?;
    let mut found = Vec::new();
    for (name, variable) in BINARIES {
        let path =
            built.remove(name).with_context(|| format!("no program is called {name}: {variable} cannot be set"))?;
        found.push((variable, path));
    }
    Ok(found)
}
