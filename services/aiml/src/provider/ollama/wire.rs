//! The shapes of Ollama's API that are used: requests are built, answers are read leniently.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::builtin::tokens;
use crate::model::{Ask, Capability, Finish, Model, Said, ToolCall, Turn, Usage};

#[derive(Debug, Deserialize)]
pub(super) struct Tags {
    pub(super) models: Vec<Tag>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Tag {
    pub(super) name: String,
    #[serde(default)]
    pub(super) size: Option<u64>,
    #[serde(default)]
    pub(super) digest: Option<String>,
    #[serde(default)]
    pub(super) details: Details,
    #[serde(default)]
    pub(super) size_vram: Option<u64>,
    #[serde(default)]
    pub(super) context_length: Option<u64>,
    #[serde(default)]
    pub(super) expires_at: Option<String>,
    #[serde(default)]
    pub(super) capabilities: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Details {
    #[serde(default)]
    pub(super) family: String,
    #[serde(default)]
    pub(super) parameter_size: String,
    #[serde(default)]
    pub(super) quantization_level: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Shown {
    #[serde(default)]
    pub(super) capabilities: Vec<String>,
    #[serde(default)]
    pub(super) model_info: Map<String, Value>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Piece {
    #[serde(default)]
    pub(super) message: Spoken,
    #[serde(default)]
    pub(super) done: bool,
    #[serde(default)]
    pub(super) done_reason: Option<String>,
    #[serde(default)]
    pub(super) prompt_eval_count: Option<u64>,
    #[serde(default)]
    pub(super) eval_count: Option<u64>,
    #[serde(default)]
    pub(super) error: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Spoken {
    #[serde(default)]
    pub(super) content: String,
    #[serde(default)]
    pub(super) thinking: String,
    #[serde(default)]
    pub(super) tool_calls: Vec<Wanted>,
}

impl Spoken {
    pub(super) fn is_empty(&self) -> bool {
        self.content.is_empty() && self.thinking.is_empty() && self.tool_calls.is_empty()
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    pub(super) id: Option<String>,
    pub(super) function: Function,
}

#[derive(Debug, Deserialize)]
pub(super) struct Function {
    pub(super) name: String,
    #[serde(default)]
    pub(super) arguments: Value,
}

#[derive(Debug, Deserialize)]
pub(super) struct Embedded {
    pub(super) embeddings: Vec<Vec<f32>>,
    #[serde(default)]
    pub(super) prompt_eval_count: Option<u64>,
}

pub(super) fn usage(prompt: Option<u64>, completion: Option<u64>) -> Option<Usage> {
    // A prompt that was in the server's cache is not counted by it.
    let completion_tokens = completion?;
    Some(Usage { prompt_tokens: prompt.unwrap_or(0), completion_tokens, estimated: false })
}

pub(super) fn finish(reason: Option<&str>, said: &Said) -> Finish {
    match reason {
        _ if !said.tool_calls.is_empty() => Finish::ToolCalls,
        Some("stop") | None => Finish::Stop,
        Some("length") => Finish::Length,
        Some(_) => Finish::Other,
    }
}

fn message(turn: &Turn) -> Value {
    let mut message = json!({"role": turn.role.name(), "content": turn.content});
    if !turn.images.is_empty() {
        message["images"] = json!(turn.images);
    }
    if !turn.tool_calls.is_empty() {
        let function = |call: &ToolCall| json!({"function": {"name": call.name, "arguments": call.arguments}});
        message["tool_calls"] = turn.tool_calls.iter().map(function).collect();
    }
    message
}

/// The context that a question needs, where Ollama's own might be too small: it cuts what is too long without a word. Steps are
/// large, because the model is loaded anew for each size.
fn room(ask: &Ask) -> Option<u64> {
    /// What Ollama takes by itself, at least.
    const DEFAULT: u64 = 4_096;
    let needed = (tokens::of_turns(&ask.messages) + ask.max_tokens) * 5 / 4;
    (needed > DEFAULT).then(|| needed.next_power_of_two())
}

pub(super) fn request(model: &str, ask: &Ask, context: Option<u64>) -> Value {
    let mut options = Map::new();
    if let Some(context) = context.or_else(|| room(ask)) {
        options.insert("num_ctx".to_owned(), json!(context));
    }
    options.insert("num_predict".to_owned(), json!(ask.max_tokens));
    let numbers = [("temperature", json!(ask.temperature)), ("top_p", json!(ask.top_p)), ("seed", json!(ask.seed))];
    options.extend(
        numbers.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.to_owned(), value)),
    );
    if !ask.stop.is_empty() {
        options.insert("stop".to_owned(), json!(ask.stop));
    }
    let messages: Vec<Value> = ask.messages.iter().map(message).collect();
    let mut body = json!({"model": model, "messages": messages, "stream": true, "options": options});
    if let Some(schema) = &ask.schema {
        body["format"] = schema.clone();
    }
    if !ask.tools.is_empty() {
        body["tools"] = ask.tools.iter().map(|tool| json!({"type": "function", "function": tool})).collect();
    }
    body
}

pub(super) fn capabilities(words: &[String]) -> Vec<Capability> {
    let known = |word: &String| match word.as_str() {
        "completion" => Some(Capability::Chat),
        "vision" => Some(Capability::Vision),
        "tools" => Some(Capability::Tools),
        "embedding" => Some(Capability::Embed),
        _ => None,
    };
    words.iter().filter_map(known).collect()
}

pub(super) fn model(tag: Tag) -> Model {
    let Details { family, parameter_size, quantization_level } = tag.details;
    let details = [family, parameter_size, quantization_level].join(" ").trim().to_owned();
    let model = Model {
        id: tag.name,
        capabilities: capabilities(&tag.capabilities),
        digest: tag.digest,
        size: tag.size,
        details: (!details.is_empty()).then_some(details),
        ..Model::default()
    };
    if model.capabilities.is_empty() { model.assume() } else { model }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Role;

    #[test]
    fn a_long_question_gets_the_context_that_it_needs_and_a_short_one_what_there_is() {
        let ask = |words: usize| Ask {
            messages: vec![Turn::new(Role::User, "word ".repeat(words))],
            max_tokens: 100,
            ..Ask::default()
        };
        assert!(request("m", &ask(10), None)["options"].get("num_ctx").is_none());
        assert_eq!(request("m", &ask(10_000), None)["options"]["num_ctx"], 16_384);
        assert_eq!(request("m", &ask(10_000), Some(2_048))["options"]["num_ctx"], 2_048);
    }
}
