//! Programs behind the gateway: they crash and come back, say too much, and never outlive it.

use std::{os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use super::{SESSION, Weft, json};
use crate::harness::eventually;

/// A server in a few lines of shell: it has one tool, leaves a child of its own behind, and crashes on demand.
const SCRIPT: &str = r#"#!/bin/sh
sleep 1000 &
echo "not a message"
echo "a complaint" >&2
while read -r line; do
  id=$(printf '%s' "$line" | sed -n 's/.*"id": *\([^,}]*\).*/\1/p')
  case "$line" in
    *'"initialize"'*) echo '{"jsonrpc":"2.0","id":'"$id"',"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"sh","version":"1"}}}' ;;
    *'"tools/list"'*) echo '{"jsonrpc":"2.0","id":'"$id"',"result":{"tools":[{"name":"pid","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true}},{"name":"crash","inputSchema":{"type":"object"}}]}}' ;;
    *'"crash"'*) exit 3 ;;
    *'"tools/call"'*) echo '{"jsonrpc":"2.0","id":'"$id"',"result":{"content":[{"type":"text","text":"'$$'"}]}}' ;;
    *'"server/discover"'*) echo '{"jsonrpc":"2.0","id":'"$id"',"error":{"code":-32601,"message":"?"}}' ;;
  esac
done
"#;

pub(crate) fn script(folder: &Path) -> String {
    let path = folder.join("server.sh");
    std::fs::write(&path, SCRIPT).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

/// Processes of a group that a script leads.
pub(crate) fn alive(leader: &str) -> usize {
    let found = Command::new("pgrep").args(["-c", "-g", leader]).output().unwrap();
    String::from_utf8_lossy(&found.stdout).trim().parse().unwrap_or(0)
}

#[test]
fn a_program_that_crashes_is_started_again_and_none_outlives_the_gateway() {
    let folder = tempfile::tempdir().unwrap();
    let mut weft = Weft::up(&["--add", &format!("shell={}", script(folder.path()))]);
    eventually("its tools are listed", || {
        weft.stateless("/mcp", "tools/list", &json!({})).text().contains("shell_pid")
    });
    let token = weft.initialize("/mcp", SESSION);
    let call = |tool: &str| {
        let answer =
            weft.within("/mcp", &token, (1, "tools/call"), &json!({ "name": tool, "arguments": {} })).message();
        answer["result"]["content"][0]["text"].as_str().map_or_else(|| answer.to_string(), str::to_owned)
    };
    let first = call("shell_pid");
    assert_eq!(call("shell_pid"), first, "a session keeps its program");
    assert_ne!(weft.call("shell_pid", &json!({}))["content"][0]["text"], json!(first), "another caller has another");
    assert!(alive(&first) >= 2, "the program and the child that it leaves behind");
    let crashed = call("shell_crash");
    assert!(crashed.contains("ended before it answered"), "{crashed}");
    eventually("what it left behind went with it", || alive(&first) == 0);
    let second = call("shell_pid");
    assert_ne!(second, first, "it was started again, and the client saw nothing of it");
    weft.kill();
    eventually("nothing outlives the gateway, however it ended", || alive(&second) == 0);
}

#[test]
fn what_cannot_be_started_is_said_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("gateway.toml");
    let services = "[[service]]\nname = \"gone\"\ncommand = [\"/no/such/program\"]\n\
                    [[service]]\nname = \"secret\"\nurl = \"http://127.0.0.1:1/mcp\"\nheaders = { Authorization = \"env:WEFT_TEST_NOT_SET\" }\n";
    std::fs::write(&config, services).unwrap();
    let output = crate::life::run(
        &crate::harness::Folder::new(),
        &["--config", config.to_str().unwrap(), "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"],
    );
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("WEFT_TEST_NOT_SET"), "{said}");
}
