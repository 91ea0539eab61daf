//! Talking to a model: a conversation, or one prompt.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use weft_kit::{Call, Reply, ToolError};

use super::{ANSWER, LONGEST, PATIENCE, shown::shown, sized};
use crate::{
    Models,
    ask::Answer,
    model::{Ask, Finish, Role, ToolCall, ToolSpec, Turn},
    told::Told,
};

/// Messages of a conversation.
const MESSAGES: usize = 500;
/// Bytes of a picture, decoded.
const IMAGE: usize = 8 << 20;
const STOPS: usize = 8;

/// A conversation.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Chat {
    /// provider/model, an alias, or a model's id; the default if not said.
    model: Option<String>,
    messages: Vec<Turn>,
    /// JSON Schema of the answer.
    schema: Option<Value>,
    /// Tools that the model may ask for.
    #[serde(default)]
    tools: Vec<ToolSpec>,
    /// Up to 8192; 1024 if not said.
    #[schemars(range(min = 1, max = 8192))]
    max_tokens: Option<u64>,
    /// 0 to 2; with 0 the answer may come from the cache.
    #[schemars(range(min = 0, max = 2))]
    temperature: Option<f64>,
    top_p: Option<f64>,
    seed: Option<i64>,
    #[serde(default)]
    stop: Vec<String>,
    /// How long to wait for the whole answer.
    #[schemars(range(min = 1, max = 600_000))]
    timeout_ms: Option<u64>,
}

/// One prompt.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Generate {
    model: Option<String>,
    prompt: String,
    system: Option<String>,
    /// PNG or JPEG, base64.
    #[serde(default)]
    images: Vec<String>,
    /// JSON Schema of the answer.
    schema: Option<Value>,
    #[schemars(range(min = 1, max = 8192))]
    max_tokens: Option<u64>,
    #[schemars(range(min = 0, max = 2))]
    temperature: Option<f64>,
    seed: Option<i64>,
    #[serde(default)]
    stop: Vec<String>,
    /// How long to wait for the whole answer.
    #[schemars(range(min = 1, max = 600_000))]
    timeout_ms: Option<u64>,
}

/// What the model answered.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Spoken {
    text: String,
    /// The checked JSON, when a schema was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    json: Option<Value>,
    #[serde(skip_serializing_if = "String::is_empty")]
    thinking: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<ToolCall>,
    finish: Finish,
    /// The first answer did not fit the schema.
    repaired: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_token_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens_per_s: Option<f64>,
    by: Told,
}

pub(crate) async fn chat(models: Arc<Models>, call: Call, args: Chat) -> Result<Reply<Spoken>, ToolError> {
    let ask = Ask {
        messages: args.messages,
        tools: args.tools,
        schema: args.schema,
        max_tokens: args.max_tokens.unwrap_or(ANSWER),
        temperature: args.temperature,
        top_p: args.top_p,
        seed: args.seed,
        stop: args.stop,
        aloud: true,
        anew: false,
        patience: patience(args.timeout_ms)?,
    };
    check(&ask)?;
    Ok(reply(models.ask(&call, args.model.as_deref(), &ask).await?))
}

pub(crate) async fn generate(models: Arc<Models>, call: Call, args: Generate) -> Result<Reply<Spoken>, ToolError> {
    let mut messages: Vec<Turn> = args.system.map(|system| Turn::new(Role::System, system)).into_iter().collect();
    messages.push(Turn { images: args.images, ..Turn::new(Role::User, args.prompt) });
    let ask = Ask {
        messages,
        schema: args.schema,
        max_tokens: args.max_tokens.unwrap_or(ANSWER),
        temperature: args.temperature,
        seed: args.seed,
        stop: args.stop,
        aloud: true,
        patience: patience(args.timeout_ms)?,
        ..Ask::default()
    };
    check(&ask)?;
    Ok(reply(models.ask(&call, args.model.as_deref(), &ask).await?))
}

fn patience(timeout_ms: Option<u64>) -> Result<Option<Duration>, ToolError> {
    let patience = timeout_ms.map(Duration::from_millis);
    if patience.is_some_and(|patience| patience.is_zero() || patience > PATIENCE) {
        return Err(ToolError::invalid(format!("timeout_ms is 1 to {}", PATIENCE.as_millis())));
    }
    Ok(patience)
}

fn check(ask: &Ask) -> Result<(), ToolError> {
    let within = |value: Option<f64>, most: f64| value.is_none_or(|value| (0.0..=most).contains(&value));
    if ask.messages.is_empty() || ask.messages.len() > MESSAGES {
        return Err(ToolError::invalid(format!("messages: 1 to {MESSAGES} of them")));
    }
    if !(1..=LONGEST).contains(&ask.max_tokens) {
        return Err(ToolError::invalid(format!("max_tokens is 1 to {LONGEST}")));
    }
    if !within(ask.temperature, 2.0) || !within(ask.top_p, 1.0) {
        return Err(ToolError::invalid("temperature is 0 to 2, top_p 0 to 1"));
    }
    if ask.stop.len() > STOPS || ask.stop.iter().any(String::is_empty) {
        return Err(ToolError::invalid(format!("stop: up to {STOPS} texts that are not empty")));
    }
    let text: usize = ask.messages.iter().map(|turn| turn.content.len()).sum();
    if text > super::TEXT {
        return Err(ToolError::too_large(format!("the messages have {text} bytes, at most {}", super::TEXT))
            .hint("fit_context shortens a conversation, summarise a text"));
    }
    if ask.messages.iter().all(|turn| turn.images.is_empty()) {
        sized("the last message", &ask.messages.iter().map(|turn| turn.content.as_str()).collect::<String>())?;
    }
    ask.messages.iter().flat_map(|turn| &turn.images).try_for_each(|image| picture(image))
}

/// A picture is one, by its first bytes, and not too large: what is sent on is what was announced.
fn picture(image: &str) -> Result<(), ToolError> {
    const BEGINNINGS: [&[u8]; 2] = [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"];
    let bytes = STANDARD.decode(image).map_err(|_| ToolError::invalid("a picture is not base64"))?;
    if bytes.len() > IMAGE {
        return Err(ToolError::too_large(format!("a picture has {} bytes, at most {IMAGE}", bytes.len())));
    }
    let known = BEGINNINGS.iter().any(|beginning| bytes.starts_with(beginning));
    if known { Ok(()) } else { Err(ToolError::invalid("a picture is neither PNG nor JPEG")) }
}

fn reply(answer: Answer) -> Reply<Spoken> {
    let Answer { said, json, repaired, first_token_ms, told } = answer;
    let text = match (&json, said.tool_calls.is_empty()) {
        (Some(json), _) => json.to_string(),
        (None, true) => said.text.clone(),
        (None, false) => format!("{}\n{}", said.text, serde_json::to_string(&said.tool_calls).unwrap_or_default()),
    };
    let cut = said.finish == Finish::Length;
    let spoken = Spoken {
        text: said.text,
        json,
        thinking: said.thinking,
        tool_calls: said.tool_calls,
        finish: said.finish,
        repaired,
        first_token_ms,
        tokens_per_s: speed(&told, first_token_ms),
        by: told,
    };
    let source = spoken.by.model.clone();
    let reply = Reply::new(spoken).text(shown(&text)).source(source);
    if cut { reply.warn("the answer was cut off: allow more with max_tokens, or let the model go on") } else { reply }
}

/// Tokens a second after the first one.
#[expect(clippy::cast_precision_loss, reason = "tokens and milliseconds are far below 2^52")]
pub(super) fn speed(told: &Told, first_token_ms: Option<u64>) -> Option<f64> {
    let writing = told.model_ms.checked_sub(first_token_ms?).filter(|ms| *ms > 0)?;
    let tokens = told.usage.completion_tokens.saturating_sub(1).max(1);
    Some((tokens as f64 * 10_000.0 / writing as f64).round() / 10.0)
}
