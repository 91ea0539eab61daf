//! What the memory server can be told: where memory is kept, how much of it, and who shares with whom.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_embed::EmbedderSettings;
use weft_kit::Reference;

use crate::space::Visibility;

/// Where memory is kept.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum StoreSettings {
    /// A file in the directory for state, or elsewhere; shared by the instances of one machine.
    #[default]
    Embedded,
    /// A file of your own.
    File {
        /// It is made if it is not there.
        path: PathBuf,
    },
    /// PostgreSQL, shared by all instances.
    Postgres {
        /// `postgres://user:password@host:port/database?sslmode=verify-full`.
        url: Reference,
        /// The schema that its tables are in; it is made if it is not there.
        #[serde(default = "own_schema")]
        schema: String,
        /// Connections at most.
        #[serde(default = "own_pool")]
        pool: u32,
    },
    /// Redis, shared by all instances; as durable as the server is told to be (`appendfsync`).
    Redis {
        /// `redis://host:port/0`, or `rediss://` with TLS.
        url: Reference,
        /// What its keys begin with.
        #[serde(default = "own_prefix")]
        prefix: String,
        /// Connections at most.
        #[serde(default = "own_pool")]
        pool: u32,
    },
    /// Neo4j, shared by all instances: records and what they are about as a graph.
    Neo4j(Neo4jSettings),
}

/// A graph database that speaks Bolt.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Neo4jSettings {
    /// `bolt://HOST:7687` for one server, `neo4j://HOST:7687` for a cluster; with TLS `bolt+s://` and `neo4j+s://`.
    pub url: String,
    /// The user; it must be allowed to make constraints and indexes.
    #[serde(default)]
    pub user: Option<String>,
    /// The user's password.
    #[serde(default)]
    pub password: Option<Reference>,
    /// The database; the user's home database if not said.
    #[serde(default)]
    pub database: Option<String>,
    /// PEM file of authorities that are trusted besides the system's.
    #[serde(default)]
    pub authorities: Option<PathBuf>,
    /// What its keys begin with: memories of different prefixes know nothing of each other.
    #[serde(default = "own_realm")]
    pub prefix: String,
    /// Connections at most.
    #[serde(default = "own_pool")]
    pub pool: u32,
}

impl Neo4jSettings {
    /// This address, everything else as if it were not said.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            user: None,
            password: None,
            database: None,
            authorities: None,
            prefix: own_realm(),
            pool: own_pool(),
        }
    }
}

fn own_realm() -> String {
    "weft".to_owned()
}

fn own_schema() -> String {
    "weft_memory".to_owned()
}

fn own_prefix() -> String {
    "weft:memory".to_owned()
}

fn own_pool() -> u32 {
    8
}

/// A language model.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "protocol", rename_all = "snake_case")]
pub enum ModelSettings {
    /// `POST /v1/chat/completions`, which many servers speak.
    Openai(ChatSettings),
    /// The tool `summarise` of the aiml service of a mesh, through a gateway.
    Mesh(AimlSettings),
}

/// A language model behind HTTP.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChatSettings {
    /// The address before `/v1/chat/completions`.
    pub url: String,
    /// The model's name there.
    pub model: String,
    /// Its key.
    #[serde(default)]
    pub api_key: Option<Reference>,
    /// The longest that one answer may take.
    #[serde(default = "answer_ms")]
    pub timeout_ms: u64,
}

/// The aiml service.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AimlSettings {
    /// Its endpoint at a gateway, as in `http://127.0.0.1:8080/mcp/aiml`.
    pub url: String,
    /// The key or token that the gateway asks for.
    #[serde(default)]
    pub api_key: Option<Reference>,
    /// PEM file of authorities that are trusted instead of the system's.
    #[serde(default)]
    pub authorities: Option<PathBuf>,
    /// The longest that one call may take.
    #[serde(default = "answer_ms")]
    pub timeout_ms: u64,
    /// The model or alias; the one that aiml chooses if not said.
    #[serde(default)]
    pub model: Option<String>,
}

fn answer_ms() -> u64 {
    120_000
}

/// What is done with a text that has a secret (a key, a token) in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Secrets {
    /// It is not written.
    #[default]
    Refuse,
    /// It is written, with a warning.
    Warn,
}

/// Shared records of one namespace that others may read.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// Whose.
    pub namespace: String,
    /// The namespaces that may read them.
    pub with: Vec<String>,
}

/// The settings of the server. Without any, memory is a file in the directory for state.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where memory is kept.
    pub store: StoreSettings,
    /// Who sees what is written without saying so.
    pub visibility: Visibility,
    /// Records that one partition (a team, a caller) may hold.
    pub records: u64,
    /// Days after which a record that was not used is worth half.
    pub half_life_days: f64,
    /// What is done with texts that have a secret in them.
    pub secrets: Secrets,
    /// Roles whose words are trusted.
    pub trusted_roles: Vec<String>,
    /// Roles that may erase a subject in the private parts of all callers of their namespace.
    pub erase_roles: Vec<String>,
    /// Roles whose imports are taken as they are: who wrote what and when, how reliable it is, and every version.
    pub restore_roles: Vec<String>,
    /// Which namespaces share with which.
    pub share: Vec<Share>,
    /// What makes the vectors by which records are found; words and parts of words if not said. After a change,
    /// `consolidate` with `what=vectors` makes those of each partition again.
    pub embedder: Option<EmbedderSettings>,
    /// What tells episodes; without it they are not told.
    pub model: Option<ModelSettings>,
    /// Offer the nine tools of the official memory server too, on the same memory.
    pub graph_tools: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            store: StoreSettings::default(),
            visibility: Visibility::Team,
            records: 100_000,
            half_life_days: 90.0,
            secrets: Secrets::default(),
            trusted_roles: Vec::new(),
            erase_roles: vec!["admin".to_owned()],
            restore_roles: vec!["admin".to_owned()],
            share: Vec::new(),
            embedder: None,
            model: None,
            graph_tools: false,
        }
    }
}
