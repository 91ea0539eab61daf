//! What the filesystem server can be told, and the rules that hold unless it is.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What may be done below a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rights {
    /// Read.
    Ro,
    /// Read and write.
    #[default]
    Rw,
    /// Read, create, and append to files.
    Append,
    /// Read and write, but nothing may be deleted or moved away.
    NoDelete,
}

/// One allowed directory.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RootSettings {
    /// The directory.
    pub path: PathBuf,
    /// What may be done in it.
    #[serde(default)]
    pub rights: Rights,
}

/// The settings of the server.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// One allowed directory, with all rights; where it is given, `roots` is not looked at.
    pub root: Option<PathBuf>,
    /// The allowed directories; relative paths of callers begin at the first.
    pub roots: Vec<RootSettings>,
    /// Nothing may be changed, whatever the roots say.
    pub read_only: bool,
    /// Files that may not be written: globs on the path below the root.
    pub deny_write: Vec<String>,
    /// Files that may not be read either.
    pub deny_read: Vec<String>,
    /// An existing file is overwritten only with the etag of what is overwritten (`if_match`).
    pub overwrite_needs_match: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            root: None,
            roots: vec![RootSettings { path: PathBuf::from("."), rights: Rights::Rw }],
            read_only: false,
            deny_write: DENY_WRITE.iter().map(|glob| (*glob).to_owned()).collect(),
            deny_read: DENY_READ.iter().map(|glob| (*glob).to_owned()).collect(),
            overwrite_needs_match: false,
        }
    }
}

impl Settings {
    /// One directory, with all rights.
    pub fn single(root: PathBuf) -> Self {
        Self { root: Some(root), ..Self::default() }
    }
}

/// Files that other programs obey: writing one is a way to run code later, as somebody else.
const DENY_WRITE: [&str; 22] = [
    "**/.git/hooks/**",
    "**/.git/config",
    "**/.gitmodules",
    "**/.mcp.json",
    "**/.claude/**",
    "**/.claude.json",
    "**/.cursor/**",
    "**/.vscode/{tasks,settings,launch,mcp}.json",
    "**/.idea/**",
    "**/.continue/**",
    "**/.husky/**",
    "**/.envrc",
    "**/.{bashrc,bash_profile,bash_login,bash_logout,profile,zshrc,zshenv,zprofile,zlogin,kshrc,inputrc}",
    "**/.config/{fish,autostart,systemd}/**",
    "**/.{npmrc,pypirc,netrc,gitconfig,wgetrc,curlrc}",
    "**/.ssh/**",
    "**/.gnupg/**",
    "**/.aws/**",
    "**/.kube/**",
    "**/.docker/config.json",
    "**/.cargo/{config,config.toml,credentials,credentials.toml}",
    "**/authorized_keys",
];

/// Secrets.
const DENY_READ: [&str; 9] = [
    "**/.env",
    "**/.env.{local,production,development,staging,test}",
    "**/id_{rsa,dsa,ecdsa,ed25519}",
    "**/.ssh/**",
    "**/.gnupg/**",
    "**/.aws/credentials",
    "**/.{netrc,pgpass,npmrc,pypirc}",
    "**/.kube/config",
    "**/.docker/config.json",
];
