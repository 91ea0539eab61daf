//! The one question that a service ever asks: may this planned act happen? Asked of the user through the client, inside the call
//! (multi-round-trip requests, 2026-07-28), never over a connection of our own.

use rmcp::model::{CallToolResponse, InputRequest, InputRequiredResult, InputResponses, ProtocolVersion};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use serde_json::{Value, json};

use crate::perform::Consent;

/// Under which the question and its answer travel.
const KEY: &str = "confirm";

/// What this request says about consent.
pub(crate) fn consent(
    context: &RequestContext<RoleServer>,
    answers: Option<&InputResponses>,
    state: Option<String>,
) -> Consent {
    let answer = answers.and_then(|answers| answers.get(KEY)).map(accepted);
    Consent { can_ask: can_ask(context), answer, state }
}

/// Whether this very request declared that its user can be asked.
fn can_ask(context: &RequestContext<RoleServer>) -> bool {
    let stateless = context.protocol_version().is_some_and(|version| version >= ProtocolVersion::V_2026_07_28);
    let elicits = || context.client_capabilities()?.elicitation;
    stateless && elicits().is_some_and(|elicitation| elicitation.form.is_some() || elicitation.url.is_none())
}

/// Only a plain yes is a yes.
fn accepted(answer: &Value) -> bool {
    answer["action"] == "accept" && answer["content"]["apply"] == json!(true)
}

/// The question, with our token for the answer to come back with.
pub(crate) fn ask(summary: &str, state: String) -> Result<CallToolResponse, ErrorData> {
    let request = json!({
        "method": "elicitation/create",
        "params": {
            "mode": "form",
            "message": format!("{summary}\nDo it?"),
            "requestedSchema": {
                "type": "object",
                "properties": {"apply": {"type": "boolean", "title": "Do it", "default": false}},
                "required": ["apply"]
            }
        }
    });
    let request: InputRequest =
        serde_json::from_value(request).map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
    let requests = [(KEY.to_owned(), request)].into();
    Ok(InputRequiredResult::new(Some(requests), Some(state)).into())
}
