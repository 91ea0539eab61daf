//! An instance on another host, made of a network namespace: packets are lost, then the line is cut, then it heals.

use std::{process::Command, time::Duration};

use serde_json::json;

use super::{Load, Mesh, Process, pass};
use crate::harness::{command, eventually, variable};

/// A host of its own, joined to this one by a pair of virtual devices; gone with the test.
struct Host {
    name: String,
    device: String,
    near: String,
    far: String,
}

impl Host {
    fn new() -> Self {
        let number = std::process::id() % 250;
        let host = Self {
            name: format!("weft-{number}"),
            device: format!("weft{number}"),
            near: format!("10.77.{number}.1"),
            far: format!("10.77.{number}.2"),
        };
        let (name, device, peer) = (&host.name, &host.device, format!("{}p", host.device));
        // What a run that was killed has left under this number.
        let _ = Command::new("ip").args(["netns", "del", name]).output();
        run("ip", &["netns", "add", name]);
        run("ip", &["link", "add", device, "type", "veth", "peer", "name", &peer, "netns", name]);
        run("ip", &["addr", "add", &format!("{}/24", host.near), "dev", device]);
        run("ip", &["link", "set", device, "up"]);
        run("ip", &["-n", name, "addr", "add", &format!("{}/24", host.far), "dev", &peer]);
        run("ip", &["-n", name, "link", "set", &peer, "up"]);
        run("ip", &["-n", name, "link", "set", "lo", "up"]);
        host
    }

    /// Drops this share of the packets that come from this host, 0 to 1.
    fn lose(&self, share: &str) {
        self.heal();
        let rule = ["-w", "-A", "INPUT", "-m", "statistic", "--mode", "random", "--probability", share, "-j", "DROP"];
        run("ip", &[&["netns", "exec", &self.name, "iptables"], &rule[..]].concat());
    }

    fn heal(&self) {
        run("ip", &["netns", "exec", &self.name, "iptables", "-w", "-F"]);
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // The devices go with the namespace.
        let _ = Command::new("ip").args(["netns", "del", &self.name]).output();
    }
}

fn run(program: &str, arguments: &[&str]) {
    let done = Command::new(program).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{program} {arguments:?}: {said}; this test needs root to make network namespaces");
}

#[test]
fn packets_are_lost_and_the_line_is_cut_and_no_call_fails() {
    let mesh = Mesh::start();
    let _near = [mesh.echo(), mesh.echo()];
    let gateway = mesh.gateway();
    gateway.await_healthy(2);
    let host = Host::new();
    let mut weft = command(std::path::Path::new("ip"));
    weft.args(["netns", "exec", &host.name]).arg(variable("WEFT_BIN")).args(["serve", "echo", "--log", "error"]);
    weft.args(["--listen", &format!("{}:8501", host.far), "--identity", &format!("dev:{}", mesh.path("ca").display())]);
    weft.arg("--state").arg(mesh.path("far"));
    let _far = Process::start(&mut weft);
    let body = json!({ "ID": "mcp-echo-far", "Name": "mcp-echo", "Tags": ["mcp"], "Address": host.far, "Port": 8501,
        "Meta": { "identity": "spiffe://weft.local/svc/echo", "sessions": "false", "era": "dual" } });
    mesh.consul.put("/v1/agent/service/register", &body);
    gateway.await_healthy(3);
    let far = || {
        let status = gateway.status();
        let instances = status["services"][0]["instances"].as_array().unwrap().clone();
        instances.into_iter().find(|it| it["id"] == "mcp-echo-far").unwrap()
    };
    let load = Load::start(&[gateway.port]);
    eventually("the far instance is called", || far()["connections"].as_u64() > Some(0));
    pass(2.0);
    host.lose("0.5");
    pass(5.0);
    host.lose("1.0");
    // Longer than any call may take.
    pass(9.0);
    host.heal();
    eventually("the far instance is called again", || far()["breaker"] == "admits");
    pass(1.0);
    let what = "half of the packets lost, then all";
    load.all_right(what).all_within(Duration::from_secs(6), what);
}
