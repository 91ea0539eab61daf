//! The shapes of the OpenAI API that are used: requests are built, answers are read leniently.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    model::{Ask, Finish, Model, Role, ToolCall, Turn},
    settings::Structure,
};

mod strict;

/// What a server wants otherwise than others.
#[derive(Debug, Clone)]
pub(super) struct Dialect {
    pub(super) structure: Structure,
    pub(super) max_tokens_field: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Listed {
    pub(super) data: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    id: String,
    /// vLLM.
    #[serde(default)]
    max_model_len: Option<u64>,
    /// llama.cpp.
    #[serde(default)]
    meta: Option<Meta>,
}

#[derive(Debug, Deserialize)]
struct Meta {
    #[serde(default)]
    n_ctx: Option<u64>,
    #[serde(default)]
    n_ctx_train: Option<u64>,
    #[serde(default)]
    n_embd: Option<u64>,
    #[serde(default)]
    size: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Chunk {
    #[serde(default)]
    pub(super) choices: Vec<Choice>,
    #[serde(default)]
    pub(super) usage: Option<Tokens>,
    #[serde(default)]
    pub(super) error: Option<Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Choice {
    #[serde(default)]
    pub(super) delta: Delta,
    #[serde(default)]
    pub(super) finish_reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Delta {
    #[serde(default)]
    pub(super) content: Option<String>,
    /// llama.cpp and vLLM.
    #[serde(default)]
    pub(super) reasoning_content: Option<String>,
    #[serde(default)]
    pub(super) reasoning: Option<String>,
    #[serde(default)]
    pub(super) tool_calls: Option<Vec<Part>>,
}

/// A part of one tool call.
#[derive(Debug, Deserialize)]
pub(super) struct Part {
    #[serde(default)]
    index: usize,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    function: PartOfFunction,
}

#[derive(Debug, Default, Deserialize)]
struct PartOfFunction {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    arguments: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Tokens {
    #[serde(default)]
    pub(super) prompt_tokens: u64,
    #[serde(default)]
    pub(super) completion_tokens: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Embedded {
    pub(super) data: Vec<Embedding>,
    #[serde(default)]
    pub(super) usage: Option<Tokens>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Embedding {
    #[serde(default)]
    pub(super) index: usize,
    pub(super) embedding: Vec<f32>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Ranked {
    pub(super) results: Vec<Rank>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Rank {
    pub(super) index: usize,
    pub(super) relevance_score: f64,
}

impl Entry {
    pub(super) fn model(self) -> Model {
        let meta = self.meta.unwrap_or(Meta { n_ctx: None, n_ctx_train: None, n_embd: None, size: None });
        let context = self.max_model_len.or(meta.n_ctx).or(meta.n_ctx_train);
        Model { context, dimensions: meta.n_embd, size: meta.size, ..Model::named(&self.id) }.assume()
    }
}

pub(super) fn finish(reason: &str) -> Finish {
    match reason {
        "stop" => Finish::Stop,
        "length" => Finish::Length,
        "tool_calls" | "function_call" => Finish::ToolCalls,
        "content_filter" => Finish::ContentFilter,
        _ => Finish::Other,
    }
}

/// Tool calls that come in parts.
#[derive(Debug, Default)]
pub(super) struct Calls(BTreeMap<usize, (Option<String>, String, String)>);

impl Calls {
    pub(super) fn add(&mut self, part: Part) {
        let (id, name, arguments) = self.0.entry(part.index).or_default();
        if part.id.is_some() {
            *id = part.id;
        }
        name.push_str(&part.function.name.unwrap_or_default());
        arguments.push_str(&part.function.arguments.unwrap_or_default());
    }

    /// Arguments that are no JSON are handed on as the text that they are.
    pub(super) fn whole(self) -> Vec<ToolCall> {
        let whole = |(id, name, arguments): (Option<String>, String, String)| ToolCall {
            id,
            name,
            arguments: serde_json::from_str(&arguments).unwrap_or(Value::String(arguments)),
        };
        self.0.into_values().map(whole).collect()
    }
}

impl Dialect {
    pub(super) fn request(&self, model: &str, ask: &Ask) -> Value {
        let mut messages: Vec<Value> = ask.messages.iter().map(message).collect();
        let mut body = json!({"model": model, "stream": true, "stream_options": {"include_usage": true}});
        body[&self.max_tokens_field] = json!(ask.max_tokens);
        let numbers = [("temperature", json!(ask.temperature)), ("top_p", json!(ask.top_p)), ("seed", json!(ask.seed))];
        for (name, value) in numbers.into_iter().filter(|(_, value)| !value.is_null()) {
            body[name] = value;
        }
        if !ask.stop.is_empty() {
            body["stop"] = json!(ask.stop);
        }
        if let Some(schema) = &ask.schema {
            self.shape(schema, &mut body, &mut messages);
        }
        if !ask.tools.is_empty() {
            body["tools"] = ask.tools.iter().map(|tool| json!({"type": "function", "function": tool})).collect();
        }
        body["messages"] = Value::Array(messages);
        body
    }

    fn shape(&self, schema: &Value, body: &mut Value, messages: &mut Vec<Value>) {
        match self.structure {
            Structure::JsonSchema => {
                let mut named = json!({"name": "answer", "schema": schema});
                if strict::qualifies(schema) {
                    named["strict"] = json!(true);
                }
                body["response_format"] = json!({"type": "json_schema", "json_schema": named});
                return;
            }
            Structure::JsonObject => body["response_format"] = json!({"type": "json_object"}),
            Structure::Prompt => {}
        }
        let told = format!("Answer with JSON alone, without any other text, that fits this JSON Schema: {schema}");
        messages.insert(0, message(&Turn::new(Role::System, told)));
    }
}

fn message(turn: &Turn) -> Value {
    let mut message = json!({"role": turn.role.name()});
    if turn.images.is_empty() {
        message["content"] = json!(turn.content);
    } else {
        let mut parts = vec![json!({"type": "text", "text": turn.content})];
        parts.extend(turn.images.iter().map(|image| {
            // JPEG begins with FF D8 FF.
            let kind = if image.starts_with("/9j/") { "jpeg" } else { "png" };
            json!({"type": "image_url", "image_url": {"url": format!("data:image/{kind};base64,{image}")}})
        }));
        message["content"] = Value::Array(parts);
    }
    if !turn.tool_calls.is_empty() {
        let call = |(place, call): (usize, &ToolCall)| {
            let id = call.id.clone().unwrap_or_else(|| format!("call_{place}"));
            let function = json!({"name": call.name, "arguments": call.arguments.to_string()});
            json!({"id": id, "type": "function", "function": function})
        };
        message["tool_calls"] = turn.tool_calls.iter().enumerate().map(call).collect();
    }
    if let Some(id) = &turn.tool_call_id {
        message["tool_call_id"] = json!(id);
    }
    message
}
