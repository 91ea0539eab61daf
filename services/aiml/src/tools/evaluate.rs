//! Examples with expected answers → how well a model does on them.

use std::{collections::HashMap, sync::Arc};

use futures_util::{StreamExt as _, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use weft_kit::{Call, Reply, ToolError};

use super::{LONGEST, plain, sized};
use crate::{
    Models,
    model::{Ask, Capability, Role, Turn},
    shape::json_in,
    told::Told,
};

const CASES: usize = 50;
const ANSWER: u64 = 512;
/// Bytes of an answer that are shown of a case that went wrong.
const SHOWN: usize = 300;

/// How an answer is compared with what was expected.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Measure {
    /// Equal, apart from case and white space around.
    #[default]
    Exact,
    /// The expected text is in the answer.
    Contains,
    /// F1 of the words.
    WordF1,
    /// Equal as JSON.
    Json,
}

/// One example.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    input: String,
    expected: String,
}

/// Examples and a model.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Evaluate {
    model: Option<String>,
    /// Up to 50.
    cases: Vec<Case>,
    /// What the model is told before each input.
    system: Option<String>,
    #[serde(default)]
    measure: Measure,
    max_tokens: Option<u64>,
}

/// One example's outcome.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Outcome {
    index: usize,
    score: f64,
    /// What was answered, or what went wrong; only where the score is below 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<String>,
}

/// How well it did.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Evaluated {
    /// Mean over all cases; one that failed counts 0.
    score: f64,
    cases: usize,
    failed: usize,
    median_ms: u64,
    slowest_ms: u64,
    outcomes: Vec<Outcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<Told>,
}

#[expect(clippy::cast_precision_loss, reason = "at most fifty")]
pub(crate) async fn evaluate(models: Arc<Models>, call: Call, args: Evaluate) -> Result<Reply<Evaluated>, ToolError> {
    if args.cases.is_empty() || args.cases.len() > CASES {
        return Err(ToolError::invalid(format!("cases: 1 to {CASES} of them")));
    }
    let max_tokens = args.max_tokens.unwrap_or(ANSWER);
    if !(1..=LONGEST).contains(&max_tokens) {
        return Err(ToolError::invalid(format!("max_tokens is 1 to {LONGEST}")));
    }
    args.cases.iter().try_for_each(|case| sized("input", &case.input))?;
    let route = models.route(&call, args.model.as_deref(), Capability::Chat).await?;
    // One model for all cases: a fallback would measure something else.
    let name = route[0].name();
    let at_once = route[0].source.concurrency(&route[0].model.id).max(1);
    let (models, call, name) = (&models, &call, &name);
    let mut running = stream::iter(args.cases.iter().cloned().enumerate())
        .map(|(index, case)| {
            let mut turns: Vec<Turn> =
                args.system.iter().map(|system| Turn::new(Role::System, system.clone())).collect();
            turns.push(Turn::new(Role::User, case.input));
            async move {
                let ask = Ask { anew: true, ..plain(turns, max_tokens) };
                let answer = models.ask(call, Some(name), &ask).await;
                (index, case.expected, answer)
            }
        })
        .buffer_unordered(at_once);
    let (mut outcomes, mut times, mut by, mut failed) = (Vec::new(), Vec::new(), None::<Told>, 0);
    while let Some((index, expected, answer)) = running.next().await {
        call.check()?;
        let outcome = match answer {
            Ok(answer) => {
                times.push(answer.told.model_ms);
                let score = score(args.measure, &expected, &answer.said.text);
                by = Some(answer.told.after(by));
                let shown = (score < 1.0).then(|| answer.said.text.chars().take(SHOWN).collect());
                Outcome { index, score, answer: shown }
            }
            Err(error) => {
                failed += 1;
                Outcome { index, score: 0.0, answer: Some(error.to_string()) }
            }
        };
        outcomes.push(outcome);
        call.progress(outcomes.len() as f64, Some(args.cases.len() as f64), None);
    }
    outcomes.sort_by_key(|outcome| outcome.index);
    times.sort_unstable();
    let score = outcomes.iter().map(|outcome| outcome.score).sum::<f64>() / outcomes.len() as f64;
    let cases = outcomes.len();
    let text = format!("{name}: {score:.3} over {cases} cases, {failed} of them failed");
    let (median_ms, slowest_ms) =
        (times.get(times.len() / 2).copied().unwrap_or(0), times.last().copied().unwrap_or(0));
    Ok(Reply::new(Evaluated { score, cases, failed, median_ms, slowest_ms, outcomes, by })
        .text(text)
        .source(name.clone()))
}

fn score(measure: Measure, expected: &str, answer: &str) -> f64 {
    let plain = |text: &str| text.trim().to_lowercase();
    let right = match measure {
        Measure::Exact => plain(expected) == plain(answer),
        Measure::Contains => plain(answer).contains(&plain(expected)),
        Measure::Json => {
            serde_json::from_str::<Value>(expected).ok().is_some_and(|expected| json_in(answer) == Some(expected))
        }
        Measure::WordF1 => return f1(expected, answer),
    };
    f64::from(u8::from(right))
}

/// Words in common, over the mean of both lengths.
#[expect(clippy::cast_precision_loss, reason = "words are far fewer than 2^52")]
fn f1(expected: &str, answer: &str) -> f64 {
    let mut left: HashMap<String, usize> = HashMap::new();
    weft_embed::words(expected).for_each(|word| *left.entry(word).or_default() += 1);
    let wanted: usize = left.values().sum();
    let (mut given, mut same) = (0_usize, 0_usize);
    for word in weft_embed::words(answer) {
        given += 1;
        if let Some(count) = left.get_mut(&word).filter(|count| **count > 0) {
            *count -= 1;
            same += 1;
        }
    }
    if wanted + given == 0 { 1.0 } else { 2.0 * same as f64 / (wanted + given) as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_measured_as_asked() {
        let cases = [
            (Measure::Exact, "Paris", " paris\n", 1.0),
            (Measure::Exact, "Paris", "Paris.", 0.0),
            (Measure::Contains, "Paris", "It is paris.", 1.0),
            (Measure::Json, "{\"a\": 1, \"b\": 2}", "```json\n{\"b\":2,\"a\":1}\n```", 1.0),
            (Measure::Json, "no json", "no json", 0.0),
            (Measure::WordF1, "the red fox", "a red fox", 2.0 / 3.0),
            (Measure::WordF1, "", "", 1.0),
        ];
        for (measure, expected, answer, right) in cases {
            assert!((score(measure, expected, answer) - right).abs() < 1e-9, "{measure:?} {expected:?} {answer:?}");
        }
    }
}
