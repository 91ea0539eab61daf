//! A gateway as one entry of a client's list of servers, in each client's words.
//!
//! Sources: Claude Code and Claude Desktop (code.claude.com, MCP), Cursor (cursor.com, MCP), VS Code (MCP configuration reference and
//! the JSON schema in its sources), Continue (the schema of `config.yaml` in its sources), LiteLLM (MCP configuration reference).

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::Result;
use serde::Serialize;

use super::client::Client;

/// Where the client finds the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    None,
    /// In this variable.
    Env(String),
    /// In this file, which `weft stdio` reads.
    File(PathBuf),
    /// It asks its user.
    Input,
}

/// What a client is to connect to.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) name: String,
    /// The endpoint.
    pub(super) url: String,
    pub(super) key: Key,
    /// The `weft` that stands between; none for a client that speaks HTTP.
    pub(super) bridge: Option<PathBuf>,
}

/// A server as the clients that read JSON know it.
#[derive(Serialize)]
#[serde(untagged)]
enum Server<'a> {
    Remote {
        #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
        kind: Option<&'static str>,
        url: &'a str,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        headers: BTreeMap<&'static str, String>,
    },
    Program {
        #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
        kind: Option<&'static str>,
        command: String,
        args: Vec<String>,
    },
}

/// A question that VS Code asks its user once.
#[derive(Serialize)]
struct Input {
    r#type: &'static str,
    id: String,
    description: String,
    password: bool,
}

impl Entry {
    /// The entry of a client that reads JSON.
    pub(super) fn json(&self, client: Client) -> Result<String> {
        let typed = matches!(client, Client::ClaudeCode | Client::Vscode);
        let server = match &self.bridge {
            Some(command) => Server::Program {
                kind: typed.then_some("stdio"),
                command: command.display().to_string(),
                args: self.words(client),
            },
            None => Server::Remote {
                kind: typed.then_some("http"),
                url: &self.url,
                headers: self.credential(client).map(|value| ("Authorization", value)).into_iter().collect(),
            },
        };
        Ok(serde_json::to_string_pretty(&server)?)
    }

    /// The value of the header `Authorization`, as a reference that the client resolves.
    fn credential(&self, client: Client) -> Option<String> {
        Some(match (&self.key, client) {
            (Key::Env(name), Client::ClaudeCode) => format!("Bearer ${{{name}}}"),
            (Key::Env(name), Client::Continue) => format!("Bearer ${{{{ secrets.{name} }}}}"),
            (Key::Env(name), _) => format!("Bearer ${{env:{name}}}"),
            (Key::Input, _) => format!("Bearer ${{input:{}}}", self.input_id()),
            (Key::None | Key::File(_), _) => return None,
        })
    }

    /// What `weft` is started with to stand between.
    fn words(&self, client: Client) -> Vec<String> {
        let mut words = vec!["stdio".to_owned(), "--url".to_owned(), self.url.clone()];
        match &self.key {
            Key::Env(name) => words.extend(["--token".to_owned(), format!("env:{name}")]),
            Key::File(path) => words.extend(["--token".to_owned(), format!("file:{}", path.display())]),
            Key::Input if client == Client::Vscode => {
                words.extend(["--token".to_owned(), format!("text:${{input:{}}}", self.input_id())]);
            }
            Key::None | Key::Input => {}
        }
        words
    }

    /// The name under which VS Code keeps the key.
    pub(super) fn input_id(&self) -> String {
        format!("{}-key", self.name)
    }

    /// How VS Code asks for the key.
    pub(super) fn input(&self) -> Result<String> {
        let description = format!("The API key of {}", self.name);
        let input = Input { r#type: "promptString", id: self.input_id(), description, password: true };
        Ok(serde_json::to_string_pretty(&input)?)
    }

    /// The file that Continue reads for this server alone.
    pub(super) fn block(&self) -> String {
        let mut text =
            format!("name: {0}\nversion: 1.0.0\nschema: v1\nmcpServers:\n  - name: {0}\n", quoted(&self.name));
        match &self.bridge {
            Some(command) => {
                text += &format!("    type: stdio\n    command: {}\n", quoted(&command.display().to_string()));
                text += &list("    args:", &self.words(Client::Continue));
            }
            None => {
                text += &format!("    type: streamable-http\n    url: {}\n", quoted(&self.url));
                if let Some(value) = self.credential(Client::Continue) {
                    let value = quoted(&value);
                    text += &format!("    requestOptions:\n      headers:\n        Authorization: {value}\n");
                }
            }
        }
        text
    }

    /// The lines below the name in LiteLLM's `mcp_servers`, without indentation.
    pub(super) fn litellm(&self) -> String {
        let Some(command) = &self.bridge else {
            let mut text = format!("url: {}\ntransport: http\n", quoted(&self.url));
            if let Key::Env(name) = &self.key {
                text += &format!("auth_type: bearer_token\nauth_value: os.environ/{name}\n");
            }
            return text;
        };
        let text = format!("transport: stdio\ncommand: {}\n", quoted(&command.display().to_string()));
        text + &list("args:", &self.words(Client::Litellm))
    }

    /// The line that does the same as Claude Code's file.
    pub(super) fn claude_mcp_add(&self) -> String {
        let header = self.credential(Client::ClaudeCode).map(|value| format!(" --header 'Authorization: {value}'"));
        format!("claude mcp add --transport http {} {}{}", self.name, self.url, header.unwrap_or_default())
    }
}

/// A text as YAML and JSON both read it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn list(key: &str, items: &[String]) -> String {
    let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
    format!("{key} [{}]\n", items.join(", "))
}
