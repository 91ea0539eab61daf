//! What Prometheus makes of our metrics: a real one scrapes a mesh under load, and every query of the dashboard runs on it.

use std::{
    fmt::Write as _,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use weft_testkit::free_port;

use crate::{
    harness::{Folder, Weft, command, eventually, variable},
    http::request,
    mesh::{self, Mesh},
};

mod alerts;

/// A Prometheus that ends with the test.
struct Prometheus {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    /// Scrapes these addresses twice a second, each under a job of its own, as a Prometheus operator does.
    fn start(targets: &[(&str, u16)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = format!(
            "global: {{scrape_interval: 500ms, scrape_timeout: 450ms, evaluation_interval: 500ms}}\nrule_files: [\"{}\"]\nscrape_configs:\n",
            alerts::rules().display()
        );
        for (job, port) in targets {
            writeln!(config, "  - {{job_name: {job}, static_configs: [{{targets: [\"127.0.0.1:{port}\"]}}]}}").unwrap();
        }
        let path = folder.path().join("prometheus.yml");
        std::fs::write(&path, config).unwrap();
        let port = free_port();
        let mut prometheus = command(&variable("WEFT_PROMETHEUS"));
        prometheus.arg(format!("--config.file={}", path.display()));
        prometheus.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
        prometheus.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let child = prometheus.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let started = Self { child, port, _folder: folder };
        eventually("Prometheus is ready", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
                && request(port, "GET", "/-/ready", &[], b"").status == 200
        });
        eventually("all targets are up", || {
            let up = started.query("sum(up)");
            up["data"]["result"][0]["value"][1].as_str() == Some(targets.len().to_string().as_str())
        });
        started
    }

    fn query(&self, query: &str) -> Value {
        let mut form = String::from("query=");
        for byte in query.bytes() {
            if byte.is_ascii_alphanumeric() {
                form.push(char::from(byte));
            } else {
                write!(form, "%{byte:02X}").unwrap();
            }
        }
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        request(self.port, "POST", "/api/v1/query", &headers, form.as_bytes()).json()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program beside Prometheus that judges metrics.
fn promtool() -> PathBuf {
    variable("WEFT_PROMETHEUS").with_file_name("promtool")
}

/// Fails when Prometheus's own linter has something to say.
#[track_caller]
fn clean(of: &str, metrics: &str) {
    let mut lint = command(&promtool());
    lint.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut lint = lint.spawn().unwrap();
    lint.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let said = lint.wait_with_output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success() && text.is_empty() && metrics.contains("# HELP"), "{of}: {text}");
}

fn dashboard() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/compose/grafana/dashboards/weft.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Every query of the dashboard, as Grafana sends it.
fn queries() -> Vec<String> {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    targets.map(|target| target["expr"].as_str().unwrap().replace("$__rate_interval", "5m")).collect()
}

/// Metrics that have values after calls without a failure in a mesh of this size.
const IN_USE: [&str; 18] = [
    "mcp_server_operation_duration_seconds_bucket",
    "mcp_client_operation_duration_seconds_bucket",
    "weft_gateway_calls_total",
    "weft_gateway_attempts_total",
    "weft_gateway_in_flight",
    "weft_gateway_instances",
    "weft_gateway_catalogue_tools",
    "weft_gateway_upstream_connections",
    "weft_service_calls_total",
    "weft_service_result_bytes_bucket",
    "weft_database_operation_duration_seconds_bucket",
    "weft_memory_operation_duration_seconds_bucket",
    "weft_search_operation_duration_seconds_bucket",
    "weft_gateway_instances_blocked",
    "weft_gateway_registry_stale",
    "weft_certificate_begin_time_seconds",
    "weft_certificate_end_time_seconds",
    "weft_process_start_time_seconds",
];

#[test]
fn every_query_of_the_dashboard_runs_and_those_of_traffic_find_it() {
    let all = Weft::up(&["--with-echo"]);
    let mesh = Mesh::start();
    let echo = mesh.echo();
    let gateway = mesh.gateway();
    gateway.await_healthy(1);
    let prometheus = Prometheus::start(&[("gateway", gateway.admin), ("server", echo.admin), ("all", all.admin)]);
    for _ in 0..4 {
        mesh::call(gateway.port, mesh::PATIENCE).unwrap();
        all.call("echo_echo", &json!({ "text": "hello" }));
        all.call("memory_stats", &json!({}));
        all.call("search_list_indices", &json!({}));
        all.call("database_query", &json!({ "connection": "main", "sql": "SELECT 1" }));
        std::thread::sleep(Duration::from_millis(600));
    }
    let queries = queries();
    assert!(queries.len() > 50, "{queries:?}");
    for query in &queries {
        let answer = prometheus.query(query);
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        let in_use = IN_USE.iter().any(|name| query.contains(name)) && !query.contains("!=");
        // A rate needs two scrapes with the series in them.
        let found = || prometheus.query(query)["data"]["result"].as_array().is_some_and(|found| !found.is_empty());
        if in_use {
            eventually(&format!("something is found by {query}"), found);
        }
    }
    for name in IN_USE {
        assert!(queries.iter().any(|query| query.contains(name)), "{name} is not on the dashboard");
    }
    let up = queries.iter().find(|query| query.contains("(up ")).unwrap();
    // A scrape may come too late for once.
    eventually("all three are up", || {
        let found = prometheus.query(up)["data"]["result"].clone();
        let found: Vec<_> = found.as_array().into_iter().flatten().map(|one| one["metric"]["job"].clone()).collect();
        ["gateway", "server", "all"].iter().all(|job| found.contains(&json!(job)))
    });
    for (of, port) in [("gateway", gateway.admin), ("echo", echo.admin), ("weft up", all.admin)] {
        clean(of, &request(port, "GET", "/metrics", &[], b"").text());
    }
}

#[test]
fn the_metrics_of_every_server_are_as_prometheus_wants_them() {
    for service in ["filesystem", "database", "vectorstore", "memory", "search", "aiml"] {
        let (folder, admin) = (Folder::new(), free_port());
        let mut weft = command(&variable("WEFT_BIN"));
        weft.args(["serve", service, "--listen", "127.0.0.1:0", "--admin", &format!("127.0.0.1:{admin}")]);
        weft.args(["--log", "error", "--state"]).arg(folder.path("state"));
        if service == "filesystem" {
            weft.arg("--root").arg(folder.path("root"));
        }
        let mut server = weft.stdin(Stdio::null()).spawn().unwrap();
        eventually(&format!("{service} listens"), || std::net::TcpStream::connect(("127.0.0.1", admin)).is_ok());
        let metrics = request(admin, "GET", "/metrics", &[], b"").text();
        server.kill().unwrap();
        server.wait().unwrap();
        clean(service, &metrics);
    }
}
