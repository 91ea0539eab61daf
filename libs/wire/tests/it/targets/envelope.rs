//! Any bytes: an envelope is read exactly when it is JSON, and says what a general JSON reader says.

use serde::de::IgnoredAny;
use serde_json::Value;
use weft_wire::{
    envelope::{Body, Limits, Malformed, Message, Params, Text, read},
    reply::scan,
    splice::{quote, splice},
};

/// Panics when a property does not hold.
pub(crate) fn check(data: &[u8]) {
    let limits = Limits::default();
    let text = std::str::from_utf8(data).ok();
    let valid = text.is_some_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
    match read(data, &limits) {
        Ok(body) => {
            assert!(valid, "what is no JSON was read");
            let text = text.unwrap_or_default();
            match &body {
                Body::One(message) => one(text, message),
                Body::Batch(entries) => {
                    assert!((1..=limits.batch).contains(&entries.len()));
                    entries.iter().flatten().for_each(|message| spans(text, message));
                }
            }
        }
        Err(Malformed::Syntax(at) | Malformed::Encoding(at)) => assert!(!valid && at <= data.len(), "JSON was refused"),
        Err(Malformed::Duplicate { .. } | Malformed::Invalid { .. } | Malformed::Params { .. }) => assert!(valid),
        Err(_) => {}
    }
}

fn texts<'p, 'a>(params: &'p Params<'a>) -> impl Iterator<Item = &'p Text<'a>> {
    let reference = params.reference.iter().flat_map(|reference| [&reference.name, &reference.uri]);
    [&params.name, &params.uri, &params.task_id, &params.cursor, &params.protocol_version, &params.level]
        .into_iter()
        .chain(reference)
        .flatten()
}

fn params<'m, 'a>(message: &'m Message<'a>) -> Option<&'m Params<'a>> {
    match message {
        Message::Request(request) => Some(&request.params),
        Message::Notification(notification) => Some(&notification.params),
        Message::Response(_) => None,
    }
}

/// Every place holds what was read from it.
fn spans(text: &str, message: &Message<'_>) {
    if let Message::Request(request) = message {
        assert_eq!(&text[request.id_span.clone()], request.id.as_raw());
    }
    let Some(params) = params(message) else { return };
    assert_eq!(params.span.clone().map(|span| &text[span]), params.raw);
    for found in texts(params) {
        let own: Option<String> = serde_json::from_str(&text[found.span.clone()]).ok();
        assert_eq!(own.as_deref(), Some(&*found.value));
    }
    if let Some(meta) = &params.meta {
        assert_eq!(&text[meta.span.clone()], meta.raw);
    }
}

fn one(text: &str, message: &Message<'_>) {
    spans(text, message);
    let verdict = scan(text.as_bytes());
    assert!(verdict.complete && !verdict.ambiguous || matches!(message, Message::Response(_)));
    assert_eq!(verdict.is_response, matches!(message, Message::Response(_)));
    // Numbers out of range and torn strings elsewhere are JSON, but not for a reader that makes a tree.
    let Ok(tree) = serde_json::from_str::<Value>(text) else { return };
    let string = |path: &str| tree.pointer(path).and_then(Value::as_str).map(str::to_owned);
    match message {
        Message::Request(request) => {
            assert_eq!(string("/method").as_deref(), Some(&*request.method));
            assert_eq!(string("/id").as_deref(), request.id.as_text().as_deref());
            renamed(text, &request.params);
        }
        Message::Notification(notification) => {
            assert_eq!(string("/method").as_deref(), Some(&*notification.method));
            assert!(tree.get("id").is_none());
        }
        Message::Response(response) => {
            assert_eq!(tree.get("result").is_some(), response.result.is_some());
            assert_eq!(tree.get("error").is_some(), response.error.is_some());
        }
    }
    let Some(params) = params(message) else { return };
    let value = |text: &Option<Text<'_>>| text.as_ref().map(|text| text.value.to_string());
    assert_eq!(string("/params/name"), value(&params.name));
    assert_eq!(string("/params/uri"), value(&params.uri));
    assert_eq!(string("/params/taskId"), value(&params.task_id));
    assert_eq!(tree.pointer("/params/arguments").is_some(), params.arguments.is_some());
    let stated = params.meta.as_ref().and_then(|meta| meta.protocol_version.as_deref().map(str::to_owned));
    assert_eq!(string("/params/_meta/io.modelcontextprotocol~1protocolVersion"), stated);
}

/// A name put in another's place reads back, and nothing else has changed.
fn renamed(text: &str, params: &Params<'_>) {
    const NEW: &str = "a \"new\" näme\n";
    let Some(name) = &params.name else { return };
    let changed = splice(text.as_bytes(), &[(name.span.clone(), &quote(NEW))]);
    let limits = Limits { bytes: changed.len(), ..Limits::default() };
    let Ok(Body::One(Message::Request(request))) = read(&changed, &limits) else { unreachable!("still a request") };
    assert_eq!(request.params.name.map(|name| name.value).as_deref(), Some(NEW));
    assert_eq!(request.params.arguments, params.arguments);
}
