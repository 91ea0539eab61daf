//! The alerts as Prometheus judges them: by its own linter, on series that a file tells of, and on a mesh that is well and then not.

use super::*;

fn prometheus_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/compose/prometheus").canonicalize().unwrap()
}

/// The file of the rules.
pub(super) fn rules() -> PathBuf {
    prometheus_folder().join("alerts.yaml")
}

/// What `promtool` says about a file; it must be content.
fn judged(words: [&str; 2], file: &Path) -> String {
    let said = command(&promtool()).args(words).arg(file).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success(), "{words:?}: {text}");
    text
}

#[test]
fn the_rules_are_as_prometheus_wants_them_and_fire_when_they_should() {
    let checked = judged(["check", "rules"], &rules());
    assert!(checked.contains("rules found") && !checked.contains("WARN"), "{checked}");
    judged(["test", "rules"], &prometheus_folder().join("alerts_test.yaml"));
}

/// Every alert with its expression, once each was evaluated.
fn evaluated(prometheus: &Prometheus) -> Vec<(String, String)> {
    let read = || {
        let answer = request(prometheus.port, "GET", "/api/v1/rules", &[], b"").json();
        answer["data"]["groups"][0]["rules"].as_array().cloned().unwrap_or_default()
    };
    eventually("all rules were evaluated", || {
        let rules = read();
        !rules.is_empty() && rules.iter().all(|rule| rule["health"] != "unknown")
    });
    // A scrape that came too late makes a process seem to be down until the next.
    eventually("all rules are well and quiet", || {
        read().iter().all(|rule| rule["health"] == "ok" && rule["state"] == "inactive")
    });
    let rules = read();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    rules.iter().map(|rule| (text(&rule["name"]), text(&rule["query"]))).collect()
}

#[test]
fn a_mesh_that_is_well_alerts_nobody_and_one_without_its_server_does() {
    let mesh = Mesh::start();
    let mut echo = mesh.echo();
    let gateway = mesh.gateway();
    gateway.await_healthy(1);
    let prometheus = Prometheus::start(&[("gateway", gateway.admin), ("server", echo.admin)]);
    for _ in 0..4 {
        mesh::call(gateway.port, mesh::PATIENCE).unwrap();
        std::thread::sleep(Duration::from_millis(600));
    }
    let alerts = evaluated(&prometheus);
    assert!(alerts.len() > 10, "{alerts:?}");
    let found = |expr: &str| {
        let answer = prometheus.query(expr);
        assert_eq!(answer["status"], "success", "{expr}: {answer}");
        answer["data"]["result"].as_array().unwrap().clone()
    };
    for (name, expr) in &alerts {
        eventually(&format!("{name} finds nothing"), || found(expr).is_empty());
    }
    echo.process.signal("KILL");
    echo.process.wait();
    let of = |wanted: &str| alerts.iter().find(|(name, _)| name == wanted).unwrap().1.clone();
    let down = of("WeftProcessDown");
    eventually("the process is missed", || {
        found(&down).iter().any(|one| one["metric"]["instance"] == format!("127.0.0.1:{}", echo.admin))
    });
    let without = of("WeftServiceWithoutInstances");
    eventually("the service has no instance", || {
        let _ = mesh::call(gateway.port, Duration::from_secs(5));
        found(&without).iter().any(|one| one["metric"]["service"] == "echo")
    });
}
