//! The official conformance suite: through the gateway a server passes what it passes alone, and the aggregate endpoint
//! passes what does not depend on a server's names.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Stdio},
};

use serde_json::Value;

use crate::harness::{Weft, command, variable};

/// Our conformance server, running.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// With flags of its own.
    pub(crate) fn with(flags: &[&str]) -> Self {
        let mut child = command(&variable("WEFT_CONFORMANCE_SERVER"))
            .args(["--listen", "127.0.0.1:0"])
            .args(flags)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next().unwrap().unwrap();
        let port =
            line.rsplit(':').next().and_then(|port| port.trim().parse().ok()).unwrap_or_else(|| panic!("{line}"));
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, port }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the suite; gives each check's outcome.
fn suite(url: &str, arguments: &[&str], folder: &Path) -> BTreeMap<String, String> {
    let index = variable("WEFT_NODE_MODULES").join("@modelcontextprotocol/conformance/dist/index.js");
    let output = command(&variable("WEFT_NODE"))
        .arg(index)
        .args(["server", "--url", url])
        .args(arguments)
        .arg("-o")
        .arg(folder)
        .output()
        .unwrap();
    let mut checks = BTreeMap::new();
    collect(folder, &mut checks);
    assert!(
        !checks.is_empty(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    checks
}

/// Every `checks.json` below a folder, as `scenario/check` → status; a check that comes more than once is numbered.
fn collect(folder: &Path, checks: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, checks);
        } else if path.file_name().is_some_and(|name| name == "checks.json") {
            let all: Vec<Value> = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            let scenario = path.parent().unwrap().file_name().unwrap().to_string_lossy().into_owned();
            // The folder's name ends in the time of the run.
            let scenario = scenario.split("-2").next().unwrap_or(&scenario).to_owned();
            let mut seen = BTreeMap::<String, usize>::new();
            for check in all {
                let id = check["id"].as_str().unwrap_or("?").to_owned();
                let count = seen.entry(id.clone()).or_default();
                *count += 1;
                checks.insert(format!("{scenario}/{id}#{count}"), check["status"].as_str().unwrap_or("?").to_owned());
            }
        }
    }
}

fn passed(checks: &BTreeMap<String, String>) -> usize {
    checks.values().filter(|status| *status == "SUCCESS").count()
}

#[track_caller]
fn through_the_gateway_as_alone(requirements: &str) {
    let server = Server::start();
    let weft = Weft::up(&["--add", &format!("conformance=http://127.0.0.1:{}/mcp", server.port)]);
    let arguments = ["--requirements", requirements];
    let alone = suite(&format!("http://127.0.0.1:{}/mcp", server.port), &arguments, &weft.folder.path("alone"));
    let through =
        suite(&format!("http://127.0.0.1:{}/mcp/conformance", weft.port), &arguments, &weft.folder.path("through"));
    let lost: Vec<_> = alone
        .iter()
        .filter(|(check, status)| *status == "SUCCESS" && through.get(*check).is_none_or(|there| there != "SUCCESS"))
        .map(|(check, _)| format!("{check}: {}", through.get(check).map_or("missing", String::as_str)))
        .collect();
    println!(
        "{requirements}: alone {} of {} checks, through the gateway {} of {}",
        passed(&alone),
        alone.len(),
        passed(&through),
        through.len()
    );
    assert!(lost.is_empty(), "these pass alone and not through the gateway:\n{}", lost.join("\n"));
    let failed: Vec<_> = through.iter().filter(|(_, status)| *status == "FAILURE").collect();
    assert!(failed.len() <= alone.values().filter(|status| *status == "FAILURE").count(), "{failed:?}");
}

#[test]
fn the_requirements_of_2025_11_25_hold_through_the_gateway() {
    through_the_gateway_as_alone("2025-11-25");
}

#[test]
fn the_requirements_of_2026_07_28_hold_through_the_gateway() {
    through_the_gateway_as_alone("2026-07-28");
}

/// The requirements of one era, on a server of the other behind the gateway, against a server of both alone: what is lost is
/// exactly what cannot be had there in principle, by what the checks' names begin with.
#[track_caller]
fn across_the_eras(requirements: &str, only: &str, in_principle: &[&str]) {
    let (both, one) = (Server::start(), Server::with(&["--only", only]));
    let weft = Weft::up(&["--add", &format!("conformance=http://127.0.0.1:{}/mcp", one.port)]);
    let arguments = ["--requirements", requirements];
    let alone = suite(&format!("http://127.0.0.1:{}/mcp", both.port), &arguments, &weft.folder.path("alone"));
    let across =
        suite(&format!("http://127.0.0.1:{}/mcp/conformance", weft.port), &arguments, &weft.folder.path("across"));
    println!(
        "{requirements} on a server of the {only} era: {} of {} checks, a server of both alone {}",
        passed(&across),
        across.len(),
        passed(&alone)
    );
    // What is only a remark there (an answer that may be a stream or not) is not lost.
    let holds = |check: &str| across.get(check).is_some_and(|status| status == "SUCCESS" || status == "INFO");
    let lost: Vec<&str> = alone
        .iter()
        .filter(|(check, status)| *status == "SUCCESS" && !holds(check))
        .map(|(check, _)| &**check)
        .collect();
    let excused = |check: &str| in_principle.iter().any(|begin| check.starts_with(begin));
    let unexcused: Vec<_> = lost.iter().filter(|check| !excused(check)).collect();
    assert!(unexcused.is_empty(), "lost without a reason: {unexcused:#?}");
    let held: Vec<_> =
        in_principle.iter().filter(|begin| !lost.iter().any(|check| check.starts_with(**begin))).collect();
    assert!(held.is_empty(), "these hold after all: {held:?}");
}

/// The reasons are in docs/reference/eras.md.
#[test]
fn clients_of_the_stateless_era_are_served_by_a_server_with_sessions() {
    let in_principle = [
        // The server's questions have no names; the suite looks for one.
        "server-input-required-result-basic-elicitation/sep-2322-elicitation-",
        "server-input-required-result-ignore-extra-params/sep-2322-ignore-unexpected-params",
        // The extension does not exist in the session era.
        "server-tasks-",
    ];
    across_the_eras("2026-07-28", "session", &in_principle);
}

#[test]
fn clients_of_the_session_era_are_served_by_a_server_without_sessions() {
    across_the_eras("2025-11-25", "stateless", &[]);
}

#[test]
fn the_aggregate_passes_what_does_not_depend_on_names() {
    let weft = Weft::up(&["--with-echo"]);
    let scenarios = [
        "server-initialize",
        "ping",
        "logging-set-level",
        "server-session-lifecycle",
        "tools-list",
        "resources-list",
        "prompts-list",
        "caching",
        "http-header-validation",
        "dns-rebinding-protection",
        "sep-2164-resource-not-found",
        "input-required-result-unsupported-methods",
        "server-sse-multiple-streams",
    ];
    let url = format!("http://127.0.0.1:{}/mcp", weft.port);
    for scenario in scenarios {
        let checks = suite(&url, &["--scenario", scenario], &weft.folder.path(scenario));
        let failed: Vec<_> = checks.iter().filter(|(_, status)| *status == "FAILURE").collect();
        assert!(failed.is_empty() && passed(&checks) > 0, "{scenario}: {checks:?}");
    }
}
