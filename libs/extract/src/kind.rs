//! What a file or a resource is, told by its name, its content type or its first lines.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// What stands behind the last dot of a name, in small letters.
pub fn ending(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default()
}

/// Whether a file is read by page.
pub fn is_pdf(path: &str) -> bool {
    ending(path) == "pdf"
}

/// The ending that a kind of content has.
pub fn ending_of_type(mime: &str) -> Option<&'static str> {
    Some(match mime.split(';').next().unwrap_or_default().trim() {
        "application/pdf" => "pdf",
        "text/html" | "application/xhtml+xml" => "html",
        "text/markdown" => "md",
        "text/plain" => "txt",
        "application/json" => "json",
        _ => return None,
    })
}

/// The ending of the last part of an address's path.
pub fn ending_of_uri(uri: &str) -> String {
    ending(uri.split(['?', '#']).next().unwrap_or_default())
}

/// What a content is known by.
pub fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes)[..16].iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The title of a Markdown text: of its front matter, or its first heading.
pub fn heading(text: &str) -> Option<String> {
    let mut lines = text.lines().peekable();
    if lines.peek() == Some(&"---") {
        lines.next();
        for line in lines.by_ref().take_while(|line| *line != "---") {
            if let Some(title) = line.strip_prefix("title:") {
                return Some(title.trim().trim_matches(['"', '\'']).to_owned());
            }
        }
    }
    let heading = lines.find(|line| line.starts_with('#'))?;
    Some(heading.trim_start_matches('#').trim().to_owned()).filter(|title| !title.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ending_is_that_of_the_last_part_alone() {
        assert_eq!(ending("a.b/README"), "");
        assert_eq!(ending_of_uri("https://docs.example/a/Guide.PDF?x=1.html#y.md"), "pdf");
        assert_eq!(ending_of_type("text/html; charset=utf-8"), Some("html"));
    }

    #[test]
    fn a_title_is_of_the_front_matter_or_the_first_heading() {
        assert_eq!(heading("---\ntitle: 'A b'\n---\n# C").as_deref(), Some("A b"));
        assert_eq!(heading("text\n## C").as_deref(), Some("C"));
        assert_eq!(heading("text"), None);
    }
}
