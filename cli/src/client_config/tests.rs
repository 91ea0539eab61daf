//! What each client is given, compared with files that were written by hand from the vendors' references, and what becomes of files
//! that have something in them already.

use std::path::PathBuf;

use super::{
    client::Client,
    entry::{Entry, Key},
    file,
};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/client_config/golden");

fn entry(key: Key, bridge: bool) -> Entry {
    let url = "https://weft.example/mcp".to_owned();
    Entry { name: "weft".into(), url, key, bridge: bridge.then(|| PathBuf::from("/usr/bin/weft")) }
}

fn env() -> Key {
    Key::Env("WEFT_KEY".into())
}

fn same(name: &str, document: &str) {
    let expected = std::fs::read_to_string(format!("{GOLDEN}/{name}")).unwrap();
    assert_eq!(document, expected, "{name}");
}

#[test]
fn every_client_is_told_in_its_own_words() {
    for (client, name) in [
        (Client::ClaudeCode, "claude-code.json"),
        (Client::Cursor, "cursor.json"),
        (Client::Vscode, "vscode.json"),
        (Client::Continue, "continue.yaml"),
        (Client::Litellm, "litellm.yaml"),
    ] {
        same(name, &client.document("", &entry(env(), false)).unwrap());
        same(&format!("stdio-{name}"), &client.document("", &entry(Key::File("/run/key".into()), true)).unwrap());
    }
    same("claude-desktop.json", &Client::ClaudeDesktop.document("", &entry(env(), true)).unwrap());
    same("vscode-input.json", &Client::Vscode.document("", &entry(Key::Input, false)).unwrap());
    assert_eq!(
        entry(env(), false).claude_mcp_add(),
        "claude mcp add --transport http weft https://weft.example/mcp --header 'Authorization: Bearer ${WEFT_KEY}'"
    );
}

#[test]
fn without_a_key_none_is_spoken_of() {
    for client in [Client::ClaudeCode, Client::Cursor, Client::Vscode, Client::Continue, Client::Litellm] {
        let text = client.document("", &entry(Key::None, false)).unwrap();
        assert!(text.contains("https://weft.example/mcp"), "{text}");
        assert!(!text.to_lowercase().contains("auth") && !text.contains("inputs"), "{text}");
    }
}

#[test]
fn a_json_file_keeps_every_byte_that_is_not_the_entry() {
    let old = "{\n    \"theme\" : \"dark\",\n    \"n\": 1.50,\n    \"mcpServers\": {\n        \"other\": {\"command\": \"x\"}\n    }\n}\n";
    let new = Client::Cursor.document(old, &entry(Key::None, false)).unwrap();
    let own = ",\n        \"weft\": {\n            \"url\": \"https://weft.example/mcp\"\n        }";
    assert_eq!(new.replace(own, ""), old);
    assert_eq!(Client::Cursor.document(&new, &entry(Key::None, false)).unwrap(), new, "once is enough");
    let changed = Client::Cursor.document(&new, &entry(env(), false)).unwrap();
    assert_eq!(changed.matches("\"weft\"").count(), 1);
    assert!(changed.contains("${env:WEFT_KEY}") && changed.contains("1.50"), "{changed}");
}

#[test]
fn empty_containers_and_files_are_filled() {
    for old in
        ["", "  \n", "{}", "{\"servers\":{}}", "{\"servers\":{},\"inputs\":[]}", "{\"inputs\":[{\"id\":\"a\"}]}\n"]
    {
        let new = Client::Vscode.document(old, &entry(Key::Input, false)).unwrap();
        let read: serde_json::Value = serde_json::from_str(&new).unwrap();
        assert_eq!(read["servers"]["weft"]["headers"]["Authorization"], "Bearer ${input:weft-key}");
        let inputs = read["inputs"].as_array().unwrap();
        assert_eq!(inputs.last().unwrap()["id"], "weft-key");
        assert_eq!(inputs.len(), if old.contains("\"a\"") { 2 } else { 1 });
        assert_eq!(Client::Vscode.document(&new, &entry(Key::Input, false)).unwrap(), new);
    }
}

#[test]
fn what_could_be_destroyed_is_refused() {
    for old in ["{ // mine\n}", "[]", "{\"mcpServers\": []}", "{\"mcpServers\": {}, \"mcpServers\": {}}", "{,}"] {
        assert!(Client::Cursor.document(old, &entry(Key::None, false)).is_err(), "{old}");
    }
    for old in
        ["mcp_servers: {}\n", "mcp_servers:\n  weft:\n    url: elsewhere\n", "- a\n", "a: [\n", "mcp_servers: 3\n"]
    {
        assert!(Client::Litellm.document(old, &entry(Key::None, false)).is_err(), "{old}");
    }
    assert!(Client::Continue.document("name: mine\n", &entry(Key::None, false)).is_err());
}

#[test]
fn a_yaml_file_keeps_its_lines_and_comments() {
    let old = "# mine\nmodel_list: []  # none\nmcp_servers:\n    # the first\n    other:\n        url: http://x  # here\n\ngeneral_settings:\n    a: 1\n";
    let new = Client::Litellm.document(old, &entry(env(), false)).unwrap();
    for line in old.lines() {
        assert!(new.lines().any(|kept| kept == line), "{line} is gone: {new}");
    }
    assert!(new.contains("    weft:\n      url: \"https://weft.example/mcp\"\n"), "{new}");
    assert_eq!(Client::Litellm.document(&new, &entry(env(), false)).unwrap(), new);
    let appended = Client::Litellm.document("a: 1", &entry(Key::None, false)).unwrap();
    assert!(appended.starts_with("a: 1\nmcp_servers:\n  weft:\n"), "{appended}");
}

#[test]
fn a_file_is_replaced_as_a_whole_where_a_link_leads() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let folder = tempfile::tempdir().unwrap();
    let (real, link) = (folder.path().join("real.json"), folder.path().join("link.json"));
    std::fs::write(&real, "{}").unwrap();
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o600)).unwrap();
    symlink(&real, &link).unwrap();
    file::replace(&link, "{\"a\": 1}").unwrap();
    assert_eq!(std::fs::read_to_string(&real).unwrap(), "{\"a\": 1}");
    assert!(link.is_symlink());
    assert_eq!(std::fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o600);
    file::replace(&folder.path().join("new/deep.json"), "x").unwrap();
    assert_eq!(file::read(&folder.path().join("new/deep.json")).unwrap(), "x");
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "{left:?}");
}
