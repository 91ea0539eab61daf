//! Messages of servers: what must be changed so that many servers and many replicas look like one server.
//!
//! Two things only: on the aggregate endpoint resource URIs of services that own no scheme are wrapped; and the ids of
//! questions that servers ask (elicitation, sampling, roots) say, sealed, which session of which instance asked. So two
//! servers may use the same id, and the client's answer finds its way from whichever replica it reaches. Everything else
//! passes byte by byte.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use weft_mesh::ServiceId;
use weft_wire::{
    envelope::{self, Body, Id, Limits, Message},
    splice::{quote, splice},
};

use crate::{seal::Seal, uri};

/// How the messages of one service are changed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rewrite {
    /// The service's id, on the aggregate endpoint.
    pub(crate) service: Option<String>,
    /// Wrap resource URIs.
    pub(crate) wrap: bool,
}

impl Rewrite {
    /// The message as the client is to see it; none when nothing changes. `asker` is given when it is a question.
    pub(crate) fn message(&self, message: &[u8], asker: Option<&Asker<'_>>) -> Option<Vec<u8>> {
        let mut edits: Vec<(Range<usize>, String)> = Vec::new();
        edits.extend(asker.and_then(|asker| asker.mark(message)));
        if let (Some(service), true) = (self.service.as_deref(), self.wrap) {
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

/// Who asks the client something.
pub(crate) struct Asker<'a> {
    pub(crate) seal: &'a Seal,
    /// The client's session.
    pub(crate) session: &'a str,
    pub(crate) service: &'a ServiceId,
    pub(crate) instance: &'a str,
    /// The session at the server.
    pub(crate) token: &'a str,
}

/// Where the answer to a question goes.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Question {
    #[serde(rename = "s")]
    pub(crate) service: ServiceId,
    #[serde(rename = "i")]
    pub(crate) instance: String,
    #[serde(rename = "t")]
    pub(crate) token: String,
    /// The raw JSON of the id as the server chose it.
    #[serde(rename = "r")]
    pub(crate) raw: String,
}

impl Asker<'_> {
    /// The place of the question's id, and what it becomes: a string that only the gateways can read.
    fn mark(&self, message: &[u8]) -> Option<(Range<usize>, String)> {
        let limits = Limits { bytes: message.len(), ..Limits::default() };
        let Ok(Body::One(Message::Request(request))) = envelope::read(message, &limits) else { return None };
        let question = Question {
            service: self.service.clone(),
            instance: self.instance.to_owned(),
            token: self.token.to_owned(),
            raw: request.id.as_raw().to_owned(),
        };
        let sealed = self.seal.seal(&purpose(self.session), &serde_json::to_vec(&question).ok()?)?;
        Some((request.id_span.clone(), quote(&format!("{MARK}{sealed}"))))
    }
}

/// The question of this session that an id of ours stands for; anything that a client made up is none.
pub(crate) fn unmark(seal: &Seal, session: &str, id: &Id<'_>) -> Option<Question> {
    let text = id.as_text()?;
    let plain = seal.open(&purpose(session), text.strip_prefix(MARK)?)?;
    serde_json::from_slice(&plain).ok()
}

const MARK: &str = "weft:";

fn purpose(session: &str) -> String {
    format!("question of {session}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_finds_its_way_back_in_its_own_session_only() {
        let seal = Seal::new(&[7; 32]).unwrap();
        let service: ServiceId = "docs".parse().unwrap();
        let asker = Asker { seal: &seal, session: "one", service: &service, instance: "mcp-docs-1", token: "upstream" };
        for id in ["7", r#""a \"b\"""#] {
            let question =
                format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"elicitation/create","params":{{"message":"?"}}}}"#);
            let seen = Rewrite::default().message(question.as_bytes(), Some(&asker)).unwrap();
            let seen_id = serde_json::from_slice::<serde_json::Value>(&seen).unwrap()["id"].to_string();
            let answer = format!(r#"{{"jsonrpc":"2.0","id":{seen_id},"result":{{}}}}"#);
            let Ok(Body::One(Message::Response(response))) = envelope::read(answer.as_bytes(), &Limits::default())
            else {
                panic!("not a response")
            };
            let found = unmark(&seal, "one", &response.id).unwrap();
            assert_eq!((found.raw.as_str(), found.token.as_str()), (id, "upstream"));
            assert_eq!((found.service.as_ref(), found.instance.as_str()), ("docs", "mcp-docs-1"));
            assert_eq!(unmark(&seal, "two", &response.id), None);
        }
        assert_eq!(unmark(&seal, "one", &Id::number(7)), None);
    }

    #[test]
    fn only_what_must_change_changes() {
        let verbatim = Rewrite::default();
        let message = br#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"resource_link","uri":"test://a"}]}}"#;
        assert!(verbatim.message(message, None).is_none());
        let wrap = Rewrite { service: Some("docs".into()), wrap: true };
        let seen = String::from_utf8(wrap.message(message, None).unwrap()).unwrap();
        assert_eq!(
            seen,
            r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"resource_link","uri":"docs+test://a"}]}}"#
        );
    }
}
