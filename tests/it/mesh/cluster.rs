//! Three Consul servers with TLS, client certificates and ACLs, and what becomes of calls when their leader dies.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use weft_testkit::free_port;

use super::{Gateway, Load, PATIENCE, Process, call, pass};
use crate::harness::{command, eventually, finish, variable};

/// May do all. It is in the servers' configuration: one that the cluster makes is told once, and an answer can be lost.
const TOKEN: &str = "6f0d9c52-3b1e-4c57-9a7d-2f64be1c8a03";

struct Cluster {
    folder: tempfile::TempDir,
    /// Each with its ports for HTTPS and for Raft.
    servers: Vec<(Process, u16, u16)>,
}

impl Cluster {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let consul = |arguments: &[&str]| {
            let done = command(&variable("WEFT_CONSUL")).args(arguments).current_dir(at).output().unwrap();
            assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
            String::from_utf8(done.stdout).unwrap().trim().to_owned()
        };
        let gossip = consul(&["keygen"]);
        let management = management_token(&consul(&["version"]));
        consul(&["tls", "ca", "create"]);
        for _ in 0..3 {
            consul(&["tls", "cert", "create", "-server", "-dc", "dc1", "-additional-ipaddress=127.0.0.1"]);
        }
        consul(&["tls", "cert", "create", "-cli", "-dc", "dc1"]);
        let ports: Vec<[u16; 4]> = (0..3).map(|_| [free_port(), free_port(), free_port(), free_port()]).collect();
        let servers = (0..3)
            .map(|number| (start(at, &gossip, &ports, management, number), ports[number][0], ports[number][3]))
            .collect();
        let cluster = Self { folder, servers };
        eventually("the cluster has a leader", || cluster.leader().is_some());
        // Servers ask each other ever more seldom, half a minute at last, whether all of them know tokens of this kind.
        for number in 0..3 {
            eventually("the server knows the token", || {
                cluster.api(number, "GET", "/v1/acl/token/self", &Value::Null)["SecretID"] == TOKEN
            });
        }
        cluster
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The client is `curl`: it can show a certificate.
    fn api(&self, server: usize, method: &str, path: &str, body: &Value) -> Value {
        let url = format!("https://127.0.0.1:{}{path}", self.servers[server].1);
        let mut curl = Command::new("curl");
        curl.args(["-s", "--max-time", "30", "-X", method, "-H", &format!("X-Consul-Token: {TOKEN}")]).arg("--cacert");
        curl.arg(self.path("consul-agent-ca.pem")).arg("--cert").arg(self.path("dc1-cli-consul-0.pem")).arg("--key");
        curl.arg(self.path("dc1-cli-consul-0-key.pem")).args(["-d", &body.to_string(), &url]);
        serde_json::from_slice(&curl.output().unwrap().stdout).unwrap_or(Value::Null)
    }

    /// Which server leads, as any of them sees it.
    fn leader(&self) -> Option<u16> {
        let mut asked =
            (0..self.servers.len()).map(|server| self.api(server, "GET", "/v1/status/leader", &Value::Null));
        asked.find_map(|told| told.as_str()?.rsplit(':').next()?.parse().ok())
    }

    fn registry(&self, server: usize, token: &str) -> String {
        let file = |name: &str| self.path(name).display().to_string();
        format!(
            "consul://127.0.0.1:{}?tls=true&ca_file={}&cert_file={}&key_file={}&token={token}&check_s=0.5&ttl_s=4&hold_s=6",
            self.servers[server].1,
            file("consul-agent-ca.pem"),
            file("dc1-cli-consul-0.pem"),
            file("dc1-cli-consul-0-key.pem")
        )
    }

    fn serve(&self, registry: &str, number: usize) -> Command {
        let mut weft = command(&variable("WEFT_BIN"));
        weft.args([
            "serve",
            "echo",
            "--log",
            "error",
            "--listen",
            &format!("127.0.0.1:{}", free_port()),
            "--registry",
            registry,
        ]);
        weft.arg("--identity").arg(format!("dev:{}", self.path("ca").display()));
        weft.arg("--state").arg(self.path(&format!("state-{number}")));
        weft
    }

    fn gateway(&self, registry: &str) -> Gateway {
        let (port, admin) = (free_port(), free_port());
        let mut weft = command(&variable("WEFT_BIN"));
        weft.args(["gateway", "--log", "error", "--listen", &format!("127.0.0.1:{port}")]);
        weft.args(["--admin", &format!("127.0.0.1:{admin}"), "--registry", registry]);
        weft.arg("--identity").arg(format!("dev:{}", self.path("ca").display()));
        weft.arg("--state").arg(self.path("gateway")).stdout(Stdio::null());
        let process = Process::start(&mut weft);
        eventually("the gateway listens", || std::net::TcpStream::connect(("127.0.0.1", admin)).is_ok());
        Gateway { process, port, admin }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for number in 0..3 {
            let log = std::fs::read_to_string(self.path(&format!("server-{number}.log"))).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            println!("server {number} said last:\n{}", lines[lines.len().saturating_sub(40)..].join("\n"));
        }
    }
}

/// What the token that may do all is called in the configuration: another name since 1.11.
fn management_token(version: &str) -> &'static str {
    let number = version.split_once("v1.").and_then(|(_, rest)| rest.split('.').next()?.parse::<u32>().ok());
    if number.is_some_and(|number| number < 11) { "master" } else { "initial_management" }
}

/// One server of the cluster; `ports` are of all: HTTPS, gossip, gossip between datacenters, Raft.
fn start(at: &Path, gossip: &str, ports: &[[u16; 4]], management: &str, number: usize) -> Process {
    let file = |name: String| at.join(name).display().to_string();
    let [https, lan, wan, server] = ports[number];
    let peers: Vec<String> = ports.iter().map(|ports| format!("127.0.0.1:{}", ports[1])).collect();
    let config = json!({
        "node_name": format!("s{number}"), "server": true, "bootstrap_expect": 3, "data_dir": file(format!("data-{number}")),
        "bind_addr": "127.0.0.1", "client_addr": "127.0.0.1", "disable_update_check": true, "disable_host_node_id": true,
        "retry_join": peers, "retry_interval": "1s", "encrypt": gossip,
        "ports": { "http": -1, "https": https, "grpc": -1, "dns": -1, "serf_lan": lan, "serf_wan": wan, "server": server },
        "ca_file": file("consul-agent-ca.pem".into()), "cert_file": file(format!("dc1-server-consul-{number}.pem")),
        "key_file": file(format!("dc1-server-consul-{number}-key.pem")),
        "verify_incoming_rpc": true, "verify_incoming_https": true, "verify_outgoing": true, "verify_server_hostname": true,
        "performance": { "raft_multiplier": 2 },
        "acl": { "enabled": true, "default_policy": "deny", "tokens": { management: TOKEN, "agent": TOKEN } },
    });
    let path = at.join(format!("server-{number}.json"));
    std::fs::write(&path, config.to_string()).unwrap();
    let mut agent = command(&variable("WEFT_CONSUL"));
    let log = std::fs::File::create(at.join(format!("server-{number}.log"))).unwrap();
    agent.args(["agent", "-config-file"]).arg(path).stdout(log.try_clone().unwrap()).stderr(log);
    Process::start(&mut agent)
}

#[test]
fn a_cluster_with_tls_and_tokens_loses_its_leader_and_no_call_fails() {
    let mut cluster = Cluster::start();
    // A token without rights is refused with what to do.
    let refused = finish(&mut cluster.serve(&cluster.registry(0, "00000000-0000-0000-0000-000000000000"), 9));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("token"), "{said}");
    // Each process at another agent.
    let servers: Vec<Process> =
        (0..2).map(|number| Process::start(&mut cluster.serve(&cluster.registry(number, TOKEN), number))).collect();
    let gateway = cluster.gateway(&cluster.registry(2, TOKEN));
    gateway.await_healthy(2);
    let load = Load::start(&[gateway.port]);
    eventually("the cluster tells who leads", || cluster.leader().is_some());
    let leader = cluster.leader().unwrap();
    let leading = cluster.servers.iter().position(|(_, _, raft)| *raft == leader).unwrap();
    cluster.servers[leading].0.signal("KILL");
    cluster.servers[leading].0.wait();
    eventually("another leads", || cluster.leader().is_some_and(|now| now != leader));
    pass(3.0);
    load.all_right("the leader of three Consul servers killed");
    assert!(call(gateway.port, PATIENCE).is_ok());
    drop(servers);
}
