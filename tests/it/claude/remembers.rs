//! What one session of Claude Code remembers another recalls, on another machine: meshes of their own, with nothing in common but the
//! database behind their memory servers.

use std::path::Path;

use serde_json::{Value, json};
use weft_testkit::Postgres;

use super::{StandIn, claude};
use crate::{
    harness::{eventually, finish, stateless_body},
    http::request,
    mesh::{Gateway, Mesh, Process},
};

/// A registry, a memory server and a gateway.
struct Machine {
    mesh: Mesh,
    gateway: Gateway,
    _memory: Process,
}

impl Machine {
    fn start(database: &Postgres) -> Self {
        let mesh = Mesh::start();
        let settings = mesh.path("memory.toml");
        let url = database.url("remembers");
        let store = format!("[service.store]\nkind = \"postgres\"\nurl = \"text:{url}\"\n");
        std::fs::write(&settings, store).unwrap();
        let memory = mesh.serve("memory", &settings);
        let gateway = mesh.gateway();
        let headers = [
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", "tools/list"),
        ];
        let list = stateless_body("tools/list", &json!({}));
        eventually("the memory server is known", || {
            request(gateway.port, "POST", "/mcp", &headers, list.as_bytes()).text().contains("memory_store")
        });
        Self { mesh, gateway, _memory: memory }
    }

    /// A session whose model calls one tool of the memory server; gives what it heard.
    fn session(&self, tool: &str, input: &Value) -> String {
        let model = StandIn::wanting(&format!("mcp__weft__memory_{tool}"), input);
        let home = self.mesh.path(&format!("home-{tool}"));
        std::fs::create_dir(&home).unwrap();
        let config = manifest(&home, self.gateway.port);
        let mut session = claude(&home, model.port);
        session.args(["-p", "Go on.", "--strict-mcp-config", "--mcp-config"]).arg(config);
        let output = finish(session.args(["--allowedTools", "mcp__weft__*"]));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("The work is done."), "{said}{}", String::from_utf8_lossy(&output.stderr));
        model.results()
    }
}

fn manifest(home: &Path, port: u16) -> std::path::PathBuf {
    let config = home.join("mcp.json");
    let url = format!("http://127.0.0.1:{port}/mcp");
    std::fs::write(&config, json!({ "mcpServers": { "weft": { "type": "http", "url": url } } }).to_string()).unwrap();
    config
}

#[test]
fn what_one_session_remembers_a_session_on_another_machine_recalls() {
    let Some(database) = weft_testkit::postgres() else { return };
    database.run("CREATE DATABASE remembers");
    let (here, there) = (Machine::start(database), Machine::start(database));
    let item = json!({ "text": "The staging database is called heron.", "topics": ["staging"], "visibility": "team" });
    let stored = here.session("store", &json!({ "items": [item] }));
    assert!(stored.contains("created"), "{stored}");
    let nothing = there.session("get", &json!({ "ids": ["made-up"] }));
    assert!(!nothing.contains("heron"), "{nothing}");
    let recalled = there.session("search", &json!({ "query": "what is the staging database called?" }));
    assert!(recalled.contains("The staging database is called heron."), "{recalled}");
}
