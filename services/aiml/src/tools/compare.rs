//! The same prompt to several models, their answers side by side.

use std::sync::Arc;

use futures_util::future;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::{Call, Reply, ToolError};

use super::{ANSWER, LONGEST, chat::speed, shown::shown, sized};
use crate::{
    Models,
    ask::Answer,
    model::{Ask, Finish, Role, Turn, Usage},
};

const MODELS: usize = 5;

/// A prompt and models.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Compare {
    /// 2 to 5.
    models: Vec<String>,
    prompt: String,
    system: Option<String>,
    max_tokens: Option<u64>,
    temperature: Option<f64>,
}

/// One model's answer.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Answered {
    model: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    text: String,
    finish: Finish,
    usage: Usage,
    cost: f64,
    model_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_token_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens_per_s: Option<f64>,
}

pub(crate) async fn compare(models: Arc<Models>, call: Call, args: Compare) -> Result<Reply<Vec<Answered>>, ToolError> {
    sized("prompt", &args.prompt)?;
    if !(2..=MODELS).contains(&args.models.len()) {
        return Err(ToolError::invalid(format!("models: 2 to {MODELS} of them")));
    }
    let max_tokens = args.max_tokens.unwrap_or(ANSWER);
    if !(1..=LONGEST).contains(&max_tokens) || args.temperature.is_some_and(|own| !(0.0..=2.0).contains(&own)) {
        return Err(ToolError::invalid(format!("max_tokens is 1 to {LONGEST}, temperature 0 to 2")));
    }
    let mut messages: Vec<Turn> = args.system.map(|system| Turn::new(Role::System, system)).into_iter().collect();
    messages.push(Turn::new(Role::User, args.prompt));
    let ask = Ask { messages, max_tokens, temperature: args.temperature, anew: true, ..Ask::default() };
    let asked = args.models.into_iter().map(|model| async {
        match models.ask(&call, Some(&model), &ask).await {
            Ok(answer) => answered(answer),
            Err(error) => Answered { model, error: Some(error.to_string()), ..Answered::default() },
        }
    });
    let answers = future::join_all(asked).await;
    call.check()?;
    let line = |one: &Answered| match &one.error {
        Some(error) => format!("{}: {error}", one.model),
        None => format!("{} ({} ms, {} tokens): {}", one.model, one.model_ms, one.usage.completion_tokens, one.text),
    };
    let text = shown(&answers.iter().map(line).collect::<Vec<_>>().join("\n\n"));
    Ok(Reply::new(answers).text(text))
}

fn answered(answer: Answer) -> Answered {
    let Answer { said, first_token_ms, told, .. } = answer;
    Answered {
        error: None,
        text: said.text,
        finish: said.finish,
        tokens_per_s: speed(&told, first_token_ms),
        first_token_ms,
        model: told.model,
        usage: told.usage,
        cost: told.cost,
        model_ms: told.model_ms,
    }
}
