//! What places a call where the policy is consistent hashing.

use std::{borrow::Cow, collections::HashMap};

use serde_json::value::RawValue;
use weft_balance::hash;

use crate::{call::Call, settings::service::Key};

/// The hash of what the service's key names. A call without it is placed by its session, and without one by its caller.
pub(crate) fn hash_of(call: &Call, key: &Key) -> u64 {
    let session = || call.session.as_ref().map(|session| session.hash());
    let caller = || hash(call.caller.id().as_bytes());
    match key {
        Key::Session => session().unwrap_or_else(caller),
        Key::Caller => caller(),
        Key::Header(name) => match call.headers.get(name.as_str()) {
            Some(value) => hash(value.as_bytes()),
            None => session().unwrap_or_else(caller),
        },
        Key::Argument(name) => match argument(&call.body, name) {
            Some(value) => hash(value.get().as_bytes()),
            None => session().unwrap_or_else(caller),
        },
    }
}

/// The raw JSON of one argument of a tool call.
fn argument<'a>(body: &'a [u8], name: &str) -> Option<&'a RawValue> {
    let arguments: HashMap<Cow<'a, str>, &'a RawValue> = serde_json::from_str(arguments(body)?.get()).ok()?;
    arguments.get(name).copied()
}

/// The raw JSON of the arguments of a tool call.
pub(super) fn arguments(body: &[u8]) -> Option<&RawValue> {
    #[derive(serde::Deserialize)]
    struct Message<'a> {
        #[serde(borrow)]
        params: Params<'a>,
    }
    #[derive(serde::Deserialize)]
    struct Params<'a> {
        #[serde(borrow)]
        arguments: Option<&'a RawValue>,
    }
    let message: Message<'_> = serde_json::from_slice(body).ok()?;
    message.params.arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_is_found_as_it_was_written() {
        let body = br#"{"method":"tools/call","params":{"name":"t","arguments":{"path":"/a","n":[1, 2]}}}"#;
        assert_eq!(argument(body, "path").unwrap().get(), r#""/a""#);
        assert_eq!(argument(body, "n").unwrap().get(), "[1, 2]");
        assert!(argument(body, "other").is_none() && argument(b"{}", "path").is_none());
    }
}
