//! Tools that ask the client one thing while they run: a sample from its model, a form for its user. In the session era by a
//! request of their own, in the stateless era by a result that asks for it.

use serde_json::{Value, json};

use super::{Call, Outcome, failure, in_session, plain, rounds, text, with_arguments};

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

/// What is asked of the client: its model, or its user.
fn question(call: &Call) -> Option<Value> {
    let fields = json!({
        "username": { "type": "string", "description": "User's response" },
        "email": { "type": "string", "description": "User's email address" },
    });
    Some(match call.name() {
        "test_sampling" => sample(call.argument("prompt"), 100),
        "test_elicitation" => form(call.argument("message"), &fields, &["username", "email"]),
        "test_elicitation_sep1034_defaults" => form("Check the defaults.", &defaults(), &[]),
        "test_elicitation_sep1330_enums" => form("Choose.", &enumerations(), &[]),
        _ => return None,
    })
}

fn told(call: &Call, answer: &Value) -> String {
    let form = || format!("action={}, content={}", answer["action"].as_str().unwrap_or_default(), answer["content"]);
    match call.name() {
        "test_sampling" => format!("LLM response: {}", answer["content"]["text"].as_str().unwrap_or_default()),
        "test_elicitation" => format!("User response: {}", form()),
        _ => format!("Elicitation completed: {}", form()),
    }
}

pub(super) async fn call(call: &Call) -> Outcome {
    let question = question(call)?;
    if !call.has_session() {
        let answers = call.request.input_responses.as_ref();
        return Some(match answers.and_then(|all| all.get("asked")) {
            Some(answer) => text(told(call, answer)),
            None => rounds::ask(json!({ "asked": question }), None),
        });
    }
    Some(match in_session::ask(&call.context, &question).await {
        Ok(answer) => text(told(call, &answer)),
        Err(reason) => Ok(failure(reason).into()),
    })
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
