//! Tools of the session era that ask the client while they run, by requests of their own: a sample from its model, a form
//! for its user.

use std::time::Duration;

use rmcp::model::{CreateMessageRequestParams, ElicitRequestParams};
use serde_json::{Value, json};

use super::{Call, Outcome, failure, plain, text, with_arguments};
use crate::server::typed;

const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn tools() -> Vec<Value> {
    let one =
        |name: &str| json!({ "type": "object", "properties": { name: { "type": "string" } }, "required": [name] });
    vec![
        with_arguments("test_sampling", "Asks the client's model.", &one("prompt")),
        with_arguments("test_elicitation", "Asks the client's user.", &one("message")),
        plain("test_elicitation_sep1034_defaults", "Asks with a default for each primitive type."),
        plain("test_elicitation_sep1330_enums", "Asks with each kind of enumeration."),
    ]
}

/// A question to the user as it goes over the wire: `properties` of the form, and which of them are required.
pub(crate) fn form(message: &str, properties: &Value, required: &[&str]) -> Value {
    json!({ "method": "elicitation/create", "params": { "mode": "form", "message": message,
        "requestedSchema": { "type": "object", "properties": properties, "required": required } } })
}

/// A question to the client's model as it goes over the wire.
pub(crate) fn sample(prompt: &str, tokens: u32) -> Value {
    json!({ "method": "sampling/createMessage", "params": {
        "messages": [{ "role": "user", "content": { "type": "text", "text": prompt } }], "maxTokens": tokens } })
}

pub(super) async fn call(call: &Call) -> Outcome {
    let asked = match call.name() {
        "test_sampling" => model(call, call.argument("prompt")).await.map(|answer| format!("LLM response: {answer}")),
        "test_elicitation" => {
            let fields = json!({
                "username": { "type": "string", "description": "User's response" },
                "email": { "type": "string", "description": "User's email address" },
            });
            user(call, &form(call.argument("message"), &fields, &["username", "email"]))
                .await
                .map(|answer| format!("User response: {answer}"))
        }
        "test_elicitation_sep1034_defaults" => user(call, &form("Check the defaults.", &defaults(), &[]))
            .await
            .map(|answer| format!("Elicitation completed: {answer}")),
        "test_elicitation_sep1330_enums" => user(call, &form("Choose.", &enumerations(), &[]))
            .await
            .map(|answer| format!("Elicitation completed: {answer}")),
        _ => return None,
    };
    Some(match asked {
        Ok(answer) => text(answer),
        Err(reason) => Ok(failure(reason).into()),
    })
}

async fn model(call: &Call, prompt: &str) -> Result<String, String> {
    if call.client().sampling.is_none() {
        return Err("the client offers no sampling".to_owned());
    }
    let mut question = sample(prompt, 100);
    let params: CreateMessageRequestParams = typed(question["params"].take()).map_err(|error| error.to_string())?;
    let answer = call.context.peer.create_message(params).await.map_err(|error| error.to_string())?;
    let answer = serde_json::to_value(answer).map_err(|error| error.to_string())?;
    Ok(answer["content"]["text"].as_str().unwrap_or_default().to_owned())
}

async fn user(call: &Call, question: &Value) -> Result<String, String> {
    if call.client().elicitation.is_none() {
        return Err("the client offers no elicitation".to_owned());
    }
    let params: ElicitRequestParams = typed(question["params"].clone()).map_err(|error| error.to_string())?;
    let answer = call
        .context
        .peer
        .create_elicitation_with_timeout(params, Some(PATIENCE))
        .await
        .map_err(|error| error.to_string())?;
    let answer = serde_json::to_value(answer).map_err(|error| error.to_string())?;
    Ok(format!("action={}, content={}", answer["action"].as_str().unwrap_or_default(), answer["content"]))
}

fn defaults() -> Value {
    json!({
        "name": { "type": "string", "default": "John Doe" },
        "age": { "type": "integer", "default": 30 },
        "score": { "type": "number", "default": 95.5 },
        "status": { "type": "string", "enum": ["active", "inactive", "pending"], "default": "active" },
        "verified": { "type": "boolean", "default": true },
    })
}

fn enumerations() -> Value {
    let titled = |noun: &str| {
        let option = |value: &str, rank: &str| json!({ "const": value, "title": format!("{rank} {noun}") });
        json!([option("value1", "First"), option("value2", "Second"), option("value3", "Third")])
    };
    let plain = json!({ "type": "string", "enum": ["option1", "option2", "option3"] });
    json!({
        "untitledSingle": plain,
        "titledSingle": { "type": "string", "oneOf": titled("Option") },
        "legacyEnum": { "type": "string", "enum": ["opt1", "opt2", "opt3"], "enumNames": ["Option One", "Option Two", "Option Three"] },
        "untitledMulti": { "type": "array", "items": plain },
        "titledMulti": { "type": "array", "items": { "anyOf": titled("Choice") } },
    })
}
