//! The official servers for everything, for files and for memories.

use super::{Server, Value, Weft, both, command, free_port, json, npm, texts, variable};
use crate::harness::{SESSION, eventually};

const EVERYTHING: (&str, &str) = ("@modelcontextprotocol/server-everything", "dist/index.js");

#[test]
fn the_server_for_everything_is_had_on_stdio_http_and_sse() {
    let script = variable("WEFT_NODE_MODULES").join(EVERYTHING.0).join(EVERYTHING.1);
    let start = |mode: &str| {
        let port = free_port();
        let mut node = command(&variable("WEFT_NODE"));
        (Server::start(node.arg(&script).arg(mode).env("PORT", port.to_string()), port), port)
    };
    let ((_http, http), (_sse, sse)) = (start("streamableHttp"), start("sse"));
    let weft = Weft::up(&[
        "--add",
        &format!("stdio={}", npm(EVERYTHING.0, EVERYTHING.1, "stdio")),
        "--add",
        &format!("http=http://127.0.0.1:{http}/mcp"),
        "--add",
        &format!("sse=sse+http://127.0.0.1:{sse}/sse"),
    ]);
    for way in ["stdio", "http", "sse"] {
        eventually("its tools are listed", || {
            weft.stateless("/mcp", "tools/list", &json!({})).text().contains(&format!("{way}_echo"))
        });
        for text in texts(both(&weft, &format!("{way}_echo"), &json!({ "message": "hello" }))) {
            assert_eq!(text, "Echo: hello", "{way}");
        }
        for text in texts(both(&weft, &format!("{way}_get-sum"), &json!({ "a": 2, "b": 40 }))) {
            assert!(text.contains("42"), "{way}: {text}");
        }
        progress(&weft, way);
        offers(&weft, way);
    }
}

fn progress(weft: &Weft, way: &str) {
    let params = json!({ "name": format!("{way}_trigger-long-running-operation"), "arguments": { "duration": 1, "steps": 3 }, "_meta": { "progressToken": "p" } });
    let messages = weft.stateless("/mcp", "tools/call", &params).messages();
    let told: Vec<&Value> = messages.iter().filter(|message| message["method"] == "notifications/progress").collect();
    assert!(told.len() == 3 && told.iter().all(|it| it["params"]["progressToken"] == "p"), "{way}: {messages:?}");
    assert!(messages.last().unwrap()["result"]["content"][0]["text"].as_str().unwrap().contains("completed"), "{way}");
}

/// Prompts, resources and completion, in both eras.
fn offers(weft: &Weft, way: &str) {
    let token = weft.initialize("/mcp", SESSION);
    let ask = |method: &str, params: Value| {
        [weft.stateless("/mcp", method, &params).message(), weft.within("/mcp", &token, (2, method), &params).message()]
    };
    for answer in ask("prompts/get", json!({ "name": format!("{way}_simple-prompt") })) {
        assert!(answer["result"]["messages"][0]["content"]["text"].is_string(), "{way}: {answer}");
    }
    for list in ask("resources/list", json!({})) {
        let all = list["result"]["resources"].as_array().unwrap();
        let uri = all.iter().filter_map(|it| it["uri"].as_str()).find(|uri| uri.starts_with(&format!("{way}+")));
        let uri = uri.unwrap_or_else(|| panic!("{way}: {list}"));
        for read in ask("resources/read", json!({ "uri": uri })) {
            assert_eq!(read["result"]["contents"][0]["uri"], uri, "{way}: {read}");
        }
    }
}

#[test]
fn the_server_for_files_keeps_to_its_directory() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().canonicalize().unwrap();
    let package = "@modelcontextprotocol/server-filesystem";
    let weft = Weft::up(&["--add", &format!("files={}", npm(package, "dist/index.js", &inside.display().to_string()))]);
    let path = inside.join("note.txt").display().to_string();
    let written = weft.call("files_write_file", &json!({ "path": path, "content": "kept" }));
    assert_ne!(written["isError"], true, "{written}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "kept");
    for text in texts(both(&weft, "files_read_text_file", &json!({ "path": path }))) {
        assert_eq!(text, "kept");
    }
    let outside = weft.call("files_read_text_file", &json!({ "path": "/etc/hostname" }));
    assert_eq!(outside["isError"], true, "{outside}");
}

#[test]
fn the_server_for_memories_is_shared_where_it_is_told_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("gateway.toml");
    let words: Vec<String> =
        npm("@modelcontextprotocol/server-memory", "dist/index.js", "").split_whitespace().map(str::to_owned).collect();
    let file = folder.path().join("memory.jsonl");
    let service = format!(
        "[[service]]\nname = \"notes\"\ncommand = {words:?}\nsharing = \"shared\"\nenv = {{ MEMORY_FILE_PATH = \"text:{}\" }}\n",
        file.display()
    );
    std::fs::write(&config, service).unwrap();
    let weft = Weft::up(&["--config", config.to_str().unwrap()]);
    eventually("its tools are listed", || {
        weft.stateless("/mcp", "tools/list", &json!({})).text().contains("notes_read_graph")
    });
    let ada = json!({ "entities": [{ "name": "Ada", "entityType": "person", "observations": ["writes programs"] }] });
    assert_ne!(weft.call("notes_create_entities", &ada)["isError"], true);
    for text in texts(both(&weft, "notes_search_nodes", &json!({ "query": "programs" }))) {
        assert!(text.contains("Ada"), "{text}");
    }
    let metrics = weft.admin("/metrics").text();
    assert!(metrics.contains("weft_children{service=\"notes\"} 1"), "one program for all");
}

/// The answer of a server that says nothing but what it remembers, in one order.
fn graph(weft: &Weft, tool: &str) -> Value {
    let mut graph = weft.call(tool, &json!({}))["structuredContent"].clone();
    for list in ["entities", "relations"] {
        graph[list].as_array_mut().unwrap_or_else(|| panic!("{tool} has no {list}")).sort_by_key(Value::to_string);
    }
    graph
}

#[test]
fn what_the_server_for_memories_wrote_moves_to_ours_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("gateway.toml");
    let words: Vec<String> =
        npm("@modelcontextprotocol/server-memory", "dist/index.js", "").split_whitespace().map(str::to_owned).collect();
    let file = |name: &str| folder.path().join(format!("{name}.jsonl"));
    let service = |name: &str| {
        format!(
            "[[service]]\nname = \"{name}\"\ncommand = {words:?}\nsharing = \"shared\"\nenv = {{ MEMORY_FILE_PATH = \"text:{}\" }}\n",
            file(name).display()
        )
    };
    std::fs::write(&config, ["old", "new"].map(service).concat()).unwrap();
    let weft = Weft::up(&["--config", config.to_str().unwrap()]);
    eventually("the tools of all three are listed", || {
        let tools = weft.stateless("/mcp", "tools/list", &json!({})).text();
        ["old_read_graph", "new_read_graph", "memory_import"].iter().all(|tool| tools.contains(tool))
    });
    let ada = json!({ "name": "Ada", "entityType": "person", "observations": ["likes \"green\" tea", "日本語", "two\nlines"] });
    let weaver = json!({ "name": "Weft", "entityType": "project", "observations": [] });
    assert_ne!(weft.call("old_create_entities", &json!({ "entities": [ada, weaver] }))["isError"], true);
    let works = json!({ "from": "Ada", "to": "Weft", "relationType": "works on" });
    let knows = json!({ "from": "Ada", "to": "someone who is not there", "relationType": "knows" });
    assert_ne!(weft.call("old_create_relations", &json!({ "relations": [works, knows] }))["isError"], true);
    let written = std::fs::read_to_string(file("old")).unwrap();
    let moved = weft.call("memory_import", &json!({ "lines": written, "visibility": "team" }));
    assert_eq!(moved["structuredContent"]["data"]["bad"], json!([]), "{moved}");
    let back = weft.call("memory_export", &json!({ "official": true, "visibility": "team" }));
    let lines = back["structuredContent"]["data"]["lines"].as_str().unwrap_or_else(|| panic!("{back}"));
    std::fs::write(file("new"), lines).unwrap();
    let before = graph(&weft, "old_read_graph");
    assert_eq!(before["relations"].as_array().unwrap().len(), 2, "{before}");
    assert_eq!(graph(&weft, "new_read_graph"), before);
}
