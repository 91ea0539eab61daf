//! Bytes of some kind → the text that is cut into chunks, with its title and where its pages begin.

use weft_extract::{heading, html, named_in_html, pdf::Reader, text};
use weft_kit::{Call, ToolError};

/// Between two pages.
const BREAK: &str = "\n\n";

/// What is to be read.
#[derive(Debug)]
pub(crate) struct Raw {
    /// What it is, as the ending of a file's name.
    pub(crate) ending: String,
    /// Its character set, if somebody said.
    pub(crate) charset: Option<String>,
    pub(crate) bytes: Vec<u8>,
}

/// What can be read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Readable {
    pub(crate) title: Option<String>,
    pub(crate) text: String,
    /// Whether it is cut by its headings, unless the caller says.
    pub(crate) markdown: bool,
    /// The first byte of each page; none of what has no pages.
    pub(crate) pages: Vec<usize>,
    /// There was more than may be read.
    pub(crate) cut: bool,
}

impl Readable {
    /// The page that a byte is on, from 1.
    pub(crate) fn page(&self, at: usize) -> Option<usize> {
        Some(self.pages.partition_point(|start| *start <= at)).filter(|page| *page > 0)
    }
}

/// Reads it; PDF in a process of its own.
pub(crate) async fn read(call: &Call, pdf: &Reader, raw: Raw) -> Result<Readable, ToolError> {
    if raw.ending != "pdf" {
        return call.blocking(move |_| plain(&raw)).await;
    }
    let read = pdf.read_bytes(call, &raw.bytes).await?;
    let read = read.map_err(|why| ToolError::invalid(format!("the PDF cannot be read: {why}")))?;
    let mut pages = Vec::with_capacity(read.pages.len());
    let mut text = String::new();
    for page in &read.pages {
        pages.push(text.len());
        text.push_str(page);
        text.push_str(BREAK);
    }
    Ok(Readable { title: read.title, text, markdown: false, pages, cut: read.cut })
}

fn plain(raw: &Raw) -> Result<Readable, ToolError> {
    let ending = raw.ending.as_str();
    let is_page = ["html", "htm", "xhtml"].contains(&ending);
    let named = raw.charset.clone().or_else(|| is_page.then(|| named_in_html(&raw.bytes)).flatten());
    let text = text(&raw.bytes, named.as_deref())
        .ok_or_else(|| ToolError::invalid(format!("it is no text in {}", named.as_deref().unwrap_or("UTF-8"))))?;
    if is_page {
        let page = html::read(&text);
        return Ok(Readable { title: page.title, text: page.text, ..Readable::default() });
    }
    let markdown = ["md", "markdown", "mdx"].contains(&ending);
    let title = markdown.then(|| heading(&text)).flatten();
    Ok(Readable { title, text, markdown, ..Readable::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(ending: &str, bytes: &[u8]) -> Result<Readable, ToolError> {
        plain(&Raw { ending: ending.to_owned(), charset: None, bytes: bytes.to_vec() })
    }

    #[test]
    fn each_kind_gives_its_text_and_title() {
        let page = read("html", b"<meta charset=latin1><title>T\xfcr</title><script>no</script><p>auf").unwrap();
        assert_eq!((page.title.as_deref(), page.text.as_str()), (Some("Tür"), "auf"));
        let notes = read("md", b"# One\n\ntext").unwrap();
        assert_eq!((notes.title.as_deref(), notes.markdown), (Some("One"), true));
        assert_eq!(read("txt", b"# One").unwrap().title, None);
        assert!(read("txt", b"a\0b").is_err() && read("txt", b"\xff").is_err());
    }

    #[test]
    fn a_place_is_on_the_page_that_began_last() {
        let readable = Readable { pages: vec![0, 10, 10, 20], ..Readable::default() };
        assert_eq!([0, 9, 10, 25].map(|at| readable.page(at)), [Some(1), Some(1), Some(3), Some(4)]);
        assert_eq!(Readable::default().page(5), None);
    }
}
