//! Calls of a lean endpoint's own tools: `call_tool` → the call that it stands for, the others → their answers.
//!
//! The call is unfolded before a route is looked for, so that everything after it (policy, limits, retries by the tool's
//! own annotations, metrics, progress, questions) sees the tool and never the detour.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::value::RawValue;
use weft_wire::{
    code,
    envelope::{self as wire, Body, Limits, Message},
    headers::{self, ParamHeader},
    splice::{quote, splice},
    version::Era,
};

use crate::{
    Gateway,
    call::{Asked, Call, What},
    catalogue::{View, lean},
    door::Surface,
    refusal::Refusal,
    uri,
};

/// What is asked of the gateway itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    Find,
    Describe,
    /// A call that could not be unfolded: there is no such tool, or it is not well formed.
    Call,
}

impl Ask {
    /// The meaning of a tool's name on a lean endpoint.
    pub(crate) fn of(name: &str) -> Option<Self> {
        match name {
            lean::FIND => Some(Self::Find),
            lean::DESCRIBE => Some(Self::Describe),
            lean::CALL => Some(Self::Call),
            _ => None,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Find => lean::FIND,
            Self::Describe => lean::DESCRIBE,
            Self::Call => lean::CALL,
        }
    }
}

/// The parts of a message that matter here, where they stand.
#[derive(Deserialize)]
struct Sent<'a> {
    #[serde(borrow)]
    params: SentParams<'a>,
}

#[derive(Deserialize)]
struct SentParams<'a> {
    #[serde(borrow)]
    name: &'a RawValue,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

/// The arguments of `call_tool`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted<'a> {
    name: String,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

/// The arguments of `find_tools`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Search {
    #[serde(default)]
    query: String,
    limit: Option<usize>,
    service: Option<String>,
}

/// The arguments of `describe_tool`.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Names {
    name: Option<String>,
    names: Vec<String>,
}

/// Unfolds a call of `call_tool` into the call that it stands for; any other call stays as it is.
pub(crate) fn unfold(gateway: &Gateway, call: Box<Call>) -> Result<Box<Call>, Refusal> {
    let stands_for_another = matches!(call.surface, Surface::Virtual(_))
        && call.request().is_some_and(|asked| {
            asked.method == "tools/call" && asked.name.as_ref().is_some_and(|name| name.value == lean::CALL)
        });
    if !stands_for_another {
        return Ok(call);
    }
    let view = gateway.catalogue.view_of(&call.surface, call.caller.role()).ok_or(Refusal::NotFound)?;
    let Some(lean) = &view.lean else { return Ok(call) };
    // One that cannot be unfolded is answered by `answer`, in words that the model can read.
    let Ok(wanted) = wanted(&call.body) else { return Ok(call) };
    if !lean.has(&wanted.name) {
        return Ok(call);
    }
    let body = wanted.body(&call.body);
    let limits = &gateway.settings.limits;
    let bounds = Limits { bytes: limits.body_bytes.max(body.len()), depth: limits.depth, batch: limits.batch };
    let asked = match wire::read(&body, &bounds) {
        Ok(Body::One(Message::Request(request))) => Asked::of(&request),
        Ok(_) => return Ok(call),
        Err(malformed) => return Err(Refusal::Malformed(malformed.code(), malformed.to_string())),
    };
    let headers = match call.era() {
        Era::Stateless => Arc::new(mirroring(&call.headers, &wanted, lean.mirrored(&wanted.name))),
        Era::Session => Arc::clone(&call.headers),
    };
    Ok(Box::new(Call { headers, body, what: What::Request(asked), ..*call }))
}

/// What `call_tool` is to call.
struct Folded {
    name: String,
    /// Raw JSON of an object.
    arguments: String,
    name_at: Range<usize>,
    arguments_at: Range<usize>,
}

impl Folded {
    fn body(&self, body: &Bytes) -> Bytes {
        let name = quote(&self.name);
        let mut edits = [(self.name_at.clone(), name.as_str()), (self.arguments_at.clone(), self.arguments.as_str())];
        edits.sort_by_key(|(at, _)| at.start);
        splice(body, &edits).into()
    }
}

fn wanted(body: &[u8]) -> Result<Folded, String> {
    const FORM: &str = r#"call_tool takes {"name": "…", "arguments": {…}}"#;
    let sent: Sent<'_> = serde_json::from_slice(body).map_err(|error| format!("{FORM}: {error}"))?;
    let outer = sent.params.arguments.ok_or(FORM)?;
    let wanted: Wanted<'_> = serde_json::from_str(outer.get()).map_err(|error| format!("{FORM}: {error}"))?;
    let arguments = match wanted.arguments.map_or("{}", RawValue::get) {
        "null" => "{}".to_owned(),
        // Several models write the object as a string.
        text if text.starts_with('"') => serde_json::from_str::<String>(text).map_err(|error| error.to_string())?,
        text => text.to_owned(),
    };
    if !serde_json::from_str::<&RawValue>(&arguments).is_ok_and(|object| object.get().starts_with('{')) {
        return Err(format!("{FORM}: its arguments are no object"));
    }
    let span = |part: &RawValue| uri::span(body, part.get()).ok_or_else(|| FORM.to_owned());
    Ok(Folded { name: wanted.name, arguments, name_at: span(sent.params.name)?, arguments_at: span(outer)? })
}

/// The client's headers as they would be for the tool itself: the client mirrored a call of `call_tool`.
fn mirroring(client: &HeaderMap, wanted: &Folded, declared: &[ParamHeader]) -> HeaderMap {
    let mut all: HeaderMap = HeaderMap::with_capacity(client.len() + declared.len());
    for (name, value) in client.iter().filter(|(name, _)| !name.as_str().starts_with(headers::PARAM_PREFIX)) {
        all.append(name, value.clone());
    }
    if let Ok(name) = HeaderValue::from_str(&headers::encode(&wanted.name)) {
        all.insert(HeaderName::from_static(headers::NAME), name);
    }
    // Arguments that cannot be mirrored are refused where every call's are.
    for (name, value) in headers::mirror_params(declared, Some(&wanted.arguments)).unwrap_or_default() {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            all.insert(name, value);
        }
    }
    all
}

/// Answers what is asked of the gateway itself: the result, and whether it tells of an error.
pub(crate) fn answer(view: &View, call: &Call, ask: Ask) -> (String, bool) {
    let said = match &view.lean {
        Some(lean) => said(lean, &call.body, ask),
        None => Err(format!("unknown tool: {}", ask.name())),
    };
    let (text, failed) = match said {
        Ok(text) => (text, false),
        Err(text) => (text, true),
    };
    if failed {
        return (code::tool_error(&text, None, call.era()), true);
    }
    let kind = match call.era() {
        Era::Stateless => r#""resultType":"complete","#,
        Era::Session => "",
    };
    (format!(r#"{{{kind}"content":[{{"type":"text","text":{}}}],"isError":false}}"#, quote(&text)), false)
}

fn said(lean: &lean::Lean, body: &[u8], ask: Ask) -> Result<String, String> {
    let sent: Sent<'_> = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let arguments = sent.params.arguments.map_or("{}", RawValue::get);
    let wrong = |error: serde_json::Error| format!("the arguments do not follow the input schema: {error}");
    match ask {
        Ask::Find => {
            let search: Search = serde_json::from_str(arguments).map_err(wrong)?;
            lean.find(&search.query, search.service.as_deref(), search.limit)
        }
        Ask::Describe => {
            let names: Names = serde_json::from_str(arguments).map_err(wrong)?;
            lean.describe(&names.name.into_iter().chain(names.names).collect::<Vec<_>>())
        }
        Ask::Call => Err(lean.unknown(&wanted(body)?.name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unfolded(body: &str) -> Result<String, String> {
        let bytes = Bytes::copy_from_slice(body.as_bytes());
        wanted(&bytes).map(|wanted| String::from_utf8(wanted.body(&bytes).to_vec()).unwrap())
    }

    #[test]
    fn a_call_becomes_what_it_stands_for_and_nothing_else_changes() {
        let tail = r#""_meta":{"progressToken":"p"},"requestState":"s"}}"#;
        for (arguments, expected) in [
            (r#"{"name":"fs_read","arguments":{"path":"/a", "n":[1.50]}}"#, r#"{"path":"/a", "n":[1.50]}"#),
            (r#"{"arguments":{},"name":"fs_read"}"#, "{}"),
            (r#"{"name":"fs_read"}"#, "{}"),
            (r#"{"name":"fs_read","arguments":null}"#, "{}"),
            (r#"{"name":"fs_read","arguments":"{\"path\":\"/a\"}"}"#, r#"{"path":"/a"}"#),
        ] {
            let head = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"#;
            let sent = format!(r#"{head}"arguments":{arguments},"name":"call_tool",{tail}"#);
            let told = format!(r#"{head}"arguments":{expected},"name":"fs_read",{tail}"#);
            assert_eq!(unfolded(&sent).unwrap(), told);
            let sent = format!(r#"{head}"name":"call_tool","arguments":{arguments},{tail}"#);
            let told = format!(r#"{head}"name":"fs_read","arguments":{expected},{tail}"#);
            assert_eq!(unfolded(&sent).unwrap(), told);
        }
    }

    #[test]
    fn a_call_that_is_not_well_formed_says_what_to_write() {
        for arguments in ["{}", "[]", r#"{"name":"a","path":"/a"}"#, r#"{"name":"a","arguments":[]}"#, r#"{"name":1}"#]
        {
            let sent = format!(r#"{{"params":{{"name":"call_tool","arguments":{arguments}}}}}"#);
            assert!(unfolded(&sent).unwrap_err().contains("call_tool takes"), "{arguments}");
        }
        assert!(unfolded(r#"{"params":{"name":"call_tool"}}"#).is_err());
        assert!(unfolded(r#"{"params":{"name":"call_tool","arguments":{"name":"a","arguments":"{"}}}"#).is_err());
    }

    #[test]
    fn headers_mirror_the_tool_and_not_the_detour() {
        let mut client = HeaderMap::new();
        for (name, value) in [("mcp-name", "call_tool"), ("mcp-param-x", "old"), ("traceparent", "t")] {
            client.insert(name, HeaderValue::from_static(value));
        }
        let wanted = Folded {
            name: "fs_read".into(),
            arguments: r#"{"where":{"region":"Zürich"},"n":7}"#.into(),
            name_at: 0..0,
            arguments_at: 0..0,
        };
        let schema = r#"{"properties":{"where":{"properties":{"region":{"type":"string","x-mcp-header":"Region"}}},"n":{"type":"integer","x-mcp-header":"N"},"m":{"type":"integer","x-mcp-header":"M"}}}"#;
        let all = mirroring(&client, &wanted, &headers::param_headers(schema).unwrap());
        let text = |name: &str| all.get(name).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(text("mcp-name").as_deref(), Some("fs_read"));
        assert_eq!(text("mcp-param-n").as_deref(), Some("7"));
        assert_eq!(text("mcp-param-region").as_deref(), Some(&*headers::encode("Zürich")));
        assert_eq!((text("mcp-param-x"), text("mcp-param-m")), (None, None));
        assert_eq!(text("traceparent").as_deref(), Some("t"));
    }
}
