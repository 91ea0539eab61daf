//! What an envelope gives to routing, and that the rest of the bytes stay as they are.

use weft_wire::{
    envelope::{Body, Id, Limits, Malformed, Message, Notification, Request, Response, read},
    splice::{quote, splice},
};

fn message(text: &str) -> Message<'_> {
    match read(text.as_bytes(), &Limits::default()) {
        Ok(Body::One(message)) => message,
        other => unreachable!("{text}: {other:?}"),
    }
}

fn request(text: &str) -> Request<'_> {
    let Message::Request(request) = message(text) else { unreachable!("no request: {text}") };
    request
}

fn notification(text: &str) -> Notification<'_> {
    let Message::Notification(notification) = message(text) else { unreachable!("no notification: {text}") };
    notification
}

fn response(text: &str) -> Response<'_> {
    let Message::Response(response) = message(text) else { unreachable!("no response: {text}") };
    response
}

#[test]
fn a_call_gives_its_name_arguments_and_meta() {
    let text = r#"{"method":"tools/call","params":{"name":"r\u0065ad","arguments":{"name":"x"},"_meta":{
        "io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"roots":{}},
        "io.modelcontextprotocol/clientInfo":{"name":"c"},"io.modelcontextprotocol/logLevel":"info",
        "progressToken":7,"traceparent":"00-1-2-01"}},"jsonrpc":"2.0","id":0}"#;
    let request = request(text);
    assert_eq!((request.id.as_raw(), &text[request.id_span]), ("0", "0"));
    assert_eq!(request.method, "tools/call");
    let params = request.params;
    let name = params.name.unwrap();
    assert_eq!((&*name.value, &text[name.span]), ("read", r#""r\u0065ad""#));
    assert_eq!(params.arguments, Some(r#"{"name":"x"}"#));
    let meta = params.meta.unwrap();
    assert_eq!(meta.protocol_version.as_deref(), Some("2026-07-28"));
    assert_eq!(meta.client_capabilities, Some(r#"{"roots":{}}"#));
    assert_eq!(meta.client_info, Some(r#"{"name":"c"}"#));
    assert_eq!(meta.log_level.as_deref(), Some("info"));
    assert_eq!((meta.progress_token, meta.traceparent.as_deref()), (Some("7"), Some("00-1-2-01")));
    assert_eq!(&text[meta.span], meta.raw);
}

#[test]
fn every_other_method_gives_what_it_is_routed_by() {
    let with = |params: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{params}}}"#);
    let text = with(r#"{"ref":{"type":"ref/resource","uri":"u:x"}}"#);
    let reference = request(&text).params.reference.unwrap();
    assert_eq!((&*reference.kind, &*reference.uri.unwrap().value), ("ref/resource", "u:x"));
    let text = with(r#"{"uri":"file:///a","taskId":"t","cursor":"c","level":"info","notifications":{"a":true}}"#);
    let params = request(&text).params;
    let texts = [params.uri, params.task_id, params.cursor, params.level].map(|text| text.unwrap().value.into_owned());
    assert_eq!(texts, ["file:///a", "t", "c", "info"]);
    assert_eq!(params.notifications, Some(r#"{"a":true}"#));
    let text = with(r#"{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{}}"#);
    let params = request(&text).params;
    assert_eq!(&*params.protocol_version.unwrap().value, "2025-11-25");
    assert_eq!((params.capabilities, params.client_info), (Some("{}"), Some("{}")));
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"r"}}"#;
    assert_eq!(notification(cancel).params.request_id, Id::from_raw(r#""r""#));
    let progress = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p"}}"#;
    assert_eq!(notification(progress).params.progress_token, Some(r#""p""#));
}

#[test]
fn what_is_of_another_type_counts_as_absent() {
    let odd = r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"name":7,"uri":null,"ref":"x","_meta":null}}"#;
    let params = request(odd).params;
    assert!(params.name.is_none() && params.uri.is_none() && params.reference.is_none() && params.meta.is_none());
    assert!(request(r#"{"jsonrpc":"2.0","id":1,"method":"m"}"#).params.raw.is_none());
}

#[test]
fn an_id_travels_as_it_was_written() {
    for id in ["0", "-3", "123456789012345678901234567890", r#""a\u0062""#, r#""""#] {
        let text = format!(r#"{{"jsonrpc":"2.0","id": {id} ,"method":"ping"}}"#);
        let request = request(&text);
        assert_eq!((request.id.as_raw(), &text[request.id_span]), (id, id));
    }
}

#[test]
fn an_answer_has_a_result_or_an_error() {
    let good = response(r#"{"jsonrpc":"2.0","id":"q","result":{"a":[1]}}"#);
    assert_eq!((good.result, good.error), (Some(r#"{"a":[1]}"#), None));
    let bad = response(r#"{"jsonrpc":"2.0","id":null,"error":{"code":1}}"#);
    assert_eq!((bad.id.as_raw(), bad.error), ("null", Some(r#"{"code":1}"#)));
}

#[test]
fn a_name_is_replaced_and_every_other_byte_kept() {
    let text = r#" {"id":1.0e0 ,"jsonrpc":"2.0"}"#;
    assert!(matches!(read(text.as_bytes(), &Limits::default()), Err(Malformed::Invalid { .. })));
    let text =
        "{ \"id\" : 1,\"jsonrpc\":\"2.0\", \"params\":{\"x\":1E+2,\"name\":\"fs_read\"},\r\n\"method\":\"tools/call\"}";
    let span = request(text).params.name.unwrap().span;
    let changed = splice(text.as_bytes(), &[(span, &quote("read"))]);
    assert_eq!(String::from_utf8(changed).unwrap(), text.replace("fs_read", "read"));
}
