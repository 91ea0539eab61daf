//! Resource URIs on the aggregate endpoint: whose they are, and how a shared one is told apart.
//!
//! A scheme that exactly one service owns passes unchanged. Any other URI is written `<service>+<uri>` and read back
//! by the catalogue's list of services, so the way back is exact.

use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

/// `<service>+<uri>`.
pub(crate) fn wrap(service: &str, uri: &str) -> String {
    format!("{service}+{uri}")
}

/// The service and the inner URI of a wrapped one; says nothing about whether the service exists.
pub(crate) fn unwrap(uri: &str) -> Option<(&str, &str)> {
    let (service, inner) = uri.split_once('+')?;
    let known =
        !service.is_empty() && service.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    (known && inner.contains(':')).then_some((service, inner))
}

/// The scheme of a URI or URI template: what stands before the first colon (RFC 3986 section 3.1).
pub(crate) fn scheme(uri: &str) -> Option<&str> {
    uri.split_once(':').map(|(scheme, _)| scheme)
}

/// Where the JSON strings of a result stand that are resource URIs: `contents[].uri`, `content[].uri` of links,
/// `content[].resource.uri`, the same inside `messages[].content`, and `params.uri` of an update.
pub(crate) fn positions(message: &[u8]) -> Vec<(Range<usize>, String)> {
    let mut found = Vec::new();
    if let Ok(envelope) = serde_json::from_slice::<Envelope<'_>>(message) {
        let mut note = |uri: &RawValue| {
            if let (Some(span), Ok(text)) = (span(message, uri.get()), serde_json::from_str::<String>(uri.get())) {
                found.push((span, text));
            }
        };
        for part in [envelope.result, envelope.params].into_iter().flatten() {
            part.visit(&mut note);
        }
    }
    found.sort_by_key(|(span, _)| span.start);
    found
}

/// The byte range of `part` inside `whole`, which it must be borrowed from.
pub(crate) fn span(whole: &[u8], part: &str) -> Option<Range<usize>> {
    let start = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
    let range = start..start + part.len();
    (range.end <= whole.len()).then_some(range)
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    result: Option<Holder<'a>>,
    #[serde(borrow)]
    params: Option<Holder<'a>>,
}

#[derive(Deserialize)]
struct Holder<'a> {
    #[serde(borrow)]
    uri: Option<&'a RawValue>,
    #[serde(borrow, default)]
    contents: Vec<Block<'a>>,
    #[serde(borrow, default)]
    content: Vec<Block<'a>>,
    #[serde(borrow, default)]
    messages: Vec<Spoken<'a>>,
}

#[derive(Deserialize)]
struct Spoken<'a> {
    #[serde(borrow)]
    content: Option<Block<'a>>,
}

#[derive(Deserialize)]
struct Block<'a> {
    #[serde(borrow)]
    uri: Option<&'a RawValue>,
    #[serde(borrow)]
    resource: Option<Embedded<'a>>,
}

#[derive(Deserialize)]
struct Embedded<'a> {
    #[serde(borrow)]
    uri: Option<&'a RawValue>,
}

impl<'a> Holder<'a> {
    fn visit(&self, note: &mut impl FnMut(&'a RawValue)) {
        self.uri.into_iter().for_each(&mut *note);
        let spoken = self.messages.iter().filter_map(|message| message.content.as_ref());
        for block in self.contents.iter().chain(&self.content).chain(spoken) {
            block.uri.into_iter().for_each(&mut *note);
            block.resource.iter().filter_map(|inner| inner.uri).for_each(&mut *note);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapping_is_reversible_and_leaves_ordinary_uris_alone() {
        assert_eq!(unwrap(&wrap("docs", "test://a+b")), Some(("docs", "test://a+b")));
        assert_eq!(unwrap("file:///a+b"), None);
        assert_eq!(unwrap("git+ssh"), None);
    }

    #[test]
    fn every_uri_of_a_result_is_found_in_place() {
        let message = br#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"uri"},{"type":"resource_link","uri":"test://a","name":"a"},{"type":"resource","resource":{"uri":"test:\/\/b","text":""}}]}}"#;
        let found = positions(message);
        assert_eq!(found.iter().map(|(_, uri)| uri.as_str()).collect::<Vec<_>>(), ["test://a", "test://b"]);
        assert_eq!(&message[found[0].0.clone()], br#""test://a""#);
    }
}
