//! Deleting: which documents a question means and how they are, and their end.
//!
//! What is deleted by a query was shown before. So that nothing else goes, the documents are told with their versions, and the
//! deletion can be held to some of them.

use tantivy::{
    Term,
    collector::{Count, DocSetCollector},
    query::{BooleanQuery, Query, TermSetQuery},
};
use weft_kit::{Call, ToolError};

use super::{careful::careful, compile, volume::Volume};
use crate::{model::Question, store::Version};

/// The documents that a question means, with what moves when one of them is written anew; `None` if they are more than `most`.
pub(super) fn versions(
    volume: &Volume,
    call: &Call,
    question: &Question,
    most: usize,
) -> Result<Option<Vec<Version>>, ToolError> {
    let query = compile::question(volume, question)?;
    let searcher = volume.searcher();
    if searcher.search(&query, &Count).map_err(|error| volume.failed(error))? > most {
        return Ok(None);
    }
    let mut told = Vec::new();
    for address in searcher.search(&query, &DocSetCollector).map_err(|error| volume.failed(error))? {
        call.check()?;
        told.push(Version::of(&volume.read(&searcher, address)?));
    }
    Ok(Some(told))
}

pub(super) fn by_ids(volume: &Volume, ids: &[String]) -> Result<u64, ToolError> {
    volume.commit(|writer| {
        let there = volume.addresses(ids)?.len();
        for id in ids {
            writer.delete_term(Term::from_field_text(volume.fields.id, id));
        }
        Ok(there as u64)
    })
}

/// Removes what a question means, of these documents alone if they are said.
pub(super) fn by_question(volume: &Volume, question: &Question, only: Option<&[String]>) -> Result<u64, ToolError> {
    let mut query = compile::question(volume, question)?;
    if let Some(only) = only {
        let ids = only.iter().map(|id| Term::from_field_text(volume.fields.id, id));
        let ids: Box<dyn Query> = Box::new(TermSetQuery::new(ids));
        query = Box::new(BooleanQuery::intersection(vec![careful(query), careful(ids)]));
    }
    volume.commit(|writer| {
        let count = volume.searcher().search(&query, &Count).map_err(|error| volume.failed(error))?;
        writer.delete_query(query).map_err(|error| volume.failed(error))?;
        Ok(count as u64)
    })
}
