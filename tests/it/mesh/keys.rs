//! Keys that replicas share: what is created and revoked beside one of them counts at the other.

use std::time::Duration;

use serde_json::{Value, json};

use super::Mesh;
use crate::{
    harness::{command, eventually, finish, stateless_body, variable},
    http::{Answer, read_until, request, send, until_over},
};

fn keys(mesh: &Mesh, words: &[&str]) -> String {
    let mut weft = command(&variable("WEFT_BIN"));
    let output = finish(weft.arg("keys").args(words).arg("--state").arg(mesh.path("gateway")));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A request of the stateless era with a key.
pub(super) fn ask(port: u16, key: &str, method: &str, params: &Value) -> Answer {
    let bearer = format!("Bearer {key}");
    let mut headers = vec![
        ("content-type", "application/json"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", method),
        ("authorization", &*bearer),
    ];
    headers.extend(params["name"].as_str().map(|name| ("mcp-name", name)));
    request(port, "POST", "/mcp", &headers, stateless_body(method, params).as_bytes())
}

fn list(port: u16, key: &str) -> Answer {
    ask(port, key, "tools/list", &json!({}))
}

#[test]
fn a_key_that_is_revoked_beside_one_replica_ends_at_both() {
    let mesh = Mesh::start();
    let replicas = [mesh.gateway_with(&["--auth", "keys"]), mesh.gateway_with(&["--auth", "keys"])];
    let [ann, bob] = ["ann", "bob"].map(|name| keys(&mesh, &["create", "--quiet", "--name", name, "--role", "writer"]));
    let taken = |key: &str| replicas.iter().filter(|replica| list(replica.port, key).status == 200).count();
    eventually("both know both keys", || taken(&ann) + taken(&bob) == 4);
    let wish = stateless_body("subscriptions/listen", &json!({ "notifications": { "toolsListChanged": true } }));
    let mut streams = replicas.each_ref().map(|replica| {
        let bearer = format!("Bearer {ann}");
        let headers = [
            ("content-type", "application/json"),
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", "subscriptions/listen"),
            ("authorization", &*bearer),
        ];
        let mut stream = send(replica.port, "POST", "/mcp", &headers, wish.as_bytes());
        read_until(&mut stream, &mut Vec::new(), |text| text.contains("data:"));
        stream
    });
    keys(&mesh, &["revoke", "ann"]);
    // Without the revocation these streams never end.
    for stream in &mut streams {
        until_over(stream, Duration::from_secs(30));
    }
    assert_eq!((taken(&ann), taken(&bob)), (0, 2));
    for replica in &replicas {
        assert!(list(replica.port, &ann).text().contains("revoked"));
    }
    // A key of the same name and another role is another key, at both.
    let again = keys(&mesh, &["create", "--quiet", "--name", "ann", "--role", "reader"]);
    eventually("both know the new key", || taken(&again) == 2);
    assert_eq!(taken(&ann), 0);
}
