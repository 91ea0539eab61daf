//! The tools: typed arguments → typed results. Each file is one family; what they share is here.

use std::time::Duration;

use serde_json::{Map, Value};
use weft_kit::{Annotations, Builder, Tool};

use crate::{Library, settings::Settings};

mod copy;
mod count;
mod find;
mod ingest;
mod look;
mod make;
mod native;
mod remove;
mod resource;
mod suggest;
mod write;

#[cfg(test)]
pub(crate) use make::usual;

/// How long copying and ingesting may take.
const LONG: Duration = Duration::from_secs(1_800);

/// Text that is safe to show on one line: control characters and those that turn or hide text are left out.
pub(crate) fn plain(text: &str) -> String {
    let hidden = |letter: &char| matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}');
    let line = |letter: char| if letter.is_control() { ' ' } else { letter };
    text.chars().filter(|letter| !hidden(letter)).map(line).collect()
}

/// The fields that are asked for.
pub(crate) fn only(mut source: Map<String, Value>, fields: Option<&[String]>) -> Map<String, Value> {
    if let Some(fields) = fields {
        source.retain(|name, _| fields.contains(name));
    }
    source
}

/// Adds all tools.
pub(crate) fn add(service: Builder<Library>, settings: &Settings) -> Builder<Library> {
    let service = service
        .tool(Tool::new("list_indices", Annotations::READ, "Lists the indexes and aliases with their number of documents."), look::list)
        .tool(Tool::new("describe_index", Annotations::READ, "Tells the fields of an index, what each is good for, its languages and synonyms."), look::describe)
        .tool(Tool::new("index_status", Annotations::READ, "Tells how an index is doing (documents, bytes, when writes are seen) and which of your searches were slow."), look::status)
        .tool(Tool::new("search", Annotations::READ, "Finds documents, best first. query: words, \"a phrase\", \"near words\"~3, typo~, begin*, field:word, +must, -not, (groups), AND, OR; any word may match unless require_all. filters for exact fields. Goes on with cursor. Whole documents: get_documents; only numbers: count, aggregate."), find::search)
        .tool(Tool::new("get_documents", Annotations::READ, "Gets up to 50 documents by id, whole or some fields."), find::get)
        .tool(Tool::new("count", Annotations::READ, "Counts the documents that a query and filters find."), count::count)
        .tool(Tool::new("aggregate", Annotations::READ, "Counts the documents that a query and filters find by values, steps, times or ranges of up to 5 exact fields, or sums numbers up."), count::aggregate)
        .tool(Tool::new("suggest", Annotations::READ, "Completes the beginning of a word from what is in an index, and corrects words that are not in it."), suggest::suggest)
        .tool(Tool::new("explain", Annotations::READ, "Tells why a document has its score for a query, or that it is not found."), find::explain);
    let service = service
        .tool(Tool::new("create_index", Annotations::ENSURE, "Makes an index; one with the same fields is fine. Without fields: title, body, url, tags, created. Search words in text and code; filter, sort and count by keyword, integer, number, boolean, date."), make::create)
        .tool(Tool::new("index_documents", Annotations::OVERWRITE, "Writes up to 500 documents, objects of the index's fields with an id (without one, made from the content); the same id replaces. Those that do not fit are told, the others are kept."), write::index)
        .tool(Tool::new("ingest_resource", Annotations::OVERWRITE, "Indexes the text or bytes of a resource under its address (text, Markdown, HTML, PDF, code); again, only if it changed.").deadline(LONG), resource::resource)
        .tool(Tool::new("set_synonyms", Annotations::OVERWRITE, "Replaces the synonyms of an index, groups of words that mean the same; works at once."), make::synonyms)
        .tool(Tool::new("set_alias", Annotations::OVERWRITE, "Lets an alias stand for an index, or removes it; it can be searched and written to like one."), make::alias)
        .tool(Tool::new("reindex", Annotations::ENSURE, "Copies an index into a new or empty one, with other fields if given, and then switches an alias to it.").deadline(LONG), copy::reindex)
        .planned(Tool::new("delete_documents", Annotations::DELETE, "Deletes documents by ids, or all that a query and filters find.").deadline(LONG), remove::plan_documents, remove::documents)
        .planned(Tool::new("delete_index", Annotations::DELETE, "Deletes an index with all its documents."), remove::plan_index, remove::index);
    let service = if settings.directories().is_empty() {
        service
    } else {
        service.tool(Tool::new("ingest_directory", Annotations::OVERWRITE, "Indexes the files of a directory that the operator allows (text, Markdown, HTML, code with the names it defines); again, only what changed is read and what is gone removed. Then search it like any index.").deadline(LONG), ingest::directory)
    };
    if settings.native_queries && settings.cluster.is_some() {
        return service.tool(Tool::new("native_query", Annotations::READ, "Sends a body to _search of the cluster, for what search and aggregate cannot say. No scripts, patterns, lookups in other indexes, or sizes above 100."), native::query);
    }
    service
}
