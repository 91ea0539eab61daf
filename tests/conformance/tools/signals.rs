//! Tools that say something besides their result: progress, log messages, changes of lists, and a stream that ends early
//! so that the client has to come back for the rest.

use std::time::Duration;

use rmcp::model::{LoggingMessageNotificationParam, ProgressNotificationParam};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{Call, Outcome, plain, text};
use crate::{changes::Change, server::typed};

const STEP: Duration = Duration::from_millis(50);
/// How many streams of one session are looked at for the one that is to be closed.
const STREAMS: u64 = 64;

pub(super) fn tools() -> Vec<Value> {
    vec![
        plain("test_tool_with_progress", "Reports progress three times."),
        plain("test_tool_with_logging", "Logs three messages."),
        plain("test_logging_tool", "Logs three messages for those who ask for them."),
        plain("test_reconnection", "Closes its stream before the result, which waits for whoever resumes."),
        plain("test_trigger_tool_change", "Tells listeners that the tools changed."),
        plain("test_trigger_prompt_change", "Tells listeners that the prompts changed."),
        plain("test_trigger_resource_change", "Tells listeners that the watched resource changed."),
    ]
}

pub(super) async fn call(call: &Call) -> Outcome {
    let change = match call.name() {
        "test_tool_with_progress" => {
            progress(call).await;
            return Some(text("Progress was reported."));
        }
        "test_tool_with_logging" | "test_logging_tool" => {
            log(call).await;
            return Some(text("Messages were logged."));
        }
        "test_reconnection" => {
            reconnect(call).await;
            return Some(text("The stream was closed and taken up again."));
        }
        "test_trigger_tool_change" => Change::Tools,
        "test_trigger_prompt_change" => Change::Prompts,
        "test_trigger_resource_change" => Change::Watched,
        _ => return None,
    };
    // An error means that nobody listens.
    let told = call.shared.changes.send(change).unwrap_or(0);
    Some(text(format!("Listeners told: {told}.")))
}

async fn progress(call: &Call) {
    let token = call.context.meta.get_progress_token();
    for done in [0.0, 50.0, 100.0] {
        if let Some(token) = token.clone() {
            let step = ProgressNotificationParam::new(token, done).with_total(100.0);
            // A client that is gone hears nothing; the result finds that out too.
            drop(call.context.peer.notify_progress(step).await);
        }
        sleep(STEP).await;
    }
}

/// Sessions get messages of the level they set, all of them before they set any; requests without a session only when
/// they ask.
async fn log(call: &Call) {
    const ORDER: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];
    let asked = if call.has_session() {
        Some(call.level.clone().unwrap_or(json!("debug")))
    } else {
        call.context.meta.log_level().and_then(|level| serde_json::to_value(level).ok())
    };
    let least = asked.and_then(|asked| ORDER.iter().position(|level| asked == *level));
    let wanted = least.is_some_and(|least| least <= 1);
    for message in ["Tool execution started", "Tool processing data", "Tool execution completed"] {
        if wanted
            && let Ok(message) = typed::<LoggingMessageNotificationParam>(json!({ "level": "info", "data": message }))
        {
            drop(call.context.peer.notify_logging_message(message).await);
        }
        sleep(STEP).await;
    }
}

/// Closes the stream of this call, the only one that its session has open.
async fn reconnect(call: &Call) {
    let parts = call.context.extensions.get::<http::request::Parts>();
    let session = parts.and_then(|parts| parts.headers.get("mcp-session-id")).and_then(|id| id.to_str().ok());
    let Some(session) = session else { return };
    sleep(STEP).await;
    let handle = call.shared.sessions.sessions.read().await.get(session).cloned();
    if let Some(handle) = handle {
        for stream in 0..STREAMS {
            // Streams that are over already say so.
            drop(handle.close_sse_stream(stream, Some(STEP)).await);
        }
    }
    sleep(STEP * 2).await;
}
