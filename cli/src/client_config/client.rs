//! The clients: where each keeps its servers, and the form it wants them in.

use std::path::PathBuf;

use anyhow::Result;
use clap::ValueEnum;

use super::{
    entry::{Entry, Key},
    json, yaml,
};

/// A client that can be connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Client {
    ClaudeCode,
    ClaudeDesktop,
    Cursor,
    Vscode,
    Continue,
    Litellm,
}

impl Client {
    /// Where the client looks: files of a project below the current folder, others below the home folder.
    pub(super) fn path(self, name: &str) -> Option<PathBuf> {
        let home = || std::env::var_os("HOME").map(PathBuf::from);
        match self {
            Self::ClaudeCode => Some(".mcp.json".into()),
            Self::ClaudeDesktop => {
                let folder = if cfg!(target_os = "macos") { "Library/Application Support" } else { ".config" };
                home().map(|home| home.join(folder).join("Claude/claude_desktop_config.json"))
            }
            Self::Cursor => home().map(|home| home.join(".cursor/mcp.json")),
            Self::Vscode => Some(".vscode/mcp.json".into()),
            Self::Continue => Some(format!(".continue/mcpServers/{name}.yaml").into()),
            // Given to the proxy on its command line.
            Self::Litellm => None,
        }
    }

    /// The client's file: `old`, in which only the entry is new.
    pub(super) fn document(self, old: &str, entry: &Entry) -> Result<String> {
        let servers = if self == Self::Vscode { "servers" } else { "mcpServers" };
        match self {
            Self::ClaudeCode | Self::ClaudeDesktop | Self::Cursor => {
                json::with_member(old, servers, (&entry.name, &entry.json(self)?))
            }
            Self::Vscode => {
                let new = json::with_member(old, servers, (&entry.name, &entry.json(self)?))?;
                match entry.key {
                    Key::Input => json::with_item(&new, "inputs", (&entry.input_id(), &entry.input()?)),
                    _ => Ok(new),
                }
            }
            Self::Continue => yaml::whole(old, &entry.block()),
            Self::Litellm => yaml::with_member(old, "mcp_servers", (&entry.name, &entry.litellm())),
        }
    }
}
