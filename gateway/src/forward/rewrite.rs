//! Messages of servers on the aggregate endpoint: what must be changed so that many servers look like one.
//!
//! Two things only: resource URIs of services that own no scheme are wrapped, and the ids of questions that servers ask
//! (elicitation, sampling, roots) are marked with the service, so that the client's answer finds its way back and two
//! servers may use the same id. Everything else passes byte by byte.

use std::ops::Range;

use weft_wire::{
    envelope::{self, Body, Id, Limits, Message},
    splice::{quote, splice},
};

use crate::uri;

/// How the messages of one service are changed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rewrite {
    /// The service's id, on the aggregate endpoint.
    pub(crate) service: Option<String>,
    /// Wrap resource URIs.
    pub(crate) wrap: bool,
}

impl Rewrite {
    /// The message as the client is to see it; none when nothing changes.
    pub(crate) fn message(&self, message: &[u8], asks: bool) -> Option<Vec<u8>> {
        let service = self.service.as_deref()?;
        let mut edits: Vec<(Range<usize>, String)> = Vec::new();
        if asks {
            edits.extend(marked_id(service, message));
        }
        if self.wrap {
            let wrapped =
                uri::positions(message).into_iter().map(|(span, uri)| (span, quote(&uri::wrap(service, &uri))));
            edits.extend(wrapped);
        }
        if edits.is_empty() {
            return None;
        }
        edits.sort_by_key(|(span, _)| span.start);
        let edits: Vec<(Range<usize>, &str)> = edits.iter().map(|(span, text)| (span.clone(), text.as_str())).collect();
        Some(splice(message, &edits))
    }
}

/// What the id of a server's question becomes: a string that holds the service and the id as it was.
fn marked_id(service: &str, message: &[u8]) -> Option<(Range<usize>, String)> {
    let limits = Limits { bytes: message.len(), ..Limits::default() };
    match envelope::read(message, &limits) {
        Ok(Body::One(Message::Request(request))) => {
            Some((request.id_span.clone(), quote(&format!("weft:{service}:{}", request.id.as_raw()))))
        }
        _ => None,
    }
}

/// The service and the raw JSON of the id that [`Rewrite`] marked.
pub(crate) fn unmark(id: &Id<'_>) -> Option<(String, String)> {
    let text = id.as_text()?;
    let (service, raw) = text.strip_prefix("weft:")?.split_once(':')?;
    // The client could have made it up: only what is itself an id may go out.
    let whole = matches!(serde_json::from_str(raw), Ok(serde_json::Value::String(_) | serde_json::Value::Number(_)));
    whole.then(|| (service.to_owned(), raw.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_finds_its_way_back() {
        let rewrite = Rewrite { service: Some("docs".into()), wrap: false };
        for id in ["7", r#""a \"b\"""#] {
            let question =
                format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"elicitation/create","params":{{"message":"?"}}}}"#);
            let seen = rewrite.message(question.as_bytes(), true).unwrap();
            let seen_id = serde_json::from_slice::<serde_json::Value>(&seen).unwrap()["id"].to_string();
            let answer = format!(r#"{{"jsonrpc":"2.0","id":{seen_id},"result":{{}}}}"#);
            let Ok(Body::One(Message::Response(response))) = envelope::read(answer.as_bytes(), &Limits::default())
            else {
                panic!("not a response")
            };
            assert_eq!(unmark(&response.id), Some(("docs".to_owned(), id.to_owned())));
        }
    }

    #[test]
    fn only_what_must_change_changes() {
        let verbatim = Rewrite::default();
        let message = br#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"resource_link","uri":"test://a"}]}}"#;
        assert!(verbatim.message(message, false).is_none());
        let wrap = Rewrite { service: Some("docs".into()), wrap: true };
        let seen = String::from_utf8(wrap.message(message, false).unwrap()).unwrap();
        assert_eq!(
            seen,
            r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"resource_link","uri":"docs+test://a"}]}}"#
        );
    }
}
