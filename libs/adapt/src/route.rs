//! What a server says on a line → whom it is for: answers and progress by their numbers, questions to the session that they can only
//! be for, all else to everyone whom it may concern.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::sync::mpsc;
use weft_wire::{code, envelope::Id, members::Members, reply::scan, splice::quote};

use crate::{
    line::lock,
    pending::{Pending, State},
};

/// Reads a line to its end; then every call that still waits is answered with an error.
pub(crate) async fn run(
    name: Arc<str>,
    state: Arc<Mutex<State>>,
    (to, mut from): (mpsc::Sender<Bytes>, mpsc::Receiver<Bytes>),
) {
    while let Some(message) = from.recv().await {
        let Ok(text) = std::str::from_utf8(&message) else { continue };
        if let Some(reply) = route(&state, text) {
            // Not waited for: a program that does not read its input must not keep us from reading its output.
            let _ = to.try_send(reply.into());
        }
    }
    let mut state = lock(&state);
    state.over = true;
    state.seats.clear();
    let lost: Vec<Pending> = state.pending.drain().map(|(_, pending)| pending).collect();
    drop(state);
    if !lost.is_empty() {
        tracing::warn!(service = &*name, calls = lost.len(), "a server ended with calls under way");
    }
    for call in lost {
        let id = serde_id(&call.id);
        let why = format!("the server {name:?} ended before it answered; call again to have it started again");
        let _ = call.to.try_send(code::error_body(id.as_ref(), code::INTERNAL_ERROR, &why, None).into());
    }
}

fn serde_id(raw: &str) -> Option<Id<'static>> {
    let message = format!(r#"{{"jsonrpc":"2.0","id":{raw},"method":"x"}}"#);
    match weft_wire::envelope::read(message.as_bytes(), &weft_wire::envelope::Limits::default()) {
        Ok(weft_wire::envelope::Body::One(weft_wire::envelope::Message::Request(request))) => {
            Some(request.id.into_owned())
        }
        _ => None,
    }
}

/// Routes one message; gives what the server must be told at once, if anything.
fn route(state: &Mutex<State>, text: &str) -> Option<String> {
    let verdict = scan(text.as_bytes());
    let mut state = lock(state);
    match (verdict.method.as_deref(), verdict.id_raw) {
        (None, Some(id)) if verdict.is_response => {
            let pending = state.pending.remove(&id.parse::<u64>().ok()?)?;
            let mut message = Members::parse(text)?;
            message.set("id", pending.id.as_str());
            let _ = pending.to.try_send(message.to_json().into());
            None
        }
        (Some("ping"), Some(id)) => Some(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#)),
        (Some(method), Some(id)) => question(&mut state, method, &id, text),
        (Some(method), None) => {
            notification(&mut state, method, text);
            None
        }
        _ => None,
    }
}

fn question(state: &mut State, method: &str, id: &str, text: &str) -> Option<String> {
    let Some(seat) = state.only_busy() else {
        let why = format!("{method:?} cannot be attributed: several sessions share this server");
        return Some(format!(
            r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{},"message":{}}}}}"#,
            code::INVALID_REQUEST,
            quote(&why)
        ));
    };
    state.asked.insert(id.to_owned(), seat);
    let message = Bytes::copy_from_slice(text.as_bytes());
    let told = state.newest_call(seat).is_some_and(|call| call.to.try_send(message.clone()).is_ok());
    if !told && let Some(seat) = state.seats.get_mut(&seat) {
        seat.say(message);
    }
    None
}

fn notification(state: &mut State, method: &str, text: &str) {
    let params = Members::parse(text).and_then(|message| message.get("params").map(str::to_owned));
    let params = params.as_deref().and_then(Members::parse).unwrap_or_default();
    match method {
        "notifications/progress" => {
            let call = params.get("progressToken").and_then(|raw| raw.parse::<u64>().ok());
            let call = call.and_then(|number| state.pending.get(&number));
            if let Some((call, token)) = call.and_then(|call| Some((call, call.token.clone()?))) {
                with_params(text, "progressToken", &token).map(|message| call.to.try_send(message.into()));
            }
        }
        "notifications/message" => {
            let only = state.only_busy().and_then(|seat| state.only_call(seat));
            match only {
                Some(call) => drop(call.to.try_send(Bytes::copy_from_slice(text.as_bytes()))),
                None => everyone(state, text, |_| true),
            }
        }
        "notifications/resources/updated" => {
            let uri = params.text("uri").unwrap_or_default().into_owned();
            everyone(state, text, |seat| seat.followed.contains(&uri));
        }
        _ => match subscription(&params).and_then(|number| state.pending.get(&number)) {
            // News of the stateless era belong to the request that asked for them.
            Some(call) => drop(restored(text, &call.id).map(|message| call.to.try_send(message.into()))),
            None => everyone(state, text, |_| true),
        },
    }
}

fn everyone(state: &mut State, text: &str, concerns: impl Fn(&crate::pending::Seat) -> bool) {
    let message = Bytes::copy_from_slice(text.as_bytes());
    state.seats.values_mut().filter(|seat| concerns(seat)).for_each(|seat| seat.say(message.clone()));
}

const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

fn subscription(params: &Members<'_>) -> Option<u64> {
    Members::parse(params.get("_meta")?)?.get(SUBSCRIPTION)?.parse().ok()
}

/// The notification under the client's own subscription.
fn restored(text: &str, id: &str) -> Option<String> {
    let message = Members::parse(text)?;
    let params = Members::parse(message.get("params")?)?;
    let mut meta = Members::parse(params.get("_meta")?)?;
    meta.set(SUBSCRIPTION, id);
    with_params(text, "_meta", &meta.to_json())
}

fn with_params(text: &str, key: &str, raw: &str) -> Option<String> {
    let mut message = Members::parse(text)?;
    let params = message.get("params")?.to_owned();
    let mut params = Members::parse(&params)?;
    params.set(key, raw);
    message.set("params", params.to_json());
    Some(message.to_json())
}
