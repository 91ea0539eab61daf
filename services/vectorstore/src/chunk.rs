//! A long text → chunks that fit an embedder, each with where it stood.
//!
//! Cuts fall where the text's own structure allows it best: headings and blocks in Markdown, else paragraphs, sentences, words.

use schemars::JsonSchema;
use serde::Deserialize;
use text_splitter::{ChunkConfig, MarkdownSplitter, TextSplitter};
use weft_kit::ToolError;

/// How to cut.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Cut {
    /// Characters of a chunk, 100 to 16000.
    pub(crate) size: usize,
    /// Characters that neighbours share.
    pub(crate) overlap: usize,
    /// Cut by the structure of Markdown; default: by the name of the file.
    pub(crate) markdown: Option<bool>,
}

impl Default for Cut {
    fn default() -> Self {
        Self { size: 1_200, overlap: 120, markdown: None }
    }
}

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// The first byte in the text.
    pub(crate) start: usize,
    pub(crate) text: String,
}

impl Chunk {
    /// The byte behind the last.
    pub(crate) fn end(&self) -> usize {
        self.start + self.text.len()
    }
}

/// Cuts a text; chunks of white space alone are left out.
pub(crate) fn chunks(text: &str, cut: Cut) -> Result<Vec<Chunk>, ToolError> {
    if !(100..=16_000).contains(&cut.size) || cut.overlap > cut.size / 2 {
        return Err(ToolError::invalid("a chunk has 100 to 16000 characters, and shares at most half of them"));
    }
    let config = ChunkConfig::new(cut.size).with_overlap(cut.overlap).map_err(|error| ToolError::internal(&error))?;
    let chunk = |(start, text): (usize, &str)| Chunk { start, text: text.to_owned() };
    Ok(if cut.markdown == Some(true) {
        MarkdownSplitter::new(config).chunk_indices(text).map(chunk).collect()
    } else {
        TextSplitter::new(config).chunk_indices(text).map(chunk).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_says_where_it_stood_and_none_is_too_long() {
        let text = "A sentence that is not long. ".repeat(40) + "\n\n" + &"Grüße, Welt. ".repeat(40);
        let cut = Cut { size: 200, overlap: 20, markdown: Some(false) };
        let chunks = chunks(&text, cut).unwrap();
        assert!(chunks.len() > 5);
        for chunk in &chunks {
            assert_eq!(&text[chunk.start..chunk.end()], chunk.text);
            assert!(chunk.text.chars().count() <= 200);
        }
    }

    #[test]
    fn markdown_is_cut_at_its_headings() {
        let text = format!("# One\n\n{}\n\n# Two\n\n{}\n", "a b c ".repeat(20), "d e f ".repeat(20));
        let cut = Cut { size: 150, overlap: 0, markdown: Some(true) };
        assert!(chunks(&text, cut).unwrap().iter().any(|chunk| chunk.text.starts_with("# Two")));
        assert!(chunks(&text, Cut { size: 5, ..cut }).is_err());
    }
}
