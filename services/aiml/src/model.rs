//! What is asked of a model and what comes back, for every provider alike.
//!
//! These types are the contract between the tools and the providers: a tool builds them from checked arguments, a provider
//! translates them to its wire format and back. Nothing here does I/O.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a model can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// Talk and write.
    Chat,
    /// Look at pictures.
    Vision,
    /// Ask for tools to be called.
    Tools,
    /// Turn text into vectors.
    Embed,
    /// Order documents by how well they answer a query.
    Rerank,
}

impl Capability {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Vision => "vision",
            Self::Tools => "tools",
            Self::Embed => "embed",
            Self::Rerank => "rerank",
        }
    }
}

/// A model as its provider and the operator describe it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Model {
    /// Its id at the provider.
    pub(crate) id: String,
    pub(crate) capabilities: Vec<Capability>,
    /// The capabilities were guessed from the id, because the provider tells none.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) assumed: bool,
    /// Tokens of its context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) context: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dimensions: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<String>,
    /// Bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<u64>,
    /// Family, parameters and quantisation, as the provider says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) details: Option<String>,
}

impl Model {
    pub(crate) fn named(id: &str) -> Self {
        Self { id: id.to_owned(), ..Self::default() }
    }

    pub(crate) fn can(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }

    /// Whether it is worth asking for this by name: an id that tells nothing is only guessed to talk.
    pub(crate) fn may(&self, capability: Capability) -> bool {
        self.can(capability) || (self.assumed && self.can(Capability::Chat))
    }

    /// Guesses from the id what a provider does not tell.
    pub(crate) fn assume(mut self) -> Self {
        let id = self.id.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| id.contains(word));
        self.capabilities = if has(&["rerank"]) {
            vec![Capability::Rerank]
        } else if has(&["embed", "minilm", "bge-", "e5-", "gte-"]) {
            vec![Capability::Embed]
        } else {
            vec![Capability::Chat, Capability::Tools]
        };
        self.assumed = true;
        self
    }
}

/// Who says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    System,
    User,
    Assistant,
    Tool,
}

impl Role {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

/// A tool that the model wants to be called. It is handed to the caller; this server calls none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToolCall {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    pub(crate) name: String,
    pub(crate) arguments: Value,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Turn {
    pub(crate) role: Role,
    pub(crate) content: String,
    /// PNG or JPEG, base64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) images: Vec<String>,
    /// What an assistant asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) tool_calls: Vec<ToolCall>,
    /// Which call a tool message answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tool_call_id: Option<String>,
}

impl Turn {
    pub(crate) fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into(), images: Vec::new(), tool_calls: Vec::new(), tool_call_id: None }
    }
}

/// A tool that the model may ask for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToolSpec {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) description: String,
    /// JSON Schema.
    pub(crate) parameters: Value,
}

/// Everything that is asked of a model that talks.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Ask {
    pub(crate) messages: Vec<Turn>,
    pub(crate) tools: Vec<ToolSpec>,
    /// The JSON Schema of the answer.
    pub(crate) schema: Option<Value>,
    pub(crate) max_tokens: u64,
    pub(crate) temperature: Option<f64>,
    pub(crate) top_p: Option<f64>,
    pub(crate) seed: Option<i64>,
    pub(crate) stop: Vec<String>,
    /// The words are the caller's to follow while they come. No part of the question.
    #[serde(skip)]
    pub(crate) aloud: bool,
    /// It is asked to measure the model: an answer that was kept says nothing of it. No part of the question.
    #[serde(skip)]
    pub(crate) anew: bool,
    /// How long the caller waits, its turn in the line included. No part of the question.
    #[serde(skip)]
    pub(crate) patience: Option<Duration>,
}

impl Ask {
    /// Whether an earlier answer will do: the same question gets the same answer, as far as the model keeps its word.
    pub(crate) fn may_be_kept(&self) -> bool {
        !self.anew && (self.temperature == Some(0.0) || self.seed.is_some())
    }
}

/// Why a model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Finish {
    /// It was done, or met a stop word.
    #[default]
    Stop,
    /// `max_tokens` or the context was full.
    Length,
    /// It wants tools to be called.
    ToolCalls,
    /// The provider held the answer back.
    ContentFilter,
    /// The provider gave another reason, or none.
    Other,
}

/// Tokens of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Usage {
    pub(crate) prompt_tokens: u64,
    pub(crate) completion_tokens: u64,
    /// The provider told nothing: these are our estimates.
    pub(crate) estimated: bool,
}

impl Usage {
    pub(crate) fn total(self) -> u64 {
        self.prompt_tokens + self.completion_tokens
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            prompt_tokens: self.prompt_tokens + other.prompt_tokens,
            completion_tokens: self.completion_tokens + other.completion_tokens,
            estimated: self.estimated || other.estimated,
        }
    }
}

/// What a million tokens cost.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Price {
    pub(crate) input: f64,
    pub(crate) output: f64,
}

impl Price {
    #[expect(clippy::cast_precision_loss, reason = "tokens are far below 2^52")]
    pub(crate) fn of(self, usage: Usage) -> f64 {
        (usage.prompt_tokens as f64 * self.input + usage.completion_tokens as f64 * self.output) / 1e6
    }
}

/// What a model answered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Said {
    pub(crate) text: String,
    pub(crate) thinking: String,
    pub(crate) tool_calls: Vec<ToolCall>,
    pub(crate) finish: Finish,
    /// As the provider counted, if it did.
    pub(crate) usage: Option<Usage>,
}

/// Vectors in the order of their inputs.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Vectors {
    pub(crate) vectors: Vec<Vec<f32>>,
    pub(crate) prompt_tokens: Option<u64>,
    /// Places of the texts that were cut, as far as the provider tells.
    pub(crate) cut: Vec<usize>,
}
