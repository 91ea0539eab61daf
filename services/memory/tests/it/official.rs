//! The official memory server beside this one: the same calls get the same answers, and its file goes both ways.
//!
//! It is the one of npm, as it is installed for the tests (`WEFT_NODE`, `WEFT_NODE_MODULES`); without it there is nothing to compare with.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};
use weft_memory::Settings;

use crate::{desk::Desk, stores};

/// The official server, over a file.
struct Official {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    next: u64,
}

impl Official {
    fn on(file: &Path) -> Option<Self> {
        let (node, modules) = (std::env::var_os("WEFT_NODE")?, std::env::var_os("WEFT_NODE_MODULES")?);
        let mut child = Command::new(node)
            .arg(Path::new(&modules).join("@modelcontextprotocol/server-memory/dist/index.js"))
            .env("MEMORY_FILE_PATH", file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut server = Self { child, input, output, next: 0 };
        let client =
            json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
        server.ask("initialize", &client);
        server.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        Some(server)
    }

    fn send(&mut self, message: &Value) {
        writeln!(self.input, "{message}").unwrap();
    }

    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.next += 1;
        self.send(&json!({"jsonrpc": "2.0", "id": self.next, "method": method, "params": params}));
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "the official server ended");
            let message: Value = serde_json::from_str(&line).unwrap();
            if message["id"] == self.next {
                return message["result"].clone();
            }
        }
    }

    /// The structured result of a tool; none if it failed.
    fn call(&mut self, tool: &str, arguments: &Value) -> Option<Value> {
        let result = self.ask("tools/call", &json!({"name": tool, "arguments": arguments}));
        (result["isError"] != true).then(|| result["structuredContent"].clone())
    }
}

impl Drop for Official {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What an answer says, in one order: what was changed last comes last here, and stays where it is there.
fn plain(mut said: Value) -> Value {
    for list in ["entities", "relations"] {
        if let Some(items) = said[list].as_array_mut() {
            items.sort_by_key(Value::to_string);
        }
    }
    said
}

fn entity(name: &str, kind: &str, observations: &[&str]) -> Value {
    json!({"name": name, "entityType": kind, "observations": observations})
}

fn relation(from: &str, to: &str, kind: &str) -> Value {
    json!({"from": from, "to": to, "relationType": kind})
}

/// One call after the other; each is answered alike.
fn calls() -> Vec<(&'static str, Value)> {
    let (ada, bob) = (entity("Ada", "person", &["likes \"green\" tea", "日本語"]), entity("Bob", "person", &[]));
    let (knows, lost) = (relation("Ada", "Bob", "knows"), relation("Ada", "Eve", "knows"));
    let stray = relation("Mallory", "Eve", "watches");
    vec![
        ("read_graph", json!({})),
        ("create_relations", json!({"relations": [stray]})),
        ("read_graph", json!({})),
        ("create_entities", json!({"entities": [bob, ada, entity("Weft", "Project", &["a mesh", "two\nlines"])]})),
        ("create_entities", json!({"entities": [entity("Ada", "other", &["is left as she is"])]})),
        ("create_relations", json!({"relations": [knows, lost]})),
        ("create_relations", json!({"relations": [lost, relation("Bob", "Ada", "knows")]})),
        (
            "add_observations",
            json!({"observations": [{"entityName": "Bob", "contents": ["is never written"]}, {"entityName": "Eve", "contents": ["x"]}]}),
        ),
        ("open_nodes", json!({"names": ["Bob"]})),
        (
            "add_observations",
            json!({"observations": [{"entityName": "Ada", "contents": ["日本語", "writes Rust"]}, {"entityName": "Bob", "contents": ["sleeps"]}, {"entityName": "Ada", "contents": ["writes Rust", "walks"]}]}),
        ),
        ("search_nodes", json!({"query": "RUST"})),
        ("search_nodes", json!({"query": "project"})),
        ("search_nodes", json!({"query": "nothing says so"})),
        ("search_nodes", json!({"query": ""})),
        ("open_nodes", json!({"names": ["Weft", "Nobody", "Eve"]})),
        (
            "delete_observations",
            json!({"deletions": [{"entityName": "Ada", "observations": ["日本語", "not there"]}, {"entityName": "Nobody", "observations": ["x"]}]}),
        ),
        ("read_graph", json!({})),
        ("delete_relations", json!({"relations": [knows, relation("Ada", "Weft", "made")]})),
        ("delete_entities", json!({"entityNames": ["Ada", "Nobody"]})),
        ("read_graph", json!({})),
        ("create_entities", json!({"entities": [entity("Ada", "person", &["is back"])]})),
        ("read_graph", json!({})),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_nine_tools_answer_as_the_official_server_does() {
    for settings in stores::all() {
        let desk = Desk::of(Settings { graph_tools: true, ..settings });
        let Some(mut official) = Official::on(&desk.folder.path().join("memory.jsonl")) else { return };
        let mut refused = 0;
        for (step, (tool, arguments)) in calls().into_iter().enumerate() {
            let called = desk.call(tool, arguments.clone()).await;
            let mut own = (!called.is_error).then(|| plain(called.data().clone()));
            let mut theirs = official.call(tool, &arguments).map(plain);
            for said in [&mut own, &mut theirs].into_iter().flatten() {
                // What was done is said in other words.
                said.as_object_mut().unwrap().remove("message");
            }
            assert_eq!(own, theirs, "step {step}: {tool} {arguments}");
            refused += usize::from(theirs.is_none());
        }
        assert_eq!(refused, 1, "only observations of someone who is not there");
    }
}

/// The whole file, page by page.
async fn exported(desk: &Desk) -> String {
    let (mut lines, mut cursor) = (String::new(), Value::Null);
    loop {
        let mut arguments = json!({"official": true});
        if cursor.is_string() {
            arguments["cursor"] = cursor;
        }
        let page = desk.call("export", arguments).await;
        lines.push_str(page.data()["lines"].as_str().unwrap());
        cursor = page.structured["page"]["cursor"].clone();
        if cursor.is_null() {
            return lines;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_official_server_wrote_goes_through_memory_and_back_to_it() {
    for settings in stores::all() {
        let desk = Desk::of(settings);
        let (first, second) = (desk.folder.path().join("first.jsonl"), desk.folder.path().join("second.jsonl"));
        let Some(mut official) = Official::on(&first) else { return };
        for (tool, arguments) in calls() {
            official.call(tool, &arguments);
        }
        let many: Vec<Value> = (0..120).map(|it| entity(&format!("thing {it}"), "thing", &["x \\ y", "🦀"])).collect();
        official.call("create_entities", &json!({ "entities": many })).unwrap();
        let chain: Vec<Value> =
            (0..120).map(|it| relation(&format!("thing {it}"), &format!("thing {}", it + 1), "comes before")).collect();
        official.call("create_relations", &json!({ "relations": chain })).unwrap();
        let written = std::fs::read_to_string(&first).unwrap();
        let done = desk.ok("import", json!({ "lines": written })).await;
        assert_eq!((&done["bad"], &done["unchanged"]), (&json!([]), &json!(0)), "{done}");
        std::fs::write(&second, exported(&desk).await).unwrap();
        let mut other = Official::on(&second).unwrap();
        let (before, after) = (official.call("read_graph", &json!({})), other.call("read_graph", &json!({})));
        assert_eq!(before.map(plain), after.map(plain));
        let again = desk.ok("import", json!({"lines": (std::fs::read_to_string(&second).unwrap())})).await;
        assert_eq!((&again["entities"], &again["relations"]), (&json!(0), &json!(0)), "{again}");
    }
}
