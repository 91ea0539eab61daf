//! Joining, leaving, and living without Consul.

use std::time::Instant;

use serde_json::json;

use super::{Load, Mesh, PATIENCE, pass};
use crate::{fake::Foreign, harness::eventually};

#[test]
fn instances_join_leave_rest_and_die_in_the_eyes_of_a_gateway() {
    let mesh = Mesh::start();
    let gateway = mesh.gateway();
    let mut one = mesh.echo();
    let two = mesh.echo();
    gateway.await_healthy(2);
    // As Consul holds it.
    let entry = || {
        let found = mesh.consul.get("/v1/health/service/mcp-echo");
        found.as_array().into_iter().flatten().find(|entry| entry["Service"]["ID"] == one.id).cloned()
    };
    let checks = |entry: serde_json::Value| entry["Checks"].as_array().map(Vec::len);
    eventually("all checks are in the catalogue", || entry().and_then(checks) == Some(4));
    let entry = entry().unwrap();
    assert_eq!(entry["Service"]["Tags"], json!(["mcp", "echo", "v0.1.0"]));
    assert_eq!(entry["Service"]["Meta"]["era"], "dual");
    eventually("both of Consul's own checks have passed", || {
        // The agent's own view: the catalogue hears of outputs only now and then.
        let checks = mesh.consul.get("/v1/agent/checks");
        let answered = |kind: &str, output: &str| {
            let check = &checks[format!("{}-{kind}", one.id)];
            check["Status"] == "passing" && check["Output"].as_str().is_some_and(|text| text.contains(output))
        };
        answered("ready", "200 OK") && answered("grpc", "success")
    });
    eventually("the gateway is in the catalogue", || {
        mesh.consul.get("/v1/catalog/service/mcp-gateway").as_array().is_some_and(|all| all.len() == 1)
    });
    eventually("gateways are asked as well, and are well", || {
        let checks = mesh.consul.get("/v1/agent/checks");
        let all = checks.as_object().into_iter().flat_map(serde_json::Map::values);
        let own: Vec<_> = all.filter(|check| check["ServiceName"] == "mcp-gateway").collect();
        own.len() == 2 && own.iter().all(|check| check["Status"] == "passing")
    });
    // Maintenance takes an instance out without stopping it.
    mesh.consul.put(&format!("/v1/agent/service/maintenance/{}?enable=true", two.id), &json!(null));
    eventually("the instance rests", || gateway.instances().contains(&(two.id.clone(), false)));
    mesh.consul.put(&format!("/v1/agent/service/maintenance/{}?enable=false", two.id), &json!(null));
    gateway.await_healthy(2);
    // One that leaves in order is gone at once.
    let began = Instant::now();
    one.process.signal("TERM");
    eventually("the instance has left", || gateway.instances().iter().all(|(id, _)| *id != one.id));
    eprintln!("an instance left after {:?}", began.elapsed());
    one.process.wait();
    // One that dies is noticed by the check.
    let began = Instant::now();
    two.process.signal("KILL");
    eventually("the dead instance is unhealthy", || gateway.instances().contains(&(two.id.clone(), false)));
    eprintln!("a dead instance was noticed after {:?}", began.elapsed());
    // One that comes back is taken in at once.
    let began = Instant::now();
    let _three = mesh.echo();
    eventually("an instance has joined", || gateway.instances().iter().any(|(_, healthy)| *healthy));
    eprintln!("a new instance took calls {:?} after its start", began.elapsed());
}

#[test]
fn a_server_of_others_needs_a_tag_only() {
    let mesh = Mesh::start();
    let foreign = Foreign::start();
    let body =
        json!({ "ID": "theirs", "Name": "theirs", "Tags": ["mcp"], "Address": "127.0.0.1", "Port": foreign.port });
    mesh.consul.put("/v1/agent/service/register", &body);
    let gateway = mesh.gateway();
    eventually("the server's tools are there", || {
        let status = gateway.status();
        let services = status["services"].as_array().unwrap().clone();
        services.iter().any(|it| it["service"] == "theirs" && !it["tools"].as_array().unwrap().is_empty())
    });
}

#[test]
fn consul_dies_and_comes_back_empty_and_no_call_fails() {
    let mut mesh = Mesh::start();
    let _servers = [mesh.echo(), mesh.echo()];
    let gateway = mesh.gateway();
    gateway.await_healthy(2);
    let load = Load::start(&[gateway.port]);
    pass(0.5);
    mesh.consul.kill();
    eventually("the registry is stale", || gateway.status()["registry_stale"] == true);
    pass(1.0);
    assert_eq!(gateway.instances().len(), 2);
    mesh.consul.again();
    eventually("the registry is back", || gateway.status()["registry_stale"] == false);
    eventually("everything has registered again", || {
        let known = mesh.consul.get("/v1/health/service/mcp-echo?passing");
        known.as_array().is_some_and(|known| known.len() == 2)
    });
    // Longer than what was forgotten is held.
    pass(7.0);
    gateway.await_healthy(2);
    load.all_right("Consul killed and restarted");
}

#[test]
fn an_agent_that_hangs_costs_no_call() {
    let mesh = Mesh::start();
    let _servers = [mesh.echo(), mesh.echo()];
    let gateway = mesh.gateway();
    gateway.await_healthy(2);
    let load = Load::start(&[gateway.port]);
    mesh.consul.signal("STOP");
    pass(6.0);
    mesh.consul.signal("CONT");
    pass(3.0);
    gateway.await_healthy(2);
    load.all_right("Consul's agent hung");
    assert!(super::call(gateway.port, PATIENCE).is_ok());
}
