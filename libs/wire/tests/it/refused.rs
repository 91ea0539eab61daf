//! What is no message: each kind with its code, the id when it could be read, and words that say what to do.

use weft_wire::{
    code::{INVALID_PARAMS, INVALID_REQUEST, PARSE_ERROR},
    envelope::{Id, Limits, Malformed, read},
};

fn refused(body: &[u8]) -> Malformed {
    match read(body, &Limits::default()) {
        Err(malformed) => malformed,
        Ok(body) => unreachable!("{body:?}"),
    }
}

fn told(body: &str) -> (i64, Option<String>) {
    let malformed = refused(body.as_bytes());
    (malformed.code(), malformed.id().map(|id| id.as_raw().to_owned()))
}

#[test]
fn what_is_not_json_is_a_parse_error() {
    for body in
        ["", " ", "{", "nul", r#"{"id":1,}"#, "{} {}", "{}x", "\u{feff}{}", "{'a':1}", "[1 2]", "\"a\nb\"", "[{},]"]
    {
        assert_eq!(told(body), (PARSE_ERROR, None), "{body}");
    }
    assert_eq!(refused(b"{\"a\":\"\xff\"}"), Malformed::Encoding(6));
    assert_eq!(refused(b"{\"a\":\"\xed\xa0\x80\"}").code(), PARSE_ERROR);
}

#[test]
fn a_key_that_stands_twice_is_refused_wherever_it_is_read() {
    let call = |params: &str| format!(r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{params}}}"#);
    let bodies = [
        r#"{"jsonrpc":"2.0","id":7,"method":"a","method":"b"}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":7,"x":1,"x":2,"method":"b"}"#.to_owned(),
        r#"{"params":{"name":"a"},"jsonrpc":"2.0","id":7,"method":"a","para\u006ds":{}}"#.to_owned(),
        call(r#"{"name":"a","na\u006de":"b"}"#),
        call(r#"{"arguments":{},"arguments":{"x":1}}"#),
        call(
            r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"a","io.modelcontextprotocol\/protocolVersion":"b"}}"#,
        ),
        call(r#"{"ref":{"type":"ref/prompt","name":"a","name":"b"}}"#),
    ];
    for body in &bodies {
        assert!(matches!(refused(body.as_bytes()), Malformed::Duplicate { .. }), "{body}");
        assert_eq!(told(body), (INVALID_REQUEST, Some("7".to_owned())), "{body}");
    }
    assert_eq!(told(r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"a"}"#), (INVALID_REQUEST, None));
    assert!(read(call(r#"{"arguments":{"a":1,"a":2}}"#).as_bytes(), &Limits::default()).is_ok());
}

#[test]
fn half_of_a_surrogate_pair_is_refused_where_text_is_read() {
    let bodies = [
        (r#"{"jsonrpc":"2.0","id":7,"method":"\ud800"}"#, INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":7,"method":"m","\udc00":1}"#, INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":7,"method":"m","params":{"name":"a\ud800b"}}"#, INVALID_PARAMS),
        (r#"{"jsonrpc":"2.0","id":7,"method":"m","params":{"\ud800":1}}"#, INVALID_PARAMS),
        (r#"{"jsonrpc":"2.0","id":7,"method":"m","params":{"requestId":"\ud800"}}"#, INVALID_PARAMS),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"m","params":{"ref":{"type":"ref/prompt","name":"\ud800"}}}"#,
            INVALID_PARAMS,
        ),
        (r#"{"jsonrpc":"2.0","id":7,"method":"m","params":{"_meta":{"traceparent":"\ud800"}}}"#, INVALID_PARAMS),
    ];
    for (body, code) in bodies {
        assert_eq!(told(body), (code, Some("7".to_owned())), "{body}");
        assert!(refused(body.as_bytes()).to_string().contains("surrogate"), "{body}");
    }
    assert_eq!(told(r#"{"jsonrpc":"2.0","id":"\ud800","method":"m"}"#), (INVALID_REQUEST, None));
    let unread = r#"{"jsonrpc":"2.0","id":7,"method":"m","params":{"arguments":{"a":"\ud800"}}}"#;
    assert!(read(unread.as_bytes(), &Limits::default()).is_ok());
}

#[test]
fn json_that_is_no_message_says_what_it_lacks() {
    let bodies = [
        ("7", "object"),
        (r#"{"id":7,"method":"m"}"#, "jsonrpc"),
        (r#"{"jsonrpc":"1.0","id":7,"method":"m"}"#, "jsonrpc"),
        (r#"{"jsonrpc":2.0,"id":7,"method":"m"}"#, "jsonrpc"),
        (r#"{"jsonrpc":"2.0","id":null,"method":"m"}"#, "id"),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"m"}"#, "id"),
        (r#"{"jsonrpc":"2.0","id":1e2,"method":"m"}"#, "id"),
        (r#"{"jsonrpc":"2.0","id":[1],"method":"m"}"#, "id"),
        (r#"{"jsonrpc":"2.0","id":7,"method":8}"#, "method"),
        (r#"{"jsonrpc":"2.0","id":7,"method":"m","result":1}"#, "result"),
        (r#"{"jsonrpc":"2.0","id":7,"result":1,"error":{}}"#, "both"),
        (r#"{"jsonrpc":"2.0","id":7}"#, "method"),
        (r#"{"jsonrpc":"2.0","result":1}"#, "id"),
        (r#"{"jsonrpc":"2.0","id":null,"result":1}"#, "id"),
        (r#"{"jsonrpc":"2.0","id":7,"method":"m","params":[1]}"#, "params"),
    ];
    for (body, word) in bodies {
        let malformed = refused(body.as_bytes());
        assert_eq!(malformed.code(), INVALID_REQUEST, "{body}");
        assert!(malformed.to_string().contains(word), "{body}: {malformed}");
    }
    let meta = refused(br#"{"jsonrpc":"2.0","id":7,"method":"m","params":{"_meta":[]}}"#);
    assert_eq!((meta.code(), meta.id().map(Id::as_raw)), (INVALID_PARAMS, Some("7")));
}

#[test]
fn size_and_depth_have_limits_at_every_level() {
    let limits = Limits { bytes: 60, depth: 4, batch: 2 };
    let nested = |levels: usize| {
        let (open, close) = ("[".repeat(levels), "]".repeat(levels));
        format!(r#"{{"jsonrpc":"2.0","method":"m","params":{{"a":{open}{close}}}}}"#)
    };
    assert!(read(nested(2).as_bytes(), &limits).is_ok());
    assert_eq!(read(nested(3).as_bytes(), &limits).unwrap_err(), Malformed::TooDeep(4));
    assert_eq!(read(&[b' '; 61], &limits).unwrap_err(), Malformed::TooLarge(60));
    let shallow = Limits { depth: 2, ..limits };
    let meta = r#"{"jsonrpc":"2.0","method":"m","params":{"_meta":{}}}"#;
    assert_eq!(read(meta.as_bytes(), &shallow).unwrap_err(), Malformed::TooDeep(2));
    assert_eq!(read(br#"[{"a":{}}]"#, &shallow).unwrap_err(), Malformed::TooDeep(2));
    let millions = "[".repeat(4_000_000);
    assert_eq!(read(millions.as_bytes(), &Limits::default()).unwrap_err().code(), INVALID_REQUEST);
    let free = Limits { depth: usize::MAX, ..Limits::default() };
    assert_eq!(read(millions.as_bytes(), &free).unwrap_err().code(), PARSE_ERROR);
}
