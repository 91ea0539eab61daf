//! Tools that settings hide, rename or describe: the same on every endpoint, in both eras.

use serde_json::{Value, json};

use crate::{
    harness::{Weft, command, eventually, variable},
    r#virtual::up,
};

const SHAPE: &str = r#"
[[service]]
name = "echo"

[service.tools]
deny = ["big", "fail"]
rename = { add = "sum", gone = "x" }
describe = { echo = "Says it again." }
[virtual.desk]
services = ["echo"]
"#;

/// The endpoints with what stands before a tool's name there.
const ENDPOINTS: [(&str, &str); 3] = [("/mcp", "echo_"), ("/mcp/echo", ""), ("/mcp/v/desk", "echo_")];

fn list(weft: &Weft, path: &str, token: Option<&str>) -> Vec<Value> {
    let answer = match token {
        None => weft.stateless(path, "tools/list", &json!({})),
        Some(token) => weft.within(path, token, (1, "tools/list"), &json!({})),
    };
    answer.message()["result"]["tools"].as_array().unwrap_or_else(|| panic!("{}", answer.text())).clone()
}

fn call(weft: &Weft, path: &str, token: Option<&str>, params: &Value) -> Value {
    match token {
        None => weft.stateless(path, "tools/call", params).message(),
        Some(token) => weft.within(path, token, (2, "tools/call"), params).message(),
    }
}

#[test]
fn a_shaped_service_is_the_same_on_every_endpoint() {
    let (weft, _file) = up(SHAPE, &["--with-echo"]);
    for (path, prefix) in ENDPOINTS {
        let session = weft.initialize(path, "2025-11-25");
        for token in [None, Some(session.as_str())] {
            let tools = list(&weft, path, token);
            let names: Vec<&str> =
                tools.iter().filter_map(|tool| tool["name"].as_str()).filter(|name| name.starts_with(prefix)).collect();
            let mut expected = ["echo", "sleep", "sum"].map(|name| format!("{prefix}{name}"));
            expected.sort();
            let mut sorted = names.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, expected, "{path} {token:?}");
            let echo = tools.iter().find(|tool| tool["name"] == format!("{prefix}echo")).unwrap();
            assert_eq!(echo["description"], "Says it again.");
            assert_eq!(echo["inputSchema"]["required"], json!(["text"]));
            let summed =
                call(&weft, path, token, &json!({ "name": format!("{prefix}sum"), "arguments": { "a": 1, "b": 2 } }));
            assert_eq!(summed["result"]["content"][0]["text"], "3", "{path} {summed}");
            for hidden in ["big", "fail", "add", "gone"] {
                let refused =
                    call(&weft, path, token, &json!({ "name": format!("{prefix}{hidden}"), "arguments": {} }));
                assert_eq!(refused["error"]["code"], -32602, "{path} {hidden} {refused}");
                assert_eq!(refused["error"]["message"], format!("unknown tool: {prefix}{hidden}"));
            }
        }
    }
    eventually("metrics keep the service's own name", || weft.versions_of("add").len() == 2);
}

#[test]
fn a_batch_and_a_lean_call_are_no_way_around() {
    let (weft, _file) = up(SHAPE, &["--with-echo"]);
    let token = weft.initialize("/mcp/echo", "2025-03-26");
    let one = |id: u32, name: &str| json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": name, "arguments": { "text": "x" } } });
    let batch = json!([one(1, "fail"), one(2, "echo")]).to_string();
    let answers = weft.post("/mcp/echo", &[("mcp-session-id", &token)], &batch);
    let all = answers.text();
    assert!(all.contains("unknown tool: fail") && !all.contains("isError\":true"), "{all}");
    let inner = json!({ "name": "call_tool", "arguments": { "name": "echo_fail", "arguments": { "text": "x" } } });
    let refused = call(&weft, "/mcp/v/lean", None, &inner);
    let text = refused["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("unknown tool: echo_fail"), "{refused}");
}

#[test]
fn what_is_not_about_tools_passes_a_shaped_service_as_it_came() {
    let (weft, _file) = up(SHAPE, &["--with-echo"]);
    let read = weft.stateless("/mcp/echo", "resources/read", &json!({ "uri": "echo://greeting" })).message();
    assert_eq!(read["result"]["contents"][0]["text"], "Hello.");
    let prompt = weft.stateless("/mcp/echo", "prompts/get", &json!({ "name": "say", "arguments": { "text": "hi" } }));
    assert!(prompt.text().contains("hi"), "{}", prompt.text());
    eventually("nothing is left in flight", || weft.status()["calls_in_flight"] == 0);
}

#[test]
fn settings_that_cannot_be_used_are_all_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    let settings = "[[service]]\nname = \"echo\"\n[service.tools]\nallow = [\"[\"]\nrename = { add = \"a b\" }\n[virtual.Desk]\n[virtual.none]\ntools = []\n";
    std::fs::write(&file, settings).unwrap();
    let output = command(&variable("WEFT_BIN"))
        .args(["up", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--state"])
        .arg(folder.path())
        .arg("--config")
        .arg(&file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    for expected in ["\"echo\": tools.allow", "\"echo\": tools.rename.add", "virtual.Desk", "virtual.none"] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
}
