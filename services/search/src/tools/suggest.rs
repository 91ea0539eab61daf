//! How a word could go on, and what was meant by one that is not there.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::{Call, Reply, ToolError};

use super::plain;
use crate::{Library, names, query, query::What, store::Word};

/// Words of a query that are looked up.
const WORDS: usize = 8;

/// What was typed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Suggest {
    index: String,
    /// The beginning of a word, or a query whose words may be misspelt.
    text: String,
    /// Complete values of this keyword field instead of words.
    #[serde(default)]
    field: Option<String>,
}

/// A word of the index.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Suggested {
    text: String,
    /// Documents that hold it.
    documents: u64,
}

/// A word that is not in the index, and those that are.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Correction {
    word: String,
    instead: Vec<Suggested>,
}

/// What could be meant.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Suggestions {
    /// Of the last word.
    completions: Vec<Suggested>,
    corrections: Vec<Correction>,
    /// The whole text with its words corrected.
    #[serde(skip_serializing_if = "Option::is_none")]
    did_you_mean: Option<String>,
}

pub(crate) async fn suggest(library: Arc<Library>, call: Call, args: Suggest) -> Result<Reply<Suggestions>, ToolError> {
    names::index(&args.index)?;
    if args.text.trim().is_empty() || args.text.len() > 500 {
        return Err(ToolError::invalid("text has 1 to 500 bytes"));
    }
    let start = match &args.field {
        Some(_) => args.text.as_str(),
        None => args.text.rsplit(|letter: char| !letter.is_alphanumeric()).next().unwrap_or_default(),
    };
    let completions = if start.is_empty() {
        Vec::new()
    } else {
        let work = library.store.complete(&call, &args.index, args.field.as_deref(), start);
        library.observe(&call, (&args.index, &args.text), work).await?
    };
    let mut corrections = Vec::new();
    if args.field.is_none() {
        for word in
            args.text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).take(WORDS)
        {
            let instead = library.store.correct(&call, &args.index, word).await?;
            if !instead.is_empty() {
                corrections
                    .push(Correction { word: word.to_owned(), instead: instead.into_iter().map(suggested).collect() });
            }
        }
    }
    let best = corrections.iter().map(|correction| (correction.word.as_str(), correction.instead[0].text.as_str()));
    let did_you_mean = corrected(&args.text, &best.collect::<Vec<_>>());
    let completions: Vec<_> = completions.into_iter().map(suggested).collect();
    let mut lines: Vec<String> =
        completions.iter().map(|word| format!("{} ({})", plain(&word.text), word.documents)).collect();
    lines.extend(did_you_mean.as_ref().map(|meant| format!("did you mean: {}", plain(meant))));
    let text = if lines.is_empty() { "no suggestions".to_owned() } else { lines.join("\n") };
    Ok(Reply::new(Suggestions { completions, corrections, did_you_mean }).text(text))
}

fn suggested(word: Word) -> Suggested {
    Suggested { text: word.text, documents: word.documents }
}

/// The query as it was probably meant, if some of its words are not in the index and nearly others are.
pub(crate) async fn meant(
    library: &Library,
    call: &Call,
    index: &str,
    text: &str,
) -> Result<Option<String>, ToolError> {
    let Some(node) = query::parse(text)?.query else { return Ok(None) };
    let mut best = Vec::new();
    for atom in
        node.atoms().into_iter().filter(|atom| matches!(atom.what, What::Word(_) | What::Phrase(..))).take(WORDS)
    {
        for word in
            atom.text().split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).take(WORDS)
        {
            let instead = library.store.correct(call, index, word).await?;
            best.extend(instead.into_iter().next().map(|near| (word.to_owned(), near.text)));
        }
    }
    let best: Vec<_> = best.iter().map(|(word, near)| (word.as_str(), near.as_str())).collect();
    Ok(corrected(text, &best))
}

/// A text with words exchanged; `None` if there are none.
fn corrected(text: &str, words: &[(&str, &str)]) -> Option<String> {
    if words.is_empty() {
        return None;
    }
    let mut corrected = String::new();
    let mut left = text;
    while let Some(letter) = left.chars().next() {
        let end = left.find(|letter: char| !letter.is_alphanumeric()).unwrap_or(left.len()).max(letter.len_utf8());
        let (word, behind) = left.split_at(end);
        corrected.push_str(words.iter().find(|(wrong, _)| *wrong == word).map_or(word, |(_, right)| right));
        left = behind;
    }
    Some(corrected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_words_are_exchanged() {
        let told = corrected("+titel:serach \"serach engine\" serached", &[("serach", "search"), ("titel", "title")]);
        assert_eq!(told.as_deref(), Some("+title:search \"search engine\" serached"));
    }
}
