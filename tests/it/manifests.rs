//! What `weft client-config` prints, read by the clients themselves where they run here: Claude Code, LiteLLM's proxy, and the program
//! that clients start which speak no HTTP. And `weft health`, as a container asks it.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};
use weft_testkit::free_port;

use crate::{
    claude::claude,
    fake::door::Door,
    foreign::Server,
    harness::{Weft, command, eventually, finish, variable},
    http::request,
};

/// Runs `weft` in a folder, which is its home too.
fn weft(folder: &Path, words: &[&str]) -> Output {
    finish(command(&variable("WEFT_BIN")).args(words).current_dir(folder).env("HOME", folder).env("WEFT_KEY", "sesame"))
}

/// The same where it must succeed; gives its standard output.
fn printed(folder: &Path, words: &[&str]) -> String {
    let output = weft(folder, words);
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn said(mut command: Command) -> String {
    let output = finish(&mut command);
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn claude_code_connects_by_the_file_and_by_the_line_and_sends_its_key() {
    let mesh = Weft::up(&[]);
    let door = Door::before(mesh.port);
    let home = mesh.folder.path("home");
    std::fs::create_dir(&home).unwrap();
    let url = format!("http://127.0.0.1:{}", door.port);
    let words = ["client-config", "claude-code", "--url", &url, "--key-env", "WEFT_KEY"];
    let with_key = |words: &[&str]| {
        let mut claude = claude(&home, 9);
        claude.env("WEFT_KEY", "sesame").args(words);
        said(claude)
    };
    // The file, in a project that is trusted.
    std::fs::write(home.join(".mcp.json"), "{\"mcpServers\": {}}").unwrap();
    printed(&home, &[&words[..], &["--write", "--check"]].concat());
    std::fs::create_dir_all(home.join(".claude")).unwrap();
    std::fs::write(home.join(".claude/settings.local.json"), r#"{"enableAllProjectMcpServers":true}"#).unwrap();
    std::fs::create_dir_all(home.join("config")).unwrap();
    let trusted = json!({ "projects": { home.display().to_string(): { "hasTrustDialogAccepted": true } } });
    std::fs::write(home.join("config/.claude.json"), trusted.to_string()).unwrap();
    door.forget();
    let listed = with_key(&["mcp", "list"]);
    assert!(listed.contains("Connected"), "{listed}");
    assert!(door.heard("Bearer sesame"), "the key comes from the variable");
    // The line.
    std::fs::remove_file(home.join(".mcp.json")).unwrap();
    let notes = String::from_utf8(weft(&home, &words).stderr).unwrap();
    let line =
        notes.lines().find_map(|line| line.strip_prefix("or run:  claude ")).unwrap_or_else(|| panic!("{notes}"));
    let header = "Authorization: Bearer ${WEFT_KEY}";
    let plain = line.strip_suffix(&format!(" --header '{header}'")).unwrap_or_else(|| panic!("{line}"));
    let line: Vec<&str> = plain.split(' ').chain(["--header", header]).collect();
    with_key(&line);
    door.forget();
    let listed = with_key(&["mcp", "list"]);
    assert!(listed.contains("Connected") && door.heard("Bearer sesame"), "{listed}");
}

#[test]
fn litellm_connects_by_the_entry_in_its_file_and_sends_its_key() {
    let mesh = Weft::up(&["--with-echo"]);
    let door = Door::before(mesh.port);
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.yaml");
    std::fs::write(&config, "# ours\nmodel_list: []\ngeneral_settings:\n  master_key: sk-test  # for tests\n").unwrap();
    let url = format!("http://127.0.0.1:{}", door.port);
    let file = config.display().to_string();
    let words =
        ["client-config", "litellm", "--url", &url, "--name", "mesh", "--key-env", "WEFT_KEY", "--write", "--file"];
    printed(folder.path(), &[&words[..], &[&file]].concat());
    let port = free_port();
    let mut proxy = command(&variable("WEFT_PYTHON_LITELLM").with_file_name("litellm"));
    proxy.arg("--config").arg(&config).args(["--host", "127.0.0.1", "--port", &port.to_string()]);
    proxy.env("LITELLM_LOCAL_MODEL_COST_MAP", "True").env("WEFT_KEY", "sesame");
    let _proxy = Server::start(proxy.env("HOME", folder.path()).current_dir(folder.path()), port);
    let headers = [("authorization", "Bearer sk-test"), ("accept", "application/json, text/event-stream")];
    eventually("the proxy has asked the gateway", || {
        request(port, "GET", "/v1/mcp/tools", &headers, b"").text().contains("echo_echo")
    });
    assert!(door.heard("Bearer sesame"), "the key comes from the variable");
}

#[test]
fn the_program_that_a_client_starts_speaks_for_it_with_the_key_of_a_file() {
    let mesh = Weft::up(&["--with-echo"]);
    let door = Door::before(mesh.port);
    let key = mesh.folder.path("key");
    std::fs::write(&key, "sesame\n").unwrap();
    let home = mesh.folder.path("root");
    let url = format!("http://127.0.0.1:{}", door.port);
    let text = printed(&home, &["client-config", "claude-desktop", "--url", &url, "--key-file", key.to_str().unwrap()]);
    let manifest: Value = serde_json::from_str(&text).unwrap();
    let server = &manifest["mcpServers"]["weft"];
    let words = server["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap());
    let mut program = command(Path::new(server["command"].as_str().unwrap()));
    let mut program = program.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut to, from) = (program.stdin.take().unwrap(), program.stdout.take().unwrap());
    let mut lines = BufReader::new(from).lines();
    let begin = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": { "protocolVersion": "2025-11-25",
        "capabilities": {}, "clientInfo": { "name": "desktop", "version": "1" } } });
    writeln!(to, "{begin}").unwrap();
    assert!(lines.next().unwrap().unwrap().contains("serverInfo"));
    writeln!(to, "{}", json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).unwrap();
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "echo_echo", "arguments": { "text": "through the bridge" } } });
    writeln!(to, "{call}").unwrap();
    assert!(lines.any(|line| line.unwrap().contains("through the bridge")));
    assert!(door.heard("Bearer sesame"));
    drop(to);
    assert!(program.wait().unwrap().success());
}

#[test]
fn nothing_is_written_where_it_could_do_harm_or_nobody_answers() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(".cursor/mcp.json");
    std::fs::create_dir(folder.path().join(".cursor")).unwrap();
    std::fs::write(&file, "{\n  // mine\n  \"mcpServers\": {}\n}\n").unwrap();
    let refused = weft(folder.path(), &["client-config", "cursor", "--write"]);
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && why.contains("comments") && why.contains("by hand"), "{why}");
    assert!(std::fs::read_to_string(&file).unwrap().contains("// mine"));
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let unasked = weft(folder.path(), &["client-config", "vscode", "--url", &nobody, "--write", "--check"]);
    assert!(!unasked.status.success() && !folder.path().join(".vscode").exists());
    let secret = weft(folder.path(), &["client-config", "cursor", "--key-env", "sk-12345"]);
    let why = String::from_utf8_lossy(&secret.stderr).into_owned();
    assert!(!secret.status.success() && why.contains("name of a variable") && !why.contains("12345"), "{why}");
}

#[test]
fn health_is_an_exit_code_and_one_line() {
    let mesh = Weft::up(&[]);
    let ask = |address: &str, more: &[&str]| {
        let output = weft(mesh.folder.path("root").as_path(), &[&["health", address], more].concat());
        let line = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(line.lines().count(), 1, "{line}");
        (output.status.code(), line)
    };
    let admin = format!("127.0.0.1:{}", mesh.admin);
    let patient = ["--timeout", "60"];
    assert_eq!(ask(&admin, &patient), (Some(0), format!("{admin} is ready\n")));
    assert_eq!(ask(&admin, &[&patient[..], &["--live"]].concat()), (Some(0), format!("{admin} is live\n")));
    assert_eq!(ask(&format!("127.0.0.1:{}", free_port()), &[]).0, Some(1));
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (code, line) = ask(&silent.local_addr().unwrap().to_string(), &["--timeout", "0.3"]);
    assert!(code == Some(1) && line.contains("did not answer within 0.3 s"), "{line}");
    let other = format!("127.0.0.1:{}", mesh.port);
    let (code, line) = ask(&other, &patient);
    assert!(code == Some(1) && line.contains("is not ready"), "{line}");
}
