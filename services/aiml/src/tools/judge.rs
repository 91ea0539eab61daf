//! Looking at one text: its label, what a schema asks for, in another language, what harm is in it.

use std::{collections::BTreeMap, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use weft_kit::{Call, Reply, ToolError};

use super::{LONGEST, fenced, plain, shown::shown, sized};
use crate::{
    Models,
    builtin::{self, tokens},
    model::{Ask, Capability, Role, Turn},
    told::Told,
    tools::summarise::parts,
};

const LABELS: usize = 50;
const ANSWER: u64 = 512;
/// Tokens of one part that is translated.
const PART: u64 = 1_500;
/// Kinds of harm, after the categories that moderation services have in common.
const HARMS: [&str; 8] = ["hate", "harassment", "self_harm", "sexual", "sexual_minors", "violence", "weapons", "fraud"];

/// A text and labels.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Classify {
    model: Option<String>,
    text: String,
    /// Label → what it means (may be empty); up to 50.
    labels: BTreeMap<String, String>,
    /// Several labels may fit.
    #[serde(default)]
    multiple: bool,
}

/// The labels that fit.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Classified {
    labels: Vec<String>,
    /// Nearness of every label, where the method has one.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    scores: BTreeMap<String, f64>,
    /// chat, cosine or bm25.
    method: &'static str,
    by: Told,
}

pub(crate) async fn classify(models: Arc<Models>, call: Call, args: Classify) -> Result<Reply<Classified>, ToolError> {
    sized("text", &args.text)?;
    if args.labels.is_empty() || args.labels.len() > LABELS {
        return Err(ToolError::invalid(format!("labels: 1 to {LABELS} of them")));
    }
    match models.route(&call, args.model.as_deref(), Capability::Chat).await {
        Ok(_) => by_talking(&models, &call, &args).await,
        Err(error) if ["no_model", "invalid_arguments"].contains(&error.code()) => {
            by_nearness(&models, &call, &args).await
        }
        Err(error) => Err(error),
    }
}

async fn by_talking(models: &Models, call: &Call, args: &Classify) -> Result<Reply<Classified>, ToolError> {
    let names: Vec<&String> = args.labels.keys().collect();
    let most = if args.multiple { names.len() } else { 1 };
    let labels = json!({"type": "array", "items": {"type": "string", "enum": names}, "minItems": usize::from(!args.multiple), "maxItems": most});
    let schema = json!({"type": "object", "properties": {"labels": labels}, "required": ["labels"], "additionalProperties": false});
    let meanings: String = args.labels.iter().map(|(name, meaning)| format!("- {name}: {meaning}\n")).collect();
    let how_many = if args.multiple { "every label that fits" } else { "the one label that fits best" };
    let system = format!("You label texts. Give {how_many}.\nLabels:\n{meanings}Answer as JSON: {{\"labels\": [..]}}.");
    let ask = Ask {
        schema: Some(schema),
        ..plain(vec![Turn::new(Role::System, system), Turn::new(Role::User, fenced(&args.text))], ANSWER)
    };
    let answer = models.ask(call, args.model.as_deref(), &ask).await?;
    let labels: Vec<String> =
        serde_json::from_value(answer.json.unwrap_or_default()["labels"].take()).unwrap_or_default();
    let (text, source) = (labels.join(", "), answer.told.model.clone());
    Ok(Reply::new(Classified { labels, scores: BTreeMap::new(), method: "chat", by: answer.told })
        .text(text)
        .source(source))
}

/// The label whose name and meaning are nearest to the text.
async fn by_nearness(models: &Models, call: &Call, args: &Classify) -> Result<Reply<Classified>, ToolError> {
    /// A label of several fits if it is nearly as near as the nearest.
    const NEARLY: f64 = 0.8;
    let documents: Vec<String> = args.labels.iter().map(|(name, meaning)| format!("{name} {meaning}")).collect();
    let route = models.route(call, args.model.as_deref(), Capability::Embed).await?;
    let ranking = models.rank_by_vectors(call, &route, &args.text, &documents).await?;
    let scores: BTreeMap<String, f64> = args.labels.keys().cloned().zip(ranking.scores).collect();
    let best = scores.values().copied().fold(f64::MIN, f64::max);
    let mut labels: Vec<(&String, &f64)> =
        scores.iter().filter(|(_, score)| **score >= best * NEARLY && **score > 0.0).collect();
    labels.sort_by(|one, other| other.1.total_cmp(one.1));
    labels.truncate(if args.multiple { LABELS } else { 1 });
    let labels: Vec<String> = labels.into_iter().map(|(name, _)| name.clone()).collect();
    let (text, builtin) = (labels.join(", "), ranking.by.is_builtin());
    let reply = Reply::new(Classified { labels, scores, method: ranking.method, by: ranking.told }).text(text);
    Ok(if builtin { reply.warn(builtin::NO_MODEL) } else { reply }.source(ranking.by.name()))
}

/// A text and what to take out of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Extract {
    model: Option<String>,
    text: String,
    /// JSON Schema of what is wanted.
    schema: Value,
    /// What else to heed.
    instructions: Option<String>,
}

/// What was in it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Extracted {
    value: Value,
    /// The first answer did not fit the schema.
    repaired: bool,
    by: Told,
}

pub(crate) async fn extract(models: Arc<Models>, call: Call, args: Extract) -> Result<Reply<Extracted>, ToolError> {
    sized("text", &args.text)?;
    let mut system = format!(
        "You take facts out of texts, as JSON that fits this JSON Schema: {}\nTake only what the text says; leave out or null what it does not say.",
        args.schema
    );
    if let Some(more) = &args.instructions {
        system.push('\n');
        system.push_str(more);
    }
    let turns = vec![Turn::new(Role::System, system), Turn::new(Role::User, fenced(&args.text))];
    let ask = Ask { schema: Some(args.schema), ..plain(turns, LONGEST / 2) };
    let answer = models.ask(&call, args.model.as_deref(), &ask).await?;
    let (value, source) = (answer.json.unwrap_or_default(), answer.told.model.clone());
    let text = value.to_string();
    Ok(Reply::new(Extracted { value, repaired: answer.repaired, by: answer.told }).text(text).source(source))
}

/// A text and a language.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Translate {
    model: Option<String>,
    text: String,
    /// Language to translate to: `German`, `pt-BR`.
    to: String,
    from: Option<String>,
    /// Word → how to translate it.
    #[serde(default)]
    glossary: BTreeMap<String, String>,
}

/// The text in the other language.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Translated {
    text: String,
    parts: usize,
    by: Told,
}

#[expect(clippy::cast_precision_loss, reason = "at most some thousands of parts")]
pub(crate) async fn translate(
    models: Arc<Models>,
    call: Call,
    args: Translate,
) -> Result<Reply<Translated>, ToolError> {
    sized("text", &args.text)?;
    if args.to.trim().is_empty() || args.to.len() > 64 {
        return Err(ToolError::invalid("to names a language"));
    }
    let from = args.from.as_deref().map(|from| format!(" from {from}")).unwrap_or_default();
    let glossary: String =
        args.glossary.iter().map(|(word, other)| format!("\nTranslate {word:?} as {other:?}.")).collect();
    let system = format!(
        "You translate texts{from} to {}. Answer with the translation alone, keep the formatting.{glossary}",
        args.to
    );
    let texts = parts(&args.text, PART);
    let (count, mut out, mut told) = (texts.len(), Vec::new(), None::<Told>);
    for part in texts {
        let room = (tokens::estimate(part) * 3 + 256).min(LONGEST);
        let turns = vec![Turn::new(Role::System, system.clone()), Turn::new(Role::User, fenced(part))];
        let model = told.as_ref().map(|told| told.model.clone()).or_else(|| args.model.clone());
        let answer = models.ask(&call, model.as_deref(), &plain(turns, room)).await?;
        out.push(answer.said.text.trim().to_owned());
        call.progress(out.len() as f64, Some(count as f64), None);
        told = Some(answer.told.after(told));
    }
    let by = told.ok_or_else(|| ToolError::invalid("text is empty"))?;
    let (text, source) = (out.join("\n\n"), by.model.clone());
    Ok(Reply::new(Translated { text: text.clone(), parts: count, by }).text(shown(&text)).source(source))
}

/// A text.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Moderate {
    model: Option<String>,
    text: String,
}

/// A model's judgement.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Moderated {
    flagged: bool,
    /// hate, harassment, self_harm, sexual, sexual_minors, violence, weapons, fraud
    categories: Vec<String>,
    reason: String,
    by: Told,
}

pub(crate) async fn moderate(models: Arc<Models>, call: Call, args: Moderate) -> Result<Reply<Moderated>, ToolError> {
    sized("text", &args.text)?;
    let categories = json!({"type": "array", "items": {"type": "string", "enum": HARMS}, "uniqueItems": true});
    let schema = json!({
        "type": "object",
        "properties": {"categories": categories, "reason": {"type": "string", "maxLength": 500}},
        "required": ["categories", "reason"],
        "additionalProperties": false
    });
    let system = format!(
        "You judge texts for a moderator. Name the kinds of harm that the text itself does or asks for ({}); none if it only reports or discusses them. \
         Give the reason in one sentence. Answer as JSON: {{\"categories\": [..], \"reason\": \"..\"}}.",
        HARMS.join(", ")
    );
    let turns = vec![Turn::new(Role::System, system), Turn::new(Role::User, fenced(&args.text))];
    let ask = Ask { schema: Some(schema), ..plain(turns, ANSWER) };
    let answer = models.ask(&call, args.model.as_deref(), &ask).await?;
    let mut json = answer.json.unwrap_or_default();
    let categories: Vec<String> = serde_json::from_value(json["categories"].take()).unwrap_or_default();
    let reason = json["reason"].as_str().unwrap_or_default().to_owned();
    let text =
        if categories.is_empty() { "nothing".to_owned() } else { format!("{}: {reason}", categories.join(", ")) };
    let source = answer.told.model.clone();
    Ok(Reply::new(Moderated { flagged: !categories.is_empty(), categories, reason, by: answer.told })
        .text(text)
        .source(source)
        .warn("this is one model's judgement, not a policy"))
}
