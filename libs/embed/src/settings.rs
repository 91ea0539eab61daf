//! What an operator writes about an embedder. `protocol` decides what else there is to say.

use std::{path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_settings::Reference;

use crate::{
    error::OpenError,
    local::{Kind, Local, Threads},
};

/// One embedder, by its protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "protocol", rename_all = "snake_case")]
pub enum EmbedderSettings {
    /// Words and parts of words; no model.
    Lexical,
    /// `POST /v1/embeddings`.
    Openai(HttpSettings),
    /// `POST /api/embed`.
    Ollama(HttpSettings),
    /// The aiml service of a mesh, through a gateway.
    Mesh(MeshSettings),
    /// A model of a folder, computed here.
    Local(LocalSettings),
}

/// An embedder behind HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpSettings {
    /// Where: for OpenAI the address before `/v1/embeddings`, for Ollama the one before `/api/embed`.
    pub url: String,
    /// The model's name there.
    pub model: String,
    /// Length of its vectors; every answer is checked against it.
    pub dimensions: usize,
    /// Its key.
    #[serde(default)]
    pub api_key: Option<Reference>,
    /// Certificates in PEM that are trusted instead of the system's.
    #[serde(default)]
    pub authorities: Option<PathBuf>,
    /// Texts in one request.
    #[serde(default = "batch")]
    pub batch: usize,
    /// The longest that one request may take.
    #[serde(default = "timeout_ms")]
    pub timeout_ms: u64,
}

/// A service of a mesh, through a gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceSettings {
    /// The service's endpoint at a gateway, as in `http://127.0.0.1:8080/mcp/aiml`.
    pub url: String,
    /// The key or token that the gateway asks for.
    #[serde(default)]
    pub api_key: Option<Reference>,
    /// Certificates in PEM that are trusted instead of the system's.
    #[serde(default)]
    pub authorities: Option<PathBuf>,
    /// The longest that one call may take.
    #[serde(default = "call_ms")]
    pub timeout_ms: u64,
}

/// A model of the aiml service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MeshSettings {
    /// The endpoint of aiml at a gateway, as in `http://127.0.0.1:8080/mcp/aiml`.
    pub url: String,
    /// The model as aiml lists it, `provider/model`. No alias: it could mean another model tomorrow, whose vectors do not compare.
    pub model: String,
    /// Length of its vectors; every answer is checked against it.
    pub dimensions: usize,
    /// The key or token that the gateway asks for.
    #[serde(default)]
    pub api_key: Option<Reference>,
    /// Certificates in PEM that are trusted instead of the system's.
    #[serde(default)]
    pub authorities: Option<PathBuf>,
    /// Texts in one call, 256 at most.
    #[serde(default = "batch")]
    pub batch: usize,
    /// The longest that one call may take.
    #[serde(default = "call_ms")]
    pub timeout_ms: u64,
}

/// A model of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LocalSettings {
    /// The folder, laid out as Hugging Face does: `config.json`, `tokenizer.json` or `vocab.txt`, `model.safetensors`.
    pub path: PathBuf,
    /// Its name; the folder's if not said.
    #[serde(default)]
    pub model: Option<String>,
    /// Threads that compute at once.
    #[serde(default = "threads")]
    pub threads: usize,
    /// Seconds without use until it is taken out of memory; 0 keeps it.
    #[serde(default = "idle_s")]
    pub idle_s: u64,
}

impl LocalSettings {
    /// The model of a folder, with everything else as it is by default.
    pub fn new(path: PathBuf) -> Self {
        Self { path, model: None, threads: threads(), idle_s: idle_s() }
    }

    /// The embedder of the folder, `local/` and its name.
    pub(crate) fn open(&self) -> Result<Local, OpenError> {
        let folder = self.path.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = format!("local/{}", self.model.clone().or(folder).unwrap_or_default());
        let idle = (self.idle_s > 0).then(|| Duration::from_secs(self.idle_s));
        let local = Local::open(&name, &self.path, &Threads::new(self.threads), idle)
            .map_err(|cause| OpenError::Model { of: name.clone(), cause })?;
        if local.card().kind == Kind::Embedder {
            return Ok(local);
        }
        let why = "it is a reranker: it gives scores of documents, no vectors".to_owned();
        Err(OpenError::Setting { of: name, why })
    }
}

fn idle_s() -> u64 {
    300
}

/// Half of the processors: a service has other things to do.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |all| (all.get() / 2).max(1))
}

fn batch() -> usize {
    64
}

fn timeout_ms() -> u64 {
    10_000
}

/// A call may wait in line for a model, and for it to be loaded.
fn call_ms() -> u64 {
    60_000
}
