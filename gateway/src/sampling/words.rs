//! A `sampling/createMessage` (MCP 2025-11-25 and 2026-07-28, sampling) → the arguments of the tool `chat`, and its result → the
//! answer. Nothing here does I/O.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::settings::sampling::Sampling;

/// What a server asks a model.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    messages: Vec<Message>,
    #[serde(default)]
    system_prompt: Option<String>,
    #[serde(default)]
    max_tokens: Option<f64>,
    #[serde(default)]
    temperature: Option<f64>,
    #[serde(default)]
    stop_sequences: Vec<String>,
    #[serde(default)]
    tools: Vec<Value>,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    content: Blocks,
}

/// One block, or several (since 2025-11-25).
#[derive(Deserialize)]
#[serde(untagged)]
enum Blocks {
    Many(Vec<Block>),
    One(Block),
}

#[derive(Deserialize)]
struct Block {
    r#type: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    data: String,
}

/// The arguments of `chat`; or why there can be no answer.
pub(super) fn arguments(params: &str, settings: &Sampling) -> Result<Value, String> {
    let asked: Asked = serde_json::from_str(params).map_err(|error| format!("the question cannot be read: {error}"))?;
    if !asked.tools.is_empty() {
        return Err("tools in a question to the model are not passed on; ask without them".into());
    }
    let mut messages: Vec<Value> =
        asked.system_prompt.iter().map(|text| json!({ "role": "system", "content": text })).collect();
    for message in asked.messages {
        messages.push(turn(message)?);
    }
    let mut arguments = Map::new();
    arguments.insert("messages".into(), messages.into());
    arguments.insert("max_tokens".into(), tokens(asked.max_tokens, settings.max_tokens).into());
    if let Some(model) = &settings.model {
        arguments.insert("model".into(), model.as_str().into());
    }
    if let Some(temperature) = asked.temperature {
        arguments.insert("temperature".into(), temperature.clamp(0.0, 2.0).into());
    }
    if !asked.stop_sequences.is_empty() {
        arguments.insert("stop".into(), asked.stop_sequences.into());
    }
    Ok(arguments.into())
}

/// What the server wants, within what the operator allows.
fn tokens(wanted: Option<f64>, most: u64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "out of range becomes the bound")]
    wanted.map_or(most, |wanted| wanted as u64).clamp(1, most)
}

fn turn(message: Message) -> Result<Value, String> {
    if !matches!(message.role.as_str(), "user" | "assistant") {
        return Err(format!("a message has the role {:?}; use user or assistant", message.role));
    }
    let blocks = match message.content {
        Blocks::One(block) => vec![block],
        Blocks::Many(blocks) => blocks,
    };
    let (mut texts, mut images) = (Vec::new(), Vec::new());
    for block in blocks {
        match block.r#type.as_str() {
            "text" => texts.push(block.text),
            "image" => images.push(block.data),
            other => return Err(format!("content of the type {other:?} is not passed on; use text and images")),
        }
    }
    let mut turn = json!({ "role": message.role, "content": texts.join("\n") });
    if !images.is_empty() {
        turn["images"] = images.into();
    }
    Ok(turn)
}

/// The answer (raw JSON) from the result of `chat` (raw JSON); or why there is none.
pub(super) fn answer(result: &str) -> Result<String, String> {
    let result: Value = serde_json::from_str(result).map_err(|_| "the model's answer cannot be read".to_owned())?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let shown = result["content"].as_array().into_iter().flatten().find_map(|block| text(&block["text"]));
    if result["isError"] == true {
        return Err(shown.unwrap_or_else(|| "the model failed".into()));
    }
    if result["resultType"] == "input_required" {
        return Err("the model asked something itself, which is not answered".into());
    }
    let data = &result["structuredContent"]["data"];
    let said = text(&data["text"]).or(shown).ok_or("the model said nothing")?;
    let stop = match data["finish"].as_str() {
        Some("length") => "maxTokens",
        _ => "endTurn",
    };
    let model = text(&data["by"]["model"]).unwrap_or_else(|| "unknown".into());
    let content = json!({ "type": "text", "text": said });
    Ok(json!({ "role": "assistant", "content": content, "model": model, "stopReason": stop }).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_becomes_a_conversation_within_the_operators_bounds() {
        let settings = Sampling { model: Some("small".into()), max_tokens: 100, ..Sampling::default() };
        let asked = r#"{"messages":[{"role":"user","content":{"type":"text","text":"a"}},{"role":"assistant","content":[{"type":"text","text":"b"},{"type":"image","data":"aQ==","mimeType":"image/png"}]}],
            "systemPrompt":"s","maxTokens":5000,"temperature":0.5,"stopSequences":["x"],"modelPreferences":{"hints":[{"name":"large"}]},"includeContext":"none"}"#;
        assert_eq!(
            arguments(asked, &settings).unwrap(),
            json!({ "messages": [{ "role": "system", "content": "s" }, { "role": "user", "content": "a" },
                { "role": "assistant", "content": "b", "images": ["aQ=="] }],
                "max_tokens": 100, "model": "small", "temperature": 0.5, "stop": ["x"] })
        );
        let least = arguments(r#"{"messages":[],"maxTokens":-3}"#, &Sampling::default()).unwrap();
        assert_eq!(least, json!({ "messages": [], "max_tokens": 1 }));
    }

    #[test]
    fn what_a_model_is_not_told_is_refused_in_words() {
        for (asked, word) in [
            ("{}", "messages"),
            (r#"{"messages":[],"tools":[{"name":"t"}]}"#, "tools"),
            (r#"{"messages":[{"role":"user","content":{"type":"audio","data":""}}]}"#, "audio"),
            (r#"{"messages":[{"role":"system","content":{"type":"text","text":""}}]}"#, "role"),
        ] {
            let why = arguments(asked, &Sampling::default()).unwrap_err();
            assert!(why.contains(word), "{why}");
        }
    }

    #[test]
    fn a_result_becomes_an_answer_and_a_failure_a_reason() {
        let result = r#"{"content":[{"type":"text","text":"t"}],"structuredContent":{"data":{"text":"Paris","finish":"length","by":{"model":"m/1"}}}}"#;
        let said: Value = serde_json::from_str(&answer(result).unwrap()).unwrap();
        assert_eq!(
            said,
            json!({ "role": "assistant", "content": { "type": "text", "text": "Paris" }, "model": "m/1", "stopReason": "maxTokens" })
        );
        let failed = r#"{"isError":true,"content":[{"type":"text","text":"no budget left"}]}"#;
        assert_eq!(answer(failed).unwrap_err(), "no budget left");
        assert!(answer(r#"{"resultType":"input_required","inputRequests":{}}"#).unwrap_err().contains("asked"));
        assert!(answer("{}").is_err());
    }
}
