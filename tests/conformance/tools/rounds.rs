//! Tools of the stateless era that need input: each call gives either a result or the questions whose answers the next
//! call must bring, with a sealed state where one round builds on another.

use rmcp::{
    ErrorData,
    model::{CallToolResponse, ClientCapabilities, InputRequiredResult, InputResponses},
};
use serde_json::{Value, json};

use super::{
    Call, Outcome,
    ask::{form, sample},
    plain, text,
};
use crate::server::{Shared, typed};

const PREFIX: &str = "test_input_required_result_";

pub(super) fn tools() -> Vec<Value> {
    let described = [
        ("elicitation", "Asks the user's name."),
        ("sampling", "Asks the model for a capital."),
        ("list_roots", "Asks for the roots."),
        ("request_state", "Asks for a confirmation and checks its own state."),
        ("multiple_inputs", "Asks three things at once."),
        ("multi_round", "Asks one thing after the other."),
        ("tampered_state", "Notices a changed state."),
        ("capabilities", "Asks only what the client can answer."),
    ];
    let mut all: Vec<_> = described.iter().map(|(name, about)| plain(&format!("{PREFIX}{name}"), about)).collect();
    all.push(plain("test_missing_capability", "Needs a client with sampling."));
    all.push(plain("test_streaming_elicitation", "Asks the user by its result, never by a request on its stream."));
    all
}

pub(super) fn call(call: &Call) -> Outcome {
    round(call, call.request.input_responses.as_ref(), call.request.request_state.as_deref())
}

/// One round of a call, with what it brings.
pub(super) fn round(call: &Call, answers: Option<&InputResponses>, state: Option<&str>) -> Outcome {
    let name = call.name();
    if name == "test_missing_capability" {
        return Some(needs_sampling(&call.client()));
    }
    let kind = if name == "test_streaming_elicitation" { "elicitation" } else { name.strip_prefix(PREFIX)? };
    Some(match kind {
        "elicitation" => match accepted(answers, "user_name", "name") {
            Some(name) => text(format!("Hello, {name}!")),
            None => ask(json!({ "user_name": name_form("What is your name?") }), None),
        },
        "sampling" => match answers
            .and_then(|all| all.get("capital_question"))
            .and_then(|answer| answer["content"]["text"].as_str())
        {
            Some(capital) => text(format!("The model says: {capital}")),
            None => ask(json!({ "capital_question": sample("What is the capital of France?", 100) }), None),
        },
        "list_roots" => {
            match answers.and_then(|all| all.get("client_roots")).and_then(|answer| answer["roots"].as_array()) {
                Some(roots) => text(format!("Roots: {}", json!(roots))),
                None => ask(json!({ "client_roots": roots() }), None),
            }
        }
        "request_state" | "tampered_state" => confirmed(call, answers, state),
        "multiple_inputs" => several(call, answers, state),
        "multi_round" => one_after_the_other(call, answers, state),
        "capabilities" => what_the_client_can(&call.client(), answers),
        _ => return None,
    })
}

type Round = Result<CallToolResponse, ErrorData>;

fn needs_sampling(client: &ClientCapabilities) -> Result<CallToolResponse, ErrorData> {
    if client.sampling.is_none() {
        return Err(ErrorData::missing_required_client_capability(typed(json!({ "sampling": {} }))?));
    }
    text("The client offers sampling.")
}

/// The string that the user put into a field of an accepted form.
pub(crate) fn accepted(answers: Option<&InputResponses>, key: &str, field: &str) -> Option<String> {
    let answer = answers?.get(key)?;
    let content = (answer["action"] == "accept").then(|| &answer["content"][field])?;
    content.as_str().map(str::to_owned)
}

fn name_form(message: &str) -> Value {
    form(message, &json!({ "name": { "type": "string" } }), &["name"])
}

fn roots() -> Value {
    json!({ "method": "roots/list", "params": {} })
}

/// Asks; `state` comes back sealed with the answers.
pub(super) fn ask(questions: Value, state: Option<String>) -> Result<CallToolResponse, ErrorData> {
    Ok(InputRequiredResult::new(Some(typed(questions)?), state).into())
}

fn seal(shared: &Shared, state: &Value) -> Result<Option<String>, ErrorData> {
    let sealed = shared.seal.seal_json(state).map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
    Ok(Some(sealed))
}

/// The state that the call brings, if it brings one; a changed one is refused.
fn open(call: &Call, state: Option<&str>) -> Result<Option<Value>, ErrorData> {
    let Some(sealed) = state else { return Ok(None) };
    let refused =
        |_| ErrorData::invalid_params("the request state was changed on its way: begin again without it", None);
    call.shared.seal.open_json(sealed).map(Some).map_err(refused)
}

fn confirmed(call: &Call, answers: Option<&InputResponses>, state: Option<&str>) -> Round {
    let state = open(call, state)?;
    let answered = answers.is_some_and(|answers| answers.contains_key("confirm"));
    if state.is_some_and(|state| state["asked"] == "confirm") && answered {
        return text("Confirmed, state-ok.");
    }
    let question = form("Please confirm", &json!({ "ok": { "type": "boolean" } }), &["ok"]);
    ask(json!({ "confirm": question }), seal(&call.shared, &json!({ "asked": "confirm" }))?)
}

fn several(call: &Call, answers: Option<&InputResponses>, state: Option<&str>) -> Round {
    let keys = ["user_name", "greeting", "client_roots"];
    if open(call, state)?.is_some() && answers.is_some_and(|answers| keys.iter().all(|key| answers.contains_key(*key)))
    {
        return text(format!("All three were answered: {}", json!(answers)));
    }
    let questions = json!({
        "user_name": name_form("What is your name?"), "greeting": sample("Generate a greeting", 50), "client_roots": roots(),
    });
    ask(questions, seal(&call.shared, &json!({ "asked": keys }))?)
}

fn one_after_the_other(call: &Call, answers: Option<&InputResponses>, state: Option<&str>) -> Round {
    let state = open(call, state)?.unwrap_or_default();
    if let (Some(name), Some(color)) = (state["name"].as_str(), accepted(answers, "step2", "color")) {
        return text(format!("{name} likes {color}."));
    }
    let name = state["name"].as_str().map(str::to_owned);
    let first = accepted(answers, "step1", "name").filter(|_| state["step"] == 1);
    if let Some(name) = name.or(first) {
        let question =
            form("Step 2: What is your favorite color?", &json!({ "color": { "type": "string" } }), &["color"]);
        return ask(json!({ "step2": question }), seal(&call.shared, &json!({ "step": 2, "name": name }))?);
    }
    ask(json!({ "step1": name_form("Step 1: What is your name?") }), seal(&call.shared, &json!({ "step": 1 }))?)
}

fn what_the_client_can(
    client: &ClientCapabilities,
    answers: Option<&InputResponses>,
) -> Result<CallToolResponse, ErrorData> {
    let mut questions = serde_json::Map::new();
    if client.elicitation.is_some() {
        questions.insert("user_name".to_owned(), name_form("What is your name?"));
    }
    if client.sampling.is_some() {
        questions.insert("greeting".to_owned(), sample("Generate a greeting", 50));
    }
    if client.roots.is_some() {
        questions.insert("client_roots".to_owned(), roots());
    }
    let answered = answers.is_some_and(|answers| questions.keys().all(|key| answers.contains_key(key)));
    if questions.is_empty() || answered {
        return text("There is nothing left to ask.");
    }
    ask(Value::Object(questions), None)
}
