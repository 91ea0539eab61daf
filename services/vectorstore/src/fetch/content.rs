//! An answer of a web server → bytes whose kind is known, and no more of them than may be read.

use reqwest::{Response, Url, header};
use weft_extract::{ending_of_type, ending_of_uri};
use weft_kit::ToolError;

use crate::check;

/// What is asked for.
pub(super) const ACCEPTED: &str = "text/html, application/xhtml+xml, text/markdown, text/plain, application/pdf, application/json;q=0.5, text/*;q=0.5";
/// Endings that are believed where the server does not say what it sends.
const TEXTS: [&str; 9] = ["md", "markdown", "txt", "html", "htm", "pdf", "json", "rst", "adoc"];

/// What was read.
#[derive(Debug)]
pub(crate) struct Content {
    /// The last address, after all redirects.
    pub(crate) url: String,
    /// As the end of a file's name says it.
    pub(crate) ending: String,
    /// What the server says of its letters.
    pub(crate) charset: Option<String>,
    pub(crate) bytes: Vec<u8>,
}

/// Reads the body of an answer.
pub(super) async fn take(url: &Url, mut response: Response, most: u64) -> Result<Content, ToolError> {
    let status = response.status();
    if !status.is_success() {
        let refused = format!("the server answered {}", status.as_u16());
        let passing = status.is_server_error() || status.as_u16() == 429;
        return Err(if passing { ToolError::unavailable(refused) } else { ToolError::not_found(refused) });
    }
    let packed = response.headers().get(header::CONTENT_ENCODING);
    if packed.is_some_and(|packing| packing.as_bytes() != b"identity") {
        return Err(ToolError::refused(
            "the server sent it packed, which was not asked for; packed content is not read",
        ));
    }
    let said = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let (ending, charset) = (kind(said, url)?, charset(said));
    let large = || ToolError::too_large(format!("it has more than {most} bytes")).hint("the operator can allow more");
    if response.content_length().is_some_and(|length| length > most) {
        return Err(large());
    }
    let mut bytes = Vec::new();
    while let Some(part) = response.chunk().await.map_err(|_| ToolError::unavailable("the answer broke off"))? {
        bytes.extend_from_slice(&part);
        if bytes.len() as u64 > most {
            return Err(large());
        }
    }
    Ok(Content { url: url.to_string(), ending, charset, bytes })
}

/// The kind of a content as an ending, by its type or, where that says little, by the address.
fn kind(said: &str, url: &Url) -> Result<String, ToolError> {
    let by_name = ending_of_uri(url.as_str());
    let essence = said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let vague = essence.is_empty() || essence == "application/octet-stream" || essence == "text/plain";
    if vague && TEXTS.contains(&by_name.as_str()) {
        return Ok(by_name);
    }
    let texts = essence.starts_with("text/") || essence == "application/xml" || essence.ends_with("+json");
    match ending_of_type(&essence) {
        Some(ending) => Ok(ending.to_owned()),
        None if texts => Ok("txt".to_owned()),
        None => Err(ToolError::refused(format!("content of the type `{}` is not read", check::shorten(&essence)))
            .hint("HTML, Markdown, plain text, JSON and PDF are")),
    }
}

fn charset(said: &str) -> Option<String> {
    let parameter = said.split(';').skip(1).find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"').to_owned())
    });
    parameter.filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_what_the_server_says_or_else_what_the_address_ends_with() {
        let url = |path: &str| Url::parse(&format!("http://h/{path}")).unwrap();
        let of = |said: &str, path: &str| kind(said, &url(path)).ok();
        assert_eq!(of("text/html; charset=utf-8", "a.pdf").as_deref(), Some("html"));
        assert_eq!(of("text/plain", "README.md").as_deref(), Some("md"));
        assert_eq!(of("", "a.pdf?x").as_deref(), Some("pdf"));
        assert_eq!(of("text/csv", "a").as_deref(), Some("txt"));
        for (said, path) in
            [("", "a"), ("image/png", "a.md"), ("application/zip", "a.txt"), ("application/octet-stream", "a.exe")]
        {
            assert_eq!(of(said, path), None, "{said} {path}");
        }
        assert_eq!(charset("text/html; Charset=\"latin1\"").as_deref(), Some("latin1"));
        assert_eq!(charset("text/html;charset="), None);
    }
}
