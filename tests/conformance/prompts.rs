//! Prompts, and completion of their arguments.

use rmcp::{
    ErrorData, RoleServer,
    model::{GetPromptRequestParams, GetPromptResponse, GetPromptResult, InputRequiredResult},
    service::RequestContext,
};
use serde_json::{Value, json};

use crate::{
    server::typed,
    tools::{ask::form, content::PIXEL, in_session, rounds::accepted},
};

pub(crate) fn list() -> Value {
    let argument =
        |name: &str| json!({ "name": name, "description": format!("The value of {name}."), "required": true });
    json!({ "resultType": "complete", "ttlMs": 60_000, "cacheScope": "public", "prompts": [
        { "name": "test_input_required_result_prompt", "description": "Asks for its context first." },
        { "name": "test_prompt_with_arguments", "description": "Repeats its arguments.", "arguments": [argument("arg1"), argument("arg2")] },
        { "name": "test_prompt_with_embedded_resource", "description": "Embeds a resource.", "arguments": [argument("resourceUri")] },
        { "name": "test_prompt_with_image", "description": "Shows an image." },
        { "name": "test_simple_prompt", "description": "Says the same every time." },
    ] })
}

pub(crate) fn get(request: &GetPromptRequestParams) -> Result<GetPromptResponse, ErrorData> {
    let argument = |name: &str| {
        request.arguments.as_ref().and_then(|all| all.get(name)).and_then(Value::as_str).unwrap_or_default()
    };
    let contents = match request.name.as_str() {
        "test_simple_prompt" => vec![text("This is a simple prompt for testing.")],
        "test_prompt_with_arguments" => {
            vec![text(&format!("Prompt with arguments: arg1='{}', arg2='{}'", argument("arg1"), argument("arg2")))]
        }
        "test_prompt_with_embedded_resource" => {
            let resource = json!({ "uri": argument("resourceUri"), "mimeType": "text/plain", "text": "Embedded resource content for testing." });
            vec![
                json!({ "type": "resource", "resource": resource }),
                text("Please process the embedded resource above."),
            ]
        }
        "test_prompt_with_image" => {
            vec![
                json!({ "type": "image", "data": PIXEL, "mimeType": "image/png" }),
                text("Please analyze the image above."),
            ]
        }
        "test_input_required_result_prompt" => {
            match accepted(request.input_responses.as_ref(), "user_context", "context") {
                Some(context) => vec![text(&format!("Use this context: {context}"))],
                None => return ask(),
            }
        }
        other => return Err(ErrorData::invalid_params(format!("no prompt is called {other}"), None)),
    };
    let messages: Vec<_> = contents.into_iter().map(|content| json!({ "role": "user", "content": content })).collect();
    let result: GetPromptResult = typed(json!({ "resultType": "complete", "messages": messages }))?;
    Ok(result.into())
}

fn ask() -> Result<GetPromptResponse, ErrorData> {
    Ok(InputRequiredResult::from_input_requests(typed(json!({ "user_context": question() }))?).into())
}

fn question() -> Value {
    form("What context should the prompt use?", &json!({ "context": { "type": "string" } }), &["context"])
}

/// The same for a client of the session era, which is asked while its request goes on.
pub(crate) async fn get_in_session(
    mut request: GetPromptRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<GetPromptResponse, ErrorData> {
    if let GetPromptResponse::InputRequired(_) = get(&request)? {
        let answer = in_session::ask(context, &question()).await;
        let answer = answer.map_err(|reason| ErrorData::internal_error(reason, None))?;
        request.input_responses = typed(json!({ "user_context": answer }))?;
    }
    get(&request)
}

fn text(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

/// The known values that begin like this one.
pub(crate) fn complete(value: &str) -> Value {
    let values: Vec<_> =
        ["paris", "park", "party", "test"].into_iter().filter(|known| known.starts_with(value)).collect();
    json!({ "resultType": "complete", "completion": { "total": values.len(), "values": values, "hasMore": false } })
}
