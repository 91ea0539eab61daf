//! Claude Code's own command line, with a stand-in for the model: it lists our tools, calls one, and hears the result.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

use crate::harness::{SESSION, STATELESS, Weft, command, finish, variable};

mod remembers;

const TOOL: &str = "mcp__weft__filesystem_read_text_file";

/// A model that wants one tool, and is content with its result. Speaks the streaming form of the Messages API.
pub(crate) struct StandIn {
    pub(crate) port: u16,
    results: Arc<Mutex<Vec<String>>>,
}

impl StandIn {
    /// It wants this tool, with this input.
    pub(crate) fn wanting(tool: &str, input: &Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let results = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&results);
        let wish = Arc::new((tool.to_owned(), input.clone()));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (shared, wish, stream) = (Arc::clone(&shared), Arc::clone(&wish), stream.unwrap());
                // A client that goes away ends its thread only.
                std::thread::spawn(move || converse(stream, &wish, &shared).ok());
            }
        });
        Self { port, results }
    }

    /// What the tool gave, as the client passed it on.
    pub(crate) fn results(&self) -> String {
        self.results.lock().unwrap().join("\n")
    }
}

fn converse(stream: TcpStream, (tool, input): &(String, Value), results: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    let mut length = 0;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        let lower = line.to_ascii_lowercase();
        length = lower.strip_prefix("content-length:").and_then(|rest| rest.trim().parse().ok()).unwrap_or(length);
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let offered = asked["tools"].as_array().is_some_and(|tools| tools.iter().any(|known| known["name"] == **tool));
    let heard: Vec<String> = asked["messages"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|message| message["content"].as_array())
        .flatten()
        .filter(|block| block["type"] == "tool_result")
        .map(ToString::to_string)
        .collect();
    let events = if heard.is_empty() && offered { tool_use(tool, input) } else { words() };
    results.lock().unwrap().extend(heard);
    let mut text = String::new();
    for event in events {
        text.push_str(&format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default()));
    }
    write!(
        writer,
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{text}",
        text.len()
    )
}

fn message(block: &Value, delta: &Value, stop: &str) -> Vec<Value> {
    let usage = json!({ "input_tokens": 1, "output_tokens": 1 });
    vec![
        json!({ "type": "message_start", "message": { "id": "msg_1", "type": "message", "role": "assistant", "model": "stand-in", "content": [], "stop_reason": null, "stop_sequence": null, "usage": usage } }),
        json!({ "type": "content_block_start", "index": 0, "content_block": block }),
        json!({ "type": "content_block_delta", "index": 0, "delta": delta }),
        json!({ "type": "content_block_stop", "index": 0 }),
        json!({ "type": "message_delta", "delta": { "stop_reason": stop, "stop_sequence": null }, "usage": { "output_tokens": 1 } }),
        json!({ "type": "message_stop" }),
    ]
}

fn tool_use(tool: &str, input: &Value) -> Vec<Value> {
    let block = json!({ "type": "tool_use", "id": "toolu_1", "name": tool, "input": {} });
    message(&block, &json!({ "type": "input_json_delta", "partial_json": input.to_string() }), "tool_use")
}

fn words() -> Vec<Value> {
    message(
        &json!({ "type": "text", "text": "" }),
        &json!({ "type": "text_delta", "text": "The work is done." }),
        "end_turn",
    )
}

/// Claude Code with a home of its own, and no way to the world.
pub(crate) fn claude(home: &Path, model: u16) -> Command {
    let mut claude = command(&variable("WEFT_CLAUDE"));
    claude
        .current_dir(home)
        .env("HOME", home)
        .env("CLAUDE_CONFIG_DIR", home.join("config"))
        .env("ANTHROPIC_BASE_URL", format!("http://127.0.0.1:{model}"))
        .env("ANTHROPIC_API_KEY", "dummy")
        .env("DISABLE_AUTOUPDATER", "1")
        .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
        .env("ENABLE_TOOL_SEARCH", "false");
    claude
}

fn works(negotiation: Option<&str>, version: &str) {
    let weft = Weft::up(&[]);
    let model = StandIn::wanting(TOOL, &json!({ "path": "hello.txt" }));
    let home = weft.folder.path("home");
    std::fs::create_dir(&home).unwrap();
    let url = format!("http://127.0.0.1:{}/mcp", weft.port);
    let with = |mut command: Command| {
        if let Some(negotiation) = negotiation {
            command.env("MCP_PROTOCOL_NEGOTIATION", negotiation);
        }
        let output = finish(&mut command);
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{text}");
        text
    };
    // The line that the quick start prints.
    let mut add = claude(&home, model.port);
    add.args(["mcp", "add", "--transport", "http", "weft", &url]);
    with(add);
    let mut list = claude(&home, model.port);
    list.args(["mcp", "list"]);
    let listed = with(list);
    assert!(listed.contains("Connected"), "{listed}");
    let config = home.join("mcp.json");
    std::fs::write(&config, json!({ "mcpServers": { "weft": { "type": "http", "url": url } } }).to_string()).unwrap();
    let mut ask = claude(&home, model.port);
    ask.args(["-p", "Read hello.txt.", "--strict-mcp-config", "--mcp-config"])
        .arg(&config)
        .args(["--allowedTools", "mcp__weft__*"]);
    let said = with(ask);
    assert!(said.contains("The work is done."), "{said}");
    let results = model.results();
    assert!(results.contains("Hello from a file."), "{results}");
    assert_eq!(weft.versions_of("read_text_file"), [version]);
}

#[test]
fn claude_code_reads_a_file_through_the_gateway() {
    works(None, STATELESS);
}

#[test]
fn claude_code_of_the_session_era_reads_a_file_through_the_gateway() {
    works(Some("legacy"), SESSION);
}
