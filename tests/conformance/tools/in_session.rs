//! The tools that need input, for clients of the session era: the same rounds, but what a round asks for is asked by requests of
//! the server, all at once, while the call goes on.

use std::time::Duration;

use futures_util::future::join_all;
use rmcp::{
    RoleServer,
    model::{CallToolResponse, CreateMessageRequestParams, ElicitRequestParams, InputResponses},
    service::RequestContext,
};
use serde_json::{Value, json};

use super::{Call, Outcome, failure, rounds};
use crate::server::typed;

const PATIENCE: Duration = Duration::from_secs(60);

pub(super) async fn call(call: &Call) -> Outcome {
    let (mut answers, mut state) = (None::<InputResponses>, None::<String>);
    loop {
        let round = rounds::round(call, answers.as_ref(), state.as_deref())?;
        let Ok(CallToolResponse::InputRequired(wanted)) = round else { return Some(round) };
        let wanted = serde_json::to_value(wanted).unwrap_or_default();
        state = wanted["requestState"].as_str().map(str::to_owned);
        let questions = wanted["inputRequests"].as_object().cloned().unwrap_or_default();
        let asked =
            join_all(questions.iter().map(|(key, question)| async move { (key, ask(&call.context, question).await) }))
                .await;
        let mut all = serde_json::Map::new();
        for (key, answer) in asked {
            match answer {
                Ok(answer) => all.insert(key.clone(), answer),
                Err(reason) => return Some(Ok(failure(reason).into())),
            };
        }
        answers = typed(Value::Object(all)).ok();
    }
}

/// Asks the client one thing, and waits.
pub(crate) async fn ask(context: &RequestContext<RoleServer>, question: &Value) -> Result<Value, String> {
    let (client, peer) = (context.client_capabilities().unwrap_or_default(), &context.peer);
    let refused = |error: rmcp::ServiceError| error.to_string();
    let wrong = |error: rmcp::ErrorData| error.to_string();
    let answer = match question["method"].as_str().unwrap_or_default() {
        "sampling/createMessage" if client.sampling.is_none() => return Err("the client offers no sampling".to_owned()),
        "elicitation/create" if client.elicitation.is_none() => {
            return Err("the client offers no elicitation".to_owned());
        }
        "roots/list" if client.roots.is_none() => return Err("the client offers no roots".to_owned()),
        "sampling/createMessage" => {
            let params: CreateMessageRequestParams = typed(question["params"].clone()).map_err(wrong)?;
            json!(peer.create_message(params).await.map_err(refused)?)
        }
        "elicitation/create" => {
            let params: ElicitRequestParams = typed(question["params"].clone()).map_err(wrong)?;
            let asked = peer.create_elicitation_with_timeout(params, Some(PATIENCE)).await;
            json!(asked.map_err(refused)?)
        }
        "roots/list" => json!(peer.list_roots().await.map_err(refused)?),
        other => return Err(format!("nobody can be asked for {other}")),
    };
    Ok(answer)
}
