//! One object of JSON → one message of JSON-RPC: which of the three kinds it is, or why none.

use std::ops::Range;

use super::{Id, Malformed, Message, Notification, Params, Request, Response, TORN, Wrong, params};
use crate::{
    object::{Unclear, string, walk},
    scanner::{Fault, Scanner},
};

/// Reads the value that is next as a message. Bad syntax ends the reading of the whole body, all else is about this message.
pub(super) fn read<'a>(scanner: &mut Scanner<'a>) -> Result<Result<Message<'a>, Malformed>, Fault> {
    if scanner.peek() != Some(b'{') {
        scanner.value()?;
        return Ok(Err(Wrong::Invalid("it must be an object").with(None)));
    }
    let mut members = Members::default();
    let unclear = walk(scanner, |scanner, key| members.take(scanner, key))?;
    Ok(members.message(unclear))
}

/// The members of a message that count.
#[derive(Default)]
struct Members<'a> {
    jsonrpc: Option<&'a str>,
    id: Option<(&'a str, Range<usize>)>,
    method: Option<&'a str>,
    params: Params<'a>,
    /// The first thing wrong inside `params`.
    wrong: Option<Wrong>,
    result: Option<&'a str>,
    error: Option<&'a str>,
}

impl<'a> Members<'a> {
    fn take(&mut self, scanner: &mut Scanner<'a>, key: &str) -> Result<(), Fault> {
        if key == "params" {
            (self.params, self.wrong) = params::read(scanner)?;
            return Ok(());
        }
        let place = scanner.value()?;
        let raw = scanner.raw(place.clone());
        match key {
            "jsonrpc" => self.jsonrpc = Some(raw),
            "id" => self.id = Some((raw, place)),
            "method" => self.method = Some(raw),
            "result" => self.result = Some(raw),
            "error" => self.error = Some(raw),
            _ => {}
        }
        Ok(())
    }

    fn message(self, unclear: Option<Unclear>) -> Result<Message<'a>, Malformed> {
        let id = self.id.as_ref().and_then(|(raw, _)| Id::of(raw));
        if let Some(unclear) = unclear {
            // Of two ids neither is the message's.
            let known = id.filter(|_| unclear != Unclear::Duplicate("id".to_owned()));
            return Err(Wrong::keys(unclear).with(known.map(Id::into_owned)));
        }
        let known = id.clone().map(Id::into_owned);
        self.kind(id).map_err(|wrong| wrong.with(known))
    }

    fn kind(self, id: Option<Id<'a>>) -> Result<Message<'a>, Wrong> {
        if self.jsonrpc.and_then(string).as_deref() != Some("2.0") {
            return Err(Wrong::Invalid(r#""jsonrpc" must be "2.0""#));
        }
        let Some(method) = self.method else { return self.response(id) };
        if self.result.is_some() || self.error.is_some() {
            return Err(Wrong::Invalid("it has a method and a result or an error; send one or the other"));
        }
        let method = string(method).ok_or(Wrong::Invalid(if method.starts_with('"') {
            TORN
        } else {
            r#""method" must be a string"#
        }))?;
        let (params, wrong) = (self.params, self.wrong);
        let message = match (id, self.id) {
            (Some(id), Some((_, id_span))) => Message::Request(Request { id, id_span, method, params }),
            (_, None) => Message::Notification(Notification { method, params }),
            (None, Some((raw, _))) => return Err(no_id(raw)),
        };
        wrong.map_or(Ok(message), Err)
    }

    fn response(self, id: Option<Id<'a>>) -> Result<Message<'a>, Wrong> {
        let (result, error) = (self.result, self.error);
        match (result, error) {
            (None, None) => return Err(Wrong::Invalid(r#"it has no "method", "result" or "error""#)),
            (Some(_), Some(_)) => return Err(Wrong::Invalid(r#"it has both "result" and "error""#)),
            _ => {}
        }
        let (raw, id_span) = self.id.ok_or(Wrong::Invalid(r#"an answer must have an "id""#))?;
        // Who could not read the question says so with an id of null (JSON-RPC 2.0 section 5).
        let unread = (raw == "null" && error.is_some()).then_some(Id::NULL);
        let id = id.or(unread).ok_or_else(|| no_id(raw))?;
        Ok(Message::Response(Response { id, id_span, result, error }))
    }
}

fn no_id(raw: &str) -> Wrong {
    Wrong::Invalid(if raw.starts_with('"') { TORN } else { r#""id" must be a string or an integer"# })
}
