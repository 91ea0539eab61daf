//! A text of any length → a summary: part by part, then the summaries of the parts together, until one is left.
//!
//! Parts are summarised by the model that took the first one, as many at once as it works on, and one failing part fails the whole:
//! a summary with a hole that nobody sees is worse than none.

use std::{ops::Range, sync::Arc};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::{Call, Reply, ToolError};

use super::{LONGEST, fenced, plain, shown::shown};
use crate::{
    Models,
    builtin::{NO_MODEL, summary, tokens},
    model::{Capability, Role, Turn},
    told::Told,
};

/// Bytes of a text.
const TEXT: usize = 4 << 20;
/// Tokens of a part, where the context has room for that.
const PART: u64 = 3_000;
const SMALLEST: u64 = 256;
/// Parts of one text at most.
const PARTS: usize = 400;
const WORDS: Range<u64> = 20..2_001;

/// A text.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Summarise {
    /// `builtin` picks sentences without a model.
    model: Option<String>,
    text: String,
    /// Length of the summary, 20 to 2000; 200 if not said.
    words: Option<u64>,
    /// What the summary should be about.
    focus: Option<String>,
    /// Language of the summary; that of the text if not said.
    language: Option<String>,
}

/// The summary.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Summarised {
    summary: String,
    /// chat, or extractive: sentences of the text itself.
    method: &'static str,
    parts: usize,
    /// Times that summaries were summarised again.
    rounds: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<Told>,
}

pub(crate) async fn summarise(
    models: Arc<Models>,
    call: Call,
    args: Summarise,
) -> Result<Reply<Summarised>, ToolError> {
    let words = args.words.unwrap_or(200);
    if !WORDS.contains(&words) {
        return Err(ToolError::invalid("words: 20 to 2000"));
    }
    if args.text.trim().is_empty() {
        return Err(ToolError::invalid("text is empty"));
    }
    if args.text.len() > TEXT {
        return Err(ToolError::too_large(format!("text has {} bytes, at most {TEXT}", args.text.len()))
            .hint("send it in parts"));
    }
    let without = ["builtin", "builtin/extractive"].map(Some).contains(&args.model.as_deref());
    let route = match models.route(&call, args.model.as_deref(), Capability::Chat).await {
        _ if without => return extractive(&call, args, words).await,
        Err(error) if error.code() == "no_model" => return extractive(&call, args, words).await,
        route => route?,
    };
    let context = route.iter().filter_map(|candidate| candidate.model.context).min().unwrap_or(PART * 2);
    let room = tokens_of(words);
    let part = (context.saturating_sub(room + 200) * 3 / 4).clamp(SMALLEST, PART);
    let at_once = route[0].source.concurrency(&route[0].model.id).max(1);
    let work = Work { models: &models, call: &call, args: &args, words, part, at_once };
    let (summary, told, parts, rounds) = work.reduce().await?;
    let source = told.model.clone();
    let text = shown(&summary);
    Ok(Reply::new(Summarised { summary, method: "chat", parts, rounds, by: Some(told) }).text(text).source(source))
}

async fn extractive(call: &Call, args: Summarise, words: u64) -> Result<Reply<Summarised>, ToolError> {
    /// Letters of a word with the space after it, about.
    const LETTERS: usize = 6;
    let letters = usize::try_from(words).unwrap_or(200) * LETTERS;
    let summary = call.blocking(move |_| Ok(summary::extract(&args.text, letters))).await?;
    let text = summary.clone();
    let reply = Reply::new(Summarised { summary, method: "extractive", parts: 1, rounds: 0, by: None }).text(text);
    Ok(reply
        .source("builtin/extractive")
        .warn(NO_MODEL.replace("lexical compares words, not meaning", "extractive picks sentences of the text")))
}

/// Tokens that so many words may take, in any language.
fn tokens_of(words: u64) -> u64 {
    (words * 3 + 64).min(LONGEST)
}

struct Work<'a> {
    models: &'a Models,
    call: &'a Call,
    args: &'a Summarise,
    words: u64,
    part: u64,
    at_once: usize,
}

impl Work<'_> {
    async fn reduce(&self) -> Result<(String, Told, usize, usize), ToolError> {
        let mut text = self.args.text.clone();
        let (mut told, mut first, mut rounds) = (None::<Told>, 0, 0);
        let mut done = 0;
        loop {
            let texts: Vec<String> = parts(&text, self.part).into_iter().map(str::to_owned).collect();
            let count = texts.len();
            if count > PARTS {
                return Err(ToolError::too_large(format!(
                    "the text makes {count} parts for this model, at most {PARTS}"
                ))
                .hint("name a model with a larger context, or send the text in pieces"));
            }
            first = first.max(count);
            let pinned = told.as_ref().map(|told| told.model.clone()).or_else(|| self.args.model.clone());
            let whole = count == 1;
            let summaries = stream::iter(texts)
                .map(|part| self.one(part, pinned.clone(), whole))
                .buffered(self.at_once)
                .inspect_ok(|_| done = self.progress(done, count))
                .try_collect::<Vec<(String, Told)>>()
                .await?;
            let before = text.len();
            text.clear();
            for (place, (summary, own)) in summaries.into_iter().enumerate() {
                if place > 0 {
                    text.push_str("\n\n");
                }
                text.push_str(summary.trim());
                told = Some(own.after(told));
            }
            match told {
                Some(told) if count == 1 => return Ok((text, told, first, rounds)),
                _ if text.len() >= before => {
                    return Err(ToolError::new("no_progress", "the model's summaries are no shorter than the text")
                        .hint("name another model, or one with a larger context"));
                }
                _ => rounds += 1,
            }
        }
    }

    /// One more part is done; how many there will be is known only to the last round.
    #[expect(clippy::cast_precision_loss, reason = "at most some hundreds of parts")]
    fn progress(&self, done: usize, parts: usize) -> usize {
        self.call.progress((done + 1) as f64, None, format!("a part of {parts} is summarised"));
        done + 1
    }

    async fn one(&self, text: String, model: Option<String>, last: bool) -> Result<(String, Told), ToolError> {
        let words = if last { self.words } else { (self.part / 8).clamp(30, self.words.max(60)) };
        let focus = self.args.focus.as_deref().map(|focus| format!(" Heed above all: {focus}.")).unwrap_or_default();
        let language =
            self.args.language.as_deref().map_or_else(|| "the language of the text".to_owned(), str::to_owned);
        let system = format!(
            "You summarise texts in at most {words} words, in {language}. Say only what the text says. Answer with the summary alone.{focus}"
        );
        let turns = vec![Turn::new(Role::System, system), Turn::new(Role::User, fenced(&text))];
        let answer = self.models.ask(self.call, model.as_deref(), &plain(turns, tokens_of(words))).await?;
        if answer.said.text.trim().is_empty() {
            return Err(ToolError::new("bad_answer", format!("{} gave an empty summary", answer.told.model))
                .hint("name another model"));
        }
        Ok((answer.said.text, answer.told))
    }
}

/// A text in parts of about so many tokens, cut between paragraphs, sentences or words, whatever is at hand.
pub(super) fn parts(text: &str, most: u64) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let cut = cut(rest, most);
        parts.push(rest[..cut].trim());
        rest = rest[cut..].trim_start();
    }
    parts
}

/// Where to cut so that at most `most` tokens are before it; at least one character.
fn cut(text: &str, most: u64) -> usize {
    let end = tokens::prefix(text, most);
    if end == text.len() {
        return end;
    }
    let end = end.max(text.chars().next().map_or(0, char::len_utf8));
    let (window, half) = (&text[..end], end / 2);
    let after = |mark: &str| window.rfind(mark).map(|at| at + mark.len()).filter(|at| *at > half);
    ["\n\n", ". ", "。", "\n", " "].into_iter().find_map(after).unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parts_are_small_and_nothing_but_white_space_is_lost(text in "([a-zäß日]{1,12}[ .\n]{0,3}){0,80}", most in 8u64..60) {
            let parts = parts(&text, most);
            prop_assert!(parts.iter().all(|part| tokens::estimate(part) <= most && !part.is_empty()));
            let bare = |text: &str| text.split_whitespace().collect::<String>();
            prop_assert_eq!(bare(&parts.concat()), bare(&text));
        }
    }

    #[test]
    fn cuts_fall_between_paragraphs_where_there_are_some() {
        let text = format!("{}\n\n{}", "one two three. ".repeat(10), "four five six. ".repeat(10));
        assert_eq!(parts(&text, 60)[0], "one two three. ".repeat(10).trim());
    }
}
