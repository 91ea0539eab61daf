//! How much fits: tokens of a text, and conversations cut to a context.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::{Call, Reply, ToolError};

use super::{ANSWER, TEXT};
use crate::{
    Models,
    builtin::tokens,
    fault::Fault,
    model::{Capability, Role, Turn},
    route::Candidate,
};

/// Tokens of a context that nobody tells.
const CONTEXT: u64 = 4_096;

/// A text, or messages.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Count {
    /// Whose tokens; an estimate for any model if not said.
    model: Option<String>,
    text: Option<String>,
    messages: Option<Vec<Turn>>,
}

/// How many.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Counted {
    tokens: u64,
    /// Counted by the model's own tokenizer (for messages, without what its template adds).
    exact: bool,
    /// Tokens of the model's context.
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<u64>,
}

pub(crate) async fn count(models: Arc<Models>, call: Call, args: Count) -> Result<Reply<Counted>, ToolError> {
    let (text, estimate) = match (args.text, args.messages) {
        (Some(text), None) => (text.clone(), tokens::estimate(&text)),
        (None, Some(turns)) => {
            let text = turns.iter().map(|turn| turn.content.as_str()).collect::<Vec<_>>().join("\n");
            (text, tokens::of_turns(&turns))
        }
        _ => return Err(ToolError::invalid("give either text or messages")),
    };
    if text.len() > TEXT {
        return Err(ToolError::too_large(format!("{} bytes, at most {TEXT}", text.len())).hint("count it in parts"));
    }
    let Some(model) = &args.model else {
        return Ok(reply(Counted { tokens: estimate, exact: false, context: None }));
    };
    let candidate = whatever(&models, &call, model).await?;
    let context = candidate.model.context;
    let counted = call.run(candidate.source.provider.count(&candidate.model.id, &text)).await?;
    let counted = match counted {
        Ok(tokens) => Counted { tokens, exact: !candidate.is_builtin(), context },
        Err(Fault::Unsupported | Fault::Missing) => Counted { tokens: estimate, exact: false, context },
        Err(fault) => {
            let estimated = Counted { tokens: estimate, exact: false, context };
            return Ok(reply(estimated).warn(format!("the provider could not be asked ({})", fault.word())));
        }
    };
    Ok(reply(counted).source(candidate.name()))
}

fn reply(counted: Counted) -> Reply<Counted> {
    let text = format!("{}{} tokens", if counted.exact { "" } else { "about " }, counted.tokens);
    Reply::new(counted).text(text)
}

/// A model of this name, whatever it can do.
async fn whatever(models: &Models, call: &Call, model: &str) -> Result<Candidate, ToolError> {
    let mut last = None;
    for need in [Capability::Chat, Capability::Embed, Capability::Rerank] {
        match models.route(call, Some(model), need).await {
            Ok(route) if !route.is_empty() => return Ok(route[0].clone()),
            Ok(_) => {}
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| crate::route::unknown(model)))
}

/// A conversation.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fit {
    model: Option<String>,
    messages: Vec<Turn>,
    /// Tokens to leave for the answer; 1024 if not said.
    max_tokens: Option<u64>,
    /// Tokens of the context; the model's, or 4096, if not said.
    context: Option<u64>,
}

/// What is left of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Fitted {
    messages: Vec<Turn>,
    left_out: usize,
    /// Estimated.
    tokens: u64,
    context: u64,
}

pub(crate) async fn fit(models: Arc<Models>, call: Call, args: Fit) -> Result<Reply<Fitted>, ToolError> {
    let of_model = match &args.model {
        Some(model) => whatever(&models, &call, model).await?.model.context,
        None => None,
    };
    let context = args.context.or(of_model).unwrap_or(CONTEXT);
    let room = context.saturating_sub(args.max_tokens.unwrap_or(ANSWER));
    let before = args.messages.len();
    let messages = shorten(args.messages, room)?;
    let fitted = Fitted { left_out: before - messages.len(), tokens: tokens::of_turns(&messages), messages, context };
    let text = format!(
        "{} messages, about {} tokens; {} were left out",
        before - fitted.left_out,
        fitted.tokens,
        fitted.left_out
    );
    let reply = Reply::new(fitted).text(text);
    Ok(if args.context.or(of_model).is_none() {
        reply.warn(format!("the context is not known: {CONTEXT} was taken"))
    } else {
        reply
    })
}

/// System messages and the last one stay (with the question that it answers, if it is an answer of a tool); of the others the oldest
/// go, an answer of a tool with the question.
fn shorten(turns: Vec<Turn>, room: u64) -> Result<Vec<Turn>, ToolError> {
    let last = turns.iter().rposition(|turn| !matches!(turn.role, Role::Tool | Role::System)).unwrap_or(0);
    let fixed = |(place, turn): (usize, &Turn)| turn.role == Role::System || place >= last;
    let needed: u64 = turns.iter().enumerate().filter(|one| fixed(*one)).map(|(_, turn)| tokens::of_turn(turn)).sum();
    if needed > room {
        return Err(ToolError::too_large(format!(
            "the system messages and the last one have about {needed} tokens, and there is room for {room}"
        ))
        .hint("shorten them, ask for fewer max_tokens, or name a model with a larger context"));
    }
    let mut left = room - needed;
    let mut from = last;
    for place in (0..last).rev().filter(|place| turns[*place].role != Role::System) {
        let cost = tokens::of_turn(&turns[place]);
        if cost > left {
            break;
        }
        left -= cost;
        from = place;
    }
    // An answer of a tool means nothing without the question before it. System messages stay anyway.
    while from < last && matches!(turns[from].role, Role::Tool | Role::System) {
        from += 1;
    }
    let keep = |(place, turn): (usize, Turn)| (turn.role == Role::System || place >= from).then_some(turn);
    Ok(turns.into_iter().enumerate().filter_map(keep).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_left_fits_and_ends_as_before(lengths in prop::collection::vec((0usize..60, 0u8..4), 1..30), room in 0u64..200) {
            let roles = [Role::System, Role::User, Role::Assistant, Role::Tool];
            let turns: Vec<Turn> = lengths.iter().map(|(length, role)| Turn::new(roles[*role as usize], "word ".repeat(*length))).collect();
            if let Ok(short) = shorten(turns.clone(), room) {
                prop_assert!(tokens::of_turns(&short) <= room);
                prop_assert_eq!(short.last(), turns.last());
                let systems = |turns: &[Turn]| turns.iter().filter(|turn| turn.role == Role::System).count();
                prop_assert_eq!(systems(&short), systems(&turns));
                let first = short.iter().find(|turn| turn.role != Role::System);
                prop_assert!(first.is_none_or(|turn| turn.role != Role::Tool) || turns.iter().all(|turn| turn.role == Role::Tool || turn.role == Role::System));
            }
        }
    }
}
