//! Words that are in the index → how a beginning could go on, and what was probably meant by a word that is not there.

use std::collections::HashMap;

use tantivy::{Term, query::FuzzyTermQuery, schema::Field};
use weft_kit::{Call, ToolError};

use super::volume::Volume;
use crate::{model::Kind, query::LETTERS, store::Word};

/// Words that are looked at before the best are chosen.
const LOOKED_AT: usize = 20_000;
/// Words that are offered.
const OFFERED: usize = 20;

pub(crate) fn complete(volume: &Volume, call: &Call, field: Option<&str>, start: &str) -> Result<Vec<Word>, ToolError> {
    let (place, start) = match field {
        None => (volume.fields.words, start.to_lowercase()),
        Some(name) => {
            let schema = volume.schema();
            let field = schema.field(name)?;
            match field.kind {
                Kind::Keyword => (volume.fields.own[name], start.to_owned()),
                kind if kind.is_prose() => (volume.fields.words, start.to_lowercase()),
                _ => return Err(ToolError::invalid(format!("{name:?} is neither prose nor a keyword"))),
            }
        }
    };
    if start.chars().count() > LETTERS {
        return Ok(Vec::new());
    }
    let mut words: Vec<Word> = near(volume, call, place, (&start, 0, true))?
        .into_iter()
        .map(|(text, documents)| Word { text, documents })
        .collect();
    words.sort_by(|one, other| other.documents.cmp(&one.documents).then_with(|| one.text.cmp(&other.text)));
    words.truncate(OFFERED);
    Ok(words)
}

pub(crate) fn correct(volume: &Volume, call: &Call, word: &str) -> Result<Vec<Word>, ToolError> {
    let word = word.to_lowercase();
    let place = volume.fields.words;
    let there = volume.searcher().doc_freq(&Term::from_field_text(place, &word));
    let letters = word.chars().count();
    if !(3..=LETTERS).contains(&letters) || there.map_err(|error| volume.failed(error))? > 0 {
        return Ok(Vec::new());
    }
    let distances = if letters < 5 { 1..=1 } else { 1..=2 };
    for distance in distances {
        let mut words: Vec<Word> = near(volume, call, place, (&word, distance, false))?
            .into_iter()
            .map(|(text, documents)| Word { text, documents })
            .collect();
        if !words.is_empty() {
            // Among words that are equally near, the frequent ones, and those that begin alike, are meant more often.
            let first = word.chars().next();
            words.sort_by_key(|near| {
                (near.text.chars().next() != first, std::cmp::Reverse(near.documents), near.text.clone())
            });
            words.truncate(5);
            return Ok(words);
        }
    }
    Ok(Vec::new())
}

/// The words of a field within `distance` of a text, or beginning so, with their documents.
fn near(
    volume: &Volume,
    call: &Call,
    place: Field,
    (text, distance, prefix): (&str, u8, bool),
) -> Result<HashMap<String, u64>, ToolError> {
    let term = Term::from_field_text(place, text);
    let query = if prefix {
        FuzzyTermQuery::new_prefix(term, distance, true)
    } else {
        FuzzyTermQuery::new(term, distance, true)
    };
    let mut found: HashMap<String, u64> = HashMap::new();
    for segment in volume.searcher().segment_readers() {
        call.check()?;
        let index = segment.inverted_index(place).map_err(|error| volume.failed(error))?;
        let automaton = query.automaton().map_err(|error| volume.failed(error))?;
        let mut words = index.terms().search(automaton).into_stream()?;
        let mut looked_at = 0;
        while looked_at < LOOKED_AT && words.advance() {
            looked_at += 1;
            let text = String::from_utf8_lossy(words.key()).into_owned();
            *found.entry(text).or_default() += u64::from(words.value().doc_freq);
        }
    }
    Ok(found)
}
