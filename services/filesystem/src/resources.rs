//! Files as resources: `file://` and the absolute path, percent-encoded (RFC 8089).

use std::{fmt::Write as _, sync::Arc};

use rustix::fs::OFlags;
use weft_kit::{Body, Call, Completing, Content, Link, Resources, ToolError};

use crate::{
    Files, content,
    root::{Roots, kind},
    walk::{self, Limits, Next},
};

/// The largest file that is read as a resource.
const LARGEST: u64 = 1 << 20;
/// Values offered for completion.
const OFFERED: usize = 100;

/// The URI of an absolute path.
pub(crate) fn uri(path: &str) -> String {
    let mut uri = String::from("file://");
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

/// The absolute path of a URI.
pub(crate) fn path(uri: &str) -> Option<String> {
    let rest = uri.strip_prefix("file://")?;
    let rest = rest.strip_prefix("localhost").unwrap_or(rest);
    if !rest.starts_with('/') {
        return None;
    }
    let mut bytes = Vec::with_capacity(rest.len());
    let mut left = rest.bytes();
    while let Some(byte) = left.next() {
        if byte == b'%' {
            let pair = [left.next()?, left.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&pair).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

pub(crate) async fn list(files: Arc<Files>, _: Call, _: Option<String>) -> Result<Resources, ToolError> {
    let item = |root: &crate::root::Root| {
        let path = root.path.to_string_lossy();
        Link {
            uri: uri(&path),
            name: root.path.file_name().map_or_else(|| "/".to_owned(), |name| name.to_string_lossy().into_owned()),
            description: Some("An allowed directory.".to_owned()),
            mime: Some("inode/directory".to_owned()),
            size: None,
        }
    };
    Ok(Resources { items: files.roots.list.iter().map(item).collect(), cursor: None })
}

pub(crate) async fn read(files: Arc<Files>, call: Call, asked: String) -> Result<Vec<Content>, ToolError> {
    let work = move |call: &Call| {
        let path = path(&asked).ok_or_else(|| ToolError::not_found(format!("{asked} is no file URI")))?;
        let place = files.roots.place(&path)?;
        let (_, stat) = place.open(OFlags::PATH)?;
        if kind(&stat) == "directory" {
            let mut text = String::new();
            let limits = Limits { depth: 1, respect_ignore: false, entries: 2000, ..Limits::SEARCH };
            walk::walk(&files.roots, &place, &limits, call, &mut |found| {
                let slash = if found.kind() == "directory" { "/" } else { "" };
                let _ = writeln!(text, "{}{slash}", content::plain(&found.name));
                Ok(Next::Go)
            })?;
            return Ok(vec![Content { uri: asked, mime: Some("inode/directory".to_owned()), body: Body::Text(text) }]);
        }
        let (mut file, stat, _) = files.roots.read(&place)?;
        let bytes = content::whole(&place.shown, &mut file, &stat, LARGEST)?;
        let (mime, body) = match String::from_utf8(bytes) {
            Ok(text) if !content::is_binary(text.as_bytes()) => ("text/plain", Body::Text(text)),
            Ok(text) => ("application/octet-stream", Body::Bytes(text.into_bytes())),
            Err(error) => ("application/octet-stream", Body::Bytes(error.into_bytes())),
        };
        Ok(vec![Content { uri: asked, mime: Some(mime.to_owned()), body }])
    };
    call.blocking(work).await
}

/// Completes the path of the template: what is in the directory that was typed so far.
pub(crate) async fn complete(files: Arc<Files>, call: Call, asked: Completing) -> Result<Vec<String>, ToolError> {
    let work = move |call: &Call| {
        let (above, start) = asked.value.rsplit_once('/').unwrap_or(("", &asked.value));
        let roots = || files.roots.list.iter().map(|root| root.path.to_string_lossy().into_owned());
        let mut offered: Vec<String> = roots().filter(|root| root.starts_with(&asked.value)).collect();
        let Ok(place) = files.roots.place(if above.is_empty() { "/" } else { above }) else { return Ok(offered) };
        let limits = Limits { depth: 1, respect_ignore: false, ..Limits::SEARCH };
        walk::walk(&files.roots, &place, &limits, call, &mut |found| {
            if found.name.starts_with(start) {
                let slash = if found.kind() == "directory" { "/" } else { "" };
                offered.push(format!("{}{slash}", Roots::show(place.root, &found.below)));
            }
            Ok(if offered.len() >= OFFERED { Next::Stop } else { Next::Go })
        })?;
        Ok(offered)
    };
    call.blocking(work).await
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_path_survives_as_a_uri(text in "/[^\\x00]{0,40}") {
            let back = path(&uri(&text));
            prop_assert_eq!(back.as_deref(), Some(text.as_str()));
        }
    }

    #[test]
    fn only_absolute_file_uris_are_paths() {
        assert_eq!(path("file://localhost/a%20b").as_deref(), Some("/a b"));
        for bad in ["file:relative", "file://host/a", "http://a/b", "file:///a%2", "file:///a%zz"] {
            assert_eq!(path(bad), None, "{bad}");
        }
    }
}
