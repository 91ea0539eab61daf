//! What the server can be told: its providers, the names that lead to models, and how much a caller may use.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::Reference;

use crate::model::Capability;

/// What a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Ollama's own API.
    Ollama,
    /// The API that OpenAI published and llama.cpp, vLLM, LM Studio and others serve.
    Openai,
    /// Models of a folder, computed by this server: embedders and rerankers of the families of BERT.
    Local,
}

/// How a server of the OpenAI kind is made to answer in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Structure {
    /// `response_format` with the schema.
    #[default]
    JsonSchema,
    /// `response_format` that asks for any object, and the schema in the prompt.
    JsonObject,
    /// The schema in the prompt alone.
    Prompt,
}

/// How a server of the OpenAI kind counts tokens, which that API does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tokenizer {
    /// It does not: counts are estimates.
    #[default]
    None,
    /// `POST /tokenize` of llama.cpp.
    LlamaCpp,
    /// `POST /tokenize` of vLLM.
    Vllm,
}

/// What is known of a model that its provider does not tell.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelSettings {
    /// Its id at the provider.
    pub id: String,
    /// What it can do.
    #[serde(default)]
    pub capabilities: Vec<Capability>,
    /// Tokens of its context.
    #[serde(default)]
    pub context: Option<u64>,
    /// Calls that it works on at once; the provider's number if not said.
    #[serde(default)]
    pub concurrency: Option<usize>,
    /// Price of a million tokens that go in.
    #[serde(default)]
    pub price_in: f64,
    /// Price of a million tokens that come out.
    #[serde(default)]
    pub price_out: f64,
}

/// A server of models.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderSettings {
    /// What callers name it: the first half of `provider/model`.
    pub name: String,
    /// What it speaks.
    pub kind: Kind,
    /// `http://host:11434` for Ollama; with `/v1` where the OpenAI kind has it; nothing for local ones.
    #[serde(default)]
    pub url: String,
    /// The folder of local models: one folder for each, or a model itself.
    #[serde(default)]
    pub path: Option<PathBuf>,
    /// Threads that compute at once (local).
    #[serde(default = "threads")]
    pub threads: usize,
    /// Seconds without use until a model is taken out of memory (local); 0 keeps it.
    #[serde(default = "keep_s")]
    pub keep_s: u64,
    /// Its key, sent as a bearer token.
    #[serde(default)]
    pub key: Option<Reference>,
    /// Models that may be used, as globs; all if empty.
    #[serde(default)]
    pub allow: Vec<String>,
    /// What it does not tell of its models.
    #[serde(default)]
    pub models: Vec<ModelSettings>,
    /// Bytes of a model that may be pulled; any size if not said.
    #[serde(default)]
    pub max_model_bytes: Option<u64>,
    /// Roles that may use it; everyone if empty.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Namespaces (tenants) that may use it, as globs; all if empty.
    #[serde(default)]
    pub tenants: Vec<String>,
    /// Calls that one model works on at once.
    #[serde(default = "four")]
    pub concurrency: usize,
    /// Calls that wait for one model at most, half of them of one caller.
    #[serde(default = "waiting")]
    pub waiting: usize,
    /// Inputs of one request for embeddings.
    #[serde(default = "thirty_two")]
    pub batch: usize,
    /// Seconds until the first token, which may include loading the model.
    #[serde(default = "first_s")]
    pub first_s: u64,
    /// Seconds between two pieces of an answer.
    #[serde(default = "idle_s")]
    pub idle_s: u64,
    /// How it is made to answer in JSON (OpenAI kind).
    #[serde(default)]
    pub structure: Structure,
    /// How it counts tokens (OpenAI kind).
    #[serde(default)]
    pub tokenizer: Tokenizer,
    /// The field of the longest answer (OpenAI kind): `max_tokens`, or `max_completion_tokens` where that is refused.
    #[serde(default = "max_tokens_field")]
    pub max_tokens_field: String,
}

fn four() -> usize {
    4
}

fn waiting() -> usize {
    64
}

fn thirty_two() -> usize {
    32
}

fn first_s() -> u64 {
    300
}

fn idle_s() -> u64 {
    60
}

/// Half of the processors: a mesh has other things to do.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |all| (all.get() / 2).max(1))
}

fn keep_s() -> u64 {
    300
}

fn max_tokens_field() -> String {
    "max_tokens".to_owned()
}

impl ProviderSettings {
    /// A provider with everything else as it is by default.
    pub fn new(name: &str, kind: Kind, url: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            url: url.to_owned(),
            path: None,
            threads: threads(),
            keep_s: keep_s(),
            key: None,
            allow: Vec::new(),
            models: Vec::new(),
            max_model_bytes: None,
            roles: Vec::new(),
            tenants: Vec::new(),
            concurrency: four(),
            waiting: waiting(),
            batch: thirty_two(),
            first_s: first_s(),
            idle_s: idle_s(),
            structure: Structure::default(),
            tokenizer: Tokenizer::default(),
            max_tokens_field: max_tokens_field(),
        }
    }

    /// The models of a folder.
    pub fn local(name: &str, path: &Path) -> Self {
        Self { path: Some(path.to_owned()), ..Self::new(name, Kind::Local, "") }
    }
}

/// A name for a model, with what to use when it is away.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AliasSettings {
    /// What callers name it.
    pub name: String,
    /// `provider/model`, in the order in which they are tried.
    pub models: Vec<String>,
}

/// What is used when a call names no model: an alias or `provider/model`. What is not said is found by asking the providers.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Defaults {
    /// To talk and write.
    pub chat: Option<String>,
    /// To embed.
    pub embed: Option<String>,
    /// To rerank.
    pub rerank: Option<String>,
}

/// How much one caller may use within an hour; without a number, as much as it likes. Counted per instance, in memory.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Allowance {
    /// Tokens, in and out.
    pub tokens: Option<u64>,
    /// Seconds that models worked.
    pub seconds: Option<u64>,
    /// Money, in the unit of the prices of the models.
    pub cost: Option<f64>,
}

/// How answers to deterministic calls (temperature 0, or a seed) and embeddings are kept.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CacheSettings {
    /// Bytes in all; 0 keeps nothing.
    pub bytes: usize,
    /// Seconds.
    pub ttl_s: u64,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self { bytes: 32 << 20, ttl_s: 3_600 }
    }
}

/// The settings of the server. Without a provider there is `builtin`, which is no model and says so.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Servers of models, the preferred first.
    pub providers: Vec<ProviderSettings>,
    /// Names for models.
    pub aliases: Vec<AliasSettings>,
    /// What is used when a call names no model.
    pub defaults: Defaults,
    /// How much one caller may use.
    pub allowance: Allowance,
    /// How answers are kept.
    pub cache: CacheSettings,
    /// Offer the tools that pull, copy, unload and delete models; needs `admin_roles`.
    pub admin: bool,
    /// Roles that may use those; nobody else may.
    pub admin_roles: Vec<String>,
}
