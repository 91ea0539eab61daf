//! What routing reads of `params` and its `_meta`: names, places, and raw pieces that are passed on.

use std::{borrow::Cow, ops::Range};

use super::{Id, TORN, Text, Wrong};
use crate::{
    object::{Unclear, string, walk},
    scanner::{Fault, Scanner},
};

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
    /// `ref` of `completion/complete`; absent when it has no `type`.
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
    /// Of a call that is made again with what it asked for (MCP 2026-07-28, multi-round-trip requests).
    pub request_state: Option<Text<'a>>,
    /// The answers that come with it, raw.
    pub input_responses: Option<&'a str>,
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
#[derive(Debug, Clone, Default)]
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
    /// `tracestate` (W3C Trace Context).
    pub tracestate: Option<Cow<'a, str>>,
    /// `baggage` (W3C Baggage).
    pub baggage: Option<Cow<'a, str>>,
}

/// Reads the `params` that are next, whole, and says what was first found wrong with them.
pub(super) fn read<'a>(scanner: &mut Scanner<'a>) -> Result<(Params<'a>, Option<Wrong>), Fault> {
    if scanner.peek() != Some(b'{') {
        scanner.value()?;
        return Ok((Params::default(), Some(Wrong::Invalid(r#""params" must be an object"#))));
    }
    let mut reader = Reader::default();
    let mut params = Params::default();
    let start = scanner.at();
    let unclear = walk(scanner, |scanner, key| {
        let slot = match key {
            "name" => &mut params.name,
            "uri" => &mut params.uri,
            "taskId" => &mut params.task_id,
            "cursor" => &mut params.cursor,
            "protocolVersion" => &mut params.protocol_version,
            "level" => &mut params.level,
            "requestState" => &mut params.request_state,
            "_meta" => return reader.meta(scanner).map(|meta| params.meta = meta),
            "ref" => return reader.reference(scanner).map(|reference| params.reference = reference),
            _ => {
                let place = scanner.value()?;
                reader.raw(&mut params, key, scanner.raw(place));
                return Ok(());
            }
        };
        *slot = reader.text(scanner)?;
        Ok(())
    })?;
    let place = start..scanner.at();
    (params.raw, params.span) = (Some(scanner.raw(place.clone())), Some(place));
    reader.keys(unclear);
    Ok((params, reader.wrong))
}

/// Remembers the first thing that is wrong, while the rest is still read to its end.
#[derive(Default)]
struct Reader {
    wrong: Option<Wrong>,
}

impl Reader {
    fn found(&mut self, wrong: Wrong) {
        self.wrong.get_or_insert(wrong);
    }

    fn keys(&mut self, unclear: Option<Unclear>) {
        match unclear {
            Some(Unclear::Duplicate(key)) => self.found(Wrong::Duplicate(key)),
            Some(Unclear::Torn) => self.found(Wrong::Params(TORN)),
            None => {}
        }
    }

    /// The string of a valid value; none when it is of another type.
    fn string<'a>(&mut self, raw: &'a str) -> Option<Cow<'a, str>> {
        let decoded = string(raw);
        if decoded.is_none() && raw.starts_with('"') {
            self.found(Wrong::Params(TORN));
        }
        decoded
    }

    fn text<'a>(&mut self, scanner: &mut Scanner<'a>) -> Result<Option<Text<'a>>, Fault> {
        let span = scanner.value()?;
        Ok(self.string(scanner.raw(span.clone())).map(|value| Text { value, span }))
    }

    /// Keeps a member of `params` that is passed on as it is.
    fn raw<'a>(&mut self, params: &mut Params<'a>, key: &str, raw: &'a str) {
        match key {
            "notifications" => params.notifications = Some(raw),
            "arguments" => params.arguments = Some(raw),
            "capabilities" => params.capabilities = Some(raw),
            "clientInfo" => params.client_info = Some(raw),
            "progressToken" => params.progress_token = Some(raw),
            "inputResponses" => params.input_responses = Some(raw),
            "requestId" => {
                params.request_id = Id::of(raw);
                self.string(raw);
            }
            _ => {}
        }
    }

    fn reference<'a>(&mut self, scanner: &mut Scanner<'a>) -> Result<Option<Reference<'a>>, Fault> {
        if scanner.peek() != Some(b'{') {
            return scanner.value().map(|_| None);
        }
        let (mut kind, mut name, mut uri) = (None, None, None);
        let unclear = walk(scanner, |scanner, key| {
            let slot = match key {
                "type" => &mut kind,
                "name" => &mut name,
                "uri" => &mut uri,
                _ => return scanner.value().map(|_| ()),
            };
            *slot = self.text(scanner)?;
            Ok(())
        })?;
        self.keys(unclear);
        Ok(kind.map(|kind| Reference { kind: kind.value, name, uri }))
    }

    fn meta<'a>(&mut self, scanner: &mut Scanner<'a>) -> Result<Option<Meta<'a>>, Fault> {
        if scanner.peek() != Some(b'{') {
            let place = scanner.value()?;
            // Several SDKs write what is absent as null.
            if scanner.raw(place) != "null" {
                self.found(Wrong::Params(r#""_meta" must be an object"#));
            }
            return Ok(None);
        }
        let mut meta = Meta::default();
        let start = scanner.at();
        let unclear = walk(scanner, |scanner, key| {
            let place = scanner.value()?;
            let raw = scanner.raw(place);
            match key {
                "io.modelcontextprotocol/protocolVersion" => meta.protocol_version = self.string(raw),
                "io.modelcontextprotocol/clientCapabilities" => {
                    meta.client_capabilities = Some(raw).filter(|raw| raw.starts_with('{'));
                }
                "io.modelcontextprotocol/clientInfo" => meta.client_info = Some(raw),
                "io.modelcontextprotocol/logLevel" => meta.log_level = self.string(raw),
                "progressToken" => meta.progress_token = Some(raw),
                "traceparent" => meta.traceparent = self.string(raw),
                "tracestate" => meta.tracestate = self.string(raw),
                "baggage" => meta.baggage = self.string(raw),
                _ => {}
            }
            Ok(())
        })?;
        self.keys(unclear);
        meta.span = start..scanner.at();
        meta.raw = scanner.raw(meta.span.clone());
        Ok(Some(meta))
    }
}
