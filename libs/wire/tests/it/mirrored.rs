//! Headers of the stateless era: what agrees with the body, what does not, and which tools may ask for headers of their own.

use std::collections::HashSet;

use proptest::prelude::*;
use weft_wire::{
    code::{HEADER_MISMATCH, http_status},
    envelope::{Body, Limits, Message, Notification, Request, read},
    headers::{Standard, agree, agree_notification, agree_params, decode, encode, param_headers},
    version::Era,
};

const SCHEMA: &str = r#"{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"},
    "deep":{"type":"object","properties":{"n":{"type":"integer","x-mcp-header":"N"},"f":{"type":"boolean","x-mcp-header":"f"}}}}}"#;

fn request(text: &str) -> Request<'_> {
    match read(text.as_bytes(), &Limits::default()) {
        Ok(Body::One(Message::Request(request))) => request,
        other => unreachable!("{other:?}"),
    }
}

fn notification(text: &str) -> Notification<'_> {
    match read(text.as_bytes(), &Limits::default()) {
        Ok(Body::One(Message::Notification(notification))) => notification,
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn values_travel_as_the_specification_shows() {
    for plain in
        ["us-west1", "us west 1", "", "file:///path/to/file%20name.txt", "=?BASE64?SGVsbG8=?=", "=?base64?SGVsbG8="]
    {
        assert_eq!(encode(plain), plain);
        assert_eq!(decode(plain).unwrap(), plain);
    }
    let wrapped = [
        ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
        (" padded ", "=?base64?IHBhZGRlZCA=?="),
        ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
        ("\tindented", "=?base64?CWluZGVudGVk?="),
        ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
    ];
    for (value, header) in wrapped {
        assert_eq!(encode(value), header);
        assert_eq!(decode(header).unwrap(), value);
    }
    assert_eq!(decode(" \tfoo ").unwrap(), "foo");
    for bad in ["=?base64?SGVsbG8?=", "=?base64?SGVs!!!bG8=?=", "=?base64?/w==?=", "größe", "a\nb", "a\u{7f}"] {
        assert!(decode(bad).is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn what_is_encoded_reads_back_and_is_a_header(text in any::<String>()) {
        let encoded = encode(&text).into_owned();
        prop_assert!(encoded.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
        prop_assert_eq!(decode(&encoded).unwrap(), text);
    }
}

#[test]
fn each_disagreement_of_the_standard_headers_is_told() {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
    let request = request(body);
    let good = Standard { version: Some("2026-07-28"), method: Some("tools/call"), name: Some("t") };
    for fine in [good, Standard { name: Some("=?base64?dA==?="), ..good }, Standard { name: Some(" t "), ..good }] {
        assert_eq!(agree(&fine, &request), Ok(()));
    }
    let bad = [
        (Standard { version: None, ..good }, "MCP-Protocol-Version is missing"),
        (Standard { version: Some("2025-11-25"), ..good }, "MCP-Protocol-Version does not match"),
        (Standard { method: None, ..good }, "Mcp-Method is missing"),
        (Standard { method: Some("TOOLS/CALL"), ..good }, "Mcp-Method does not match"),
        (Standard { name: None, ..good }, "Mcp-Name is missing"),
        (Standard { name: Some("T"), ..good }, "Mcp-Name does not match"),
        (Standard { name: Some("=?base64?!?="), ..good }, "Mcp-Name is not correctly encoded"),
        (Standard { name: Some("t\u{e9}"), ..good }, "Mcp-Name is not correctly encoded"),
    ];
    for (headers, why) in bad {
        let fault = agree(&headers, &request).unwrap_err();
        assert!(fault.message().contains(why), "{why}: {fault}");
    }
    assert_eq!((HEADER_MISMATCH, http_status(Era::Stateless, HEADER_MISMATCH)), (-32020, 400));
}

#[test]
fn the_name_is_what_the_method_is_about() {
    let about = [
        ("tools/call", "n"),
        ("prompts/get", "n"),
        ("resources/read", "u"),
        ("tasks/get", "k"),
        ("tasks/update", "k"),
        ("tasks/cancel", "k"),
    ];
    for (method, name) in about {
        let text =
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{"name":"n","uri":"u","taskId":"k"}}}}"#);
        let request = request(&text);
        let headers = Standard { version: None, method: Some(method), name: Some(name) };
        assert_eq!(agree(&headers, &request), Ok(()), "{method}");
        assert!(agree(&Standard { name: Some("other"), ..headers }, &request).is_err(), "{method}");
        assert!(agree(&Standard { name: None, ..headers }, &request).is_err(), "{method}");
    }
    let list = request(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    assert_eq!(agree(&Standard { version: None, method: Some("tools/list"), name: Some("any") }, &list), Ok(()));
    let note = notification(r#"{"jsonrpc":"2.0","method":"notifications/x"}"#);
    assert!(agree_notification(&Standard { method: Some("notifications/x"), ..Standard::default() }, &note).is_ok());
    for method in [None, Some("notifications/y")] {
        assert!(agree_notification(&Standard { method, ..Standard::default() }, &note).is_err());
    }
}

#[test]
fn marks_are_found_along_properties() {
    let found = param_headers(SCHEMA).unwrap();
    let paths: HashSet<String> =
        found.iter().map(|param| format!("{}={}", param.header, param.path.join("."))).collect();
    assert_eq!(paths, ["Region=region", "N=deep.n", "f=deep.f"].map(str::to_owned).into());
    for none in ["{}", r#"{"properties":{"x-mcp-header":{"type":"string"}}}"#, r#"{"default":{"x-mcp-header":"A"}}"#] {
        assert_eq!(param_headers(none).unwrap(), [], "{none}");
    }
    let escaped = r#"{"properties":{"a":{"type":"string","\u0078-mcp-header":"Method"}}}"#;
    assert_eq!(param_headers(escaped).unwrap().len(), 1);
}

#[test]
fn a_tool_with_a_wrong_mark_is_refused() {
    let property = |property: &str| format!(r#"{{"properties":{{"a":{property}}}}}"#);
    let mut schemas: Vec<String> = [r#""""#, r#""a b""#, r#""a:b""#, r#""é""#, r#""a\tb""#, "7", "null"]
        .map(|mark| property(&format!(r#"{{"type":"string","x-mcp-header":{mark}}}"#)))
        .into();
    schemas.extend(
        ["number", "array", "object", "null"]
            .map(|kind| property(&format!(r#"{{"type":"{kind}","x-mcp-header":"A"}}"#))),
    );
    schemas.extend(
        [
            r#"{"x-mcp-header":"A"}"#,
            r#"{"properties":{"a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"a"}}}"#,
            r#"{"properties":{"a":{"type":"array","items":{"type":"string","x-mcp-header":"A"}}}}"#,
            r#"{"anyOf":[{"properties":{"a":{"type":"string","x-mcp-header":"A"}}}]}"#,
            r#"{"if":{"properties":{"a":{"type":"string","x-mcp-header":"A"}}}}"#,
            r#"{"$defs":{"d":{"type":"string","x-mcp-header":"A"}}}"#,
            r#"{"x-mcp-header"#,
        ]
        .map(str::to_owned),
    );
    for schema in schemas {
        assert!(param_headers(&schema).is_err(), "{schema}");
    }
}

#[test]
fn mirrored_arguments_must_agree() {
    let declared = param_headers(SCHEMA).unwrap();
    let check = |region: Option<&'static str>, n: Option<&'static str>, arguments: &str| {
        let lookup = |name: &str| match name {
            "mcp-param-region" => region,
            "mcp-param-n" => n,
            _ => None,
        };
        agree_params(&declared, lookup, Some(arguments))
    };
    let (eu, both) = (Some("eu"), r#"{"region":"eu","deep":{"n":42}}"#);
    for n in ["42", "42.0", "4.2e1"] {
        assert_eq!(check(eu, Some(n), both), Ok(()), "{n}");
    }
    assert_eq!(check(Some("=?base64?IMO8?="), None, r#"{"region":" ü"}"#), Ok(()));
    assert_eq!(check(None, None, r#"{"region":null,"deep":7}"#), Ok(()));
    for n in ["43", "x", "", "042", "42 43", "=?base64?!?="] {
        assert!(check(eu, Some(n), both).is_err(), "{n}");
    }
    // What is no integer of any machine is still compared, never taken for equal because both cannot be read.
    assert!(check(eu, Some("x"), r#"{"region":"eu","deep":{"n":1.5}}"#).is_err());
    assert!(check(eu, Some("9007199254740992"), r#"{"region":"eu","deep":{"n":9007199254740993}}"#).is_err());
    let wrong =
        [(None, r#"{"region":"eu"}"#), (Some("us"), r#"{"region":"eu"}"#), (eu, "{}"), (eu, r#"{"region":null}"#)];
    for (region, arguments) in wrong {
        assert!(check(region, None, arguments).is_err(), "{region:?} {arguments}");
    }
    assert!(agree_params(&declared, |_| None, None).is_ok());
}

#[test]
fn an_argument_that_stands_twice_is_refused() {
    let declared = param_headers(SCHEMA).unwrap();
    for arguments in
        [r#"{"region":"us","reg\u0069on":"eu"}"#, r#"{"deep":{"n":1},"deep":{"n":2}}"#, r#"{"deep":{"n":1,"n":2}}"#]
    {
        // What a reader that takes the last of two sees agrees with its headers.
        let last = |name: &str| match name {
            "mcp-param-region" if arguments.contains("eu") => Some("eu"),
            "mcp-param-n" if arguments.contains("deep") => Some("2"),
            _ => None,
        };
        let fault = agree_params(&declared, last, Some(arguments)).unwrap_err();
        assert!(fault.message().contains("twice"), "{arguments}: {fault}");
    }
}
