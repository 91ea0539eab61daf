//! Tools and prompts that need more input first: multi-round-trip requests of 2026-07-28.

use rmcp::{
    ErrorData, RoleServer,
    model::{CallToolRequestParams, CallToolResponse, InputRequiredResult, InputResponses},
    service::RequestContext,
};
use serde_json::{Value, json};

use crate::answers::{text, typed};

/// The state that the suite may tamper with: a checksum stands for a seal.
const STATE: &str = "state-5f2b";

/// A form that asks for one text.
fn form(message: &str, field: &str) -> Value {
    json!({ "method": "elicitation/create", "params": { "mode": "form", "message": message, "requestedSchema": { "type": "object", "properties": { field: { "type": "string" } }, "required": [field] } } })
}

fn sampling() -> Value {
    json!({ "method": "sampling/createMessage", "params": { "messages": [{ "role": "user", "content": { "type": "text", "text": "What is the capital of France?" } }], "maxTokens": 100 } })
}

fn roots() -> Value {
    json!({ "method": "roots/list", "params": {} })
}

/// Asks for input.
pub(crate) fn ask(requests: Value, state: Option<&str>) -> Result<InputRequiredResult, ErrorData> {
    let mut result = json!({ "resultType": "input_required", "inputRequests": requests });
    if let Some(state) = state {
        result["requestState"] = json!(state);
    }
    typed(result)
}

fn answered<'a>(responses: Option<&'a InputResponses>, key: &str) -> Option<&'a Value> {
    responses.and_then(|responses| responses.get(key)).filter(|answer| answer.is_object())
}

/// The answer of a form was accepted and has the field.
fn accepted(answer: &Value, field: &str) -> bool {
    answer["action"] == "accept" && answer["content"][field].is_string()
}

/// A call of one of these tools; none for others.
#[expect(clippy::too_many_lines, reason = "one arm for each tool of the suite")]
pub(crate) fn call(
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Option<Result<CallToolResponse, ErrorData>> {
    let responses = request.input_responses.as_ref();
    let state = request.request_state.as_deref();
    let complete = |said: &str| text(said).map(CallToolResponse::Complete);
    let asked = |requests: Value, state: Option<&str>| ask(requests, state).map(CallToolResponse::InputRequired);
    Some(match &*request.name {
        "test_input_required_result_elicitation" | "test_streaming_elicitation" => {
            match answered(responses, "user_name") {
                Some(answer) if accepted(answer, "name") => {
                    complete(&format!("Hello, {}!", answer["content"]["name"].as_str().unwrap_or_default()))
                }
                _ => asked(json!({ "user_name": form("What is your name?", "name") }), None),
            }
        }
        "test_input_required_result_sampling" => match answered(responses, "capital_question") {
            Some(answer) => {
                complete(&answer["content"]["text"].as_str().map_or_else(|| answer.to_string(), str::to_owned))
            }
            None => asked(json!({ "capital_question": sampling() }), None),
        },
        "test_input_required_result_list_roots" => match answered(responses, "client_roots") {
            Some(answer) => complete(&format!("Roots: {}", answer["roots"])),
            None => asked(json!({ "client_roots": roots() }), None),
        },
        "test_input_required_result_request_state" | "test_input_required_result_tampered_state" => {
            match (answered(responses, "confirm"), state) {
                (_, Some(given)) if given != STATE => {
                    Err(ErrorData::invalid_params("the requestState is not the one that was given", None))
                }
                (Some(_), Some(_)) => complete("state-ok"),
                _ => asked(
                    json!({ "confirm": json!({ "method": "elicitation/create", "params": { "mode": "form", "message": "Please confirm", "requestedSchema": { "type": "object", "properties": { "ok": { "type": "boolean" } }, "required": ["ok"] } } }) }),
                    Some(STATE),
                ),
            }
        }
        "test_input_required_result_multiple_inputs" => {
            let all = ["user_name", "greeting", "client_roots"].iter().all(|key| answered(responses, key).is_some());
            if all {
                complete("All inputs were given.")
            } else {
                asked(
                    json!({ "user_name": form("What is your name?", "name"), "greeting": sampling(), "client_roots": roots() }),
                    Some(STATE),
                )
            }
        }
        "test_input_required_result_multi_round" => {
            match (state, answered(responses, "step1"), answered(responses, "step2")) {
                (Some("round-2"), _, Some(_)) => complete("Both rounds are done."),
                (Some("round-1"), Some(_), _) => {
                    asked(json!({ "step2": form("Step 2: What is your favorite color?", "color") }), Some("round-2"))
                }
                _ => asked(json!({ "step1": form("Step 1: What is your name?", "name") }), Some("round-1")),
            }
        }
        "test_input_required_result_capabilities" => {
            let capabilities = context.client_capabilities();
            let declared =
                capabilities.and_then(|capabilities| serde_json::to_value(capabilities).ok()).unwrap_or_default();
            if responses.is_some_and(|responses| !responses.is_empty()) {
                return Some(complete("Only what was declared was asked for."));
            }
            let mut requests = serde_json::Map::new();
            for (capability, key, request) in [
                ("elicitation", "user_name", form("What is your name?", "name")),
                ("sampling", "capital_question", sampling()),
                ("roots", "client_roots", roots()),
            ] {
                if declared[capability].is_object() {
                    requests.insert(key.to_owned(), request);
                }
            }
            if requests.is_empty() {
                complete("Nothing may be asked for.")
            } else {
                asked(Value::Object(requests), None)
            }
        }
        _ => return None,
    })
}

/// The prompt that needs input.
pub(crate) fn prompt(responses: Option<&InputResponses>) -> Result<Option<InputRequiredResult>, ErrorData> {
    match answered(responses, "user_context") {
        Some(_) => Ok(None),
        None => ask(json!({ "user_context": form("What context should the prompt use?", "context") }), None).map(Some),
    }
}

/// A form with defaults of every type (SEP-1034).
pub(crate) fn defaults() -> Value {
    json!({ "type": "object", "properties": {
        "name": { "type": "string", "default": "John Doe" },
        "age": { "type": "integer", "default": 30 },
        "score": { "type": "number", "default": 95.5 },
        "status": { "type": "string", "enum": ["active", "inactive", "pending"], "default": "active" },
        "verified": { "type": "boolean", "default": true }
    }, "required": [] })
}

/// A form with enumerations of every form (SEP-1330).
pub(crate) fn enums() -> Value {
    let titled = json!([{ "const": "value1", "title": "First Option" }, { "const": "value2", "title": "Second Option" }, { "const": "value3", "title": "Third Option" }]);
    json!({ "type": "object", "properties": {
        "untitledSingle": { "type": "string", "enum": ["option1", "option2", "option3"] },
        "titledSingle": { "type": "string", "oneOf": titled },
        "legacyEnum": { "type": "string", "enum": ["opt1", "opt2", "opt3"], "enumNames": ["Option One", "Option Two", "Option Three"] },
        "untitledMulti": { "type": "array", "items": { "type": "string", "enum": ["option1", "option2", "option3"] } },
        "titledMulti": { "type": "array", "items": { "anyOf": titled } }
    }, "required": [] })
}
