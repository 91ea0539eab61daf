//! What routing reads of `params` and its `_meta`: names, places, and raw pieces that are passed on.

use std::{borrow::Cow, ops::Range};

use super::{Id, Malformed, Text, Walk, decode, members_of};

/// The members of `params` that the mesh acts on; those of a wrong type count as absent and are missed by their method.
#[derive(Debug, Clone, Default)]
pub struct Params<'a> {
    /// The whole, raw.
    pub raw: Option<&'a str>,
    /// Where it stands.
    pub span: Option<Range<usize>>,
    /// Of `tools/call` and `prompts/get`.
    pub name: Option<Text<'a>>,
    /// Of `resources/*`.
    pub uri: Option<Text<'a>>,
    /// Of `tasks/*`.
    pub task_id: Option<Text<'a>>,
    /// Of lists.
    pub cursor: Option<Text<'a>>,
    /// `ref` of `completion/complete`.
    pub reference: Option<Reference<'a>>,
    /// `_meta`.
    pub meta: Option<Meta<'a>>,
    /// Of `subscriptions/listen`, raw.
    pub notifications: Option<&'a str>,
    /// Of `tools/call`, raw.
    pub arguments: Option<&'a str>,
    /// Of `initialize`.
    pub protocol_version: Option<Text<'a>>,
    /// Of `initialize`, raw.
    pub capabilities: Option<&'a str>,
    /// Of `initialize`, raw.
    pub client_info: Option<&'a str>,
    /// Of `notifications/cancelled`.
    pub request_id: Option<Id<'a>>,
    /// Of `notifications/progress`, raw.
    pub progress_token: Option<&'a str>,
    /// Of `logging/setLevel`.
    pub level: Option<Text<'a>>,
}

/// What a completion is about.
#[derive(Debug, Clone)]
pub struct Reference<'a> {
    /// `ref/prompt` or `ref/resource`.
    pub kind: Cow<'a, str>,
    /// The prompt.
    pub name: Option<Text<'a>>,
    /// The resource or template.
    pub uri: Option<Text<'a>>,
}

/// What a request says about itself (MCP 2026-07-28, `_meta`).
#[derive(Debug, Clone)]
pub struct Meta<'a> {
    /// The whole, raw.
    pub raw: &'a str,
    /// Where it stands.
    pub span: Range<usize>,
    /// `io.modelcontextprotocol/protocolVersion`.
    pub protocol_version: Option<Cow<'a, str>>,
    /// `io.modelcontextprotocol/clientCapabilities`, raw; an object.
    pub client_capabilities: Option<&'a str>,
    /// `io.modelcontextprotocol/clientInfo`, raw.
    pub client_info: Option<&'a str>,
    /// `io.modelcontextprotocol/logLevel`.
    pub log_level: Option<Cow<'a, str>>,
    /// `progressToken`, raw.
    pub progress_token: Option<&'a str>,
    /// `traceparent` (W3C Trace Context).
    pub traceparent: Option<Cow<'a, str>>,
}

/// What is wrong with the parameters.
pub(super) enum Wrong {
    Duplicate(String),
    Invalid(&'static str),
    Params(&'static str),
}

impl Wrong {
    pub(super) fn with(self, id: Option<Id<'static>>) -> Malformed {
        match self {
            Self::Duplicate(key) => Malformed::Duplicate { key, id },
            Self::Invalid(why) => Malformed::Invalid { why, id },
            Self::Params(why) => Malformed::Params { why, id },
        }
    }
}

fn walked(walk: Result<(), Walk>, not_object: Wrong) -> Result<(), Wrong> {
    walk.map_err(|walk| match walk {
        Walk::NotObject => not_object,
        Walk::Duplicate(key) => Wrong::Duplicate(key),
    })
}

/// Reads `params`, which may be absent.
pub(super) fn read(text: &str, place: Option<Range<usize>>) -> Result<Params<'_>, Wrong> {
    let Some(place) = place else { return Ok(Params::default()) };
    let mut params =
        Params { raw: Some(&text[place.clone()]), span: Some(place.clone()), ..Params::default() };
    let (mut meta, mut reference) = (None, None);
    let mut torn = false;
    let walk = members_of(text, place, |key, span| {
        let raw = &text[span.clone()];
        let slot = match key {
            "name" => &mut params.name,
            "uri" => &mut params.uri,
            "taskId" => &mut params.task_id,
            "cursor" => &mut params.cursor,
            "protocolVersion" => &mut params.protocol_version,
            "level" => &mut params.level,
            "_meta" => return meta = Some(span),
            "ref" => return reference = Some(span),
            "notifications" => return params.notifications = Some(raw),
            "arguments" => return params.arguments = Some(raw),
            "capabilities" => return params.capabilities = Some(raw),
            "clientInfo" => return params.client_info = Some(raw),
            "requestId" => return params.request_id = Id::parse(raw),
            "progressToken" => return params.progress_token = Some(raw),
            _ => return,
        };
        *slot = decode(raw).map(|value| Text { value, span });
        torn |= slot.is_none() && raw.starts_with('"');
    });
    walked(walk, Wrong::Invalid("\"params\" must be an object"))?;
    if torn {
        return Err(Wrong::Params("a string holds half of a surrogate pair"));
    }
    params.meta = meta.map(|span| read_meta(text, span)).transpose()?;
    params.reference = reference.map(|span| read_reference(text, span)).transpose()?.flatten();
    Ok(params)
}

fn read_reference(text: &str, place: Range<usize>) -> Result<Option<Reference<'_>>, Wrong> {
    let (mut kind, mut name, mut uri) = (None, None, None);
    let walk = members_of(text, place, |key, span| {
        let value = decode(&text[span.clone()]);
        match key {
            "type" => kind = value,
            "name" => name = value.map(|value| Text { value, span }),
            "uri" => uri = value.map(|value| Text { value, span }),
            _ => {}
        }
    });
    walked(walk, Wrong::Params("\"ref\" must be an object"))?;
    Ok(kind.map(|kind| Reference { kind, name, uri }))
}

fn read_meta(text: &str, place: Range<usize>) -> Result<Meta<'_>, Wrong> {
    let mut meta = Meta {
        raw: &text[place.clone()],
        span: place.clone(),
        protocol_version: None,
        client_capabilities: None,
        client_info: None,
        log_level: None,
        progress_token: None,
        traceparent: None,
    };
    let walk = members_of(text, place, |key, span| {
        let raw = &text[span];
        match key {
            "io.modelcontextprotocol/protocolVersion" => meta.protocol_version = decode(raw),
            "io.modelcontextprotocol/clientCapabilities" => {
                meta.client_capabilities = Some(raw).filter(|raw| raw.starts_with('{'));
            }
            "io.modelcontextprotocol/clientInfo" => meta.client_info = Some(raw),
            "io.modelcontextprotocol/logLevel" => meta.log_level = decode(raw),
            "progressToken" => meta.progress_token = Some(raw),
            "traceparent" => meta.traceparent = decode(raw),
            _ => {}
        }
    });
    walked(walk, Wrong::Params("\"_meta\" must be an object"))?;
    Ok(meta)
}
