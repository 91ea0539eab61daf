//! Arrays of messages: each entry by itself, bounds on their number, places in the whole input.

use weft_wire::{
    code::{INVALID_REQUEST, PARSE_ERROR},
    envelope::{Body, Id, Limits, Malformed, Message, read},
    version::Version,
};

fn entries(body: &str) -> Vec<Result<Message<'_>, Malformed>> {
    match read(body.as_bytes(), &Limits::default()) {
        Ok(Body::Batch(entries)) => entries,
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn each_entry_is_good_or_bad_by_itself() {
    let body = r#" [ {"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}, 7, [], {"jsonrpc":"2.0","id":2},
        {"jsonrpc":"2.0","id":3,"method":"m","method":"n"}, {"jsonrpc":"2.0","method":"note"} ] "#;
    let found = entries(body);
    let [Ok(Message::Request(call)), Err(number), Err(nested), Err(empty), Err(twice), Ok(Message::Notification(_))] =
        &found[..]
    else {
        unreachable!("{found:?}")
    };
    let name = call.params.name.as_ref().unwrap();
    assert_eq!(&body[name.span.clone()], r#""a""#);
    assert_eq!(&body[call.id_span.clone()], "1");
    for (fault, id) in [(number, None), (nested, None), (empty, Some("2")), (twice, Some("3"))] {
        assert_eq!((fault.code(), fault.id().map(Id::as_raw)), (INVALID_REQUEST, id));
    }
}

#[test]
fn a_batch_holds_one_to_a_hundred_messages() {
    let many = |count: usize| format!("[{}]", vec![r#"{"jsonrpc":"2.0","method":"m"}"#; count].join(","));
    assert_eq!(entries(&many(100)).len(), 100);
    for body in [many(101), "[]".to_owned(), "[ ]".to_owned()] {
        let refused = read(body.as_bytes(), &Limits::default()).unwrap_err();
        assert_eq!((refused.code(), &refused), (INVALID_REQUEST, &Malformed::Batch(100)));
    }
}

#[test]
fn bad_syntax_anywhere_refuses_the_whole() {
    for body in
        [r#"[{"jsonrpc":"2.0","method":"m"},]"#, r#"[{"jsonrpc":"2.0","method":"m"}"#, "[{}]]", "[{} {}]", "[,{}]"]
    {
        assert_eq!(read(body.as_bytes(), &Limits::default()).unwrap_err().code(), PARSE_ERROR, "{body}");
    }
}

#[test]
fn one_version_has_batches() {
    let with: Vec<Version> = Version::ALL.into_iter().filter(|version| version.has_batches()).collect();
    assert_eq!(with, [Version::V2025_03_26]);
    assert!(Version::ALL.is_sorted());
    for version in Version::ALL {
        assert_eq!(Version::parse(version.as_str()), Some(version));
    }
    assert_eq!(Version::parse("2026-07-29"), None);
}
