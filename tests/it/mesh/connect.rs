//! Identities from Consul Connect: certificates, intentions, and a new root under load.

use std::process::Command;

use serde_json::json;

use super::{Load, Mesh, call, pass};
use crate::harness::eventually;

fn connected() -> Mesh {
    let mut mesh = Mesh::start();
    mesh.identity = Some(mesh.consul.identity());
    mesh
}

#[test]
fn intentions_count_and_a_new_root_drops_nothing() {
    let mesh = connected();
    let _servers = [mesh.echo(), mesh.echo()];
    let gateway = mesh.gateway();
    gateway.await_healthy(2);
    let patience = std::time::Duration::from_secs(10);
    let status = gateway.status();
    let identity = status["services"][0]["instances"][0]["identity"].as_str().unwrap().to_owned();
    assert!(identity.starts_with("spiffe://") && identity.ends_with("/ns/default/dc/dc1/svc/mcp-echo"), "{identity}");
    // A new root, while clients call and new connections are made all the time.
    let load = Load::start(&[gateway.port]);
    pass(0.5);
    let domain = mesh.consul.get("/v1/connect/ca/roots")["TrustDomain"].as_str().unwrap().to_owned();
    let (key, root) = new_root(&mesh, &domain);
    let config = json!({ "Provider": "consul", "Config": { "PrivateKey": key, "RootCert": root,
        "LeafCertTTL": "72h", "RotationPeriod": "2160h" } });
    mesh.consul.put("/v1/connect/ca/configuration", &config);
    pass(2.0);
    let _third = mesh.echo();
    gateway.await_healthy(3);
    pass(1.0);
    load.all_right("a new root of Consul's authority");
    assert_eq!(mesh.consul.get("/v1/connect/ca/roots")["Roots"].as_array().unwrap().len(), 2);
    // Denied on open connections too, and allowed again.
    let deny =
        json!({ "SourceName": "mcp-gateway", "DestinationName": "mcp-echo", "SourceType": "consul", "Action": "deny" });
    let made = mesh.consul.send("POST", "/v1/connect/intentions", &deny);
    eventually("calls are denied", || call(gateway.port, patience).is_err());
    eventually("the denial is counted", || gateway.metric("weft_gateway_tls_failures_total", "denied") > 0.0);
    mesh.consul.send("DELETE", &format!("/v1/connect/intentions/{}", made["ID"].as_str().unwrap()), &json!(null));
    eventually("calls are allowed again", || call(gateway.port, patience).is_ok());
}

/// A root of our own for this trust domain.
fn new_root(mesh: &Mesh, domain: &str) -> (String, String) {
    let (key, config, root) = (mesh.path("root.key"), mesh.path("root.cnf"), mesh.path("root.pem"));
    let text = format!(
        "[req]\ndistinguished_name=d\nx509_extensions=v\nprompt=no\n[d]\nCN=New root\n[v]\nbasicConstraints=critical,CA:true\n\
         keyUsage=critical,keyCertSign,cRLSign,digitalSignature\nsubjectKeyIdentifier=hash\n\
         subjectAltName=URI:spiffe://{domain}\n"
    );
    std::fs::write(&config, text).unwrap();
    let openssl = |arguments: &[&str]| {
        let done = Command::new("openssl").args(arguments).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    let (key, config, root) = (key.to_str().unwrap(), config.to_str().unwrap(), root.to_str().unwrap());
    openssl(&["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key]);
    openssl(&["req", "-x509", "-new", "-key", key, "-days", "30", "-config", config, "-out", root]);
    (std::fs::read_to_string(key).unwrap(), std::fs::read_to_string(root).unwrap())
}
