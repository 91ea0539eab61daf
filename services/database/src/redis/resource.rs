//! Keys as resources: `redis://<connection>/<key>`, percent-encoded, so that what a tool cuts can be read whole by who wants it.

use weft_kit::{Body, Call, Content, Link, ToolError};

use super::{Redis, read as page, value::Bytes};

/// The value as a resource: a string whole, everything else as the first page of `redis_read`.
pub(crate) async fn read(redis: &Redis, call: &Call, key: &[u8]) -> Result<Vec<Content>, ToolError> {
    let scope = redis.scope(call);
    let full = scope.raw_key(key)?;
    let uri = link(redis, key).uri;
    if scope.kind(&full).await? != "string" {
        let page = page::first_page(&scope, Bytes::from_bytes(key)).await?;
        let text = serde_json::to_string(&page).map_err(|error| ToolError::internal(&error))?;
        return Ok(vec![Content { uri, mime: Some("application/json".to_owned()), body: Body::Text(text) }]);
    }
    let length: u64 = scope.read(&full, &full.cmd("STRLEN")).await?;
    if length > weft_kit::budget::HARD as u64 {
        return Err(ToolError::too_large(format!("the value has {length} bytes")).hint("redis_read reads it in parts"));
    }
    let value: Option<Vec<u8>> = scope.read(&full, &full.cmd("GET")).await?;
    let value = value.ok_or_else(|| ToolError::not_found("there is no such key"))?;
    let (mime, body) = match String::from_utf8(value) {
        Ok(text) => ("text/plain", Body::Text(text)),
        Err(raw) => ("application/octet-stream", Body::Bytes(raw.into_bytes())),
    };
    Ok(vec![Content { uri, mime: Some(mime.to_owned()), body }])
}

/// `redis://<connection>/<key>`, percent-encoded.
pub(crate) fn link(redis: &Redis, key: &[u8]) -> Link {
    let mut uri = format!("redis://{}/", redis.name());
    for byte in key {
        if byte.is_ascii_alphanumeric() || b"-._~:".contains(byte) {
            uri.push(char::from(*byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    let name = String::from_utf8_lossy(key).chars().take(80).collect();
    Link { uri, name, ..Link::default() }
}

/// Connection and key of such a URI; `None` if it is none.
pub(crate) fn parse_link(uri: &str) -> Option<(String, Vec<u8>)> {
    let (connection, path) = uri.strip_prefix("redis://")?.split_once('/')?;
    let mut key = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            key.push(byte);
            continue;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let (high, low) = (digit(bytes.next()?)?, digit(bytes.next()?)?);
        key.push(u8::try_from(high * 16 + low).ok()?);
    }
    Some((connection.to_owned(), key))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::redis::RedisSettings;

    proptest! {
        #[test]
        fn a_link_leads_back_to_its_key(key: Vec<u8>) {
            let redis = Redis::open(&RedisSettings::new("cache", "redis://localhost")).unwrap();
            let link = link(&redis, &key);
            prop_assert!(link.uri.is_ascii());
            prop_assert_eq!(parse_link(&link.uri), Some(("cache".to_owned(), key)));
        }

        #[test]
        fn no_text_breaks_the_reading_of_links(text: String) {
            let _ = parse_link(&text);
            let _ = parse_link(&format!("redis://c/{text}"));
        }
    }
}
